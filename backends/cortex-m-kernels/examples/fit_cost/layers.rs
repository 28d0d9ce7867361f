//! Layers of many shapes.

use paring_cortex_m_kernels::{
    Add, AddOperand, BoxCopy, Change, Coding, Conv2d, ConvWide, DepthwiseConv2d, Dequantize, Fill,
    FullyConnected, Isa, Layer, Mean, Mul, Pool2d, PoolKind, Quantize, Requant, Requantize,
    Rescale, Softmax, SoftmaxWide, Table, Wide,
};
use paring_opsuite::random::Random;
use paring_qmath::Multiplier;

/// Bytes of each buffer.
pub const ROOM: usize = 80_000;
/// Weights of a layer: flash holds many.
const WEIGHTS: usize = 16_000;

/// `low..=high`.
fn size(r: &mut Random, low: usize, high: usize) -> usize {
    low + r.below(high - low + 1)
}

/// Weights that a coding can hold; they live as long as the program.
fn weights(r: &mut Random, coding: Coding, shape: [usize; 3]) -> &'static [i8] {
    let [outputs, taps, depth] = shape;
    let book = [-90, -60, -41, -33, -25, -17, -9, -4, 3, 7, 12, 20, 31, 44, 63, 0];
    // Blocks of four outputs by four input channels, one of three or of nine kept.
    let keep = 3 + 6 * r.below(2);
    let kept: Vec<bool> =
        (0..outputs.div_ceil(4) * taps * depth.div_ceil(4)).map(|_| r.below(keep) == 0).collect();
    let coded = |r: &mut Random, o: usize, bits: u8| {
        let code = r.below(1 << bits) as i32;
        (code * 37 % 251 * (2 * o as i32 + 1)) as i8
    };
    let mut all = Vec::with_capacity(outputs * taps * depth);
    for o in 0..outputs {
        for tap in 0..taps {
            for i in 0..depth {
                let there = kept[(o / 4 * taps + tap) * depth.div_ceil(4) + i / 4];
                all.push(match coding {
                    Coding::Nibbles => r.below(16) as i8 - 8,
                    Coding::Palette => r.of(&book),
                    Coding::Sparse | Coding::SparsePalette if !there => 0,
                    Coding::SparsePalette => r.of(&book),
                    Coding::Codes(bits) => coded(r, 0, bits),
                    Coding::ChannelCodes(bits) => coded(r, o, bits),
                    // Small values are more frequent.
                    Coding::Prefix => (r.below(12) * r.below(12)) as i8 >> r.below(4),
                    _ => r.below(121) as i8 - 60,
                });
            }
        }
    }
    all.leak()
}

fn requant(r: &mut Random, channels: usize) -> Requant {
    let zero = if r.below(2) == 0 { -128 } else { r.below(201) as i32 - 100 };
    let one = |r: &mut Random| Multiplier::from_real(0.000_3 * (1.0 + r.below(101) as f64));
    let multipliers = (0..channels).map(|_| one(r)).collect();
    Requant { multipliers, zero, low: -128, high: 127 }
}

fn out(size: usize, kernel: usize, stride: usize, pad: usize) -> usize {
    (size + 2 * pad - kernel) / stride + 1
}

fn conv(r: &mut Random, round: usize, coding: Coding, slow: bool) -> Conv2d<'static> {
    loop {
        let pointwise = round.is_multiple_of(2);
        // Windows with a row of one word are packed in a way of their own.
        let word = round % 12 == 7;
        let kernel = if pointwise {
            [1, 1]
        } else if word {
            r.of(&[[10, 4], [3, 4], [5, 4]])
        } else {
            r.of(&[[3, 3], [3, 3], [3, 3], [5, 5], [1, 3], [10, 4], [1, 1], [7, 1]])
        };
        let stride = if pointwise { [1, 1] } else { r.of(&[[1, 1], [2, 2], [1, 2]]) };
        let pad = kernel.map(|k| if pointwise { 0 } else { r.below(k / 2 + 1) });
        let depth = if word { 1 } else { r.of(&[1, 2, 3, 3, 4, 8, 13, 16, 24, 32, 48, 64]) };
        let channels = r.of(&[4, 8, 8, 10, 16, 24, 32, 64]);
        let top = if slow { 12 } else { 20 };
        let input =
            [size(r, kernel[0], kernel[0] + top), size(r, kernel[1], kernel[1] + top), depth];
        let axis = |i: usize| out(input[i], kernel[i], stride[i], pad[i]);
        let output = [axis(0), axis(1), channels];
        let taps = kernel[0] * kernel[1];
        if channels * taps * depth > WEIGHTS {
            continue;
        }
        let weights = weights(r, coding, [channels, taps, depth]);
        let mut requant = requant(r, channels);
        if r.below(4) == 0 {
            requant.high = 60;
        }
        return Conv2d {
            input,
            output,
            kernel,
            stride,
            dilation: [1, 1],
            pad,
            groups: 1,
            in_zero: 3,
            weights,
            bias: vec![5; channels].leak(),
            requant,
            coding,
            fast: false,
        };
    }
}

/// Grouped or dilated: the loops for anything.
fn any_conv(r: &mut Random, round: usize) -> Conv2d<'static> {
    let (groups, dilation) = if round.is_multiple_of(2) { (2, [1, 1]) } else { (1, [2, 2]) };
    let (depth, channels) = (2 * size(r, 1, 6), 2 * size(r, 1, 6));
    let input = [size(r, 6, 10), size(r, 6, 10), depth];
    Conv2d {
        input,
        output: [input[0] - 2 * dilation[0] + 2, input[1] - 2 * dilation[1] + 2, channels],
        kernel: [3, 3],
        stride: [1, 1],
        dilation,
        pad: [1, 1],
        groups,
        in_zero: 3,
        weights: weights(r, Coding::Plain, [channels, 9, depth / groups]),
        bias: vec![5; channels].leak(),
        requant: requant(r, channels),
        coding: Coding::Plain,
        fast: false,
    }
}

fn depthwise(r: &mut Random, round: usize) -> DepthwiseConv2d<'static> {
    loop {
        let kernel = if round % 3 < 2 {
            [3, 3]
        } else {
            r.of(&[[5, 5], [5, 5], [7, 7], [7, 7], [3, 5], [1, 3]])
        };
        let stride = r.of(&[[1, 1], [1, 1], [2, 2]]);
        let pad = kernel.map(|k| r.below(k / 2 + 1));
        // Large images are done in bands.
        let large = round % 4 == 3;
        let channels = if large { r.of(&[2, 4, 8]) } else { r.of(&[2, 4, 8, 16, 32]) };
        let [least, most] = if large { [60, 95] } else { [kernel[0].max(kernel[1]), 48] };
        let input = [size(r, least, most), size(r, least, most), channels];
        if input.iter().product::<usize>() > ROOM {
            continue;
        }
        let axis = |i: usize| out(input[i], kernel[i], stride[i], pad[i]);
        return DepthwiseConv2d {
            input,
            output: [axis(0), axis(1), channels],
            kernel,
            stride,
            dilation: [1, 1],
            pad,
            in_zero: 3,
            weights: weights(r, Coding::Plain, [channels, kernel[0] * kernel[1], 1]),
            bias: vec![5; channels].leak(),
            requant: requant(r, channels),
            by_rows: false,
            fast: true,
        };
    }
}

/// 3x3 windows in tiles.
fn tiles(r: &mut Random) -> Conv2d<'static> {
    let (depth, channels) = (r.of(&[4, 8, 16, 16, 24, 32]), r.of(&[4, 8, 16, 24, 32]));
    let pad = [r.below(2), r.below(2)];
    let input = [size(r, 4, 22), size(r, 4, 22), depth];
    Conv2d {
        input,
        output: [out(input[0], 3, 1, pad[0]), out(input[1], 3, 1, pad[1]), channels],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad,
        groups: 1,
        in_zero: 3,
        weights: weights(r, Coding::Winograd, [channels, 9, depth]),
        bias: vec![5; channels].leak(),
        requant: requant(r, channels),
        coding: Coding::Winograd,
        fast: false,
    }
}

fn dense(r: &mut Random, round: usize, coding: Coding) -> FullyConnected<'static> {
    let inputs = size(r, 4, 400);
    let outputs = if round.is_multiple_of(3) { size(r, 1, 20) } else { 8 * size(r, 1, 12) };
    let outputs = outputs.min(WEIGHTS / inputs);
    let mut requant = requant(r, outputs);
    if !round.is_multiple_of(4) {
        requant.multipliers.truncate(1);
    }
    FullyConnected {
        inputs,
        outputs,
        in_zero: 3,
        weights: weights(r, coding, [outputs, 1, inputs]),
        bias: vec![5; outputs].leak(),
        requant,
        coding,
    }
}

fn add(r: &mut Random, round: usize) -> Add {
    let n = size(r, 10, 4000);
    let channels = size(r, 2, 40);
    let operand = |r: &mut Random| AddOperand {
        zero: r.below(101) as i32 - 50,
        multiplier: match r.below(3) {
            0 => Multiplier { mantissa: 1 << 30, shift: 0 },
            1 => Multiplier { mantissa: 1_500_000_000, shift: 0 },
            _ => Multiplier { mantissa: 1_500_000_000, shift: -2 },
        },
    };
    let (shape, other) = if round.is_multiple_of(4) {
        (vec![n / channels + 1, channels], vec![channels])
    } else {
        (vec![n], vec![n])
    };
    let mut requant = Requant::per_tensor(Multiplier::from_real(1.5e-6), 4);
    if round.is_multiple_of(5) {
        requant.multipliers = vec![Multiplier { mantissa: 1_400_000_000, shift: 0 }];
    }
    requant.low = r.of(&[-128, -128, 4]);
    requant.high = r.of(&[127, 127, 90]);
    Add {
        operand_shapes: [shape.clone(), other],
        shape,
        operands: [operand(r), operand(r)],
        subtract: false,
        requant,
    }
}

fn pool(r: &mut Random, round: usize) -> Pool2d {
    let kind = if round.is_multiple_of(2) { PoolKind::Average } else { PoolKind::Max };
    let clamp = [-128, 127];
    if round % 4 < 2 {
        // All of the image.
        let kernel = [size(r, 4, 25), size(r, 4, 12)];
        let input = [kernel[0], kernel[1], size(r, 1, 64)];
        return Pool2d { kind, input, output: [1, 1], kernel, stride: kernel, pad: [0, 0], clamp };
    }
    let kernel = r.of(&[[2, 2], [3, 3], [2, 2], [4, 4], [1, 4], [5, 3]]);
    let input = [size(r, 6, 14), size(r, 6, 14), size(r, 1, 40)];
    let stride = r.of(&[[1, 1], [2, 2], [3, 3]]);
    let output = [out(input[0], kernel[0], stride[0], 0), out(input[1], kernel[1], stride[1], 0)];
    Pool2d { kind, input, output, kernel, stride, pad: [0, 0], clamp }
}

/// Convolutions, depthwise ones and dense layers of 16 bits.
fn conv_wide(r: &mut Random, round: usize) -> ConvWide<'static> {
    loop {
        let depthwise = round.is_multiple_of(3);
        let kernel = r.of(&[[1, 1], [3, 3], [3, 3], [5, 5], [1, 4], [7, 7]]);
        let stride = r.of(&[[1, 1], [1, 1], [2, 2]]);
        let pad = kernel.map(|k| r.below(k / 2 + 1));
        let depth = r.of(&[1, 3, 4, 8, 16, 18, 32, 64]);
        let channels = if depthwise { depth } else { r.of(&[1, 4, 8, 10, 16, 32]) };
        let most = kernel.map(|k| if round.is_multiple_of(5) { k } else { k + 12 });
        let input = [size(r, kernel[0], most[0]), size(r, kernel[1], most[1]), depth];
        let axis = |i: usize| out(input[i], kernel[i], stride[i], pad[i]);
        let output = [axis(0), axis(1), channels];
        let taps = kernel[0] * kernel[1];
        let groups = if depthwise { depth } else { 1 };
        let room = 2 * input.iter().product::<usize>().max(output.iter().product()) > ROOM;
        if channels * taps * depth / groups > WEIGHTS || depthwise && depth == 1 || room {
            continue;
        }
        let mut requant = requant(r, channels);
        requant.multipliers.iter_mut().for_each(|m| m.shift -= 6);
        return ConvWide {
            input,
            output,
            kernel,
            stride,
            dilation: [1, 1],
            pad,
            groups,
            weights: weights(r, Coding::Plain, [channels, taps, depth / groups]),
            bias: vec![5; channels].leak(),
            requant: Requant { zero: 0, low: -32768, high: 32767, ..requant },
        };
    }
}

/// Layers of 16 bits that have no weights.
fn wide(r: &mut Random, round: usize) -> Vec<Box<dyn Layer>> {
    let count = size(r, 1, 2000);
    let clamp = r.of(&[[-32768, 32767], [-32768, 32767], [-500, 900]]);
    let to = |real: f64| Requant {
        multipliers: vec![Multiplier::from_real(real)],
        zero: 0,
        low: clamp[0],
        high: clamp[1],
    };
    let shape = vec![size(r, 1, 20), size(r, 1, 60)];
    // Constants that differ: the compiler puts those that do not into a function.
    let far = 0.8 + 0.01 * r.below(300) as f64;
    let eight = Requant::per_tensor(Multiplier::from_real(0.003 * far), r.below(9) as i32);
    let rescale =
        |change, requant| Rescale { change, values: Requantize { count, in_zero: 0, requant } };
    let (quantize, scale) = (|ties_even| Quantize { count, scale: 0.05, zero: 0, ties_even }, 0.05);
    let mut add = add(r, round);
    add.operands.iter_mut().for_each(|o| o.zero = 0);
    add.requant = to(0.000_05);
    let pool = pool(r, round);
    vec![
        Box::new(Wide(add)),
        Box::new(Wide(Pool2d { clamp: [-32768, 32767], ..pool })),
        Box::new(Wide(quantize(false))),
        Box::new(Wide(quantize(true))),
        Box::new(Wide(Dequantize { count, scale, zero: 0 })),
        Box::new(rescale(Change::Widen, to(20.0 * far))),
        Box::new(rescale(Change::Narrow, eight)),
        Box::new(rescale(Change::Sixteen, to(0.3 * far))),
        Box::new(SoftmaxWide {
            rows: size(r, 1, 4),
            depth: size(r, 2, 40),
            beta: 1.0,
            in_scale: 0.000_2,
        }),
        Box::new(Wide(Mean {
            count: size(r, 1, 100),
            channels: size(r, 1, 40),
            in_zero: 0,
            requant: to(0.01 * far),
        })),
        Box::new(Wide(Mul {
            operand_shapes: [shape.clone(), shape.clone()],
            shape,
            zeros: [0, 0],
            requant: to(0.000_1),
        })),
    ]
}

/// Some of the multipliers a half and more.
fn leave(r: &mut Random, requant: &mut Requant) {
    let every = 2 + r.below(3);
    for (i, m) in requant.multipliers.iter_mut().enumerate() {
        if i % every == 0 {
            *m = Multiplier::from_real(0.5 + 0.01 * r.below(100) as f64);
        }
    }
}

/// Every kind of layer, for an instruction set.
pub fn layers(isa: Isa) -> Vec<Box<dyn Layer>> {
    let r = &mut Random(17);
    let slow = matches!(isa, Isa::V6m | Isa::V7m);
    let mut all: Vec<Box<dyn Layer>> = Vec::new();
    for round in 0..70 {
        all.push(Box::new(conv(r, round, Coding::Plain, slow)));
    }
    for round in 0..36 {
        all.push(Box::new(dense(r, round, Coding::Plain)));
    }
    // Layers without a kernel for a coding are left out later.
    for coding in Coding::ALL.into_iter().skip(1).filter(|&c| c != Coding::Winograd) {
        // Codes of any number of bits have one function.
        let rounds =
            if matches!(coding, Coding::Codes(_) | Coding::ChannelCodes(_) | Coding::Prefix) {
                8
            } else {
                24
            };
        for round in 0..rounds {
            all.push(Box::new(conv(r, round, coding, slow)));
            all.push(Box::new(dense(r, round, coding)));
        }
    }
    for round in 0..12 {
        all.push(Box::new(any_conv(r, round)));
    }
    for round in 0..120 {
        all.push(Box::new(depthwise(r, round)));
    }
    for round in 0..60 {
        all.push(Box::new(add(r, round)));
        all.push(Box::new(pool(r, round)));
    }
    for _ in 0..8 {
        let count = size(r, 1, 2000);
        let scale = 0.05;
        // Constants that differ: the compiler puts those that do not into a function.
        let m = Multiplier::from_real(0.1 + 0.01 * r.below(300) as f64);
        let zero = r.below(50) as i32;
        let shape = vec![size(r, 1, 20), size(r, 1, 60)];
        let (rows, run, gap) = (size(r, 1, 40), size(r, 1, 60), r.below(2));
        let rest: [Box<dyn Layer>; 11] = [
            Box::new(Table { count, values: [3; 256] }),
            Box::new(Quantize { count, scale, zero: 3, ties_even: false }),
            Box::new(Quantize { count, scale, zero: 3, ties_even: true }),
            Box::new(Dequantize { count, scale, zero: 3 }),
            Box::new(Requantize {
                count,
                in_zero: zero,
                requant: Requant::per_tensor(m, zero - 9),
            }),
            Box::new(Fill { bytes: count, value: 3 }),
            Box::new(Softmax {
                rows: size(r, 1, 4),
                depth: size(r, 2, 40),
                beta: 1.0,
                in_scale: 0.1,
            }),
            Box::new(Mean {
                count: size(r, 1, 100),
                channels: size(r, 1, 40),
                in_zero: zero,
                requant: Requant::per_tensor(Multiplier { shift: m.shift - 5, ..m }, 2),
            }),
            Box::new(Mul {
                operand_shapes: [shape.clone(), shape.clone()],
                shape,
                zeros: [1, 2],
                requant: Requant::per_tensor(m, 2),
            }),
            Box::new(BoxCopy {
                element: 1,
                size: vec![rows, run],
                from: (vec![run + gap, 1], 0),
                to: (vec![run, 1], 0),
            }),
            Box::new(BoxCopy {
                element: 1,
                size: vec![rows, run],
                from: (vec![1, rows], 0),
                to: (vec![run, 1], 0),
            }),
        ];
        all.extend(rest);
    }
    for _ in 0..30 {
        all.push(Box::new(tiles(r)));
    }
    for coding in Coding::ALL.into_iter().filter(|&c| c != Coding::Winograd) {
        for round in 0..12 {
            let mut conv = conv(r, round, coding, slow);
            leave(r, &mut conv.requant);
            all.push(Box::new(conv));
            let mut dense = dense(r, 4 * round, coding);
            leave(r, &mut dense.requant);
            all.push(Box::new(dense));
        }
    }
    for round in 0..90 {
        all.push(Box::new(conv_wide(r, round)));
    }
    for round in 0..40 {
        all.extend(wide(r, round));
    }
    // Blocks of windows are gathered only where the depth is a multiple of four.
    for round in (1..160).step_by(2).filter(|_| isa == Isa::Helium) {
        all.push(Box::new(conv(r, round, Coding::Sparse, slow)));
    }
    all
}

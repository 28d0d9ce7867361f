//! Integer forms of ops: operands are quantized, and the real number behind a result is within a few
//! steps of what the op computes of the real operands.

use crate::images::convolve;
use crate::{Array, Case, Expected, Operand, Suite, c, op, x};
use paring_ir::OpRef;
use paring_ir::ops::{
    Activation, Binary, BinaryFn, Concat, Conv2d, Dense, Padding, Pool, PoolKind, Reduce, ReduceFn,
    Resize, ResizeCoordinates, ResizeMethod, Softmax, Unary,
};
use paring_tensor::{DType, Quant, TensorType};

/// A quantization of numbers in about `[-1, 1]`.
fn unit(dtype: DType) -> Quant {
    match dtype {
        DType::U8 => Quant::per_tensor(0.008, 127),
        DType::I16 => Quant::per_tensor(1.0 / 32767.0, 0),
        _ => Quant::per_tensor(0.008, -3),
    }
}

/// A case with one quantized result, within so many of its steps.
fn push(
    suite: &mut Suite,
    name: &str,
    op: OpRef,
    operands: Vec<Operand>,
    (dtype, quant): (DType, Quant),
    value: Array,
    steps: f64,
) {
    let scale = quant.as_per_tensor().map_or(1.0, |q| f64::from(q.0));
    let ty = TensorType::new(dtype, value.shape.clone()).with_quant(quant);
    let expected = vec![Expected { value, tolerance: [steps * scale * 1.001, 0.0] }];
    let case = Case::typed(name, op, operands, Some(vec![ty]), expected);
    suite.0.push(case.unwrap_or_else(|e| panic!("{name}: {e}")));
}

/// Weights with one scale a filter, and a bias in the product's scale.
fn weights(seed: u64, shape: &[usize], input: &Quant, bias: DType) -> (Operand, Operand) {
    let filters = shape[0];
    let scales: Vec<f32> = (0..filters).map(|f| 0.008 + 0.0005 * f as f32).collect();
    let w = c(seed, shape).quantized(Quant::symmetric(0, scales.clone()), DType::I8);
    let x_scale = input.as_per_tensor().map_or(1.0, |q| q.0);
    let product = scales.iter().map(|s| s * x_scale).collect();
    let b = c(seed + 1, &[filters]).quantized(Quant::symmetric(0, product), bias);
    (w, b)
}

/// An input of eighths in which each image holds what makes an eighth the step of its own quantization: by its range,
/// and by its largest magnitude.
fn eighths(seed: u64, shape: &[usize]) -> Operand {
    let image: usize = shape[1..].iter().product();
    let numbers = x(seed, shape).real().data.into_iter().enumerate();
    let eighths = numbers.map(|(i, v)| match i % image {
        0 => 127.0 / 8.0,
        1 => -128.0 / 8.0,
        _ => (v * 100.0).round() / 8.0,
    });
    Operand::input(Array { shape: shape.to_vec(), data: eighths.collect() }.tensor(DType::F32))
}

/// Layers of real numbers with weights of integers, which quantize their input by what is in it: here without loss.
fn hybrid(suite: &mut Suite) {
    for (name, shape, groups) in [("plain", [5, 3, 3, 4], 1), ("depthwise", [4, 3, 3, 1], 4)] {
        let i = eighths(340, &[2, 5, 6, 4]);
        let (w, _) = weights(341, &shape, &unit(DType::I8), DType::I32);
        let b = c(343, &shape[..1]);
        let conv = Conv2d {
            stride: [2, 1],
            pad: Padding::Explicit([1, 1, 1, 1]),
            dilation: [1, 1],
            groups,
            activation: Activation::Relu,
        };
        let y = convolve(&i.real(), &w.real(), Some(&b.real()), &conv, [1, 1], [3, 6]);
        suite.real(&format!("hybrid_{name}"), op(conv), vec![i, w, b], y);
    }
    let i = eighths(344, &[3, 9]);
    let (w, _) = weights(345, &[6, 9], &unit(DType::I8), DType::I32);
    let (a, k) = (i.real(), w.real());
    let y =
        Array::from_fn(&[3, 6], |at| (0..9).map(|d| a.at(&[at[0], d]) * k.at(&[at[1], d])).sum());
    suite.real("hybrid", op(Dense::default()), vec![i, w], y);
}

/// Depthwise convolutions of any number of channels, whose windows reach over the borders; in some, weights are the least
/// number.
fn depthwise(suite: &mut Suite) {
    let (q, out) = (unit(DType::I8), Quant::per_tensor(0.1, -3));
    for (channels, kernel, stride, dilation, size) in [
        (3, [5, 5], 1, 1, [9, 9]),
        (6, [3, 3], 2, 1, [8, 7]),
        (7, [7, 7], 1, 1, [3, 3]),
        (8, [3, 3], 1, 2, [7, 9]),
        (11, [5, 3], 2, 1, [10, 13]),
        (16, [7, 7], 1, 1, [6, 6]),
        (20, [5, 5], 1, 1, [7, 12]),
        (24, [5, 5], 2, 1, [11, 11]),
        // Windows that see too much of a row to copy it.
        (5, [3, 3], 1, 45, [4, 100]),
        (24, [3, 3], 1, 45, [92, 95]),
    ] {
        let [h, w]: [usize; 2] = size;
        let i = x(350, &[1, h, w, channels]).quantized(q.clone(), DType::I8);
        let scales: Vec<f32> = (0..channels).map(|c| 0.01 / (1 + c % 3) as f32).collect();
        let product = scales.iter().map(|s| s * q.as_per_tensor().map_or(1.0, |q| q.0)).collect();
        let shape = [channels, kernel[0], kernel[1], 1];
        let k = c(351, &shape).quantized(Quant::symmetric(0, scales), DType::I8);
        let b = c(352, &shape[..1]).quantized(Quant::symmetric(0, product), DType::I32);
        let pad = kernel.map(|k| (k - 1) * dilation / 2);
        let conv = Conv2d {
            stride: [stride; 2],
            pad: Padding::Explicit([pad[0], pad[1], pad[0], pad[1]]),
            dilation: [dilation; 2],
            groups: channels,
            activation: Activation::None,
        };
        let to = size.map(|n| n.div_ceil(stride));
        let y = convolve(&i.real(), &k.real(), Some(&b.real()), &conv, pad, to);
        let y = saturated(y, &out, DType::I8);
        let name = format!("depthwise_{}x{}_{channels}", kernel[0], kernel[1]);
        push(suite, &name, op(conv), vec![i, k, b], (DType::I8, out.clone()), y, 1.01);
    }
}

pub(crate) fn add(suite: &mut Suite) {
    hybrid(suite);
    depthwise(suite);
    for dtype in [DType::I8, DType::I16] {
        let name = dtype.name();
        let q = unit(dtype);
        let bias = if dtype == DType::I16 { DType::I64 } else { DType::I32 };
        let out = if dtype == DType::I16 {
            Quant::per_tensor(0.000_2, 0)
        } else {
            Quant::per_tensor(0.05, 4)
        };
        for (kind, image, shape, groups) in [
            ("plain", [1, 5, 5, 3], [4, 3, 3, 3], 1),
            ("depthwise", [2, 5, 5, 4], [4, 3, 3, 1], 4),
            ("grouped", [1, 4, 4, 6], [4, 3, 3, 3], 2),
        ] {
            let i = x(100, &image).quantized(q.clone(), dtype);
            let (w, b) = weights(101, &shape, &q, bias);
            let conv = Conv2d {
                stride: [1, 1],
                pad: Padding::Explicit([1, 1, 1, 1]),
                dilation: [1, 1],
                groups,
                activation: Activation::Relu,
            };
            let size = [image[1], image[2]];
            let y = convolve(&i.real(), &w.real(), Some(&b.real()), &conv, [1, 1], size);
            let y = saturated(y, &out, dtype);
            push(
                suite,
                &format!("{kind}_{name}"),
                op(conv),
                vec![i, w, b],
                (dtype, out.clone()),
                y,
                1.01,
            );
        }
        let i = x(102, &[3, 17]).quantized(q.clone(), dtype);
        let (w, b) = weights(103, &[5, 17], &q, bias);
        let (a, k, r) = (i.real(), w.real(), b.real());
        let y = Array::from_fn(&[3, 5], |at| {
            (0..17).map(|d| a.at(&[at[0], d]) * k.at(&[at[1], d])).sum::<f64>() + r.at(&at[1..])
        });
        let y = saturated(y, &out, dtype);
        push(suite, name, op(Dense::default()), vec![i, w, b], (dtype, out), y, 1.01);
    }
    for dtype in [DType::I8, DType::U8, DType::I16] {
        pairs(suite, dtype);
        functions(suite, dtype);
        windows(suite, dtype);
    }
}

/// Real numbers cut to what a quantization can express.
fn saturated(a: Array, quant: &Quant, dtype: DType) -> Array {
    let (scale, zero) = quant.as_per_tensor().unwrap_or((1.0, 0));
    let (low, high) = dtype.int_range().unwrap_or((0, 0));
    let real = |q: i64| f64::from(scale) * (q - i64::from(zero)) as f64;
    a.map(|x| x.clamp(real(low), real(high)))
}

fn pairs(suite: &mut Suite, dtype: DType) {
    type Pair = fn(f64, f64) -> f64;
    let wide = |q: &Quant| {
        let (scale, zero) = q.as_per_tensor().unwrap_or((1.0, 0));
        Quant::per_tensor(scale * 2.1, if zero == 0 { 0 } else { zero + 1 })
    };
    let functions: [(BinaryFn, Pair); 5] = [
        (BinaryFn::Add, |a, b| a + b),
        (BinaryFn::Sub, |a, b| a - b),
        (BinaryFn::Mul, |a, b| a * b),
        (BinaryFn::Min, f64::min),
        (BinaryFn::Max, f64::max),
    ];
    for (f, real) in functions {
        let q = unit(dtype);
        let compared = matches!(f, BinaryFn::Min | BinaryFn::Max);
        let out = if compared { q.clone() } else { wide(&q) };
        let other = if compared { q.clone() } else { wide(&q) };
        let (a, b) = (x(110, &[2, 3, 4]).quantized(q, dtype), x(111, &[4]).quantized(other, dtype));
        let (ra, rb) = (a.real(), b.real());
        let y = Array::from_fn(&[2, 3, 4], |k| real(ra.broadcast(k), rb.broadcast(k)));
        let y = saturated(y, &out, dtype);
        let name = format!("{f:?}_{dtype}").to_lowercase();
        push(suite, &name, op(Binary::new(f)), vec![a, b], (dtype, out), y, 1.01);
    }
    let q = unit(dtype);
    let (a, b) =
        (x(112, &[2, 3]).quantized(q.clone(), dtype), x(113, &[2, 2]).quantized(wide(&q), dtype));
    if dtype != DType::I16 {
        let (ra, rb) = (a.real(), b.real());
        let y =
            Array::from_fn(&[2, 5], |k| if k[1] < 3 { ra.at(k) } else { rb.at(&[k[0], k[1] - 3]) });
        let y = saturated(y, &q, dtype);
        push(suite, dtype.name(), op(Concat { axis: 1 }), vec![a, b], (dtype, q), y, 1.01);
    }
}

fn functions(suite: &mut Suite, dtype: DType) {
    type Real = fn(f64) -> f64;
    let sixteen = dtype == DType::I16;
    let q = match dtype {
        DType::I16 => Quant::per_tensor(1.0 / 4096.0, 0),
        DType::U8 => Quant::per_tensor(0.05, 120),
        _ => Quant::per_tensor(0.05, -8),
    };
    let spread = |seed| {
        let wide = Array::of(&crate::noise(seed, &[80])).map(|x| x * 6.0).tensor(DType::F32);
        Operand::input(wide).quantized(q.clone(), dtype)
    };
    let (zero, inverse) = match dtype {
        DType::I16 => (0, 32768.0),
        DType::U8 => (0, 256.0),
        _ => (-128, 256.0),
    };
    let tanh_out = match dtype {
        DType::I16 => Quant::per_tensor(1.0 / 32768.0, 0),
        DType::U8 => Quant::per_tensor(1.0 / 128.0, 128),
        _ => Quant::per_tensor(1.0 / 128.0, 0),
    };
    let functions: [(&str, Unary, Real, Quant); 5] = [
        ("relu", Unary::Relu, |x| x.max(0.0), q.clone()),
        ("relu6", Unary::Relu6, |x| x.clamp(0.0, 6.0), q.clone()),
        (
            "leaky",
            Unary::LeakyRelu { alpha: 0.25 },
            |x| if x < 0.0 { x / 4.0 } else { x },
            q.clone(),
        ),
        (
            "sigmoid",
            Unary::Sigmoid,
            |x| 1.0 / (1.0 + (-x).exp()),
            Quant::per_tensor(1.0 / inverse, zero),
        ),
        ("tanh", Unary::Tanh, f64::tanh, tanh_out),
    ];
    for (name, f, real, out) in functions {
        let i = spread(120);
        let y = saturated(i.real().map(real), &out, dtype);
        // Tables of 16-bit functions are good to a few thousandths of a percent.
        let steps = if sixteen { 8.0 } else { 1.01 };
        push(suite, &format!("{name}_{dtype}"), op(f), vec![i], (dtype, out), y, steps);
    }
    if !sixteen {
        let i = spread(121);
        let y = saturated(i.real().map(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0), &q, dtype);
        let f = op(Unary::HardSwish);
        push(suite, &format!("hard_swish_{dtype}"), f, vec![i], (dtype, q.clone()), y, 1.6);
    }
    let i =
        Operand::input(Array::of(&crate::noise(122, &[4, 10])).map(|x| x * 4.0).tensor(DType::F32))
            .quantized(q, dtype);
    let a = i.real();
    let y = Array::from_fn(&[4, 10], |k| {
        a.at(k).exp() / (0..10).map(|c| a.at(&[k[0], c]).exp()).sum::<f64>()
    });
    let out = Quant::per_tensor(1.0 / inverse, zero);
    let steps = if sixteen { 24.0 } else { 1.01 };
    let softmax = Softmax { axis: 1, beta: 1.0, log: false };
    push(suite, dtype.name(), op(softmax), vec![i], (dtype, out), y, steps);
}

fn windows(suite: &mut Suite, dtype: DType) {
    let q = unit(dtype);
    let i = x(130, &[1, 4, 4, 3]).quantized(q.clone(), dtype);
    let a = i.real();
    for kind in [PoolKind::Max, PoolKind::Average] {
        let pool = Pool {
            kind,
            kernel: [2, 2],
            stride: [2, 2],
            pad: Padding::VALID,
            dilation: [1, 1],
            ceil: false,
            count_include_pad: false,
            activation: Activation::None,
        };
        let y = Array::from_fn(&[1, 2, 2, 3], |k| {
            let seen = [(0, 0), (0, 1), (1, 0), (1, 1)]
                .map(|(y, x)| a.at(&[0, k[1] * 2 + y, k[2] * 2 + x, k[3]]));
            match kind {
                PoolKind::Max => seen.into_iter().fold(f64::NEG_INFINITY, f64::max),
                _ => seen.iter().sum::<f64>() / 4.0,
            }
        });
        let name = format!("{kind:?}_{dtype}").to_lowercase();
        push(suite, &name, op(pool), vec![i.clone()], (dtype, q.clone()), y, 0.51);
    }
    for (f, steps) in [(ReduceFn::Mean, 1.01), (ReduceFn::Max, 0.01)] {
        let y = Array::from_fn(&[1, 3], |k| {
            let mut seen = Vec::new();
            for y in 0..4 {
                for x in 0..4 {
                    seen.push(a.at(&[0, y, x, k[1]]));
                }
            }
            if f == ReduceFn::Mean {
                seen.iter().sum::<f64>() / 16.0
            } else {
                seen.into_iter().fold(f64::NEG_INFINITY, f64::max)
            }
        });
        let reduce = Reduce { f, axes: vec![1, 2], keep_dims: false };
        let name = format!("{f:?}_{dtype}").to_lowercase();
        push(suite, &name, op(reduce), vec![i.clone()], (dtype, q.clone()), y, steps);
    }
    let y = Array::from_fn(&[1, 8, 8, 3], |k| {
        let at = |i: usize| ((i as f64 + 0.5) / 2.0 - 0.5).clamp(0.0, 3.0);
        let (py, px) = (at(k[1]), at(k[2]));
        let (fy, fx) = (py.fract(), px.fract());
        let corner = |y: usize, x: usize| a.at(&[0, y.min(3), x.min(3), k[3]]);
        let (y, x) = (py as usize, px as usize);
        let top = corner(y, x) * (1.0 - fx) + corner(y, x + 1) * fx;
        let bottom = corner(y + 1, x) * (1.0 - fx) + corner(y + 1, x + 1) * fx;
        top * (1.0 - fy) + bottom * fy
    });
    let resize =
        Resize::new(vec![1, 2], vec![8, 8], ResizeMethod::Linear, ResizeCoordinates::HalfPixel);
    push(suite, &format!("linear_{dtype}"), op(resize), vec![i], (dtype, q), y, 1.01);
}

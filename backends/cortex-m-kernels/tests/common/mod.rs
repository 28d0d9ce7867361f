//! Plain loops that say what each kernel has to compute, and a small random source.

use paring_cortex_m_kernels::{
    Add, Conv2d, ConvWide, FullyConnected, Mul, Pool2d, PoolKind, Requant,
};
use paring_qmath::{Rounding, doubling_high_mul, rounding_shift_right};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `low..=high`.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    pub fn size(&mut self, low: usize, high: usize) -> usize {
        self.range(low as i64, high as i64) as usize
    }

    pub fn real(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn bytes(&mut self, n: usize, low: i64, high: i64) -> Vec<i8> {
        (0..n).map(|_| self.range(low, high) as i8).collect()
    }
}

fn narrow(acc: i32, requant: &Requant, channel: usize) -> i8 {
    let m = requant.multipliers[if requant.multipliers.len() == 1 { 0 } else { channel }];
    let scaled = i64::from(m.apply(acc, Rounding::Double)) + i64::from(requant.zero);
    scaled.clamp(i64::from(requant.low), i64::from(requant.high)) as i8
}

pub fn conv(c: &Conv2d<'_>, x: &[i8]) -> Vec<i8> {
    let [in_h, in_w, in_c] = c.input;
    let [out_h, out_w, out_c] = c.output;
    let (group_in, group_out) = (in_c / c.groups, out_c / c.groups);
    let mut out = Vec::new();
    for oy in 0..out_h {
        for ox in 0..out_w {
            for o in 0..out_c {
                let mut acc = c.bias[o];
                for ky in 0..c.kernel[0] {
                    for kx in 0..c.kernel[1] {
                        let iy = (oy * c.stride[0] + ky * c.dilation[0]) as i64 - c.pad[0] as i64;
                        let ix = (ox * c.stride[1] + kx * c.dilation[1]) as i64 - c.pad[1] as i64;
                        if iy < 0 || ix < 0 || iy >= in_h as i64 || ix >= in_w as i64 {
                            continue;
                        }
                        for i in 0..group_in {
                            let at = (iy as usize * in_w + ix as usize) * in_c
                                + o / group_out * group_in
                                + i;
                            let w = ((o * c.kernel[0] + ky) * c.kernel[1] + kx) * group_in + i;
                            acc += (i32::from(x[at]) - c.in_zero) * i32::from(c.weights[w]);
                        }
                    }
                }
                out.push(narrow(acc, &c.requant, o));
            }
        }
    }
    out
}

pub fn conv_wide(c: &ConvWide<'_>, x: &[i16]) -> Vec<i16> {
    let [in_h, in_w, in_c] = c.input;
    let [out_h, out_w, out_c] = c.output;
    let (group_in, group_out) = (in_c / c.groups, out_c / c.groups);
    let mut out = Vec::new();
    for at in 0..out_h * out_w * out_c {
        let (oy, ox, o) = (at / out_c / out_w, at / out_c % out_w, at % out_c);
        let mut sum = c.bias[o];
        for tap in 0..c.kernel[0] * c.kernel[1] {
            let (ky, kx) = (tap / c.kernel[1], tap % c.kernel[1]);
            let iy = (oy * c.stride[0] + ky * c.dilation[0]).wrapping_sub(c.pad[0]);
            let ix = (ox * c.stride[1] + kx * c.dilation[1]).wrapping_sub(c.pad[1]);
            if iy >= in_h || ix >= in_w {
                continue;
            }
            for i in 0..group_in {
                let from = (iy * in_w + ix) * in_c + o / group_out * group_in + i;
                let w = (o * c.kernel[0] * c.kernel[1] + tap) * group_in + i;
                sum += i64::from(x[from]) * i64::from(c.weights[w]);
            }
        }
        let m = c.requant.multipliers[if c.requant.multipliers.len() == 1 { 0 } else { o }];
        // The mantissa in 15 bits, one rounding, ties upward.
        let mantissa = (i64::from(m.mantissa) + (1 << 15)) >> 16;
        let right = 15 - m.shift;
        let scaled = (sum * mantissa.min(0x7fff) + (1 << (right - 1))) >> right;
        let low = i64::from(c.requant.low);
        out.push((scaled + i64::from(c.requant.zero)).clamp(low, i64::from(c.requant.high)) as i16);
    }
    out
}

pub fn dense(c: &FullyConnected<'_>, x: &[i8]) -> Vec<i8> {
    (0..c.outputs)
        .map(|o| {
            let row = &c.weights[o * c.inputs..(o + 1) * c.inputs];
            let sum: i32 =
                row.iter().zip(x).map(|(&w, &v)| i32::from(w) * (i32::from(v) - c.in_zero)).sum();
            narrow(c.bias[o] + sum, &c.requant, o)
        })
        .collect()
}

/// The index of an operand's element for an output position.
fn pick(shape: &[usize], operand: &[usize], mut at: usize) -> usize {
    let mut index = 0;
    let mut size = 1;
    for back in 1..=shape.len() {
        let dim = shape[shape.len() - back];
        let position = at % dim;
        at /= dim;
        if back <= operand.len() {
            let own = operand[operand.len() - back];
            index += if own == 1 { 0 } else { position * size };
            size *= own;
        }
    }
    index
}

pub fn add(c: &Add, a: &[i8], b: &[i8]) -> Vec<i8> {
    let term = |v: i8, i: usize| {
        let o = &c.operands[i];
        let shifted = (i32::from(v) - o.zero) * (1 << 20);
        let high = doubling_high_mul(shifted, o.multiplier.mantissa);
        rounding_shift_right(high, -o.multiplier.shift as u32)
    };
    (0..c.shape.iter().product())
        .map(|i| {
            let x = term(a[pick(&c.shape, &c.operand_shapes[0], i)], 0);
            let y = term(b[pick(&c.shape, &c.operand_shapes[1], i)], 1);
            narrow(if c.subtract { x - y } else { x + y }, &c.requant, 0)
        })
        .collect()
}

pub fn mul(c: &Mul, a: &[i8], b: &[i8]) -> Vec<i8> {
    (0..c.shape.iter().product())
        .map(|i| {
            let x = i32::from(a[pick(&c.shape, &c.operand_shapes[0], i)]) - c.zeros[0];
            let y = i32::from(b[pick(&c.shape, &c.operand_shapes[1], i)]) - c.zeros[1];
            narrow(x * y, &c.requant, 0)
        })
        .collect()
}

pub fn pool(c: &Pool2d, x: &[i8]) -> Vec<i8> {
    let [in_h, in_w, channels] = c.input;
    let mut out = Vec::new();
    for oy in 0..c.output[0] {
        for ox in 0..c.output[1] {
            for i in 0..channels {
                let mut values = Vec::new();
                for ky in 0..c.kernel[0] {
                    for kx in 0..c.kernel[1] {
                        let iy = (oy * c.stride[0] + ky) as i64 - c.pad[0] as i64;
                        let ix = (ox * c.stride[1] + kx) as i64 - c.pad[1] as i64;
                        if iy >= 0 && ix >= 0 && iy < in_h as i64 && ix < in_w as i64 {
                            let at = (iy as usize * in_w + ix as usize) * channels + i;
                            values.push(i32::from(x[at]));
                        }
                    }
                }
                let value = match c.kind {
                    PoolKind::Max => *values.iter().max().expect("a window with a pixel"),
                    PoolKind::Average => {
                        let n = values.len() as i32;
                        let sum: i32 = values.iter().sum();
                        if sum > 0 { (sum + n / 2) / n } else { (sum - n / 2) / n }
                    }
                };
                out.push(value.clamp(c.clamp[0], c.clamp[1]) as i8);
            }
        }
    }
    out
}

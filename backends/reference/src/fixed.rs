//! Transcendental functions in fixed point, as gemmlowp's `fixedpoint.h` defines them and TFLite's
//! integer kernels use them.
//!
//! A number of format `Qm.n` has `m` integer bits and `n = 31 - m` fraction bits. Formulas and constants
//! are those of gemmlowp (Benoit Jacob and others, 2015).

use paring_qmath::{Multiplier, doubling_high_mul as mul, rounding_shift_right};

/// One in Q0.31, which is as close as it gets.
const ONE_Q0: i32 = i32::MAX;
/// One in Q2.29.
const ONE_Q2: i32 = 1 << 29;

/// `x * 2^by`, saturated.
fn shl(x: i32, by: u32) -> i32 {
    paring_qmath::saturating_shl(x, by)
}

/// `exp(x)` of `x` in `[-1/4, 0)`, Q0.31: a Taylor polynomial about `-1/8`.
fn exp_near_zero(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4 = mul(x2, x2);
    let x4_over_4 = rounding_shift_right(x4, 2);
    let tail = mul(x4_over_4.wrapping_add(x3), THIRD).wrapping_add(x2);
    let tail = rounding_shift_right(tail, 1);
    EXP_MINUS_EIGHTH.saturating_add(mul(EXP_MINUS_EIGHTH, x.wrapping_add(tail)))
}

/// `exp(x)` in Q0.31 of `x <= 0` with 4 or 5 integer bits: the polynomial for the part below a quarter,
/// times `exp(-2^k)` for each bit of the rest.
pub(crate) fn exp_of_negative(a: i32, integer_bits: u32) -> i32 {
    /// `exp(-2^k)` in Q0.31 for `k` from -2 to 4.
    const POWERS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if a == 0 {
        return ONE_Q0;
    }
    let fraction = 31 - integer_bits;
    let quarter = 1_i32 << (fraction - 2);
    let part = (a & (quarter - 1)) - quarter;
    let mut result = exp_near_zero(shl(part, integer_bits));
    let rest = part.wrapping_sub(a);
    for (i, power) in POWERS.iter().enumerate().take(integer_bits as usize + 2) {
        if rest & (1 << (fraction - 2 + i as u32)) != 0 {
            result = mul(result, *power);
        }
    }
    result
}

/// `1 / half(1 + a)` in Q2.29 of `a` in Q0.31, `0 <= a < 1`: three Newton steps.
fn reciprocal_of_half_sum(a: i32) -> i32 {
    const FORTY_EIGHT_17THS: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_17THS: i32 = -1_010_580_540;
    let sum = i64::from(a) + i64::from(ONE_Q0);
    let half = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut x = FORTY_EIGHT_17THS.wrapping_add(mul(half, MINUS_THIRTY_TWO_17THS));
    for _ in 0..3 {
        let error = ONE_Q2.wrapping_sub(mul(half, x));
        x = x.wrapping_add(shl(mul(x, error), 2));
    }
    x
}

/// `1 / (1 + a)` in Q0.31 of `a` in Q0.31, `0 <= a < 1`.
pub(crate) fn one_over_one_plus(a: i32) -> i32 {
    shl(reciprocal_of_half_sum(a), 1)
}

/// The logistic function in Q0.31 of a number in Q4.27.
pub(crate) fn logistic(a: i32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    let positive = one_over_one_plus(exp_of_negative(a.wrapping_abs().wrapping_neg(), 4));
    if a > 0 { positive } else { ONE_Q0 - positive }
}

/// The hyperbolic tangent in Q0.31 of a number with this many integer bits, 3 or 4.
pub(crate) fn tanh(a: i32, integer_bits: u32) -> i32 {
    if a == 0 {
        return 0;
    }
    // Twice the number is the same bits with one more integer bit.
    let exp = exp_of_negative(a.wrapping_abs().wrapping_neg(), integer_bits + 1);
    let t = shl(reciprocal_of_half_sum(exp).wrapping_sub(ONE_Q2), 2);
    if a > 0 { t } else { t.wrapping_neg() }
}

/// `1 / x` of `x` with this many integer bits: a mantissa in Q0.31 and how many bits `x` is above one.
pub(crate) fn reciprocal(x: i32, integer_bits: i32) -> (i32, i32) {
    let zeros = (x as u32).leading_zeros();
    let mantissa = ((x as u32).wrapping_shl(zeros)).wrapping_sub(1 << 31) as i32;
    (one_over_one_plus(mantissa), integer_bits - zeros as i32)
}

/// The largest distance from zero that, scaled by `2^left_shift`, stays within `integer_bits`.
pub(crate) fn input_radius(integer_bits: u32, left_shift: i32, total_bits: u32) -> i32 {
    let most = f64::from((1_u32 << integer_bits) - 1)
        * (1_u64 << (total_bits - integer_bits)) as f64
        / 2_f64.powi(left_shift);
    most.floor() as i32
}

/// The multiplier that brings a stored number to a fixed-point format with this many integer bits, by
/// the kernels' own recipe, which neither flushes nor saturates.
pub(crate) fn to_format(scale: f32, integer_bits: u32) -> Multiplier {
    Multiplier::from_real(f64::from(scale) * f64::from(1_u32 << (31 - integer_bits)))
}

/// The logistic function and the hyperbolic tangent of 16-bit numbers by a table of the logistic
/// function in steps of 1/24, interpolated.
pub(crate) struct Table16 {
    sigmoid: Vec<u32>,
    multiplier: i32,
    shift: u32,
}

impl Table16 {
    /// For inputs of this scale. A scale that is a power of two for which the table needs no
    /// multiplication is `exact`: 2^-12, and for the hyperbolic tangent 2^-11 too.
    pub(crate) fn new(scale: f32, tanh: bool) -> Self {
        let logistic = |i: f64| 65536.0 / (1.0 + (-i / 24.0).exp());
        // Each entry is corrected by half of what interpolation misses in the middle of its interval;
        // the last one is where the function saturates.
        let entry = |i: i32| {
            let i = f64::from(i);
            let missed = (logistic(i) + logistic(i + 1.0)) / 2.0 - logistic(i + 0.5);
            (logistic(i) - missed / 2.0).round() as u32
        };
        let sigmoid = (0..255).map(entry).chain([65535]).collect();
        let exponent = scale.log2().round();
        let power = (scale.log2() - exponent).abs() < 1e-3;
        let left = 12 + exponent as i32;
        if power && (left == 0 || (tanh && left == 1)) {
            return Self { sigmoid, multiplier: 3 << left, shift: 0 };
        }
        let mut multiplier = f64::from(scale) * 4096.0 * 3.0;
        let mut shift = 0;
        while multiplier <= 32767.0 / 2.0 && shift <= 30 {
            shift += 1;
            multiplier *= 2.0;
        }
        Self { sigmoid, multiplier: multiplier as i32, shift }
    }

    fn scaled(&self, x: i32) -> i32 {
        let round = if self.shift > 0 { 1 << (self.shift - 1) } else { 0 };
        x.wrapping_mul(self.multiplier).wrapping_add(round) >> self.shift
    }

    /// The logistic function in Q0.15.
    pub(crate) fn logistic(&self, x: i32) -> i32 {
        let x = self.scaled(x);
        let magnitude = x.unsigned_abs();
        let at = (magnitude >> 9) as usize;
        let result = if at >= 255 {
            0x7FFF << 10
        } else {
            let (a, b) = (self.sigmoid[at], self.sigmoid[at + 1]);
            (a << 9) + (magnitude & 0x1FF) * (b - a)
        };
        let result = if x >= 0 { result + (1 << 9) } else { (1 << 25) - result + (1 << 9) - 1 };
        // The kernel stores the low 16 bits.
        i32::from((result >> 10) as i16)
    }

    /// The hyperbolic tangent in Q0.15.
    pub(crate) fn tanh(&self, x: i32) -> i32 {
        let x = self.scaled(x);
        let magnitude = x.unsigned_abs();
        let at = (magnitude >> 8) as usize;
        let result = if at >= 255 {
            0xFFFF << 8
        } else {
            let (a, b) = (self.sigmoid[at], self.sigmoid[at + 1]);
            ((a << 8) + (magnitude & 0xFF) * (b - a)) as i32
        };
        let result =
            if x >= 0 { result - (1 << 23) + (1 << 7) } else { -result + (1 << 23) + (1 << 7) - 1 };
        i32::from((result >> 8) as i16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(x: f64, integer_bits: u32) -> i32 {
        (x * 2_f64.powi(31 - integer_bits as i32)).round() as i32
    }

    fn real(x: i32) -> f64 {
        f64::from(x) / 2_f64.powi(31)
    }

    #[test]
    fn functions_are_close_to_the_real_ones() {
        for i in 1..160 {
            let x = f64::from(i) * 0.0999;
            assert!((real(exp_of_negative(q(-x, 5), 5)) - (-x).exp()).abs() < 1e-6, "exp -{x}");
            if x < 15.9 {
                let s = 1.0 / (1.0 + (-x).exp());
                assert!((real(logistic(q(x, 4))) - s).abs() < 1e-6, "logistic {x}");
                assert!((real(logistic(q(-x, 4))) - (1.0 - s)).abs() < 1e-6, "logistic -{x}");
                assert!((real(tanh(q(x, 4), 4)) - x.tanh()).abs() < 1e-6, "tanh {x}");
                assert!((real(tanh(q(-x, 4), 4)) + x.tanh()).abs() < 1e-6, "tanh -{x}");
            }
        }
        assert_eq!(exp_of_negative(0, 5), i32::MAX);
        assert_eq!((tanh(0, 4), logistic(0)), (0, 1 << 30));
    }

    #[test]
    fn tables_are_close_to_the_real_functions() {
        for scale in [1.0 / 4096.0, 1.0 / 2048.0, 0.000_3] {
            let (s, t) = (Table16::new(scale, false), Table16::new(scale, true));
            for x in (-32768..32768).step_by(77) {
                let real = f64::from(scale) * f64::from(x);
                let (a, b) = (1.0 / (1.0 + (-real).exp()), real.tanh());
                assert!((f64::from(s.logistic(x)) / 32768.0 - a).abs() < 1.5e-4, "{scale} {x}");
                assert!((f64::from(t.tanh(x)) / 32768.0 - b).abs() < 3e-4, "{scale} {x}");
            }
        }
    }
}

//! Transcendental functions in fixed point, as gemmlowp's `fixedpoint.h` defines them and TFLite's
//! integer kernels use them.
//!
//! A number has a sign, some integer bits, and the rest of its [`Width`] as fraction bits; `Qm.n` has `m`
//! and `n` of them. Formulas and constants are those of gemmlowp (Benoit Jacob and others, 2015).

use crate::{Multiplier, doubling_high_mul, exp2i, rounding_shift_right};

/// How wide the stored numbers are: 31 or 15 bits below the sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width(u32);

impl Width {
    /// 32-bit numbers.
    pub const W32: Self = Self(31);
    /// 16-bit numbers.
    pub const W16: Self = Self(15);

    /// The largest number: one in the format without integer bits, as close as it gets.
    fn max(self) -> i32 {
        if self == Self::W32 { i32::MAX } else { i32::from(i16::MAX) }
    }

    /// The product in the format that has the integer bits of both, rounded.
    fn mul(self, a: i32, b: i32) -> i32 {
        if self == Self::W32 { doubling_high_mul(a, b) } else { high_mul_16(a, b) }
    }

    /// `x * 2^by`, saturated.
    fn shl(self, x: i32, by: u32) -> i32 {
        let max = i64::from(self.max());
        (i64::from(x) << by.min(31)).clamp(-max - 1, max) as i32
    }

    /// A constant that is given with 31 bits.
    fn constant(self, c: i32) -> i32 {
        rounding_shift_right(c, 31 - self.0)
    }

    fn wrap(self, x: i32) -> i32 {
        if self == Self::W32 { x } else { i32::from(x as i16) }
    }
}

/// `round(a * b / 2^15)` of 16-bit numbers, ties away from zero, the one overflow saturated.
#[must_use]
pub fn high_mul_16(a: i32, b: i32) -> i32 {
    if a == -32768 && b == -32768 {
        return 32767;
    }
    let product = a * b;
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    (product + nudge) / (1 << 15)
}

/// `exp(x)` of `x` in `[-1/4, 0)`, without integer bits: a Taylor polynomial about `-1/8`.
fn exp_near_zero(w: Width, a: i32) -> i32 {
    let exp_minus_eighth = w.constant(1_895_147_668);
    let third = w.constant(715_827_883);
    let x = w.wrap(a.wrapping_add(1 << (w.0 - 3)));
    let x2 = w.mul(x, x);
    let x3 = w.mul(x2, x);
    let x4 = w.mul(x2, x2);
    let x4_over_4 = rounding_shift_right(x4, 2);
    let tail = w.mul(w.wrap(x4_over_4.wrapping_add(x3)), third).wrapping_add(x2);
    let tail = rounding_shift_right(w.wrap(tail), 1);
    let product = w.mul(exp_minus_eighth, w.wrap(x.wrapping_add(tail)));
    w.shl(exp_minus_eighth.saturating_add(product), 0)
}

/// `exp(x)` of `x <= 0`, without integer bits: the polynomial for the part below a quarter, times
/// `exp(-2^k)` for each bit of the rest.
#[must_use]
pub fn exp_of_negative(w: Width, a: i32, integer_bits: u32) -> i32 {
    /// `exp(-2^k)` for `k` from -2 to 4.
    const POWERS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if a == 0 {
        return w.max();
    }
    let fraction = w.0 - integer_bits;
    if integer_bits > 5 && a < -(1 << (fraction + 5)) {
        return 0;
    }
    let quarter = 1_i32 << (fraction - 2);
    let part = (a & (quarter - 1)) - quarter;
    let mut result = exp_near_zero(w, w.shl(part, integer_bits));
    let rest = part.wrapping_sub(a);
    for (i, power) in POWERS.iter().enumerate().take(integer_bits as usize + 2) {
        if rest & (1 << (fraction - 2 + i as u32)) != 0 {
            result = w.mul(result, w.constant(*power));
        }
    }
    result
}

/// `1 / half(1 + a)` with two integer bits, `0 <= a < 1` without: three Newton steps.
fn reciprocal_of_half_sum(w: Width, a: i32) -> i32 {
    let forty_eight_17ths = w.constant(1_515_870_810);
    let minus_thirty_two_17ths = w.constant(-1_010_580_540);
    let sum = i64::from(a) + i64::from(w.max());
    let half = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut x = w.wrap(forty_eight_17ths.wrapping_add(w.mul(half, minus_thirty_two_17ths)));
    for _ in 0..3 {
        let error = w.wrap((1 << (w.0 - 2)) - w.mul(half, x));
        x = w.wrap(x.wrapping_add(w.shl(w.mul(x, error), 2)));
    }
    x
}

/// `1 / (1 + a)` of `0 <= a < 1`, both without integer bits.
#[must_use]
pub fn one_over_one_plus(w: Width, a: i32) -> i32 {
    w.shl(reciprocal_of_half_sum(w, a), 1)
}

/// The logistic function, without integer bits, of a number with some.
#[must_use]
pub fn logistic(w: Width, a: i32, integer_bits: u32) -> i32 {
    if a == 0 {
        return 1 << (w.0 - 1);
    }
    let negative = w.wrap(a.wrapping_abs().wrapping_neg());
    let positive = one_over_one_plus(w, exp_of_negative(w, negative, integer_bits));
    if a > 0 { positive } else { w.max() - positive }
}

/// The hyperbolic tangent, without integer bits, of a number with some.
#[must_use]
pub fn tanh(w: Width, a: i32, integer_bits: u32) -> i32 {
    if a == 0 {
        return 0;
    }
    // Twice the number is the same bits with one more integer bit.
    let negative = w.wrap(a.wrapping_abs().wrapping_neg());
    let exp = exp_of_negative(w, negative, integer_bits + 1);
    let t = w.shl(w.wrap(reciprocal_of_half_sum(w, exp).wrapping_sub(1 << (w.0 - 2))), 2);
    if a > 0 { t } else { w.wrap(t.wrapping_neg()) }
}

/// `1 / x` of `x` with this many integer bits: a mantissa in Q0.31 and how many bits `x` is above one.
#[must_use]
pub fn reciprocal(x: i32, integer_bits: i32) -> (i32, i32) {
    let zeros = (x as u32).leading_zeros();
    let mantissa = ((x as u32).wrapping_shl(zeros)).wrapping_sub(1 << 31) as i32;
    (one_over_one_plus(Width::W32, mantissa), integer_bits - zeros as i32)
}

/// `1 / sqrt(x)` of an integer: Newton steps on `x` brought near one, three integer bits wide.
#[must_use]
pub fn inverse_square_root(x: i32) -> Multiplier {
    const HALF_ROOT_TWO: i32 = 1_518_500_250;
    const THREE_HALVES: i32 = (1 << 28) + (1 << 27);
    if x <= 1 {
        return Multiplier { mantissa: i32::MAX, shift: 0 };
    }
    let w = Width::W32;
    let (mut x, mut shift) = (x, 11_i32);
    while x >= 1 << 29 {
        x /= 4;
        shift += 1;
    }
    let pairs = (x.leading_zeros() as i32 - 1) / 2 - 1;
    shift -= pairs;
    x <<= 2 * pairs;
    let half = rounding_shift_right(x >> 1, 1);
    let mut y = 1 << 28;
    for _ in 0..5 {
        // Products of numbers with three integer bits have six or nine of them.
        let cube = w.shl(w.mul(w.mul(y, y), y), 6);
        let step = w.mul(THREE_HALVES, y).wrapping_sub(w.mul(half, cube));
        y = w.shl(step, 3);
    }
    let mut mantissa = w.mul(y, HALF_ROOT_TWO);
    if shift < 0 {
        mantissa = mantissa.wrapping_shl(-shift as u32);
        shift = 0;
    }
    Multiplier { mantissa, shift: -shift }
}

/// The largest distance from zero that, scaled by `2^left_shift`, stays within `integer_bits`.
#[must_use]
pub fn input_radius(integer_bits: u32, left_shift: i32, total_bits: u32) -> i32 {
    let most = f64::from((1_u32 << integer_bits) - 1)
        * (1_u64 << (total_bits - integer_bits)) as f64
        / exp2i(left_shift);
    // Positive, so that the cast takes the floor.
    most as i32
}

/// The multiplier that brings a stored number to a fixed-point format with this many integer bits, by
/// the kernels' own recipe, which neither flushes nor saturates.
#[must_use]
pub fn to_format(scale: f32, integer_bits: u32) -> Multiplier {
    Multiplier::from_real(f64::from(scale) * f64::from(1_u32 << (31 - integer_bits)))
}

#[cfg(test)]
mod tests {
    extern crate std;
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
            assert!(
                (real(exp_of_negative(Width::W32, q(-x, 5), 5)) - (-x).exp()).abs() < 1e-6,
                "exp -{x}"
            );
            if x < 15.9 {
                let s = 1.0 / (1.0 + (-x).exp());
                assert!((real(logistic(Width::W32, q(x, 4), 4)) - s).abs() < 1e-6, "logistic {x}");
                assert!(
                    (real(logistic(Width::W32, q(-x, 4), 4)) - (1.0 - s)).abs() < 1e-6,
                    "logistic -{x}"
                );
                assert!((real(tanh(Width::W32, q(x, 4), 4)) - x.tanh()).abs() < 1e-6, "tanh {x}");
                assert!((real(tanh(Width::W32, q(-x, 4), 4)) + x.tanh()).abs() < 1e-6, "tanh -{x}");
            }
        }
        assert_eq!(exp_of_negative(Width::W32, 0, 5), i32::MAX);
        assert_eq!((tanh(Width::W32, 0, 4), logistic(Width::W32, 0, 4)), (0, 1 << 30));
        for x in (-32768_i32..32768).step_by(111) {
            let r = f64::from(x) / 4096.0;
            let s = f64::from(logistic(Width::W16, x, 3)) / 32768.0;
            assert!((s - 1.0 / (1.0 + (-r).exp())).abs() < 1e-3, "logistic {r}");
            let t = f64::from(tanh(Width::W16, x, 3)) / 32768.0;
            assert!((t - r.tanh()).abs() < 1e-3, "tanh {r}: {t}");
        }
    }
}

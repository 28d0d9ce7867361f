//! Fixed-point arithmetic shared by every integer kernel of Paring.
//!
//! A quantized kernel accumulates in `i32` and brings the sum back to `i8` or `i16` with a
//! [`Multiplier`]: a 31-bit mantissa and a power of two that together stand for the real factor
//! `input_scale * weight_scale / output_scale`. Two roundings of that product exist in the field and
//! differ by one unit now and then; [`Rounding`] names them, and every kernel takes the choice as an
//! argument so that both can be reproduced bit for bit.
//!
//! ```
//! use paring_qmath::{Multiplier, Rounding};
//!
//! let m = Multiplier::from_real(0.25);
//! assert_eq!(m.apply(1000, Rounding::Double), 250);
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod dynamic;
pub mod fixed;
pub mod lstm;
pub mod softmax;
pub mod softmax16;
pub mod table16;

/// How a product with a [`Multiplier`] is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// gemmlowp's two steps: a rounding doubling high multiply, then a rounding right shift that
    /// rounds ties away from zero. TFLite Micro's reference kernels and CMSIS-NN do this, so it is
    /// what code for a microcontroller has to match.
    #[default]
    Double,
    /// One 64-bit product rounded once, ties toward positive infinity:
    /// `(x * m + 2^(t-1)) >> t`. TFLite built with `TFLITE_SINGLE_ROUNDING` does this. As the choice of
    /// a whole run it stands for LiteRT's reference kernels as they are distributed, which round once
    /// only where the interpreter says so.
    Single,
}

/// A positive real factor as `mantissa * 2^(shift - 31)`, the mantissa in `[2^30, 2^31)` or zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multiplier {
    /// The fraction in Q0.31.
    pub mantissa: i32,
    /// The exponent: positive shifts left, negative shifts right.
    pub shift: i32,
}

impl Multiplier {
    /// The factor zero.
    pub const ZERO: Self = Self { mantissa: 0, shift: 0 };

    /// The closest multiplier to `real`, by the recipe of TFLite's `QuantizeMultiplier`: the
    /// fraction is rounded half away from zero to 31 bits, factors below 2^-32 become zero, and
    /// factors of 2^30 and more saturate.
    ///
    /// Negative and non-finite factors have no meaning here and give [`Multiplier::ZERO`].
    #[must_use]
    pub fn from_real(real: f64) -> Self {
        if !real.is_finite() || real <= 0.0 {
            return Self::ZERO;
        }
        let (fraction, mut shift) = frexp(real);
        // `fraction` is in [0.5, 1), so the scaled value is positive and fits i64 exactly.
        let mut mantissa = (fraction * 2_147_483_648.0 + 0.5) as i64;
        if mantissa == 1 << 31 {
            mantissa /= 2;
            shift += 1;
        }
        if shift < -31 {
            return Self::ZERO;
        }
        if shift > 30 {
            return Self { mantissa: i32::MAX, shift: 30 };
        }
        Self { mantissa: mantissa as i32, shift }
    }

    /// The real factor this multiplier stands for.
    #[must_use]
    pub fn to_real(self) -> f64 {
        f64::from(self.mantissa) * exp2i(self.shift - 31)
    }

    /// `x` times the factor, rounded as asked. Saturates instead of overflowing.
    #[must_use]
    #[inline]
    pub fn apply(self, x: i32, rounding: Rounding) -> i32 {
        match rounding {
            Rounding::Double => {
                let left = self.shift.max(0) as u32;
                let right = (-self.shift).max(0) as u32;
                let scaled = saturating_shl(x, left);
                rounding_shift_right(doubling_high_mul(scaled, self.mantissa), right)
            }
            Rounding::Single => {
                let total = (31 - self.shift) as u32;
                let product = i64::from(x) * i64::from(self.mantissa);
                clamp_i64((product + (1_i64 << (total - 1))) >> total)
            }
        }
    }

    /// As [`apply`](Self::apply) with [`Rounding::Double`] of a factor below one, without branches: both roundings are of
    /// ties away from zero or upward, which additions before shifts do.
    ///
    /// The mantissa has to be positive and the shift to the right, or none.
    #[must_use]
    #[inline(always)]
    pub const fn apply_below_one(self, x: i32) -> i32 {
        let right = (-self.shift) as u32 & 63;
        // Negative numbers are moved by one where they are shifted.
        let ties = -((right > 0) as i64);
        let high = (x as i64 * self.mantissa as i64 + (1 << 30)) >> 31;
        ((high + ((high >> 63) & ties) + ((1 << right) >> 1)) >> right) as i32
    }

    /// Whether [`apply_below_one`](Self::apply_below_one) is for this factor.
    #[must_use]
    pub const fn is_below_one(self) -> bool {
        self.mantissa >= 0 && self.shift <= 0 && self.shift >= -31
    }

    /// The result within `bounds` that every sum has which is at most `spread` away from `bias`, if they all have
    /// the same one: they round or saturate to it. Filters that pruning or training has emptied are of this kind,
    /// often with a bias and a factor that no short form of the arithmetic takes.
    #[must_use]
    pub fn constant(
        self,
        bias: i32,
        spread: i64,
        rounding: Rounding,
        zero_point: i32,
        bounds: (i32, i32),
    ) -> Option<i32> {
        let at = |sum: i64| {
            let y = self.apply(i32::try_from(sum).ok()?, rounding).saturating_add(zero_point);
            Some(y.max(bounds.0).min(bounds.1))
        };
        let least = at(i64::from(bias) - spread)?;
        // Results grow with the sums.
        (at(i64::from(bias) + spread)? == least).then_some(least)
    }

    /// The 15-bit mantissa that TFLite's int16 kernels use, and how far a product with it is shifted right.
    #[must_use]
    #[inline]
    pub fn reduced(self) -> (i32, i32) {
        let mantissa =
            if self.mantissa < 0x7FFF_0000 { (self.mantissa + (1 << 15)) >> 16 } else { 0x7FFF };
        (mantissa, 15 - self.shift)
    }

    /// As [`apply`](Self::apply) for a 64-bit accumulator (16-bit activations), with the
    /// [`reduced`](Self::reduced) mantissa: rounds once, ties toward positive infinity.
    ///
    /// The accumulator has to be within 48 bits, which holds for any sum of `i16 * i8` products of
    /// fewer than 2^24 terms.
    #[must_use]
    #[inline]
    pub fn apply_wide(self, x: i64) -> i32 {
        let (reduced, total) = self.reduced();
        if total <= 0 {
            return clamp_i64(x.saturating_mul(i64::from(reduced)).saturating_mul(1 << -total));
        }
        let product = x.saturating_mul(i64::from(reduced));
        clamp_i64((product + (1_i64 << (total - 1))) >> total)
    }
}

/// gemmlowp's `SaturatingRoundingDoublingHighMul`: `round(a * b / 2^31)`, ties away from zero, the
/// one overflow (`i32::MIN` squared) saturated.
#[must_use]
#[inline]
pub fn doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    // Division, not a shift: it truncates toward zero, as the definition asks.
    ((product + nudge) / (1 << 31)) as i32
}

/// gemmlowp's `RoundingDivideByPOT`: `round(x / 2^exponent)`, ties away from zero.
#[must_use]
#[inline]
pub fn rounding_shift_right(x: i32, exponent: u32) -> i32 {
    if exponent == 0 {
        return x;
    }
    if exponent > 31 {
        return 0;
    }
    let mask = ((1_i64 << exponent) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> exponent) + i32::from(remainder > threshold)
}

/// `x << by`, saturated.
#[must_use]
#[inline]
pub fn saturating_shl(x: i32, by: u32) -> i32 {
    clamp_i64(i64::from(x) << by.min(31))
}

#[inline]
fn clamp_i64(x: i64) -> i32 {
    x.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Splits a positive finite number into a fraction in `[0.5, 1)` and a power of two.
fn frexp(x: f64) -> (f64, i32) {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7FF) as i32;
    if exponent == 0 {
        // Subnormal: scale into the normal range first.
        let (fraction, shift) = frexp(x * exp2i(64));
        return (fraction, shift - 64);
    }
    let fraction = f64::from_bits((bits & !(0x7FF << 52)) | (1022 << 52));
    (fraction, exponent - 1022)
}

/// `2^n` for any `n` a double can hold, zero or infinity beyond.
pub(crate) fn exp2i(n: i32) -> f64 {
    if n > 1023 {
        f64::INFINITY
    } else if n >= -1022 {
        f64::from_bits(((n + 1023) as u64) << 52)
    } else if n >= -1074 {
        f64::from_bits(1 << (n + 1074))
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplier_is_normalized_and_close() {
        for real in [1e-9, 0.0003, 0.25, 0.5, 0.999_999_999_9, 1.0, 1.5, 77.25] {
            let m = Multiplier::from_real(real);
            assert!((1 << 30..=i32::MAX).contains(&m.mantissa), "{real}: {m:?}");
            assert!((m.to_real() / real - 1.0).abs() < 1e-9, "{real}: {m:?}");
        }
        assert_eq!(Multiplier::from_real(0.0), Multiplier::ZERO);
        assert_eq!(Multiplier::from_real(f64::NAN), Multiplier::ZERO);
        assert_eq!(Multiplier::from_real(1e-12), Multiplier::ZERO);
        assert_eq!(Multiplier::from_real(1e300).shift, 30);
    }

    #[test]
    fn factors_below_one_are_applied_the_same_without_branches() {
        let numbers = |n: i32| [n, -n, n.wrapping_mul(0x9E37), i32::MAX - n, i32::MIN + n];
        for (i, real) in [0.9, 0.5, 0.499_999, 0.3, 1e-3, 2.1e-7, 3e-10, 0.0].iter().enumerate() {
            let m = Multiplier::from_real(*real);
            assert!(m.is_below_one());
            for x in (0..3000).map(|n| n * (1 + 77 * i as i32)).flat_map(numbers) {
                assert_eq!(m.apply_below_one(x), m.apply(x, Rounding::Double), "{m:?} {x}");
            }
        }
        assert!(!Multiplier::from_real(1.0).is_below_one());
    }

    #[test]
    fn sums_that_all_give_one_result_are_found() {
        let constant = |m: Multiplier, bias, spread| {
            m.constant(bias, spread, Rounding::Double, 0, (-128, 127))
        };
        let half = Multiplier::from_real(0.5);
        assert_eq!(constant(half, 0, 1), None);
        assert_eq!(constant(half, 1000, 100), Some(127));
        assert_eq!(constant(half, i32::MAX, 1), None);
        assert_eq!(constant(Multiplier::from_real(1e-9), 1 << 30, 0), Some(1));
    }

    #[test]
    fn ties_part_the_two_roundings() {
        // -2.5: away from zero gives -3, toward positive infinity gives -2.
        let half = Multiplier::from_real(0.5);
        assert_eq!(half.apply(-5, Rounding::Single), -2);
        assert_eq!(half.apply(5, Rounding::Single), 3);
        assert_eq!(rounding_shift_right(-5, 1), -3);
        assert_eq!(rounding_shift_right(5, 1), 3);
    }

    #[test]
    fn both_roundings_stay_within_one_of_the_real_product() {
        let mut x: i32 = 12_345;
        for step in 0..20_000 {
            x = x.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let m = Multiplier::from_real(0.9 / f64::from(1 << (step % 20)));
            let exact = f64::from(x) * m.to_real();
            for rounding in [Rounding::Double, Rounding::Single] {
                let error = (f64::from(m.apply(x, rounding)) - exact).abs();
                assert!(error <= 1.0, "{x} * {m:?} {rounding:?}: off by {error}");
            }
        }
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(doubling_high_mul(i32::MIN, i32::MIN), i32::MAX);
        assert_eq!(saturating_shl(i32::MAX, 3), i32::MAX);
        assert_eq!(saturating_shl(i32::MIN, 3), i32::MIN);
        let big = Multiplier::from_real(1024.0);
        assert_eq!(big.apply(i32::MAX, Rounding::Single), i32::MAX);
        assert_eq!(big.apply(i32::MIN, Rounding::Single), i32::MIN);
        // The first step saturates the shifted operand, the second halves it.
        assert_eq!(big.apply(i32::MAX, Rounding::Double), 1 << 30);
        assert_eq!(rounding_shift_right(i32::MIN, 31), -1);
    }
}

//! Numbers quantized to `i8` by what they are themselves, as TFLite's dynamic-range kernels do with activations.

/// How some numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dynamic {
    scale: f32,
    inverse: f32,
    zero: i16,
    /// The least stored number.
    low: i16,
}

/// To the next whole number, ties away from zero.
fn rounded(x: f64) -> i32 {
    let whole = x as i32;
    let rest = x - f64::from(whole);
    let up = i32::from(rest >= 0.5) - i32::from(rest <= -0.5);
    whole.saturating_add(up)
}

impl Dynamic {
    /// All numbers are zero.
    const NONE: Self = Self { scale: 1.0, inverse: 0.0, zero: 0, low: -128 };

    /// By the range of the numbers and zero: the formulas of LiteRT's `AsymmetricQuantizeFloats`.
    #[must_use]
    pub fn by_range(values: &[f32]) -> Self {
        let (qmin, qmax) = (-128.0_f64, 127.0_f64);
        let low = f64::from(values.iter().copied().fold(0.0_f32, f32::min));
        let high = f64::from(values.iter().copied().fold(0.0_f32, f32::max));
        if low == high {
            return Self::NONE;
        }
        let scale = (high - low) / (qmax - qmin);
        // Whichever end of the range gives the smaller error decides the zero point.
        let (from_low, from_high) = (qmin - low / scale, qmax - high / scale);
        let low_error = qmin.abs() + (low / scale).abs();
        let high_error = qmax.abs() + (high / scale).abs();
        let zero = if low_error < high_error { from_low } else { from_high };
        let (zero, scale) = (rounded(zero).clamp(-128, 127) as i16, scale as f32);
        Self { scale, inverse: 1.0 / scale, zero, low: -128 }
    }

    /// Symmetrically, by the largest magnitude: the formulas of LiteRT's `SymmetricQuantizeFloats`.
    #[must_use]
    pub fn by_magnitude(values: &[f32]) -> Self {
        let range = values.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        if range == 0.0 {
            return Self::NONE;
        }
        Self { scale: range / 127.0, inverse: 127.0 / range, zero: 0, low: -127 }
    }

    /// What one of the stored numbers, less the zero point, stands for.
    #[must_use]
    pub fn scale(self) -> f32 {
        self.scale
    }

    /// The stored number less the zero point.
    #[must_use]
    pub fn centred(self, x: f32) -> i16 {
        let q = rounded(f64::from(f32::from(self.zero) + x * self.inverse));
        q.clamp(i32::from(self.low), 127) as i16 - self.zero
    }
}

/// How numbers are stored as `u8` by their range and zero: ONNX's `DynamicQuantizeLinear`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsigned {
    /// What a step of the stored numbers stands for.
    pub scale: f32,
    /// The number that stands for 0.
    pub zero: u8,
}

/// To the next whole number, ties to the even one; for magnitudes below 2^22.
fn even(x: f32) -> f32 {
    const SHIFT: f32 = (1 << 23) as f32 * 1.5;
    x + SHIFT - SHIFT
}

impl Unsigned {
    /// By the range of the numbers and zero.
    #[must_use]
    pub fn of(values: &[f32]) -> Self {
        let low = values.iter().copied().fold(0.0_f32, f32::min);
        let high = values.iter().copied().fold(0.0_f32, f32::max);
        let scale = if high == low { 1.0 } else { (high - low) / 255.0 };
        Self { scale, zero: even((0.0 - low / scale).clamp(0.0, 255.0)) as u8 }
    }

    /// The stored number.
    #[must_use]
    pub fn store(self, x: f32) -> u8 {
        let q = (x / self.scale).clamp(-1024.0, 1024.0);
        (even(q) + f32::from(self.zero)).clamp(0.0, 255.0) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_ranges() {
        let by = Unsigned::of(&[-1.0, 0.5, 2.0]);
        assert_eq!((by.scale, by.zero), (3.0 / 255.0, 85));
        assert_eq!([-1.0, 0.0, 2.0].map(|x| by.store(x)), [0, 85, 255]);
        assert_eq!(Unsigned::of(&[0.0]), Unsigned { scale: 1.0, zero: 0 });
        let ties = [0.5, 1.5, 2.5, -0.5, -1.5, 254.5, 0.499_999_97];
        assert_eq!(ties.map(even), ties.map(f32::round_ties_even));
    }

    #[test]
    fn ranges_and_magnitudes() {
        let all = [-1.0, 0.0, 3.0, 0.5];
        let by_range = Dynamic::by_range(&all);
        assert_eq!(by_range.scale(), 4.0 / 255.0);
        assert_eq!(all.map(|x| by_range.centred(x)), [-64, 0, 191, 32]);
        let by_magnitude = Dynamic::by_magnitude(&all);
        assert_eq!(by_magnitude.scale(), 3.0 / 127.0);
        assert_eq!(all.map(|x| by_magnitude.centred(x)), [-42, 0, 127, 21]);
        assert_eq!(Dynamic::by_range(&[0.0, -0.0]).centred(0.0), 0);
        let ties = [0.5, -0.5, 1.5, 0.499_999_999_999_999_94, -2.5, f64::NAN, f64::INFINITY];
        assert_eq!(ties.map(rounded), [1, -1, 2, 0, -3, 0, i32::MAX]);
    }
}

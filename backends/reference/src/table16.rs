//! The logistic function and the hyperbolic tangent of 16-bit numbers as TFLite's kernels interpolate them.

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
        let sigmoid = Self::sigmoid_table();
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

    /// For inputs whose scale is this power of two, as the cells of recurrent layers have them.
    pub(crate) fn of_power(exponent: i32) -> Self {
        let sigmoid = Self::sigmoid_table();
        let left = 12 + exponent;
        if left < 0 {
            return Self { sigmoid, multiplier: 3, shift: left.unsigned_abs() };
        }
        Self { sigmoid, multiplier: 3 << left.min(16), shift: 0 }
    }

    fn sigmoid_table() -> Vec<u32> {
        let logistic = |i: f64| 65536.0 / (1.0 + (-i / 24.0).exp());
        // Each entry is corrected by half of what interpolation misses in the middle of its interval;
        // the last one is where the function saturates.
        let entry = |i: i32| {
            let i = f64::from(i);
            let missed = (logistic(i) + logistic(i + 1.0)) / 2.0 - logistic(i + 0.5);
            (logistic(i) - missed / 2.0).round() as u32
        };
        (0..255).map(entry).chain([65535]).collect()
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

//! The logistic function and the hyperbolic tangent of 16-bit numbers as TFLite's kernels interpolate them.

/// The logistic function at multiples of 1/24, in Q0.16. Each entry is corrected by half of what interpolation
/// misses in the middle of its interval; the last one is where the function saturates.
static SIGMOID: [u16; 256] = [
    32_768, 33_451, 34_133, 34_813, 35_493, 36_169, 36_843, 37_513, 38_180, 38_841, 39_498, 40_149,
    40_794, 41_432, 42_064, 42_688, 43_304, 43_912, 44_511, 45_102, 45_683, 46_255, 46_817, 47_369,
    47_911, 48_443, 48_964, 49_475, 49_975, 50_464, 50_942, 51_409, 51_865, 52_311, 52_745, 53_169,
    53_581, 53_983, 54_374, 54_755, 55_125, 55_485, 55_834, 56_174, 56_503, 56_823, 57_133, 57_433,
    57_724, 58_007, 58_280, 58_544, 58_800, 59_048, 59_288, 59_519, 59_743, 59_959, 60_168, 60_370,
    60_565, 60_753, 60_935, 61_110, 61_279, 61_441, 61_599, 61_750, 61_896, 62_036, 62_172, 62_302,
    62_428, 62_549, 62_666, 62_778, 62_886, 62_990, 63_090, 63_186, 63_279, 63_368, 63_454, 63_536,
    63_615, 63_691, 63_765, 63_835, 63_903, 63_968, 64_030, 64_090, 64_148, 64_204, 64_257, 64_308,
    64_357, 64_405, 64_450, 64_494, 64_536, 64_576, 64_614, 64_652, 64_687, 64_721, 64_754, 64_786,
    64_816, 64_845, 64_873, 64_900, 64_926, 64_950, 64_974, 64_997, 65_019, 65_039, 65_060, 65_079,
    65_097, 65_115, 65_132, 65_149, 65_164, 65_179, 65_194, 65_208, 65_221, 65_234, 65_246, 65_258,
    65_269, 65_280, 65_291, 65_301, 65_310, 65_319, 65_328, 65_337, 65_345, 65_352, 65_360, 65_367,
    65_374, 65_381, 65_387, 65_393, 65_399, 65_404, 65_410, 65_415, 65_420, 65_425, 65_429, 65_433,
    65_438, 65_442, 65_445, 65_449, 65_453, 65_456, 65_459, 65_462, 65_465, 65_468, 65_471, 65_474,
    65_476, 65_479, 65_481, 65_483, 65_485, 65_488, 65_489, 65_491, 65_493, 65_495, 65_497, 65_498,
    65_500, 65_501, 65_503, 65_504, 65_505, 65_507, 65_508, 65_509, 65_510, 65_511, 65_512, 65_513,
    65_514, 65_515, 65_516, 65_517, 65_517, 65_518, 65_519, 65_520, 65_520, 65_521, 65_522, 65_522,
    65_523, 65_523, 65_524, 65_524, 65_525, 65_525, 65_526, 65_526, 65_526, 65_527, 65_527, 65_528,
    65_528, 65_528, 65_529, 65_529, 65_529, 65_529, 65_530, 65_530, 65_530, 65_530, 65_531, 65_531,
    65_531, 65_531, 65_531, 65_532, 65_532, 65_532, 65_532, 65_532, 65_532, 65_533, 65_533, 65_533,
    65_533, 65_533, 65_533, 65_533, 65_533, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534,
    65_534, 65_534, 65_534, 65_535,
];

/// How 16-bit numbers are brought to the places of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table16 {
    /// The factor.
    pub multiplier: i32,
    /// The right shift after it.
    pub shift: u32,
}

impl Table16 {
    /// For inputs of this scale. `power` is its binary logarithm where that is a whole number: a power of two for
    /// which the table needs no multiplication is exact, 2^-12, and for the hyperbolic tangent 2^-11 too.
    #[must_use]
    pub fn new(scale: f32, power: Option<i32>, tanh: bool) -> Self {
        if let Some(left) = power.map(|p| p.saturating_add(12))
            && (left == 0 || (tanh && left == 1))
        {
            return Self { multiplier: 3 << left, shift: 0 };
        }
        let mut multiplier = f64::from(scale) * 4096.0 * 3.0;
        let mut shift = 0;
        while multiplier <= 32767.0 / 2.0 && shift <= 30 {
            shift += 1;
            multiplier *= 2.0;
        }
        Self { multiplier: multiplier as i32, shift }
    }

    /// For inputs whose scale is this power of two, as the cells of recurrent layers have them.
    #[must_use]
    pub fn of_power(exponent: i32) -> Self {
        let left = exponent.saturating_add(12);
        if left < 0 {
            return Self { multiplier: 3, shift: left.unsigned_abs() };
        }
        Self { multiplier: 3 << left.min(16), shift: 0 }
    }

    fn scaled(self, x: i32) -> i32 {
        let shift = self.shift.min(31);
        let round = if shift > 0 { 1 << (shift - 1) } else { 0 };
        x.wrapping_mul(self.multiplier).wrapping_add(round) >> shift
    }

    /// The entry of an interval, and the one after it.
    fn entries(at: usize) -> Option<(u32, u32)> {
        match SIGMOID.get(at..)? {
            [a, b, ..] => Some((u32::from(*a), u32::from(*b))),
            _ => None,
        }
    }

    /// The logistic function in Q0.15.
    #[must_use]
    pub fn logistic(self, x: i32) -> i32 {
        let x = self.scaled(x);
        let magnitude = x.unsigned_abs();
        let result = match Self::entries((magnitude >> 9) as usize) {
            Some((a, b)) => (a << 9) + (magnitude & 0x1FF) * (b - a),
            None => 0x7FFF << 10,
        };
        let result = if x >= 0 { result + (1 << 9) } else { (1 << 25) - result + (1 << 9) - 1 };
        // The kernel stores the low 16 bits.
        i32::from((result >> 10) as i16)
    }

    /// The hyperbolic tangent in Q0.15.
    #[must_use]
    pub fn tanh(self, x: i32) -> i32 {
        let x = self.scaled(x);
        let magnitude = x.unsigned_abs();
        let result = match Self::entries((magnitude >> 8) as usize) {
            Some((a, b)) => ((a << 8) + (magnitude & 0xFF) * (b - a)) as i32,
            None => 0xFFFF << 8,
        };
        let result =
            if x >= 0 { result - (1 << 23) + (1 << 7) } else { -result + (1 << 23) + (1 << 7) - 1 };
        i32::from((result >> 8) as i16)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn entries_are_those_of_the_formula() {
        let logistic = |i: f64| 65536.0 / (1.0 + (-i / 24.0).exp());
        for (i, entry) in SIGMOID.iter().enumerate().take(255) {
            let i = i as f64;
            let missed = (logistic(i) + logistic(i + 1.0)) / 2.0 - logistic(i + 0.5);
            assert_eq!(*entry, (logistic(i) - missed / 2.0).round() as u16, "{i}");
        }
        assert_eq!(SIGMOID[255], 65535);
    }

    #[test]
    fn tables_are_close_to_the_real_functions() {
        for (scale, power) in
            [(1.0 / 4096.0, Some(-12)), (1.0 / 2048.0, Some(-11)), (0.000_3, None)]
        {
            let (s, t) = (Table16::new(scale, power, false), Table16::new(scale, power, true));
            for x in (-32768..32768).step_by(77) {
                let real = f64::from(scale) * f64::from(x);
                let (a, b) = (1.0 / (1.0 + (-real).exp()), real.tanh());
                assert!((f64::from(s.logistic(x)) / 32768.0 - a).abs() < 1.5e-4, "{scale} {x}");
                assert!((f64::from(t.tanh(x)) / 32768.0 - b).abs() < 3e-4, "{scale} {x}");
            }
        }
    }
}

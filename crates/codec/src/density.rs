//! Discretised densities as tables of cumulative frequencies.
//!
//! Everything is computed from additions, multiplications, divisions and square roots, which every
//! machine rounds alike, so encoder and decoder agree wherever they run.

use std::sync::OnceLock;

/// Positions that a table knows on either side of its centre.
pub(crate) const REACH: i32 = 512;
const LEN: usize = 2 * REACH as usize;
/// Slots that the density itself gets; every position has one more so that none is impossible.
const MASS: f64 = 262_144.0;
const BUCKET_BITS: u32 = 9;
const BUCKETS: usize = ((MASS as usize + LEN) >> BUCKET_BITS) + 2;

/// Standard deviations come in steps of 2^(1/8), from 2^-4 to 2^9.
pub(crate) const SCALES: usize = 105;
pub(crate) const STEPS_PER_OCTAVE: i32 = 8;
const LEAST_OCTAVE: i32 = -4;

/// Shapes of the density, all with variance 1: generalised Gaussians and Student's t.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Cubic,
    Gauss,
    Student15,
    Student9,
    Student5,
    Middle,
    Laplace,
}

impl Shape {
    pub(crate) const ALL: [Self; 7] = [
        Self::Cubic,
        Self::Gauss,
        Self::Student15,
        Self::Student9,
        Self::Student5,
        Self::Middle,
        Self::Laplace,
    ];

    /// The density up to a factor.
    fn at(self, x: f64) -> f64 {
        let power = |base: f64, n: i32| (0..n).fold(1.0, |p, _| p * base);
        match self {
            Self::Cubic => exp_minus(power(x / 1.636_74, 3)),
            Self::Gauss => exp_minus(x * x / 2.0),
            Self::Student15 => 1.0 / power(1.0 + x * x / 13.0, 8),
            Self::Student9 => 1.0 / power(1.0 + x * x / 7.0, 5),
            Self::Student5 => 1.0 / power(1.0 + x * x / 3.0, 3),
            Self::Middle => {
                let y = x / 1.163_66;
                exp_minus(y * y.sqrt())
            }
            Self::Laplace => exp_minus(x * std::f64::consts::SQRT_2),
        }
    }
}

/// e^-x for x >= 0.
pub(crate) fn exp_minus(x: f64) -> f64 {
    let octaves = x * std::f64::consts::LOG2_E;
    if octaves > 1000.0 {
        return 0.0;
    }
    let whole = octaves.floor();
    let rest = (octaves - whole) * std::f64::consts::LN_2;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..18 {
        term *= -rest / f64::from(n);
        sum += term;
    }
    sum * f64::from_bits(((1023 - whole as i64) as u64) << 52)
}

/// 2^(1/8) to the power of 0 to 7.
const EIGHTHS: [f64; 8] = [
    1.0,
    1.090_507_732_665_257_7,
    1.189_207_115_002_721,
    1.296_839_554_651_009_6,
    std::f64::consts::SQRT_2,
    1.542_210_825_407_940_7,
    1.681_792_830_507_429,
    1.834_008_086_409_342_4,
];

/// The standard deviation of a scale.
pub(crate) fn deviation(scale: usize) -> f64 {
    let octave = scale as i32 / STEPS_PER_OCTAVE + LEAST_OCTAVE;
    let power = f64::from_bits(((1023 + octave) as u64) << 52);
    EIGHTHS[scale % EIGHTHS.len()] * power
}

/// 64 times the base-2 logarithm of a positive number, to about one unit.
pub(crate) fn log2_64(x: f64) -> i32 {
    let bits = x.to_bits();
    let exponent = (bits >> 52 & 2047) as i32 - 1023;
    let mantissa = (bits >> 36 & 0xffff) as i64;
    // log2(1 + m) is about m + 0.3432 m (1 - m).
    let bent = mantissa + ((mantissa * (65_536 - mantissa) * 22_500) >> 32);
    exponent * 64 + (bent >> 10) as i32
}

/// The scale nearest to a variance given as 64 times its base-2 logarithm, for a grid that is `fine`
/// 64ths of an octave finer than whole numbers.
#[inline]
pub(crate) fn scale_of(log_variance: i32, fine: i32) -> usize {
    let log_deviation = (log_variance >> 1) + fine;
    let step = 64 / STEPS_PER_OCTAVE;
    let scale = (log_deviation - LEAST_OCTAVE * 64 + step / 2) >> 3;
    scale.clamp(0, SCALES as i32 - 1) as usize
}

/// Cumulative frequencies around a centre: `below[REACH + k]` counts the slots of everything below
/// `k - 0.5`.
pub(crate) struct Table {
    below: Box<[u32]>,
    first: Box<[u16]>,
}

impl Table {
    /// The table of a shape and scale, made when it is first asked for.
    pub(crate) fn get(shape: Shape, scale: usize) -> &'static Self {
        static TABLES: [[OnceLock<Table>; SCALES]; Shape::ALL.len()] =
            [const { [const { OnceLock::new() }; SCALES] }; Shape::ALL.len()];
        TABLES[shape as usize][scale].get_or_init(|| Self::new(shape, deviation(scale)))
    }

    fn new(shape: Shape, deviation: f64) -> Self {
        // Mass of each position from the centre outwards, by the midpoint rule.
        let parts = (8.0 / deviation).ceil().clamp(2.0, 128.0) as i32;
        let step = 1.0 / f64::from(parts);
        let mut mass = vec![0.0; REACH as usize + 1];
        for (k, mass) in mass.iter_mut().enumerate() {
            for part in 0..parts {
                let x = k as f64 - 0.5 + (f64::from(part) + 0.5) * step;
                *mass += shape.at(x.abs() / deviation);
            }
            if *mass == 0.0 {
                break;
            }
        }
        let sum = mass[0] + 2.0 * mass[1..].iter().sum::<f64>();
        let mut below = vec![0; LEN + 1];
        let (mut total, mut slots) = (0.0, 0);
        for k in 0..LEN {
            below[k] = slots;
            total += mass[(k as i32 - REACH).unsigned_abs() as usize] / sum;
            slots = (total.min(1.0) * MASS) as u32 + k as u32 + 1;
        }
        below[LEN] = slots;
        let mut first = vec![0; BUCKETS];
        let mut k = 0;
        for (bucket, first) in first.iter_mut().enumerate() {
            while k < LEN && below[k + 1] <= (bucket as u32) << BUCKET_BITS {
                k += 1;
            }
            *first = k as u16;
        }
        Self { below: below.into(), first: first.into() }
    }

    /// Slots below position `k - 0.5`; `k` is an index from 0 to `2 * REACH`.
    #[inline]
    pub(crate) fn below(&self, k: i32) -> u32 {
        self.below[k.clamp(0, LEN as i32) as usize]
    }

    /// The index whose slots contain `slot`.
    #[inline]
    pub(crate) fn find(&self, slot: u32) -> i32 {
        let bucket = (slot >> BUCKET_BITS) as usize;
        let mut k = usize::from(self.first[bucket.min(BUCKETS - 1)]);
        while k + 1 < LEN && self.below[k + 1] <= slot {
            k += 1;
        }
        k as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right() {
        for i in 0..2000 {
            let x = f64::from(i) * 0.05;
            assert!((exp_minus(x) / (-x).exp() - 1.0).abs() < 1e-13, "{x}");
        }
    }

    #[test]
    fn logarithms_and_scales_are_near() {
        for i in 1..5000 {
            let x = f64::from(i) * 0.37;
            assert!((f64::from(log2_64(x)) / 64.0 - x.log2()).abs() < 0.03, "{x}");
            let scale = scale_of(log2_64(x), 0);
            if scale > 0 && scale < SCALES - 1 {
                let ratio = deviation(scale) / x.sqrt();
                assert!((0.94..1.06).contains(&ratio), "{x} {ratio}");
            }
        }
    }

    #[test]
    fn tables_have_the_variance_that_they_claim() {
        for shape in Shape::ALL {
            for scale in [32, 40, 56, 64] {
                let table = Table::get(shape, scale);
                let total = f64::from(table.below(2 * REACH));
                let variance: f64 = (0..2 * REACH)
                    .map(|k| {
                        let p = f64::from(table.below(k + 1) - table.below(k) - 1) / total;
                        p * f64::from(k - REACH).powi(2)
                    })
                    .sum();
                // Rounding to whole positions adds a twelfth.
                let ratio = (variance / (deviation(scale).powi(2) + 1.0 / 12.0)).sqrt();
                assert!((0.95..1.03).contains(&ratio), "{shape:?} {scale} {ratio}");
            }
        }
    }

    #[test]
    fn every_slot_is_found() {
        for scale in [0, 10, 50, 90, SCALES - 1] {
            let table = Table::get(Shape::Student5, scale);
            for slot in 0..table.below(2 * REACH) {
                let k = table.find(slot);
                assert!(table.below(k) <= slot && slot < table.below(k + 1));
            }
        }
    }
}

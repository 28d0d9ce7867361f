//! TFLite's softmax of 16-bit numbers: interpolated tables of `exp` over `[-10, 0]` and of `1 / (1 + x)` over `[0, 1]`.

use crate::{Multiplier, Rounding};

/// Entries of a table.
pub const ENTRIES: usize = 513;

/// A function of 16-bit numbers at evenly spaced places, to be interpolated; each entry is corrected by half the error
/// in the middle of its interval.
pub type Table = [i16; ENTRIES];

/// To the next whole number, ties away from zero; for magnitudes below 2^24.
fn rounded(x: f32) -> f32 {
    let whole = x as i32 as f32;
    let rest = x - whole;
    whole + f32::from(i8::from(rest >= 0.5) - i8::from(rest <= -0.5))
}

/// Over inputs from `low` to `high`; the outputs are in Q0.15.
fn table(low: f32, high: f32, f: impl Fn(f32) -> f32) -> Table {
    let step = (high - low) / 512.0;
    let half = step / 2.0;
    // 65536 stored steps over the real range of the outputs.
    let range = 2.0_f32 / 65535.0;
    let inverse = 65536.0 / (range * 32767.0 - range * -32768.0);
    let cut = |x: f32| x.clamp(-32768.0, 32767.0) as i16;
    core::array::from_fn(|i| {
        if i == ENTRIES - 1 {
            return cut(rounded(f(high) * inverse));
        }
        let at = low + i as f32 * step;
        let value = rounded(f(at) * inverse);
        let next = f(low + (i + 1) as f32 * step);
        let interpolated = rounded((next * inverse + value) / 2.0);
        let error = interpolated - rounded(f(at + half) * inverse);
        cut(value - rounded(error / 2.0))
    })
}

/// The table of the exponential function, which is given.
#[must_use]
pub fn exponentials(exp: impl Fn(f32) -> f32) -> Table {
    let ten = 10.0 / 65535.0_f32;
    table(ten * (-32768.0 - 32767.0), 0.0, exp)
}

/// The table of inverses.
#[must_use]
pub fn inverses() -> Table {
    let unit = 1.0 / 65535.0_f32;
    table(0.0, unit * (32767.0 + 32768.0), |x| 1.0 / (1.0 + x))
}

/// The factor of differences; `scale` is that of the numbers.
#[must_use]
pub fn factor(scale: f32, beta: f32) -> Multiplier {
    Multiplier::from_real(f64::from(scale) * f64::from(beta) / (10.0 / 65535.0))
}

fn get(table: &Table, x: i32) -> i32 {
    let at = (256 + (x.clamp(-32768, 32767) >> 7)) as usize;
    let offset = x & 0x7F;
    let (base, next) = (i32::from(table[at]), i32::from(table[at + 1]));
    let delta = ((next - base) * offset + 64) >> 7;
    i32::from((base + delta) as i16)
}

/// The exponential of a number that is so far `below` the largest of its row (zero or less), in Q0.15.
#[must_use]
pub fn exponential(table: &Table, factor: Multiplier, below: i32) -> i32 {
    let scaled = factor.apply(below, Rounding::Double).saturating_add(32767);
    get(table, scaled.clamp(-32768, 32767))
}

/// What the exponentials of a row are divided by.
#[derive(Clone, Copy, Debug)]
pub struct Divisor {
    factor: i32,
    round: i64,
    shift: u32,
}

impl Divisor {
    /// The sum of a row's exponentials; where that is not positive, all results are zero.
    #[must_use]
    pub fn of(inverses: &Table, sum: i32) -> Self {
        if sum <= 0 {
            return Self { factor: 0, round: 0, shift: 0 };
        }
        let headroom = sum.leading_zeros();
        let shifted = ((i64::from(sum) << (headroom - 1)) + (1 << 13)) >> 14;
        let factor = get(inverses, (shifted as i32 - ((1 << 15) + (1 << 16))).clamp(-32768, 32767));
        let shift = 31 - headroom;
        Self { factor, round: 1 << shift.saturating_sub(1), shift }
    }

    /// The quotient in Q0.15.
    #[must_use]
    #[inline]
    pub fn divide(self, exponential: i32) -> i16 {
        let product = i64::from(exponential) * i64::from(self.factor);
        (((product + self.round) >> self.shift) as i32).clamp(0, 32767) as i16
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn rows_are_close_to_the_real_function() {
        let (exps, inverses) = (exponentials(f32::exp), inverses());
        for scale in [0.000_05, 0.000_2, 0.001] {
            let m = factor(scale, 1.0);
            let x: [i32; 6] = [-20_000, 900, 32_000, 31_500, 6000, 29_000];
            let terms: Vec<i32> = x.iter().map(|x| exponential(&exps, m, x - 32_000)).collect();
            let divisor = Divisor::of(&inverses, terms.iter().sum());
            let real = |x: &i32| (f64::from(x - 32_000) * f64::from(scale)).exp();
            let sum: f64 = x.iter().map(real).sum();
            for (x, e) in x.iter().zip(&terms) {
                let got = f64::from(divisor.divide(*e)) / 32768.0;
                assert!((got - real(x) / sum).abs() < 5e-4, "{scale} {x}");
            }
        }
        assert_eq!(Divisor::of(&inverses, 0).divide(7), 0);
    }

    #[test]
    fn ties_go_away_from_zero() {
        let all = [0.5_f32, -0.5, 1.5, 2.499, -2.5, 0.0, 32767.5, 0.499_999_97];
        assert_eq!(all.map(rounded), all.map(f32::round));
    }
}

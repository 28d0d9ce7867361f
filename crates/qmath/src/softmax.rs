//! TFLite's softmax of bytes: exponentials of differences in fixed point, their sum with 12 integer bits.

use crate::fixed::{Width, exp_of_negative, input_radius, reciprocal};
use crate::{Multiplier, doubling_high_mul, rounding_shift_right};

const DIFFERENCE_BITS: u32 = 5;
const SUM_BITS: i32 = 12;

/// The exponentials of the differences between a byte and the largest of its row, in Q0.31: the entry `d` is for
/// a byte that is `d` below. `factor` is beta times the scale of the bytes.
#[must_use]
pub fn exponentials(factor: f64) -> [i32; 256] {
    let factor = factor * f64::from(1 << (31 - DIFFERENCE_BITS));
    let m = Multiplier::from_real(factor.min(f64::from(i32::MAX)));
    let most = input_radius(DIFFERENCE_BITS, m.shift, 31);
    core::array::from_fn(|d| {
        let d = d as i32;
        if d > most {
            return 0;
        }
        // gemmlowp's product with a factor of at least one shifts without saturation.
        let scaled = doubling_high_mul((-d).wrapping_shl(m.shift.max(0) as u32), m.mantissa);
        exp_of_negative(Width::W32, scaled, DIFFERENCE_BITS)
    })
}

/// What the exponentials of a row are divided by.
#[derive(Clone, Copy, Debug)]
pub struct Divisor {
    inverse: i32,
    shift: u32,
}

impl Divisor {
    /// The sum of a row's exponentials, for results of this many bits.
    #[must_use]
    pub fn of(exponentials: impl Iterator<Item = i32>, bits: u32) -> Self {
        let sum = exponentials
            .fold(0_i32, |sum, e| sum.wrapping_add(rounding_shift_right(e, SUM_BITS as u32)));
        let (inverse, over) = reciprocal(sum, SUM_BITS);
        let shift = (over + 31 - bits as i32).clamp(0, 31) as u32;
        Self { inverse, shift }
    }

    /// The quotient, counted from the least result; it may be one above the largest.
    #[must_use]
    #[inline]
    pub fn divide(self, exponential: i32) -> i32 {
        rounding_shift_right(doubling_high_mul(self.inverse, exponential), self.shift)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn rows_are_close_to_the_real_function() {
        for scale in [0.01, 0.1, 0.7] {
            let exps = exponentials(scale);
            let x: [i32; 5] = [-100, 20, 127, 126, 60];
            let terms: Vec<i32> = x.iter().map(|x| exps[(127 - x) as usize]).collect();
            let divisor = Divisor::of(terms.iter().copied(), 8);
            let sum: f64 = x.iter().map(|x| (f64::from(x - 127) * scale).exp()).sum();
            for (x, e) in x.iter().zip(&terms) {
                let real = (f64::from(x - 127) * scale).exp() / sum * 256.0;
                assert!((f64::from(divisor.divide(*e)) - real).abs() <= 0.51, "{scale} {x}");
            }
        }
    }

    #[test]
    fn far_differences_are_nothing_and_one_alone_is_one() {
        let exps = exponentials(1.0);
        assert_eq!((exps[0], exps[255]), (i32::MAX, 0));
        assert_eq!(Divisor::of([exps[0]].into_iter(), 8).divide(exps[0]), 256);
    }
}

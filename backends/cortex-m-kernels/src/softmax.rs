use paring_qmath::{Multiplier, doubling_high_mul, rounding_shift_right, saturating_shl};

use crate::KernelError;
use crate::helpers::Helper;
use crate::unit::{Kernel, Layer, Overlap, Unit};

/// A softmax over the last axis, int8 in and out, output scale 1/256 and zero point -128.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Number of rows.
    pub rows: usize,
    /// Length of a row.
    pub depth: usize,
    /// `exp(-d * beta * scale)` in Q0.31 for differences `d` from the largest value; differences
    /// beyond the table count as zero. [`exp_table`] makes it.
    pub exps: Vec<i32>,
}

/// The table of [`Softmax`] as TFLite's int8 kernel computes it: the difference is rescaled to Q5.26
/// and put through gemmlowp's fixed-point exponential.
#[must_use]
pub fn exp_table(beta: f64, in_scale: f64) -> Vec<i32> {
    let real = (beta * in_scale * f64::from(1 << 26)).min(f64::from(i32::MAX));
    let m = Multiplier::from_real(real);
    let shift = m.shift.max(0);
    // Differences that would leave the 5 integer bits.
    let radius = (31.0 * f64::from(1 << 26) / f64::from(shift).exp2()).floor();
    (0..256)
        .take_while(|&d| f64::from(d) <= radius)
        .map(|d| {
            let scaled = doubling_high_mul(saturating_shl(-d, shift as u32), m.mantissa);
            exp_on_negative(scaled)
        })
        .collect()
}

/// gemmlowp's `exp_on_negative_values` for Q5.26, giving Q0.31.
fn exp_on_negative(x: i32) -> i32 {
    const QUARTER: i32 = 1 << 24;
    if x == 0 {
        return i32::MAX;
    }
    let fraction = (x & (QUARTER - 1)) - QUARTER;
    let mut result = exp_near_zero(saturating_shl(fraction, 5));
    let rest = fraction.wrapping_sub(x);
    let factors =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    for (bit, factor) in (24..).zip(factors) {
        if rest & (1 << bit) != 0 {
            result = doubling_high_mul(result, factor);
        }
    }
    result
}

/// The exponential on `[-1/4, 0)` in Q0.31: a fourth-order Taylor series about -1/8.
fn exp_near_zero(a: i32) -> i32 {
    const EXP_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = doubling_high_mul(x, x);
    let x3 = doubling_high_mul(x2, x);
    let x4 = doubling_high_mul(x2, x2);
    let x4_quarter = rounding_shift_right(x4, 2);
    let higher = doubling_high_mul(x4_quarter.wrapping_add(x3), THIRD).wrapping_add(x2);
    let series = rounding_shift_right(higher, 1);
    let sum = doubling_high_mul(EXP_EIGHTH, x.wrapping_add(series));
    EXP_EIGHTH.saturating_add(sum)
}

impl Layer for Softmax {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        if self.exps.is_empty() || self.depth == 0 {
            return Err(KernelError::Invalid {
                layer: name.into(),
                what: "empty rows or an empty table of exponentials".into(),
            });
        }
        unit.need(Helper::Softmax);
        // From the first zero on the table says nothing.
        let used = self.exps.iter().rposition(|&e| e != 0).map_or(1, |p| p + 1);
        unit.i32s(&format!("{name}_e"), &self.exps[..used]);
        let template =
            format!("pr_softmax({name}_e, {used}, @in0@, @out0@, {}, {});", self.rows, self.depth);
        Ok(Kernel::new(template, "table of exponentials").overlap(&[Overlap::AtLeast(0)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_close_to_real_ones() {
        for scale in [0.001, 0.05, 0.2, 1.5] {
            for (d, &e) in exp_table(1.0, scale).iter().enumerate() {
                let real = (-(d as f64) * scale).exp();
                let got = f64::from(e) / 2_147_483_648.0;
                assert!((got - real).abs() < 1e-6, "scale {scale}, {d}: {got} for {real}");
            }
        }
        assert_eq!(exp_table(1.0, 0.001).len(), 256);
        assert!(exp_table(1.0, 1.5).len() < 30);
    }
}

//! Scaling in two instructions.
//!
//! Where no result is negative, the result of a sum rises at certain sums, and those lie on a line: the
//! rounding of the product and of the shift after it move all of them alike. So another line does
//! as well, if every sum at which the result rises is the same: one of
//! `(offset + round(sum * multiplier / 2^32)) >> shift`, which is a multiplication and a saturation. The
//! sums where the result has to rise are found by the arithmetic itself, and the line is tried at each.

/// How a channel's sums become results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The product's upper half is taken, rounded.
    pub multiplier: i32,
    /// Added to the product.
    pub offset: u16,
    /// Added to the sum, in its units.
    pub bias: i32,
}

/// What a line is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Sums are multiples of `1 << sum`, but for what the bias adds.
    pub sum: u32,
    /// The shift of the result.
    pub result: u32,
    /// Offsets are below this.
    pub offsets: u32,
    /// The largest addition to the sum.
    pub bias: i64,
}

/// Multipliers that are tried around the nearest.
const NEAR: i64 = 6;

/// The smallest sum in `low + 1..=high` at which a rising function reaches `least`.
fn reach(value: &impl Fn(i32) -> i32, low: i32, high: i32, least: i32) -> i32 {
    let (mut below, mut above) = (low, high);
    while i64::from(above) - i64::from(below) > 1 {
        let middle = ((i64::from(above) + i64::from(below)) >> 1) as i32;
        if value(middle) < least { below = middle } else { above = middle }
    }
    above
}

impl Form {
    /// What is always added to the product: the smallest result, and a half for the rounding.
    pub const fn base(self) -> i32 {
        (-128 << self.result) + (1 << (self.result - 1))
    }

    /// The line that gives `value(sum)`, a rising function to int8, for all sums in `low..=high`. `factor` is about
    /// its slope, and `residue` the lowest two bits that the multiplier has to have, where it matters.
    pub fn line(
        self,
        value: impl Fn(i32) -> i32,
        [low, high]: [i32; 2],
        factor: f64,
        residue: Option<i64>,
    ) -> Option<Line> {
        let (least, most) = (value(low), value(high));
        let allowed = |m: i64| m > 0 && m < 1 << 31 && residue.is_none_or(|r| m & 3 == r);
        if low == high {
            // The result times `1 << result` is what the product has to be.
            let bias = (i64::from(least + 128) << (self.result + 4)) - (i64::from(low) << self.sum);
            let multiplier = 1 << 28 | residue.unwrap_or(0) as i32;
            let bias = i32::try_from(bias).ok().filter(|&b| i64::from(b).abs() <= self.bias)?;
            return Some(Line { multiplier, offset: 0, bias });
        }
        let nearest = (factor * f64::from(self.result + 32 - self.sum).exp2()).round();
        if nearest >= f64::from(i32::MAX) - 16.0 {
            return None;
        }
        let nearest = nearest as i64;
        let rises: Vec<(i64, i64)> = (least + 1..=most)
            .map(|k| (i64::from(k), i64::from(reach(&value, low, high, k))))
            .collect();
        (0..=2 * NEAR)
            .map(|i| nearest + if i & 1 == 0 { i / 2 } else { -(i + 1) / 2 })
            .filter(|&m| allowed(m))
            .find_map(|m| self.with(m, &rises))
    }

    /// The same for one multiplier.
    fn with(self, multiplier: i64, rises: &[(i64, i64)]) -> Option<Line> {
        let unit = 4_294_967_296.0 / multiplier as f64;
        let scale = f64::from(self.sum).exp2();
        let zero = f64::from(self.base());
        // What is added to the sum, counted in its units, has to lie between these.
        let (mut from, mut to) = (f64::MIN, f64::MAX);
        for &(k, sum) in rises {
            let exact = ((k << self.result) as f64 - zero - 0.5) * unit - sum as f64 * scale;
            from = from.max(exact);
            to = to.min(exact + scale);
        }
        (0..self.offsets).find_map(|offset| {
            let bias = (from - f64::from(offset) * unit).ceil();
            if bias + f64::from(offset) * unit >= to || bias.abs() > self.bias as f64 {
                return None;
            }
            let line = Line {
                multiplier: multiplier as i32,
                offset: u16::try_from(offset).ok()?,
                bias: bias as i32,
            };
            rises.iter().all(|&rise| self.rises_at(line, rise)).then_some(line)
        })
    }

    /// Whether a line reaches a result at a sum and not before.
    fn rises_at(self, line: Line, (k, sum): (i64, i64)) -> bool {
        self.apply(line, sum) >= k && self.apply(line, sum - 1) < k
    }

    fn apply(self, line: Line, sum: i64) -> i64 {
        let sum = (sum << self.sum) + i64::from(line.bias);
        let product = (sum * i64::from(line.multiplier) + (1 << 31)) >> 32;
        (product + i64::from(self.base()) + i64::from(line.offset)) >> self.result
    }
}

#[cfg(test)]
mod tests {
    use paring_qmath::{Multiplier, Rounding};

    use super::*;

    #[test]
    fn lines_equal_the_rounding_for_every_sum() {
        let forms = [
            Form { sum: 0, result: 4, offsets: 1 << 16, bias: 1 << 22 },
            Form { sum: 6, result: 6, offsets: 256, bias: 1 << 28 },
        ];
        let mut found = [0; 2];
        for step in 0..60 {
            let real = 0.0003 * 1.07_f64.powi(step);
            let m = Multiplier::from_real(real);
            let value = |sum: i32| (m.apply(sum, Rounding::Double) - 128).clamp(-128, 127);
            for (form, count) in forms.iter().zip(&mut found) {
                let ends = [-9_000, 90_000];
                let constant = form.line(value, [ends[1]; 2], 0.25, Some(3)).expect("a line");
                let got = form.apply(constant, ends[1].into()).clamp(-128, 127);
                assert_eq!(got, i64::from(value(ends[1])));
                let Some(line) = form.line(value, ends, real, Some(step as i64 & 3)) else {
                    continue;
                };
                assert_eq!(line.multiplier as i64 & 3, step as i64 & 3);
                *count += 1;
                for sum in ends[0]..=ends[1] {
                    let got = form.apply(line, sum.into()).clamp(-128, 127);
                    assert_eq!(got, i64::from(value(sum)), "{sum} by {real}");
                }
            }
        }
        assert!(found[0] > 55 && found[1] > 45, "{found:?}");
    }
}

//! Requantization in one 64-bit step.
//!
//! Both roundings of `acc * m / 2^31 * 2^shift` are a floor of a sum. Write `p = acc * m`.
//!
//! - Rounding once is `(p + 2^(t-1)) >> t` with `t = 31 - shift`.
//! - Rounding twice first makes `h = (p + 2^30) >> 31`: the truncating division of the definition
//!   rounds ties upward, which is this. Then, for a right shift `e >= 1`, it adds `2^(e-1)`, less one
//!   for negative `h`, and shifts by `e`. A floor of a floor is one floor:
//!   `(p + 2^30 + 2^(30+e) - (h < 0) 2^31) >> (31 + e)`. The sign of `acc` may stand for that of `h`,
//!   since where they differ `h` is 0 and the result is 0 either way.
//! - Without a right shift, `h` of the accumulator shifted left is the result, which is the formula of
//!   rounding once.
//!
//! The zero point joins the sum as `zero_point << t`.

use paring_qmath::{Multiplier, Rounding};

/// `(acc * m + k - (acc < 0 ? sign : 0)) >> t`, which includes the zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affine {
    /// The mantissa.
    pub m: i32,
    /// Rounding and zero point.
    pub k: i64,
    /// The right shift, at most 60.
    pub t: u32,
    /// 2^31 where ties round away from zero, or 0.
    pub sign: u32,
}

impl Affine {
    /// The constants for accumulators of a magnitude of at most `bound`; `None` where a step of the
    /// definition could saturate or a sum could overflow.
    pub fn new(
        multiplier: Multiplier,
        rounding: Rounding,
        zero_point: i32,
        bound: i64,
    ) -> Option<Self> {
        let Multiplier { mantissa: m, shift } = multiplier;
        if !(0..1 << 30).contains(&bound)
            || (shift > 0
                && bound.checked_shl(shift as u32).is_none_or(|b| b >= 1 << 30 || shift > 30))
        {
            return None;
        }
        let (k, t, sign) = if rounding == Rounding::Double && shift < 0 {
            ((1 << 30) + (1_i64 << (30 - shift)), (31 - shift) as u32, 1 << 31)
        } else {
            (1_i64 << (30 - shift), (31 - shift) as u32, 0)
        };
        let zero = i64::from(zero_point);
        // The product is below 2^61 and the rounding below 2^60.
        if t <= 60 && zero.abs() <= (1 << 62) >> t {
            return Some(Self { m, k: k + (zero << t), t, sign });
        }
        // Without room for the zero point it has to be shown that everything rounds to zero.
        let largest = bound.checked_mul(i64::from(m))?;
        (largest < 1_i64 << (t - 1).min(61)).then_some(Self { m: 0, k: zero << 31, t: 31, sign: 0 })
    }

    /// The result for an accumulator within the bound.
    #[cfg(test)]
    pub fn apply(self, acc: i32) -> i32 {
        let sign = if acc < 0 { i64::from(self.sign) } else { 0 };
        ((i64::from(acc) * i64::from(self.m) + self.k - sign) >> self.t) as i32
    }
}

/// Rounding twice with 32-bit lanes after the product: `h = (acc * m + 2^30) >> 31`, then
/// `(h + c - (acc < 0)) >> e`, which includes the zero point. It takes fewer constants than
/// [`Affine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// The mantissa.
    pub m: i32,
    /// Rounding and zero point: `2^(e-1) + (zero_point << e)`.
    pub c: i32,
    /// The right shift, at least 1.
    pub e: u32,
}

impl Short {
    /// As [`Affine::new`]; `None` for factors that do not shift right, too, and where 32 bits are too
    /// few.
    pub fn new(
        multiplier: Multiplier,
        rounding: Rounding,
        zero_point: i32,
        bound: i64,
    ) -> Option<Self> {
        let Multiplier { mantissa: m, shift } = multiplier;
        let e = u32::try_from(-shift).ok().filter(|e| (1..=30).contains(e))?;
        let c = (1_i64 << (e - 1)) + (i64::from(zero_point) << e);
        let most = bound + (1_i64 << (e - 1)) + (i64::from(zero_point).abs() << e) + 1;
        let fits = rounding == Rounding::Double
            && (0..1 << 30).contains(&bound)
            && most <= i64::from(i32::MAX);
        fits.then_some(Self { m, c: c as i32, e })
    }

    /// The result for an accumulator within the bound.
    #[cfg(test)]
    pub fn apply(self, acc: i32) -> i32 {
        let h = ((i64::from(acc) * i64::from(self.m) + (1 << 30)) >> 31) as i32;
        (h + self.c - i32::from(acc < 0)) >> self.e
    }
}

/// Rounding twice where no result below the zero point is asked for: `((acc + start) * m / 2^32 + c) >> e`,
/// rounded down. It takes fewer steps than [`Short`].
///
/// Of the results that are asked for, each begins at some accumulator, and on this side of the zero point they all
/// lie along one line. `h` of [`Short`] rounds with a half, which `start * m / 2^32` has as the part behind its
/// point, near enough: [`Raised::new`] looks for a `start` with which every result begins where it has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// What is added to the accumulator.
    pub start: i32,
    /// The factor times 2^32, an even number.
    pub m: u32,
    /// Rounding and zero point, less what `start` adds.
    pub c: i32,
    /// The right shift.
    pub e: u32,
}

impl Raised {
    /// Values of `start` that are tried.
    const TRIED: i64 = 1 << 14;

    /// One that always gives `result`.
    pub const fn constant(result: i32) -> Self {
        Self { start: 0, m: 0, c: result, e: 0 }
    }

    /// As [`Short::new`], for results that are cut to `bounds`.
    pub fn new(
        multiplier: Multiplier,
        rounding: Rounding,
        zero_point: i32,
        bounds: (i8, i8),
        bound: i64,
    ) -> Option<Self> {
        let short = Short::new(multiplier, rounding, zero_point, bound)?;
        let (low, high) = (i32::from(bounds.0), i32::from(bounds.1));
        if low < zero_point || bound + Self::TRIED + i64::from(short.c.unsigned_abs()) >= 1 << 30 {
            return None;
        }
        let (m, e) = (i64::from(short.m), short.e);
        // For each result `h` and the accumulator that it begins with.
        let mut begins = [(0, 0); 256];
        let mut n = 0;
        for y in low + 1..=high {
            let h = (i64::from(y - zero_point) << e) - (1 << (e - 1));
            let first = ((h << 31) - (1 << 30) + m - 1).div_euclid(m);
            begins[n] = (h, first);
            n += 1;
            if first > bound {
                break;
            }
        }
        let twice = 2 * m;
        let whole = |acc: i64| (acc * twice) >> 32;
        let start = (0..Self::TRIED).find(|start| {
            let behind = (start * twice) & 0xFFFF_FFFF;
            (behind - (1 << 31)).abs() < 1 << 30
                && begins[..n].iter().all(|(h, first)| {
                    let h = h + whole(*start);
                    let before = (first - 1).min(bound);
                    (*first > bound || whole(first + start) >= h)
                        && (before < -bound || whole(before + start) < h)
                })
        })?;
        let c = i64::from(short.c) - whole(start);
        Some(Self { start: start as i32, m: twice as u32, c: i32::try_from(c).ok()?, e })
    }

    /// The result for an accumulator within the bound, before it is cut.
    #[cfg(test)]
    pub fn apply(self, acc: i32) -> i32 {
        let acc = i64::from(acc) + i64::from(self.start);
        (((acc * i64::from(self.m)) >> 32) as i32 + self.c) >> self.e
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_both_definitions() {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i32
        };
        let (mut tried, mut tried_short) = (0, 0);
        for round in 0..200_000 {
            let shift = next().rem_euclid(38) - 32;
            let shift = shift.clamp(-31, 5);
            let m = Multiplier { mantissa: (next() & 0x3FFF_FFFF) | 0x4000_0000, shift };
            let bound = 1_i64 << (next().rem_euclid(24) + 1);
            let zero = next().rem_euclid(256) - 128;
            let rounding = if round % 2 == 0 { Rounding::Double } else { Rounding::Single };
            let Some(affine) = Affine::new(m, rounding, zero, bound) else { continue };
            let short = Short::new(m, rounding, zero, bound);
            tried += 1;
            tried_short += usize::from(short.is_some());
            let wild = i64::from(next()) - (1 << 30);
            // Values at ties are the ones that part the roundings.
            let tie = (1_i64 << (30 - shift)) / i64::from(m.mantissa);
            for acc in [0, 1, -1, bound, -bound, wild % (bound + 1), tie, -tie, tie + 1, -tie - 1] {
                if acc.abs() <= bound {
                    let want = m.apply(acc as i32, rounding) + zero;
                    assert_eq!(affine.apply(acc as i32), want, "{acc} {m:?} {rounding:?}");
                    if let Some(short) = short {
                        assert_eq!(short.apply(acc as i32), want, "{acc} {m:?}");
                    }
                }
            }
        }
        assert!(tried > 100_000 && tried_short > 40_000, "{tried} {tried_short}");
    }

    #[test]
    fn results_above_the_zero_point_are_those_of_the_definition() {
        let mut state = 7_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i32
        };
        let (mut tried, mut found) = (0, 0);
        for round in 0..400 {
            let shift = -1 - next().rem_euclid(14);
            let m = Multiplier { mantissa: (next() & 0x3FFF_FFFF) | 0x4000_0000, shift };
            let bound = i64::from(next() & 0x3_FFFF) + 1;
            let zero = next().rem_euclid(200) - 128;
            let low = zero + next().rem_euclid(3);
            let bounds = (low as i8, if round % 3 == 0 { 100 } else { 127 });
            tried += 1;
            let Some(raised) = Raised::new(m, Rounding::Double, zero, bounds, bound) else {
                continue;
            };
            found += 1;
            let cut = |y: i32| y.max(low).min(i32::from(bounds.1));
            for acc in -bound..=bound {
                let want = cut(m.apply(acc as i32, Rounding::Double) + zero);
                assert_eq!(cut(raised.apply(acc as i32)), want, "{acc} {m:?} {raised:?}");
            }
        }
        assert!(found * 100 >= tried * 95, "{found} of {tried}");
        let m = Multiplier { mantissa: 1 << 30, shift: -3 };
        assert_eq!(Raised::new(m, Rounding::Double, 3, (2, 127), 1000), None);
        assert_eq!(Raised::new(m, Rounding::Single, 3, (3, 127), 1000), None);
    }

    #[test]
    fn exact_ties_round_as_defined() {
        for shift in -8..0 {
            let m = Multiplier { mantissa: 1 << 30, shift };
            for rounding in [Rounding::Double, Rounding::Single] {
                let affine = Affine::new(m, rounding, 3, 1 << 20).unwrap();
                for acc in -5000..5000 {
                    assert_eq!(affine.apply(acc), m.apply(acc, rounding) + 3);
                    if let Some(short) = Short::new(m, rounding, 3, 1 << 20) {
                        assert_eq!(short.apply(acc), m.apply(acc, rounding) + 3);
                    }
                }
            }
        }
    }

    #[test]
    fn what_could_overflow_is_refused() {
        let m = Multiplier { mantissa: i32::MAX, shift: 4 };
        assert_eq!(Affine::new(m, Rounding::Double, 0, 1 << 27), None);
        assert!(Affine::new(m, Rounding::Double, 0, 1 << 20).is_some());
        assert_eq!(Affine::new(m, Rounding::Single, 0, 1 << 40), None);
    }
}

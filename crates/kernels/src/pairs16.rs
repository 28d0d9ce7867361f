//! Functions of two quantized `i16`: TFLite's integer arithmetic.

use paring_qmath::{Multiplier, Rounding};

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum I16Pair {
    /// The sum.
    Add,
    /// The difference.
    Sub,
    /// The product.
    Mul,
    /// The smaller one; all have the same scale and zero point.
    Min,
    /// The larger one, likewise.
    Max,
}

/// A function of two quantized `i16`.
#[derive(Clone, Copy, Debug)]
pub struct I16Pairs {
    /// The function.
    pub f: I16Pair,
    /// Zero points of the operands and the result.
    pub zeros: [i32; 3],
    /// Sums: factors of the operands, shifted left by [`Self::SHIFT`].
    pub factors: [Multiplier; 2],
    /// Factor of the sum or product.
    pub factor: Multiplier,
    /// Bounds of the result; the upper one is applied last.
    pub bounds: (i32, i32),
}

impl I16Pairs {
    /// Spare bits of the operands of a sum.
    pub const SHIFT: u32 = 15;

    /// The result for two operands.
    #[must_use]
    #[inline]
    pub fn apply(&self, a: i16, b: i16) -> i16 {
        let term = |i: usize, x: i16| {
            let x = (i32::from(x) - self.zeros[i]).wrapping_shl(Self::SHIFT);
            self.factors[i].apply(x, Rounding::Double)
        };
        let done = |raw: i32| {
            let y = self.factor.apply(raw, Rounding::Double).saturating_add(self.zeros[2]);
            y.max(self.bounds.0).min(self.bounds.1) as i16
        };
        let cut = |y: i16| i32::from(y).max(self.bounds.0).min(self.bounds.1) as i16;
        match self.f {
            I16Pair::Add => done(term(0, a).wrapping_add(term(1, b))),
            I16Pair::Sub => done(term(0, a).wrapping_sub(term(1, b))),
            I16Pair::Mul => {
                done((i32::from(a) - self.zeros[0]).wrapping_mul(i32::from(b) - self.zeros[1]))
            }
            I16Pair::Min => cut(a.min(b)),
            I16Pair::Max => cut(a.max(b)),
        }
    }
}

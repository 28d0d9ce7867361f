use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::wire;
use paring_kernels::Kernels;

/// A dense layer of `i8` whose sums are scaled back in double precision, ties away from zero: what
/// LiteRT does where it rounds once.
#[derive(Debug)]
pub struct InDouble {
    pub weights: Blob,
    pub depth: usize,
    /// One `i32` a unit, with what the input's zero point adds.
    pub bias: Blob,
    /// One `f64` a unit.
    pub factors: Blob,
    pub zero_point: i32,
    pub bounds: (i32, i32),
}

impl InDouble {
    fn unit(&self, unit: usize, x: &[i8]) -> i8 {
        let (bias, factors): (&[i32], &[f64]) = (self.bias.numbers(), self.factors.numbers());
        let weights: &[i8] = self.weights.numbers();
        let mut sum = bias[unit];
        for (w, x) in weights[unit * self.depth..][..self.depth].iter().zip(x) {
            sum = sum.wrapping_add(i32::from(*w) * i32::from(*x));
        }
        let scaled = (f64::from(sum) * factors[unit]).round() as i32;
        scaled.saturating_add(self.zero_point).max(self.bounds.0).min(self.bounds.1) as i8
    }
}

impl Step for InDouble {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, units) = (numbers::<i8>(io.a), self.bias.bytes().len() / 4);
        let rows = x.chunks_exact(self.depth).zip(numbers_mut(io.out).chunks_exact_mut(units));
        for (x, out) in rows {
            divide(units, 1, 2 * self.weights.bytes().len(), out, &|range, out| {
                for (unit, y) in range.zip(out) {
                    *y = self.unit(unit, x);
                }
            });
        }
    }
}

wire!(InDouble { weights, depth, bias, factors, zero_point, bounds });

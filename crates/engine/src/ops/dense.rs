use super::conv2d::join;
use super::gemm::{F32Gemm, I8Constants, I8Gemm, Layout};
use super::{Lower, Part, Tail};
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use paring_backend::requantize::weight_scales;
use paring_ir::ops::Dense;
use paring_ir::{Node, ValueId};
use paring_kernels::Kernels;
use paring_qmath::Rounding;

/// A dense layer of `i8` whose sums are scaled back in double precision, ties away from zero: what
/// LiteRT does where it rounds once.
struct InDouble {
    weights: Vec<i8>,
    depth: usize,
    /// One a unit, with what the input's zero point adds.
    bias: Vec<i32>,
    factors: Vec<f64>,
    zero_point: i32,
    bounds: (i32, i32),
}

impl InDouble {
    fn unit(&self, unit: usize, x: &[i8]) -> i8 {
        let mut sum = self.bias[unit];
        for (w, x) in self.weights[unit * self.depth..][..self.depth].iter().zip(x) {
            sum = sum.wrapping_add(i32::from(*w) * i32::from(*x));
        }
        let scaled = (f64::from(sum) * self.factors[unit]).round() as i32;
        scaled.saturating_add(self.zero_point).max(self.bounds.0).min(self.bounds.1) as i8
    }
}

impl Step for InDouble {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, units) = (numbers::<i8>(io.a), self.bias.len());
        let rows = x.chunks_exact(self.depth).zip(numbers_mut(io.out).chunks_exact_mut(units));
        for (x, out) in rows {
            divide(units, 1, 2 * self.weights.len(), out, &|range, out| {
                for (unit, y) in range.zip(out) {
                    *y = self.unit(unit, x);
                }
            });
        }
    }
}

impl Lower<'_> {
    fn dense_in_double(
        &self,
        x: ValueId,
        w: ValueId,
        y: ValueId,
        depth: usize,
        constants: &I8Constants,
    ) -> Option<Part> {
        let weights = self.i8_const(w)?;
        let units = constants.bias.len();
        let ((x_scale, _), (y_scale, zero_point)) = (self.i8_quant(x)?, self.i8_quant(y)?);
        let factors = weight_scales(self.ty(w), units).ok()?.into_iter();
        let factors = factors.map(|s| f64::from(x_scale) * f64::from(s) / f64::from(y_scale));
        let bias: Option<Vec<i32>> = weights
            .chunks_exact(depth)
            .enumerate()
            .map(|(unit, w)| constants.folded(unit, w.iter().copied()))
            .collect();
        let bounds = (i32::from(constants.bounds.0), i32::from(constants.bounds.1));
        let (bias, factors) = (bias?, factors.collect());
        let step = InDouble { weights, depth, bias, factors, zero_point, bounds };
        Some(Part::unary(step, x))
    }

    pub(super) fn dense(&self, op: &Dense, node: &Node, tail: Tail) -> Option<Part> {
        let (&[x, w], bias) = node.inputs().split_first_chunk()?;
        let (bias, y) = (bias.first().copied(), node.outputs()[0]);
        let &[units, depth] = &*self.shape(w)? else { return None };
        let rows = self.ty(y).shape.elements()? / units;
        if depth == 0 {
            return None;
        }
        let layout = |tile| {
            Some(Layout {
                samples: 1,
                sample: rows * depth,
                rows,
                taps: 1,
                depth,
                channels: units,
                groups: 1,
                at: Layout::table(tile, rows, 1, |row, _| Some(row * depth))?,
                frame: None,
                width: 0,
            })
        };
        if self.is_f32(x) && self.is_f32(w) && self.is_f32(y) {
            let weights = self.f32_const(w)?;
            let bias = match bias {
                Some(b) => Some(self.f32_const(b)?),
                None => None,
            };
            let clamp = join(op.activation.bounds(), tail.clamp);
            let layout = layout(self.kernels.f32_tile())?;
            let step = F32Gemm::new(self.kernels, layout, &weights, bias.as_deref(), clamp);
            return Some(Part { step: Box::new(step), a: x, b: tail.rest, scratch: 0 });
        }
        let constants = self.i8_constants(x, w, bias, y, units, op.activation, true)?;
        if self.rounding == Rounding::Single {
            return self.dense_in_double(x, w, y, depth, &constants);
        }
        let layout = layout(self.kernels.i8_tile())?;
        let step = I8Gemm::new(self.kernels, layout, &self.i8_const(w)?, &constants)?;
        Some(Part::unary(step, x))
    }
}

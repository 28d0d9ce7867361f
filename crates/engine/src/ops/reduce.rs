use super::{Lower, Part};
use crate::step::{Io, Step, numbers, numbers_mut};
use paring_backend::requantize::mean_multiplier;
use paring_ir::Node;
use paring_ir::ops::{Reduce, ReduceFn};
use paring_kernels::Kernels;
use paring_qmath::{Multiplier, Rounding};

/// The mean along neighbouring axes: `outer` times `len` rows of `inner` numbers become one row.
#[derive(Clone, Copy)]
struct Extents {
    len: usize,
    inner: usize,
}

struct F32Mean(Extents);

impl Step for F32Mean {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let Extents { len, inner } = self.0;
        let x: &[f32] = numbers(io.a);
        let out: &mut [f32] = numbers_mut(io.out);
        for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(inner)) {
            out.fill(0.0);
            for row in x.chunks_exact(inner) {
                for (y, x) in out.iter_mut().zip(row) {
                    *y += x;
                }
            }
            for y in out {
                *y /= len as f32;
            }
        }
    }
}

struct I8Mean {
    extents: Extents,
    x_zero: i32,
    factor: Multiplier,
    zero_point: i32,
}

impl Step for I8Mean {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        const BLOCK: usize = 64;
        let Extents { len, inner } = self.extents;
        let x: &[i8] = numbers(io.a);
        let out: &mut [i8] = numbers_mut(io.out);
        for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(inner)) {
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let mut sums = [-self.x_zero * len as i32; BLOCK];
                for row in x.chunks_exact(inner) {
                    for (sum, x) in sums.iter_mut().zip(&row[block * BLOCK..][..out.len()]) {
                        *sum += i32::from(*x);
                    }
                }
                for (y, sum) in out.iter_mut().zip(sums) {
                    let scaled = self.factor.apply(sum, Rounding::Double);
                    *y = scaled.saturating_add(self.zero_point).clamp(-128, 127) as i8;
                }
            }
        }
    }
}

impl Lower<'_> {
    pub(super) fn reduce(&self, op: &Reduce, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let shape = self.shape(x)?;
        let (&first, &last) = (op.axes.first()?, op.axes.last()?);
        if op.f != ReduceFn::Mean || last - first + 1 != op.axes.len() {
            return None;
        }
        let len: usize = shape[first..=last].iter().product();
        let extents = Extents { len, inner: shape[last + 1..].iter().product() };
        if self.is_f32(x) && self.is_f32(y) {
            return Some(Part::unary(F32Mean(extents), x));
        }
        let ((_, x_zero), (_, zero_point)) = (self.i8_quant(x)?, self.i8_quant(y)?);
        // Sums of centred bytes stay within 32 bits.
        if len >= 1 << 22 {
            return None;
        }
        let count = u32::try_from(len).ok()?;
        let factor = mean_multiplier(self.ty(x), self.ty(y), count).ok()?;
        Some(Part::unary(I8Mean { extents, x_zero, factor, zero_point }, x))
    }
}

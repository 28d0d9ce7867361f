use super::{Lower, Part};
use crate::step::{Io, Step, numbers, numbers_mut};
use paring_ir::Node;
use paring_ir::ops::Softmax;
use paring_kernels::Kernels;

/// Softmax of `f32` along the last axis.
struct Rows {
    len: usize,
    beta: f32,
    log: bool,
}

impl Step for Rows {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let x: &[f32] = numbers(io.a);
        let out: &mut [f32] = numbers_mut(io.out);
        for (x, out) in x.chunks_exact(self.len).zip(out.chunks_exact_mut(self.len)) {
            let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0_f32;
            for (y, x) in out.iter_mut().zip(x) {
                *y = ((x - max) * self.beta).exp();
                sum += *y;
            }
            if self.log {
                let log = sum.ln();
                for (y, x) in out.iter_mut().zip(x) {
                    *y = (x - max) * self.beta - log;
                }
            } else {
                for y in out {
                    *y /= sum;
                }
            }
        }
    }
}

impl Lower<'_> {
    pub(super) fn softmax(&self, op: &Softmax, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let shape = self.shape(x)?;
        if !self.is_f32(x) || !self.is_f32(y) || op.axis + 1 != shape.len() {
            return None;
        }
        let step = Rows { len: shape[op.axis], beta: op.beta, log: op.log };
        Some(Part::unary(step, x))
    }
}

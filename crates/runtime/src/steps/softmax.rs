use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;

/// Softmax of `f32` along the last axis.
#[derive(Debug)]
pub struct Rows {
    pub len: usize,
    pub beta: f32,
    pub log: bool,
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

wire!(Rows { len, beta, log });

use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;
use paring_qmath::softmax::{Divisor, exponentials};

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

/// Softmax of `i8` along the last axis.
#[derive(Debug)]
pub struct I8Rows {
    len: usize,
    /// The exponential of each difference.
    exponentials: Blob,
}

impl I8Rows {
    /// `factor` is beta times the scale of the input.
    #[must_use]
    pub fn new(len: usize, factor: f64) -> Self {
        Self { len, exponentials: Blob::of(&exponentials(factor)) }
    }
}

impl Step for I8Rows {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let exponentials: &[i32] = self.exponentials.numbers();
        let x: &[i8] = numbers(io.a);
        let out: &mut [i8] = numbers_mut(io.out);
        for (x, out) in x.chunks_exact(self.len).zip(out.chunks_exact_mut(self.len)) {
            let max = x.iter().copied().max().unwrap_or(0);
            let exponential = |x: &i8| exponentials[usize::from(max.abs_diff(*x))];
            let divisor = Divisor::of(x.iter().map(exponential), 8);
            for (y, x) in out.iter_mut().zip(x) {
                let above = divisor.divide(exponential(x));
                *y = (above - 128).min(127) as i8;
            }
        }
    }
}

wire!(Rows { len, beta, log });
wire!(I8Rows { len, exponentials });

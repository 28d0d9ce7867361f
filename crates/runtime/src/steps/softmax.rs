use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;
use paring_qmath::softmax::{Divisor, exponentials};
use paring_qmath::{Multiplier, softmax16};

/// Softmax of `f32` along an axis.
#[derive(Debug)]
pub struct Rows {
    pub len: usize,
    /// Elements from one along the axis to the next.
    pub inner: usize,
    pub beta: f32,
    pub log: bool,
}

impl Rows {
    /// Of `f32` with others between them.
    fn apart(&self, x: &[f32], out: &mut [f32]) {
        let (len, inner) = (self.len, self.inner);
        for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(len * inner)) {
            for i in 0..inner {
                let places = (0..len).map(|k| k * inner + i);
                let max = places.clone().map(|k| x[k]).fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0_f32;
                for k in places.clone() {
                    out[k] = ((x[k] - max) * self.beta).exp();
                    sum += out[k];
                }
                let log = sum.ln();
                for k in places {
                    out[k] = if self.log { (x[k] - max) * self.beta - log } else { out[k] / sum };
                }
            }
        }
    }
}

impl Step for Rows {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let x: &[f32] = numbers(io.a);
        let out: &mut [f32] = numbers_mut(io.out);
        if self.inner > 1 {
            return self.apart(x, out);
        }
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

/// Softmax of `i16` along an axis.
#[derive(Debug)]
pub struct I16Lines {
    len: usize,
    /// Elements from one along the axis to the next.
    inner: usize,
    exponentials: Blob,
    inverses: Blob,
    factor: Multiplier,
}

impl I16Lines {
    /// `scale` is that of the input.
    #[must_use]
    pub fn new(len: usize, inner: usize, scale: f32, beta: f32) -> Self {
        Self {
            len,
            inner,
            exponentials: Blob::of(&softmax16::exponentials(f32::exp)),
            inverses: Blob::of(&softmax16::inverses()),
            factor: softmax16::factor(scale, beta),
        }
    }
}

impl Step for I16Lines {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (Some(exponentials), Some(inverses)) =
            (self.exponentials.numbers().first_chunk(), self.inverses.numbers().first_chunk())
        else {
            return;
        };
        let (x, out): (&[i16], &mut [i16]) = (numbers(io.a), numbers_mut(io.out));
        let n = self.len * self.inner;
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            for i in 0..self.inner {
                let line = || (i..n).step_by(self.inner);
                let max = line().map(|k| i32::from(x[k])).max().unwrap_or(0);
                let exponential = |k: usize| {
                    softmax16::exponential(exponentials, self.factor, i32::from(x[k]) - max)
                };
                let sum = line().fold(0_i32, |sum, k| sum.wrapping_add(exponential(k)));
                let divisor = softmax16::Divisor::of(inverses, sum);
                line().for_each(|k| out[k] = divisor.divide(exponential(k)));
            }
        }
    }
}

wire!(I16Lines { len, inner, exponentials, inverses, factor });
wire!(Rows { len, inner, beta, log });
wire!(I8Rows { len, exponentials });

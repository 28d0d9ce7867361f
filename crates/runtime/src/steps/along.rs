//! Functions of `f32` line by line.

use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;

/// A function of the elements along an axis, one for each of them.
#[derive(Debug)]
pub struct Along {
    pub f: AlongFn,
    /// Elements along the axis.
    pub len: usize,
    /// Elements from one along the axis to the next.
    pub inner: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlongFn {
    /// The sum of the elements up to one, of those before it where exclusive.
    CumSum { exclusive: bool, reverse: bool },
    /// One at the first of the largest, zero elsewhere.
    Hardmax,
    /// The elements over the root of the sum of their squares, at least `epsilon`, or over the sum of their magnitudes.
    Normalize { squares: bool, epsilon: f32 },
}

impl Along {
    fn line(&self, x: &[f32], out: &mut [f32]) {
        let places = || (0..self.len).map(|k| k * self.inner);
        match self.f {
            AlongFn::CumSum { exclusive, reverse } => {
                let mut sum = 0.0;
                for k in 0..self.len {
                    let at = self.inner * if reverse { self.len - 1 - k } else { k };
                    let before = sum;
                    sum += x[at];
                    out[at] = if exclusive { before } else { sum };
                }
            }
            AlongFn::Hardmax => {
                places().for_each(|at| out[at] = 0.0);
                let best = places().reduce(|best, at| if x[at] > x[best] { at } else { best });
                out[best.unwrap_or(0)] = 1.0;
            }
            AlongFn::Normalize { squares, epsilon } => {
                let part = |x: f64| if squares { x * x } else { x.abs() };
                let sum: f64 = places().map(|at| part(f64::from(x[at]))).sum();
                let sum = sum.max(f64::from(epsilon));
                let norm = if squares { sum.sqrt() } else { sum };
                for at in places() {
                    out[at] = if norm == 0.0 { 0.0 } else { (f64::from(x[at]) / norm) as f32 };
                }
            }
        }
    }
}

impl Step for Along {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        let n = self.len * self.inner;
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            for i in 0..self.inner {
                self.line(&x[i..], &mut out[i..]);
            }
        }
    }
}

/// Each element over a power of the squares of its neighbours in the innermost axis.
#[derive(Debug)]
pub struct Local {
    pub channels: usize,
    pub size: usize,
    pub alpha: f32,
    pub beta: f32,
    pub bias: f32,
}

impl Step for Local {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        let (n, before) = (self.channels, (self.size - 1) / 2);
        let (alpha, beta) = (f64::from(self.alpha) / self.size as f64, f64::from(self.beta));
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            for (c, y) in out.iter_mut().enumerate() {
                let window = c.saturating_sub(before)..(c + self.size - before).min(n);
                let squares: f64 = x[window].iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                let base = f64::from(self.bias) + alpha * squares;
                *y = (f64::from(x[c]) / base.powf(beta)) as f32;
            }
        }
    }
}

/// Where the elements of extents `dims` are at distances `steps`.
fn place(dims: &[usize], steps: &[usize], mut i: usize) -> usize {
    let mut at = 0;
    for (dim, step) in dims.iter().zip(steps).rev() {
        at += i % dim * step;
        i /= dim;
    }
    at
}

/// Elements less their mean over their deviation. The scratch memory holds two `f64` a set.
#[derive(Debug)]
pub struct Standardize {
    /// Extents of the input.
    pub dims: Vec<usize>,
    /// Distances between sets of statistics along them; 0 within a set.
    pub steps: Vec<usize>,
    pub sets: usize,
    pub epsilon: f32,
}

impl Step for Standardize {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        let (mean, rest) = numbers_mut::<f64>(io.scratch).split_at_mut(self.sets);
        let (variance, count) = (&mut rest[..self.sets], x.len() as f64 / self.sets as f64);
        let set = |i: usize| place(&self.dims, &self.steps, i);
        mean.fill(0.0);
        variance.fill(0.0);
        for (i, x) in x.iter().enumerate() {
            mean[set(i)] += f64::from(*x) / count;
        }
        for (i, x) in x.iter().enumerate() {
            let set = set(i);
            variance[set] += (f64::from(*x) - mean[set]).powi(2) / count;
        }
        for (i, (y, x)) in out.iter_mut().zip(x).enumerate() {
            let set = set(i);
            let deviation = (variance[set] + f64::from(self.epsilon)).sqrt();
            *y = ((f64::from(*x) - mean[set]) / deviation) as f32;
        }
    }
}

/// What a step before left, times the operand or plus it.
#[derive(Debug)]
pub struct Further {
    pub add: bool,
    /// Extents of the output.
    pub dims: Vec<usize>,
    /// Distances in the operand along them.
    pub steps: Vec<usize>,
}

impl Step for Further {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        for (i, y) in out.iter_mut().enumerate() {
            let x = x[place(&self.dims, &self.steps, i)];
            *y = if self.add { *y + x } else { *y * x };
        }
    }
}

impl Wire for AlongFn {
    fn put(&self, w: &mut Writer) {
        match *self {
            Self::CumSum { exclusive, reverse } => ((0_u8, exclusive), (reverse, 0.0_f32)).put(w),
            Self::Hardmax => ((1_u8, false), (false, 0.0_f32)).put(w),
            Self::Normalize { squares, epsilon } => ((2_u8, squares), (false, epsilon)).put(w),
        }
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let ((kind, first), (second, number)): ((u8, bool), (bool, f32)) = Wire::get(r)?;
        Ok(match kind {
            0 => Self::CumSum { exclusive: first, reverse: second },
            1 => Self::Hardmax,
            2 => Self::Normalize { squares: first, epsilon: number },
            _ => return Err(Fault),
        })
    }
}

wire!(Along { f, len, inner });
wire!(Local { channels, size, alpha, beta, bias });
wire!(Standardize { dims, steps, sets, epsilon });
wire!(Further { add, dims, steps });

use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::{I8Sum, Kernels};

/// A function of two `f32` with broadcasting.
#[derive(Debug)]
pub struct Pairs {
    pub f: Pair,
    pub clamp: Option<(f32, f32)>,
    /// Extents of the output, neighbouring axes joined where both operands allow it; innermost last.
    pub dims: Vec<usize>,
    /// Distances between neighbours along those axes, for both operands.
    pub steps: Vec<[usize; 2]>,
}

impl Pairs {
    fn over(&self, a: &[f32], b: &[f32], out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
        let Some((&n, outer)) = self.dims.split_last() else { return };
        let inner = self.steps[outer.len()];
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            let (mut left, mut at) = (i, [0, 0]);
            for (dim, step) in outer.iter().zip(&self.steps).rev() {
                let here = left % dim;
                left /= dim;
                at = [at[0] + here * step[0], at[1] + here * step[1]];
            }
            let (a, b) = (&a[at[0]..], &b[at[1]..]);
            match inner {
                [1, 1] => {
                    for ((y, a), b) in out.iter_mut().zip(a).zip(b) {
                        *y = f(*a, *b);
                    }
                }
                [1, 0] => {
                    for (y, a) in out.iter_mut().zip(a) {
                        *y = f(*a, b[0]);
                    }
                }
                _ => {
                    for (k, y) in out.iter_mut().enumerate() {
                        *y = f(a[k * inner[0]], b[k * inner[1]]);
                    }
                }
            }
        }
    }
}

impl Step for Pairs {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (a, b): (&[f32], &[f32]) = (numbers(io.a), numbers(io.b));
        let out: &mut [f32] = numbers_mut(io.out);
        match self.f {
            Pair::Add => self.over(a, b, out, |a, b| a + b),
            Pair::Sub => self.over(a, b, out, |a, b| a - b),
            Pair::Mul => self.over(a, b, out, |a, b| a * b),
            Pair::Div => self.over(a, b, out, |a, b| a / b),
            Pair::SquaredDifference => self.over(a, b, out, |a, b| (a - b) * (a - b)),
            Pair::Prelu => self.over(a, b, out, |a, b| if a < 0.0 { a * b } else { a }),
        }
        if let Some((low, high)) = self.clamp {
            for y in out {
                if *y < low {
                    *y = low;
                } else if *y > high {
                    *y = high;
                }
            }
        }
    }
}

/// The sum or difference of two `i8` values of one shape.
#[derive(Debug)]
pub struct Sum(pub I8Sum);

impl Step for Sum {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (a, b): (&[i8], &[i8]) = (numbers(io.a), numbers(io.b));
        let out: &mut [i8] = numbers_mut(io.out);
        divide(out.len(), 1, 16 * out.len(), out, &|range, out| {
            kernels.i8_sum(&self.0, &a[range.clone()], &b[range], out);
        });
    }
}

/// The functions of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    Add,
    Sub,
    Mul,
    Div,
    SquaredDifference,
    Prelu,
}

impl Wire for Pair {
    fn put(&self, w: &mut Writer) {
        (*self as u8).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let all =
            [Self::Add, Self::Sub, Self::Mul, Self::Div, Self::SquaredDifference, Self::Prelu];
        all.get(usize::from(u8::get(r)?)).copied().ok_or(Fault)
    }
}

wire!(Pairs { f, clamp, dims, steps });

impl Wire for Sum {
    fn put(&self, w: &mut Writer) {
        self.0.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self(I8Sum::get(r)?))
    }
}

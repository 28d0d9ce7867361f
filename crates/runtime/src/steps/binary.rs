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

/// `f` of all elements that broadcasting brings together; `dims` and `steps` as in [`Pairs`].
pub(super) fn over<T: Copy, R>(
    dims: &[usize],
    steps: &[[usize; 2]],
    a: &[T],
    b: &[T],
    out: &mut [R],
    f: impl Fn(T, T) -> R,
) {
    let Some((&n, outer)) = dims.split_last() else { return };
    let inner = steps[outer.len()];
    for (i, out) in out.chunks_exact_mut(n).enumerate() {
        let (mut left, mut at) = (i, [0, 0]);
        for (dim, step) in outer.iter().zip(steps).rev() {
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

impl Step for Pairs {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (a, b): (&[f32], &[f32]) = (numbers(io.a), numbers(io.b));
        let out: &mut [f32] = numbers_mut(io.out);
        let mut each = |f: fn(f32, f32) -> f32| over(&self.dims, &self.steps, a, b, out, f);
        match self.f {
            Pair::Add => over(&self.dims, &self.steps, a, b, out, |a, b| a + b),
            Pair::Mul => over(&self.dims, &self.steps, a, b, out, |a, b| a * b),
            Pair::Sub => each(|a, b| a - b),
            Pair::Div => each(|a, b| a / b),
            Pair::SquaredDifference => each(|a, b| (a - b) * (a - b)),
            Pair::Prelu => each(|a, b| if a < 0.0 { a * b } else { a }),
            // What is no number stays.
            Pair::Min => each(|a, b| if a.is_nan() || a < b { a } else { b }),
            Pair::Max => each(|a, b| if a.is_nan() || a > b { a } else { b }),
            Pair::Pow => each(f32::powf),
            Pair::Fmod => each(|a, b| a % b),
            Pair::Mod => each(|a, b| {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }),
            Pair::FloorDiv => each(|a, b| (a / b).floor()),
            Pair::Atan2 => each(|a, b| f64::from(a).atan2(f64::from(b)) as f32),
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
    Min,
    Max,
    Pow,
    Fmod,
    Mod,
    FloorDiv,
    Atan2,
}

impl Pair {
    const ALL: [Self; 13] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::SquaredDifference,
        Self::Prelu,
        Self::Min,
        Self::Max,
        Self::Pow,
        Self::Fmod,
        Self::Mod,
        Self::FloorDiv,
        Self::Atan2,
    ];
}

impl Wire for Pair {
    fn put(&self, w: &mut Writer) {
        (*self as u8).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Self::ALL.get(usize::from(u8::get(r)?)).copied().ok_or(Fault)
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

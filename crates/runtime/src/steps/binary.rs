use super::broadcast::Broadcast;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::{I8Sum, Kernels};

/// A function of two `f32` with broadcasting.
#[derive(Debug)]
pub struct Pairs {
    pub f: Pair,
    pub clamp: Option<(f32, f32)>,
    pub places: Broadcast,
}

impl Step for Pairs {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (a, b): (&[f32], &[f32]) = (numbers(io.a), numbers(io.b));
        let out: &mut [f32] = numbers_mut(io.out);
        let mut each = |f: fn(f32, f32) -> f32| self.places.over(a, b, out, f);
        match self.f {
            Pair::Add => self.places.over(a, b, out, |a, b| a + b),
            Pair::Mul => self.places.over(a, b, out, |a, b| a * b),
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

wire!(Pairs { f, clamp, places });

impl Wire for Sum {
    fn put(&self, w: &mut Writer) {
        self.0.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self(I8Sum::get(r)?))
    }
}

use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::{Fault, Reader, Wire, Writer};
use paring_kernels::Kernels;

/// A function of each `f32`.
#[derive(Debug)]
pub struct Map {
    pub f: Function,
}

fn each(x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f(*x);
    }
}

fn clip(x: f32, low: f32, high: f32) -> f32 {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

fn sigmoid(x: f32) -> f32 {
    // Of the two forms, the one whose exponential does not overflow.
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

impl Map {
    fn apply(&self, x: &[f32], out: &mut [f32]) {
        match self.f {
            Function::Relu => each(x, out, |x| clip(x, 0.0, f32::INFINITY)),
            Function::Relu6 => each(x, out, |x| clip(x, 0.0, 6.0)),
            Function::ReluN1To1 => each(x, out, |x| clip(x, -1.0, 1.0)),
            Function::Clip { min, max } => each(x, out, |x| clip(x, min, max)),
            Function::LeakyRelu { alpha } => each(x, out, |x| if x >= 0.0 { x } else { alpha * x }),
            Function::HardSwish => each(x, out, |x| x * clip(x + 3.0, 0.0, 6.0) / 6.0),
            Function::HardSigmoid { alpha, beta } => {
                each(x, out, |x| clip(alpha * x + beta, 0.0, 1.0));
            }
            Function::Sigmoid => each(x, out, sigmoid),
            Function::Silu => each(x, out, |x| x * sigmoid(x)),
            Function::Tanh => each(x, out, f32::tanh),
            Function::Abs => each(x, out, f32::abs),
            Function::Neg => each(x, out, |x| -x),
            Function::Square => each(x, out, |x| x * x),
            Function::Sqrt => each(x, out, f32::sqrt),
        }
    }
}

impl Step for Map {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let x: &[f32] = numbers(io.a);
        let out: &mut [f32] = numbers_mut(io.out);
        divide(x.len(), 1, 4 * x.len(), out, &|range, out| self.apply(&x[range], out));
    }
}

/// The functions of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    Relu,
    Relu6,
    ReluN1To1,
    Clip { min: f32, max: f32 },
    LeakyRelu { alpha: f32 },
    HardSwish,
    HardSigmoid { alpha: f32, beta: f32 },
    Sigmoid,
    Silu,
    Tanh,
    Abs,
    Neg,
    Square,
    Sqrt,
}

impl Wire for Map {
    fn put(&self, w: &mut Writer) {
        use Function::*;
        let (kind, numbers) = match self.f {
            Relu => (0_u8, [0.0; 2]),
            Relu6 => (1, [0.0; 2]),
            ReluN1To1 => (2, [0.0; 2]),
            Clip { min, max } => (3, [min, max]),
            LeakyRelu { alpha } => (4, [alpha, 0.0]),
            HardSwish => (5, [0.0; 2]),
            HardSigmoid { alpha, beta } => (6, [alpha, beta]),
            Sigmoid => (7, [0.0; 2]),
            Silu => (8, [0.0; 2]),
            Tanh => (9, [0.0; 2]),
            Abs => (10, [0.0; 2]),
            Neg => (11, [0.0; 2]),
            Square => (12, [0.0; 2]),
            Sqrt => (13, [0.0; 2]),
        };
        (kind, numbers).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        use Function::*;
        let (kind, [a, b]) = <(u8, [f32; 2])>::get(r)?;
        let f = match kind {
            0 => Relu,
            1 => Relu6,
            2 => ReluN1To1,
            3 => Clip { min: a, max: b },
            4 => LeakyRelu { alpha: a },
            5 => HardSwish,
            6 => HardSigmoid { alpha: a, beta: b },
            7 => Sigmoid,
            8 => Silu,
            9 => Tanh,
            10 => Abs,
            11 => Neg,
            12 => Square,
            13 => Sqrt,
            _ => return Err(Fault),
        };
        Ok(Self { f })
    }
}

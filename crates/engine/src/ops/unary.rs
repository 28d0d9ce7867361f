use super::{Lower, Part};
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use paring_ir::Node;
use paring_ir::ops::Unary;
use paring_kernels::Kernels;

/// A function of each `f32`.
struct Map {
    f: Unary,
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
            Unary::Relu => each(x, out, |x| clip(x, 0.0, f32::INFINITY)),
            Unary::Relu6 => each(x, out, |x| clip(x, 0.0, 6.0)),
            Unary::ReluN1To1 => each(x, out, |x| clip(x, -1.0, 1.0)),
            Unary::Clip { min, max } => each(x, out, |x| clip(x, min, max)),
            Unary::LeakyRelu { alpha } => each(x, out, |x| if x >= 0.0 { x } else { alpha * x }),
            Unary::HardSwish => each(x, out, |x| x * clip(x + 3.0, 0.0, 6.0) / 6.0),
            Unary::HardSigmoid { alpha, beta } => {
                each(x, out, |x| clip(alpha * x + beta, 0.0, 1.0));
            }
            Unary::Sigmoid => each(x, out, sigmoid),
            Unary::Silu => each(x, out, |x| x * sigmoid(x)),
            Unary::Tanh => each(x, out, f32::tanh),
            Unary::Abs => each(x, out, f32::abs),
            Unary::Neg => each(x, out, |x| -x),
            Unary::Square => each(x, out, |x| x * x),
            Unary::Sqrt => each(x, out, f32::sqrt),
            _ => unreachable!("lowered functions only"),
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

impl Lower<'_> {
    pub(super) fn unary(&self, op: &Unary, node: &Node) -> Option<Part> {
        use Unary::{
            Abs, Clip, HardSigmoid, HardSwish, LeakyRelu, Neg, Relu, Relu6, ReluN1To1, Sigmoid,
            Silu, Sqrt, Square, Tanh,
        };
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let (from, to) = (self.ty(x), self.ty(y));
        if from.quant.is_some() && from.dtype.size() == 1 && to.dtype.size() == 1 {
            return Some(Part::unary(self.table(node)?, x));
        }
        let here = matches!(
            op,
            Abs | Clip { .. }
                | HardSigmoid { .. }
                | HardSwish
                | LeakyRelu { .. }
                | Neg
                | Relu
                | Relu6
                | ReluN1To1
                | Sigmoid
                | Silu
                | Sqrt
                | Square
                | Tanh
        );
        if !here || !self.is_f32(x) || !self.is_f32(y) {
            return None;
        }
        Some(Part::unary(Map { f: op.clone() }, x))
    }
}

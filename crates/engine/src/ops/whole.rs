//! Comparisons, and arithmetic of integers.

use super::binary::collapse;
use super::{Lower, Part};
use crate::plan::element;
use paring_ir::Node;
use paring_ir::ops::{Binary, BinaryFn};
use paring_kernels::{I16Pair, I16Pairs};
use paring_qmath::{Multiplier, Rounding};
use paring_runtime::steps::AnyStep;
use paring_runtime::steps::broadcast::Broadcast;
use paring_runtime::steps::whole::{Compare, Comparison, Quantized16, Whole, WholeFn};
use paring_tensor::DType;

fn comparison(f: BinaryFn) -> Option<Comparison> {
    Some(match f {
        BinaryFn::Equal => Comparison::Equal,
        BinaryFn::NotEqual => Comparison::NotEqual,
        BinaryFn::Less => Comparison::Less,
        BinaryFn::LessEqual => Comparison::LessEqual,
        BinaryFn::Greater => Comparison::Greater,
        BinaryFn::GreaterEqual => Comparison::GreaterEqual,
        _ => return None,
    })
}

fn function(f: BinaryFn) -> Option<WholeFn> {
    Some(match f {
        BinaryFn::Add => WholeFn::Add,
        BinaryFn::Sub => WholeFn::Sub,
        BinaryFn::Mul => WholeFn::Mul,
        BinaryFn::Div => WholeFn::Div,
        BinaryFn::Min => WholeFn::Min,
        BinaryFn::Max => WholeFn::Max,
        BinaryFn::Mod => WholeFn::Mod,
        BinaryFn::Fmod => WholeFn::Fmod,
        BinaryFn::FloorDiv => WholeFn::FloorDiv,
        BinaryFn::And | BinaryFn::BitAnd => WholeFn::And,
        BinaryFn::Or | BinaryFn::BitOr => WholeFn::Or,
        BinaryFn::Xor | BinaryFn::BitXor => WholeFn::Xor,
        BinaryFn::ShiftLeft => WholeFn::ShiftLeft,
        BinaryFn::ShiftRight => WholeFn::ShiftRight,
        BinaryFn::SquaredDifference => WholeFn::SquaredDifference,
        _ => return None,
    })
}

impl Lower<'_> {
    /// The step of a node of two values that are not quantized, or of quantized `i16`.
    pub(super) fn whole(&self, op: &Binary, node: &Node) -> Option<Part> {
        let (&[a, b], y) = (node.inputs(), node.outputs()[0]) else { return None };
        let (ta, tb, to) = (self.ty(a), self.ty(b), self.ty(y));
        let places = collapse(&self.shape(a)?, &self.shape(b)?, &self.shape(y)?);
        let step: AnyStep = if [ta, tb, to].iter().all(|t| t.quant.is_none()) {
            let same = element(ta.dtype).filter(|_| ta.dtype == tb.dtype)?;
            match comparison(op.f) {
                Some(f) => Compare { f, element: same, places }.into(),
                None if to.dtype == ta.dtype && op.activation.is_none() && !ta.dtype.is_float() => {
                    Whole { f: function(op.f)?, element: same, places }.into()
                }
                None => return None,
            }
        } else {
            self.quantized_16(op, [ta, tb, to], places)?.into()
        };
        Some(Part { step, a, b: Some(b), scratch: 0 })
    }

    fn quantized_16(
        &self,
        op: &Binary,
        types: [&paring_tensor::TensorType; 3],
        places: Broadcast,
    ) -> Option<Quantized16> {
        let quant = |i: usize| {
            let ty = types[i];
            let quant = ty.quant.as_ref().filter(|_| ty.dtype == DType::I16)?;
            quant.as_per_tensor()
        };
        let [a, b, to] = [quant(0)?, quant(1)?, quant(2)?];
        let real = |(scale, _): (f32, i32)| f64::from(scale);
        let bounds = op.activation.quantized_bounds(to.0, to.1, DType::I16);
        let f = match op.f {
            BinaryFn::Add => I16Pair::Add,
            BinaryFn::Sub => I16Pair::Sub,
            BinaryFn::Mul => I16Pair::Mul,
            BinaryFn::Min => I16Pair::Min,
            BinaryFn::Max => I16Pair::Max,
            _ => return None,
        };
        let twice = 2.0 * real(a).max(real(b));
        let (factors, factor) = match f {
            I16Pair::Add | I16Pair::Sub => (
                [real(a) / twice, real(b) / twice],
                twice / (f64::from(1 << I16Pairs::SHIFT) * real(to)),
            ),
            // A run that rounds once computes this factor in single precision.
            I16Pair::Mul if self.rounding == Rounding::Double => {
                ([0.0; 2], real(a) * real(b) / real(to))
            }
            I16Pair::Min | I16Pair::Max if a == to && b == to => ([0.0; 2], 0.0),
            _ => return None,
        };
        let pairs = I16Pairs {
            f,
            zeros: [a.1, b.1, to.1],
            factors: factors.map(Multiplier::from_real),
            factor: Multiplier::from_real(factor),
            bounds,
        };
        Some(Quantized16 { pairs, places })
    }
}

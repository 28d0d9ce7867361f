use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::Unary;
use paring_runtime::Element;
use paring_runtime::steps::broadcast::Broadcast;
use paring_runtime::steps::half::F16Map;
use paring_runtime::steps::unary::{Function, Map};
use paring_runtime::steps::whole::{Compare, Comparison, Infinite, Invert};
use paring_tensor::DType;

impl Lower<'_> {
    pub(super) fn unary(&self, op: &Unary, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let (from, to) = (self.ty(x), self.ty(y));
        let bytes = from.quant.is_some() || from.dtype == DType::Bool;
        if bytes && from.dtype.size() == 1 && to.dtype.size() == 1 {
            return Some(Part::unary(self.table(node)?, x));
        }
        if from.quant.is_some() && from.dtype == DType::I16 && to.dtype == DType::I16 {
            return Some(Part::unary(self.table_16(node)?, x));
        }
        if *op == Unary::IsNan && self.is_f32(x) {
            // Only what is no number differs from itself.
            let step = Compare {
                f: Comparison::NotEqual,
                element: Element::F32,
                places: Broadcast::none(self.shape(x)?.iter().product()),
            };
            return Some(Part { step: step.into(), a: x, b: Some(x), scratch: 0 });
        }
        if let (Unary::IsInf { negative, positive }, true) = (op, self.is_f32(x)) {
            let step = Infinite { negative: *negative, positive: *positive };
            return Some(Part::unary(step, x));
        }
        if *op == Unary::BitNot && from.quant.is_none() && from.dtype.is_integer() {
            let plain = from.dtype == to.dtype && from.dtype != DType::I4;
            return plain.then(|| Part::unary(Invert {}, x));
        }
        let half = self.is_half(x) && self.is_half(y);
        if !(half || self.is_f32(x) && self.is_f32(y)) {
            return None;
        }
        let f = match *op {
            Unary::Relu => Function::Relu,
            Unary::Relu6 => Function::Relu6,
            Unary::ReluN1To1 => Function::ReluN1To1,
            Unary::Clip { min, max } => Function::Clip { min, max },
            Unary::LeakyRelu { alpha } => Function::LeakyRelu { alpha },
            Unary::HardSwish => Function::HardSwish,
            Unary::HardSigmoid { alpha, beta } => Function::HardSigmoid { alpha, beta },
            Unary::Sigmoid => Function::Sigmoid,
            Unary::Silu => Function::Silu,
            Unary::Tanh => Function::Tanh,
            Unary::Abs => Function::Abs,
            Unary::Neg => Function::Neg,
            Unary::Square => Function::Square,
            Unary::Sqrt => Function::Sqrt,
            Unary::Elu { alpha } => Function::Elu { alpha },
            Unary::Celu { alpha } => Function::Celu { alpha },
            Unary::ThresholdedRelu { alpha } => Function::ThresholdedRelu { alpha },
            Unary::Selu { alpha, gamma } => Function::Selu { alpha, gamma },
            Unary::Gelu { tanh: false } => Function::Gelu,
            Unary::Gelu { tanh: true } => Function::GeluTanh,
            Unary::Softplus => Function::Softplus,
            Unary::Softsign => Function::Softsign,
            Unary::Mish => Function::Mish,
            Unary::Sign => Function::Sign,
            Unary::Floor => Function::Floor,
            Unary::Ceil => Function::Ceil,
            Unary::Round => Function::Round,
            Unary::Exp => Function::Exp,
            Unary::Log => Function::Log,
            Unary::Rsqrt => Function::Rsqrt,
            Unary::Reciprocal => Function::Reciprocal,
            Unary::Erf => Function::Erf,
            Unary::Sin => Function::Sin,
            Unary::Cos => Function::Cos,
            Unary::Tan => Function::Tan,
            Unary::Asin => Function::Asin,
            Unary::Acos => Function::Acos,
            Unary::Atan => Function::Atan,
            Unary::Sinh => Function::Sinh,
            Unary::Cosh => Function::Cosh,
            Unary::Asinh => Function::Asinh,
            Unary::Acosh => Function::Acosh,
            Unary::Atanh => Function::Atanh,
            Unary::Not | Unary::BitNot | Unary::IsNan | Unary::IsInf { .. } => return None,
        };
        let map = Map { f };
        Some(if half { Part::unary(F16Map { map }, x) } else { Part::unary(map, x) })
    }
}

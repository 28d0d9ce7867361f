use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::Unary;
use paring_runtime::steps::unary::{Function, Map};

impl Lower<'_> {
    pub(super) fn unary(&self, op: &Unary, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let (from, to) = (self.ty(x), self.ty(y));
        if from.quant.is_some() && from.dtype.size() == 1 && to.dtype.size() == 1 {
            return Some(Part::unary(self.table(node)?, x));
        }
        if !self.is_f32(x) || !self.is_f32(y) {
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
            _ => return None,
        };
        Some(Part::unary(Map { f }, x))
    }
}

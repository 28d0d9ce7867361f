use super::{Lower, Part};
use crate::unpack::constant;
use paring_ir::Node;
use paring_ir::ops::BatchNorm;
use paring_runtime::Blob;
use paring_runtime::steps::channels::ByChannel;

impl Lower<'_> {
    pub(super) fn batch_norm(&self, op: &BatchNorm, node: &Node) -> Option<Part> {
        let &[x, scale, bias, mean, variance] = node.inputs() else { return None };
        if !self.is_f32(x) || !self.is_f32(node.outputs()[0]) {
            return None;
        }
        let numbers = |v| self.is_f32(v).then(|| constant(self.graph, v)).flatten();
        let numbers = |v| numbers(v).map(|data| data.dense().to_f32());
        let factor = numbers(scale)?.into_iter().zip(numbers(variance)?);
        let factor: Vec<f32> = factor.map(|(s, v)| s / (v + op.epsilon).sqrt()).collect();
        let step = ByChannel {
            mean: Blob::of(&numbers(mean)?),
            factor: Blob::of(&factor),
            bias: Blob::of(&numbers(bias)?),
        };
        Some(Part::unary(step, x))
    }
}

use super::binary::collapse;
use super::{Lower, Lowered, Part};
use paring_ir::Node;
use paring_runtime::steps::select::Choose;

impl Lower<'_> {
    /// Two steps that each write what one of the operands gives.
    pub(super) fn select(&self, node: &Node) -> Option<Lowered> {
        let (&[condition, yes, no], y) = (node.inputs(), node.outputs()[0]) else { return None };
        let (from, to) = (self.shape(condition)?, self.shape(y)?);
        let part = |when: bool, v| {
            let ty = self.ty(v);
            let same = ty.dtype == self.ty(y).dtype && ty.quant == self.ty(y).quant;
            let places = collapse(&from, &self.shape(v)?, &to);
            let step = Choose { when, size: ty.dtype.size(), places };
            same.then(|| Part { step: step.into(), a: condition, b: Some(v), scratch: 0 })
        };
        Some(Lowered::Steps(vec![part(true, yes)?, part(false, no)?]))
    }
}

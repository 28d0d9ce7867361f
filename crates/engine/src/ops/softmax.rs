use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::Softmax;
use paring_runtime::steps::softmax::Rows;

impl Lower<'_> {
    pub(super) fn softmax(&self, op: &Softmax, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let shape = self.shape(x)?;
        if !self.is_f32(x) || !self.is_f32(y) || op.axis + 1 != shape.len() {
            return None;
        }
        let step = Rows { len: shape[op.axis], beta: op.beta, log: op.log };
        Some(Part::unary(step, x))
    }
}

use super::binary::collapse;
use super::{Lower, Part};
use paring_ir::Node;
use paring_runtime::steps::matmul::MatMul;

impl Lower<'_> {
    pub(super) fn matmul(&self, node: &Node) -> Option<Part> {
        let (&[a, b], y) = (node.inputs(), node.outputs()[0]) else { return None };
        if ![a, b, y].iter().all(|v| self.is_f32(*v)) {
            return None;
        }
        let (left, right, out) = (self.shape(a)?, self.shape(b)?, self.shape(y)?);
        let ([first @ .., m, k], [second @ .., _, n], [outer @ .., _, _]) =
            (&*left, &*right, &*out)
        else {
            return None;
        };
        let places = collapse(first, second, outer);
        let step = MatMul { extents: [*m, *k, *n], places };
        Some(Part { step: step.into(), a, b: Some(b), scratch: 0 })
    }
}

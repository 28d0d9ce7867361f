use super::{Lower, Part};
use crate::plan::element;
use paring_ir::Node;
use paring_ir::ops::{Arg, ArgFn};
use paring_runtime::steps::arg;
use paring_tensor::DType;

impl Lower<'_> {
    pub(super) fn arg(&self, op: &Arg, node: &Node) -> Option<Part> {
        let x = node.inputs()[0];
        let shape = self.shape(x)?;
        let step = arg::Arg {
            max: op.f == ArgFn::Max,
            last: op.select_last,
            element: element(self.ty(x).dtype)?,
            wide: op.to == DType::I64,
            len: shape[op.axis],
            inner: shape[op.axis + 1..].iter().product(),
        };
        matches!(op.to, DType::I32 | DType::I64).then(|| Part::unary(step, x))
    }
}

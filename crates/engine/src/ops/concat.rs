use super::{Lower, Lowered, Part};
use paring_ir::ops::Concat;
use paring_ir::{Node, OpRef};
use paring_runtime::Blob;
use paring_runtime::steps::concat::{Place, Rescaled};
use std::sync::Arc;

impl Lower<'_> {
    pub(super) fn concat(&self, op: &Concat, node: &Node) -> Option<Lowered> {
        let y = self.ty(node.outputs()[0]);
        let same = |v| self.ty(v).dtype == y.dtype && self.ty(v).quant == y.quant;
        let inner = |shape: &[usize]| shape[op.axis..].iter().product::<usize>() * y.dtype.size();
        let pitch = inner(&y.shape.fixed()?);
        let mut start = 0;
        let mut parts = Vec::new();
        for &x in node.inputs() {
            let run = inner(&self.shape(x)?);
            let place = Place { start, run, pitch };
            parts.push(if same(x) {
                Part::unary(place, x)
            } else {
                // What is done with one operand does not depend on the others.
                let one: OpRef = Arc::new(Concat { axis: 0 });
                let table = self.outputs_of(&one, self.ty(x), y)?;
                (table.bytes().len() == 256).then_some(())?;
                Part::unary(Rescaled { place, table: Blob::of(table.bytes().as_ref()) }, x)
            });
            start += run;
        }
        Some(Lowered::Steps(parts))
    }
}

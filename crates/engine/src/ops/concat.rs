use super::{Lower, Lowered, Part};
use paring_ir::Node;
use paring_ir::ops::Concat;
use paring_runtime::steps::concat::Place;

impl Lower<'_> {
    pub(super) fn concat(&self, op: &Concat, node: &Node) -> Option<Lowered> {
        let y = self.ty(node.outputs()[0]);
        let same = |v| self.ty(v).dtype == y.dtype && self.ty(v).quant == y.quant;
        if !node.inputs().iter().all(|v| same(*v)) {
            return None;
        }
        let inner = |shape: &[usize]| shape[op.axis..].iter().product::<usize>() * y.dtype.size();
        let pitch = inner(&y.shape.fixed()?);
        let mut start = 0;
        let mut parts = Vec::new();
        for &x in node.inputs() {
            let run = inner(&self.shape(x)?);
            parts.push(Part::unary(Place { start, run, pitch }, x));
            start += run;
        }
        Some(Lowered::Steps(parts))
    }
}

use super::Lower;
use paring_ir::{Graph, Node};
use paring_runtime::Blob;
use paring_runtime::steps::table::TableStep;
use paring_tensor::{Tensor, TensorType};

impl Lower<'_> {
    /// The outputs of a node of one 8-bit operand for all 256 bytes, computed by the fallback: what
    /// the node means is said in one place.
    pub(super) fn all_outputs(&self, node: &Node) -> Option<Tensor> {
        let (&[x], &[y]) = (node.inputs(), node.outputs()) else { return None };
        let all = |ty: &TensorType| {
            let quant = ty.quant.clone();
            TensorType { dtype: ty.dtype, shape: [256].into(), quant }
        };
        let (from, to) = (self.ty(x), self.ty(y));
        // A table stands for elements of one quantization only.
        let one = |ty: &TensorType| ty.quant.as_ref().is_none_or(|q| q.as_per_tensor().is_some());
        if from.dtype.size() != 1 || !one(from) || !one(to) {
            return None;
        }
        let mut graph = Graph::new("table");
        let input = graph.add_input("x", all(from)).ok()?;
        let outputs = vec![("y".to_owned(), all(to))];
        let output = graph.add_typed_node("f", &node.op, &[input], outputs).ok()?;
        graph.add_output("y", output[0]);
        let mut session = self.fallback?.prepare(graph.verified().ok()?).ok()?;
        let bytes: Vec<u8> = (0..=255).collect();
        let input = Tensor::new(from.dtype, [256], bytes.into()).ok()?;
        session.run(&[input]).ok()?.pop()
    }

    /// The step of a node from 8 bits to 8 bits.
    pub(super) fn table(&self, node: &Node) -> Option<TableStep> {
        let table = self.all_outputs(node)?;
        (table.bytes().len() == 256).then(|| TableStep { table: Blob::of(table.bytes().as_ref()) })
    }
}

use super::Lower;
use paring_ir::{Graph, Node, OpRef};
use paring_runtime::Blob;
use paring_runtime::steps::table::{Table16, TableStep};
use paring_tensor::{DType, Tensor, TensorType};

impl Lower<'_> {
    /// The outputs of a node of one operand of 8 or 16 bits for all of its numbers, computed by the fallback: what the
    /// node means is said in one place.
    pub(super) fn all_outputs(&self, node: &Node) -> Option<Tensor> {
        let (&[x], &[y]) = (node.inputs(), node.outputs()) else { return None };
        self.outputs_of(&node.op, self.ty(x), self.ty(y))
    }

    /// As [`all_outputs`](Self::all_outputs), for an operation by itself.
    pub(super) fn outputs_of(
        &self,
        op: &OpRef,
        from: &TensorType,
        to: &TensorType,
    ) -> Option<Tensor> {
        // A table stands for elements of one quantization only.
        let one = |ty: &TensorType| ty.quant.as_ref().is_none_or(|q| q.as_per_tensor().is_some());
        if !matches!(from.dtype, DType::I8 | DType::U8 | DType::Bool | DType::I16)
            || !one(from)
            || !one(to)
        {
            return None;
        }
        let bytes: Vec<u8> = match from.dtype.size() {
            1 => (0..=255).collect(),
            _ => (0..=u16::MAX).flat_map(u16::to_le_bytes).collect(),
        };
        let n = bytes.len() / from.dtype.size();
        let all = |ty: &TensorType| {
            let quant = ty.quant.clone();
            TensorType { dtype: ty.dtype, shape: [n].into(), quant }
        };
        let mut graph = Graph::new("table");
        let input = graph.add_input("x", all(from)).ok()?;
        let outputs = vec![("y".to_owned(), all(to))];
        let output = graph.add_typed_node("f", op, &[input], outputs).ok()?;
        graph.add_output("y", output[0]);
        let mut session = self.fallback?.prepare(graph.verified().ok()?).ok()?;
        let input = Tensor::new(from.dtype, [n], bytes.into()).ok()?;
        session.run(&[input]).ok()?.pop()
    }

    /// The step of a node from 16 bits to 16 bits.
    pub(super) fn table_16(&self, node: &Node) -> Option<Table16> {
        let table = self.all_outputs(node)?;
        let whole = table.bytes().len() == 2 << 16;
        whole.then(|| Table16 { table: Blob::of(table.bytes().as_ref()) })
    }

    /// The step of a node from 8 bits to 8 bits.
    pub(super) fn table(&self, node: &Node) -> Option<TableStep> {
        let table = self.all_outputs(node)?;
        (table.bytes().len() == 256).then(|| TableStep { table: Blob::of(table.bytes().as_ref()) })
    }
}

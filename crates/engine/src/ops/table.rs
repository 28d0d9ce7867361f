//! Functions of one 8-bit number, as tables.

use super::Lower;
use crate::step::{Io, Step, numbers_mut};
use crate::threads::divide;
use paring_ir::{Graph, Node};
use paring_kernels::Kernels;
use paring_tensor::{Tensor, TensorType};

/// `out[i] = table[x[i]]`
pub(super) struct TableStep {
    pub(super) table: [u8; 256],
}

impl Step for TableStep {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let x = &io.a[..io.out.len()];
        divide(x.len(), 1, x.len() / 4, io.out, &|range, out| {
            kernels.table(&self.table, &x[range], out);
        });
    }
}

/// `out[i] = table[x[i]]` with a table of `f32`.
pub(super) struct WideTableStep {
    pub(super) table: Vec<f32>,
}

impl Step for WideTableStep {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let out: &mut [f32] = numbers_mut(io.out);
        for (out, x) in out.iter_mut().zip(io.a) {
            *out = self.table[usize::from(*x)];
        }
    }
}

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
        Some(TableStep { table: table.bytes().as_ref().try_into().ok()? })
    }
}

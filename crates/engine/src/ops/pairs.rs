use super::binary::collapse;
use super::{Lower, Part};
use paring_ir::{Graph, Node};
use paring_runtime::Blob;
use paring_runtime::steps::table::PairTable;
use paring_tensor::{DType, Tensor, TensorType};

impl Lower<'_> {
    /// The step of a node of two quantized 8-bit operands, computed for all pairs by the fallback: what
    /// the node means is said in one place.
    pub(super) fn pair_table(&self, node: &Node) -> Option<Part> {
        let (&[a, b], &[y]) = (node.inputs(), node.outputs()) else { return None };
        let one = |ty: &TensorType| ty.quant.as_ref().is_none_or(|q| q.as_per_tensor().is_some());
        let byte = |ty: &TensorType| matches!(ty.dtype, DType::I8 | DType::U8) && one(ty);
        let (ta, tb, to) = (self.ty(a), self.ty(b), self.ty(y));
        if ta.quant.is_none() || tb.quant.is_none() || !byte(ta) || !byte(tb) {
            return None;
        }
        if !byte(to) && to.dtype != DType::Bool {
            return None;
        }
        let mut places = collapse(&self.shape(a)?, &self.shape(b)?, &self.shape(y)?);
        if let &[all] = &*places.dims {
            // Rows for the threads to divide.
            if let Some(by) = [64, 16, 4].into_iter().find(|by| all % by == 0 && all > *by) {
                let n = all / by;
                places.steps.insert(0, places.steps[0].map(|s| s * n));
                places.dims = vec![by, n];
            }
        }
        let all = |ty: &TensorType, shape: [usize; 2]| TensorType {
            dtype: ty.dtype,
            shape: shape.into(),
            quant: ty.quant.clone(),
        };
        let mut graph = Graph::new("table");
        let first = graph.add_input("a", all(ta, [256, 1])).ok()?;
        let second = graph.add_input("b", all(tb, [1, 256])).ok()?;
        let outputs = vec![("y".to_owned(), all(to, [256, 256]))];
        let output = graph.add_typed_node("f", &node.op, &[first, second], outputs).ok()?;
        graph.add_output("y", output[0]);
        let mut session = self.fallback?.prepare(graph.verified().ok()?).ok()?;
        let bytes: Vec<u8> = (0..=255).collect();
        let input = |ty: &TensorType, shape: [usize; 2]| {
            Tensor::new(ty.dtype, shape, bytes.clone().into()).ok()
        };
        let inputs = [input(ta, [256, 1])?, input(tb, [1, 256])?];
        let result = session.run(&inputs).ok()?.pop()?;
        let mut table = result.bytes().to_vec();
        if table.len() != 1 << 16 {
            return None;
        }
        let (mut a, mut b) = (a, b);
        if places.steps.last() == Some(&[1, 0]) {
            table = (0..1 << 16).map(|i| table[(i & 255) << 8 | i >> 8]).collect();
            places.steps.iter_mut().for_each(|s| s.reverse());
            (a, b) = (b, a);
        }
        let step = PairTable { table: Blob::of(&table), places };
        Some(Part { step: step.into(), a, b: Some(b), scratch: 0 })
    }
}

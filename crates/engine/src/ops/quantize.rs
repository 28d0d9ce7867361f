use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::Quantize;
use paring_runtime::Blob;
use paring_runtime::steps::quantize::QuantizeStep;
use paring_runtime::steps::table::WideTableStep;
use paring_tensor::DType;

impl Lower<'_> {
    /// `quantize` and `dequantize`.
    pub(super) fn quantize(&self, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        if self.is_f32(x) {
            let (scale, zero_point) = self.i8_quant(y)?;
            let ties_even = node.op_as::<Quantize>()?.ties_even;
            return Some(Part::unary(QuantizeStep { scale, zero_point, ties_even }, x));
        }
        if self.ty(x).dtype.size() != 1 || self.ty(x).quant.is_none() {
            return None;
        }
        if self.ty(y).dtype == DType::F32 {
            let table = self.all_outputs(node)?.to_f32();
            return (table.len() == 256)
                .then(|| Part::unary(WideTableStep { table: Blob::of(&table) }, x));
        }
        Some(Part::unary(self.table(node)?, x))
    }
}

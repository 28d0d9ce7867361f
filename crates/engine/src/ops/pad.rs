use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::{Pad, PadMode};
use paring_runtime::steps::pad::Fill;
use paring_tensor::DType;

impl Lower<'_> {
    pub(super) fn pad(&self, op: &Pad, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let PadMode::Constant(real) = op.mode else { return None };
        let (from, to) = (self.shape(x)?, self.shape(y)?);
        if from.is_empty() || op.pads.iter().flatten().any(|p| *p < 0) {
            return None;
        }
        let fill = if self.is_f32(x) {
            (real as f32).to_le_bytes().to_vec()
        } else {
            let (scale, zero) = self.i8_quant(x)?;
            let (low, high) = DType::I8.int_range()?;
            let q = ((real / f64::from(scale)).round() as i64).saturating_add(i64::from(zero));
            vec![q.clamp(low, high) as i8 as u8]
        };
        let size = fill.len();
        let (mut step, mut start) = (size, 0);
        let mut outer = Vec::new();
        for axis in (0..from.len()).rev() {
            start += usize::try_from(op.pads[axis][0]).ok()? * step;
            if axis + 1 < from.len() {
                outer.push([from[axis], step]);
            }
            step *= to[axis];
        }
        outer.reverse();
        let row = from[from.len() - 1] * size;
        Some(Part::unary(Fill { fill, row, outer, start }, x))
    }
}

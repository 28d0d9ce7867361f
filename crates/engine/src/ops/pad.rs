use super::{Lower, Part};
use paring_ir::ops::{Pad, PadMode};
use paring_ir::{Node, ValueId};
use paring_runtime::steps::pad::Fill;
use paring_tensor::DType;

impl Lower<'_> {
    /// What a node of padding pads with zeros, and by how much, if a convolution can do that itself.
    pub(crate) fn zeros_around(&self, node: &Node) -> Option<(ValueId, [usize; 4])> {
        let op = node.op_as::<Pad>()?;
        let (&[x], &[y]) = (node.inputs(), node.outputs()) else { return None };
        let &[[0, 0], rows, columns, [0, 0]] = &*op.pads else { return None };
        let zero = matches!(op.mode, PadMode::Constant(v) if v == 0.0);
        if !zero || self.ty(x).dtype != self.ty(y).dtype || self.ty(x).quant != self.ty(y).quant {
            return None;
        }
        let [top, bottom, left, right] =
            [rows[0], rows[1], columns[0], columns[1]].map(|n| usize::try_from(n).ok());
        Some((x, [top?, left?, bottom?, right?]))
    }

    pub(super) fn pad(&self, op: &Pad, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let PadMode::Constant(real) = op.mode else { return None };
        let (from, to) = (self.shape(x)?, self.shape(y)?);
        if from.is_empty() || op.pads.iter().flatten().any(|p| *p < 0) {
            return None;
        }
        let fill = if self.is_f32(x) {
            (real as f32).to_le_bytes().to_vec()
        } else if self.is_half(x) {
            paring_kernels::to_half(real as f32).to_le_bytes().to_vec()
        } else {
            let (scale, zero) = self.i8_quant(x)?;
            let (low, high) = DType::I8.int_range()?;
            let q = ((real / f64::from(scale)).round() as i64).saturating_add(i64::from(zero));
            vec![q.clamp(low, high) as i8 as u8]
        };
        let size = fill.len();
        let (mut step, mut start, mut row) = (size, 0, size);
        let (mut outer, mut whole) = (Vec::new(), true);
        for axis in (0..from.len()).rev() {
            start += usize::try_from(op.pads[axis][0]).ok()? * step;
            // The innermost axes up to one with padding are one piece.
            if whole {
                row *= from[axis];
                whole = op.pads[axis] == [0, 0];
            } else {
                outer.push([from[axis], step]);
            }
            step *= to[axis];
        }
        outer.reverse();
        Some(Part::unary(Fill { fill, row, outer, start }, x))
    }
}

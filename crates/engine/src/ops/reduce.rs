use super::{Lower, Part};
use paring_backend::requantize::mean_multiplier;
use paring_ir::Node;
use paring_ir::ops::{Reduce, ReduceFn};
use paring_runtime::steps::reduce::{Extents, F32Mean, I8Mean};

impl Lower<'_> {
    pub(super) fn reduce(&self, op: &Reduce, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let shape = self.shape(x)?;
        let (&first, &last) = (op.axes.first()?, op.axes.last()?);
        if op.f != ReduceFn::Mean || last - first + 1 != op.axes.len() {
            return None;
        }
        let len: usize = shape[first..=last].iter().product();
        let extents = Extents { len, inner: shape[last + 1..].iter().product() };
        if self.is_f32(x) && self.is_f32(y) {
            return Some(Part::unary(F32Mean { extents }, x));
        }
        let ((_, x_zero), (_, zero_point)) = (self.i8_quant(x)?, self.i8_quant(y)?);
        // Sums of centred bytes stay within 32 bits.
        if len >= 1 << 22 {
            return None;
        }
        let count = u32::try_from(len).ok()?;
        let factor = mean_multiplier(self.ty(x), self.ty(y), count).ok()?;
        Some(Part::unary(I8Mean { extents, x_zero, factor, zero_point }, x))
    }
}

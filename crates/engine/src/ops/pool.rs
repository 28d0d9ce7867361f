use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::{Pool, PoolKind};
use paring_kernels::Window;
use paring_runtime::steps::pool::{MAX_TAPS, PoolStep};
use paring_tensor::DType;

impl Lower<'_> {
    pub(super) fn pool(&self, op: &Pool, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let max = match op.kind {
            PoolKind::Max => true,
            PoolKind::Average => false,
            _ => return None,
        };
        let (&[batch, h, w, channels], &[_, out_rows, out_width, _]) =
            (&*self.shape(x)?, &*self.shape(y)?)
        else {
            return None;
        };
        let extent = [0, 1].map(|i| (op.kernel[i] - 1) * op.dilation[i] + 1);
        let [top, left, bottom, right] = op.pad.resolve([h, w], extent, op.stride);
        let window = Window {
            input: [h, w],
            channels,
            kernel: op.kernel,
            stride: op.stride,
            dilation: op.dilation,
            pad: [top, left],
            out_width,
        };
        let padded = op.count_include_pad.then_some([top + h + bottom, left + w + right]);
        if self.is_f32(x) && self.is_f32(y) {
            let clamp = op.activation.bounds();
            let step = PoolStep { batch, window, out_rows, max, padded, clamp, zero: 0 };
            return Some(Part::unary(step, x));
        }
        let (from, (scale, zero)) = (self.i8_quant(x)?, self.i8_quant(y)?);
        if from != (scale, zero) || window.taps() > MAX_TAPS {
            return None;
        }
        let (low, high) = op.activation.quantized_bounds(scale, zero, DType::I8);
        let clamp = (low as i8, high as i8);
        Some(Part::unary(PoolStep { batch, window, out_rows, max, padded, clamp, zero }, x))
    }
}

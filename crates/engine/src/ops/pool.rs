use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::{Pool, PoolKind};
use paring_kernels::Window;
use paring_runtime::steps::half::F16Pool;
use paring_runtime::steps::pool::{MAX_TAPS, NormPool, PoolStep};
use paring_tensor::DType;

impl Lower<'_> {
    pub(super) fn pool(&self, op: &Pool, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let max = op.kind == PoolKind::Max;
        let power = match op.kind {
            PoolKind::Max | PoolKind::Average => None,
            PoolKind::L2 => Some(None),
            PoolKind::Lp(p) => Some(Some(p)),
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
        let half = self.is_half(x) && self.is_half(y);
        if half || (self.is_f32(x) && self.is_f32(y)) {
            let clamp = op.activation.bounds();
            let pool = PoolStep { batch, window, out_rows, max, padded, clamp, zero: 0 };
            return match power {
                Some(_) if half => None,
                None if half && !max && window.taps() > MAX_TAPS => None,
                None if half => Some(Part::unary(F16Pool { pool }, x)),
                None => Some(Part::unary(pool, x)),
                Some(_) if window.taps() > MAX_TAPS => None,
                Some(power) => Some(Part::unary(NormPool { pool, power }, x)),
            };
        }
        let (from, to) = (self.ty(x), self.ty(y));
        let (scale, zero) = to.quant.as_ref()?.as_per_tensor()?;
        let same = from.dtype == to.dtype && from.quant == to.quant;
        if !same || power.is_some() || window.taps() > MAX_TAPS {
            return None;
        }
        let (low, high) = op.activation.quantized_bounds(scale, zero, to.dtype);
        macro_rules! step {
            ($t:ty) => {{
                let clamp = (low as $t, high as $t);
                Part::unary(PoolStep { batch, window, out_rows, max, padded, clamp, zero }, x)
            }};
        }
        Some(match to.dtype {
            DType::I8 => step!(i8),
            DType::U8 => step!(u8),
            DType::I16 => step!(i16),
            _ => return None,
        })
    }
}

use super::{Lower, Part};
use crate::unpack::constant;
use paring_backend::requantize::channel_multipliers;
use paring_ir::Node;
use paring_ir::ops::ConvTranspose2d;
use paring_qmath::Rounding;
use paring_runtime::Blob;
use paring_runtime::steps::transposed::{F32Transposed, I8Transposed, Spread};
use paring_tensor::DType;

impl Lower<'_> {
    pub(super) fn conv_transpose2d(&self, op: &ConvTranspose2d, node: &Node) -> Option<Part> {
        let (x, w, y) = (node.inputs()[0], node.inputs()[1], node.outputs()[0]);
        let (&[batch, height, width, channels], &[_, kh, kw, _], &[_, rows, columns, filters]) =
            (&*self.shape(x)?, &*self.shape(w)?, &*self.shape(y)?)
        else {
            return None;
        };
        let spread = Spread {
            batch,
            input: [height, width],
            output: [rows, columns],
            channels: [channels, filters],
            kernel: [kh, kw],
            stride: op.stride,
            dilation: op.dilation,
            pad: [op.pad[0], op.pad[1]],
            groups: op.groups,
        };
        let weights = constant(self.graph, w)?.dense();
        let bias = match node.inputs().get(2) {
            None => None,
            Some(b) => Some(constant(self.graph, *b)?.dense()),
        };
        if [x, w, y].iter().all(|v| self.is_f32(*v)) {
            let bias = bias.map_or_else(|| vec![0.0; filters], |b| b.to_f32());
            let weights = Blob::of(&weights.to_f32());
            let step = F32Transposed { spread, weights, bias, clamp: op.activation.bounds() };
            return Some(Part::unary(step, x));
        }
        let ((_, x_zero), (scale, zero_point)) = (self.i8_quant(x)?, self.i8_quant(y)?);
        let ty = self.ty(w);
        let symmetric = ty.quant.as_ref()?.zero_points().iter().all(|z| *z == 0);
        if ty.dtype != DType::I8 || !symmetric || self.rounding != Rounding::Double {
            return None;
        }
        let bias = match bias {
            None => vec![0; filters],
            Some(b) => b.view::<i32>().ok()?.into_owned(),
        };
        let step = I8Transposed {
            spread,
            weights: Blob::of(weights.bytes().as_ref()),
            x_zero,
            bias,
            multipliers: channel_multipliers(self.ty(x), ty, self.ty(y), filters).ok()?,
            zero_point,
            bounds: op.activation.quantized_bounds(scale, zero_point, DType::I8),
        };
        let scratch = 4 * self.shape(y)?.iter().product::<usize>();
        Some(Part { step: step.into(), a: x, b: None, scratch })
    }
}

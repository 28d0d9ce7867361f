//! Convolutions of unsigned bytes, by way of the kernels for signed ones.
//!
//! Flipping the top bit takes 128 off a byte and off its zero point. Weights less their zero point do not
//! fit a signed byte; they are the sum of two that do.

use super::conv2d::{Geometry, layout};
use super::{Lower, Part};
use paring_backend::requantize::channel_multipliers;
use paring_ir::ValueId;
use paring_ir::ops::Conv2d;
use paring_qmath::Rounding;
use paring_runtime::steps::AnyStep;
use paring_runtime::steps::flipped::{Flipped, TOP};
use paring_runtime::steps::products::{I8Constants, I8Gemm};
use paring_tensor::DType;

impl Lower<'_> {
    /// Scale and zero point of a value of unsigned bytes, the zero point as that of signed ones.
    pub(super) fn u8_quant(&self, v: ValueId) -> Option<(f32, i32)> {
        let ty = self.ty(v);
        let (scale, zero) = ty.quant.as_ref()?.as_per_tensor()?;
        (ty.dtype == DType::U8).then_some((scale, zero - i32::from(TOP)))
    }

    /// A step of signed bytes for a value of unsigned ones.
    pub(super) fn flipped(
        &self,
        x: ValueId,
        step: impl Into<AnyStep>,
        scratch: usize,
    ) -> Option<Part> {
        let len = self.ty(x).byte_len()? + self.kernels.i8_step();
        let len = len.next_multiple_of(64);
        let step = Flipped { step: Box::new(step.into()), len };
        Some(Part { step: step.into(), a: x, b: None, scratch: len + scratch })
    }

    pub(super) fn u8_conv2d(
        &self,
        op: &Conv2d,
        g: &Geometry,
        depthwise: bool,
        x: ValueId,
        w: ValueId,
        bias: Option<ValueId>,
        y: ValueId,
    ) -> Option<Part> {
        let ((_, x_zero), (y_scale, zero_point)) = (self.u8_quant(x)?, self.u8_quant(y)?);
        let (_, w_zero) = self.u8_quant(w)?;
        let stored = self.graph.constant(w)?.dense();
        let stored = stored.view::<u8>().ok()?;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for stored in stored.iter() {
            let centred = i32::from((stored ^ TOP) as i8) - w_zero;
            let near = centred.clamp(-128, 127);
            first.push(near as i8);
            second.push(i8::try_from(centred - near).ok()?);
        }
        if second.iter().all(|w| *w == 0) {
            second.clear();
        }
        let bias = match bias {
            None => vec![0; g.filters],
            Some(b) if self.ty(b).dtype == DType::I32 => {
                self.graph.constant(b)?.dense().view::<i32>().ok()?.into_owned()
            }
            Some(_) => return None,
        };
        let range = op.activation.quantized_bounds(y_scale, zero_point + i32::from(TOP), DType::U8);
        let signed = |bound: i32| i8::try_from(bound - i32::from(TOP)).ok();
        let constants = I8Constants {
            x_zero,
            bias,
            multipliers: channel_multipliers(self.ty(x), self.ty(w), self.ty(y), g.filters).ok()?,
            rounding: Rounding::Double,
            zero_point,
            bounds: (signed(range.0)?, signed(range.1)?),
        };
        let part = if depthwise {
            self.i8_depthwise(op, g, x, &first, &second, &constants)?
        } else {
            let tile = self.kernels.i8_tile();
            let mut layout = layout(op, g, tile, 16)?;
            let mut weights = first;
            if !second.is_empty() {
                layout = layout.doubled(tile);
                let k = weights.len() / g.filters.max(1);
                let both = weights.chunks_exact(k).zip(second.chunks_exact(k));
                weights = both.flat_map(|(a, b)| [a, b].concat()).collect();
            }
            let step = I8Gemm::new(self.kernels, layout, &weights, &constants)?;
            Part { scratch: step.scratch(), step: step.into(), a: x, b: None }
        };
        self.flipped(x, part.step, part.scratch)
    }
}

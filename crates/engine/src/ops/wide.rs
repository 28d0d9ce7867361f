//! Convolutions and dense layers of `i16`, or of `f32` that is quantized on the way, with weights of `i8`.

use super::conv2d::Geometry;
use super::depthwise::{MAX_TAPS, taps_first};
use super::{Lower, Part};
use paring_backend::requantize::{channel_multipliers, dense_multipliers, weight_scales};
use paring_ir::ValueId;
use paring_ir::ops::Activation;
use paring_kernels::{Tile, Window};
use paring_qmath::Rounding;
use paring_runtime::Blob;
use paring_runtime::steps::depthwise::{I16Depthwise, Images};
use paring_runtime::steps::gemm::Layout;
use paring_runtime::steps::products::{I16Constants, I16Gemm};
use paring_runtime::steps::wide::{Hybrid, I16Conv, Products};
use paring_tensor::DType;

/// The operands and the result.
pub(super) struct Wide {
    pub(super) x: ValueId,
    pub(super) w: ValueId,
    pub(super) bias: Option<ValueId>,
    pub(super) y: ValueId,
    pub(super) activation: Activation,
    pub(super) dense: bool,
}

impl Lower<'_> {
    /// Scale and zero point of a value that has `i16` elements with one scale.
    pub(super) fn i16_quant(&self, v: ValueId) -> Option<(f32, i32)> {
        let ty = self.ty(v);
        ty.quant.as_ref().filter(|_| ty.dtype == DType::I16)?.as_per_tensor()
    }

    pub(super) fn i16_conv(
        &self,
        operands: &Wide,
        g: &Geometry,
        window: Window,
        groups: usize,
        layout: impl FnOnce(Tile) -> Option<Layout>,
    ) -> Option<Part> {
        let &Wide { x, w, bias, y, activation, dense } = operands;
        let ((_, x_zero), (scale, zero_point)) = (self.i16_quant(x)?, self.i16_quant(y)?);
        let ty = self.ty(w);
        let symmetric = ty.quant.as_ref()?.is_symmetric();
        // A dense layer is scaled back in double precision where a run rounds once.
        let once = dense && self.rounding == Rounding::Single;
        if x_zero != 0 || !symmetric || !matches!(ty.dtype, DType::I8 | DType::I4) || once {
            return None;
        }
        let make = if dense { dense_multipliers } else { channel_multipliers };
        let bias = match bias {
            None => vec![0; g.filters],
            Some(b) => self.graph.constant(b)?.dense().to_i64(),
        };
        let multipliers = make(self.ty(x), ty, self.ty(y), g.filters).ok()?;
        let bounds = activation.quantized_bounds(scale, zero_point, DType::I16);
        let narrow = (bounds.0 as i16, bounds.1 as i16);
        let constants = I16Constants { bias, multipliers, bounds: narrow };
        let weights = self.i8_const(w)?;
        let depthwise = groups > 1 && groups == g.channels && groups == g.filters;
        if zero_point == 0 && depthwise && window.taps() <= MAX_TAPS {
            let images = Images { batch: g.batch, window, out_rows: g.out[0] };
            if let Some(step) = I16Depthwise::new(self.kernels, images, &weights, &constants) {
                return Some(Part::unary(step, x));
            }
        } else if zero_point == 0 {
            let layout = layout(self.kernels.i16_tile())?;
            if let Some(step) = I16Gemm::new(self.kernels, layout, &weights, &constants) {
                return Some(Part { scratch: step.scratch(), step: step.into(), a: x, b: None });
            }
        }
        let I16Constants { bias, multipliers, .. } = constants;
        let products = self.products(w, g, window, groups)?;
        let step = I16Conv { products, bias, multipliers, zero_point, bounds };
        Some(Part::unary(step, x))
    }

    fn products(
        &self,
        w: ValueId,
        g: &Geometry,
        window: Window,
        groups: usize,
    ) -> Option<Products> {
        let weights = self.i8_const(w)?;
        let mut products = Products {
            batch: g.batch,
            window,
            out_rows: g.out[0],
            filters: g.filters,
            groups,
            weights: Blob::of(&weights),
        };
        if products.is_depthwise() {
            products.weights = Blob::of(&taps_first(&weights, window.taps()));
        }
        Some(products)
    }

    /// A layer of `f32` with weights of integers.
    pub(super) fn hybrid(
        &self,
        operands: &Wide,
        g: &Geometry,
        window: Window,
        groups: usize,
    ) -> Option<Part> {
        let &Wide { x, w, bias, y, activation, dense } = operands;
        let ty = self.ty(w);
        let integers = matches!(ty.dtype, DType::I8 | DType::I4);
        if !self.is_f32(x) || !self.is_f32(y) || !integers || !ty.quant.as_ref()?.is_symmetric() {
            return None;
        }
        let scales = weight_scales(ty, g.filters).ok()?;
        let depthwise = groups > 1 && groups == g.channels;
        let one_scale = scales.windows(2).all(|s| s[0] == s[1]);
        let step = Hybrid {
            products: self.products(w, g, window, groups)?,
            symmetric: !dense && !depthwise && one_scale,
            scales,
            bias: match bias {
                None => Vec::new(),
                Some(b) => self.f32_const(b)?,
            },
            clamp: activation.bounds(),
            dense,
        };
        Some(Part { scratch: step.scratch(), step: step.into(), a: x, b: None })
    }
}

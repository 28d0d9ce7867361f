use super::conv2d::Geometry;
use super::{Lower, Part};
use paring_ir::ValueId;
use paring_ir::ops::Conv2d;
use paring_kernels::{I8Depthwise, to_half};
use paring_runtime::steps::depthwise::{self, F16Depthwise, F32Depthwise, Images};
use paring_runtime::steps::products::I8Constants;
use paring_runtime::{Blob, Buffer};

fn images(op: &Conv2d, g: &Geometry) -> Images {
    Images { batch: g.batch, window: g.window(op), out_rows: g.out[0] }
}

/// Weights `[channels, taps]` as `[taps, channels]`.
pub(super) fn taps_first<T: Copy + Default>(w: &[T], taps: usize) -> Vec<T> {
    let channels = w.len() / taps;
    let mut out = vec![T::default(); w.len()];
    for (c, filter) in w.chunks_exact(taps).enumerate() {
        for (tap, v) in filter.iter().enumerate() {
            out[tap * channels + c] = *v;
        }
    }
    out
}

/// Most taps that kernels serve.
pub(super) const MAX_TAPS: usize = 64;

impl Lower<'_> {
    /// Of `f32`, or in half precision.
    pub(super) fn real_depthwise(
        &self,
        op: &Conv2d,
        g: &Geometry,
        x: ValueId,
        weights: &[f32],
        bias: Option<Vec<f32>>,
        clamp: (f32, f32),
        half: bool,
    ) -> Option<Part> {
        let taps = g.kernel[0] * g.kernel[1];
        if taps > MAX_TAPS {
            return None;
        }
        let weights = taps_first(weights, taps);
        let bias = bias.unwrap_or_else(|| vec![0.0; g.channels]);
        let images = images(op, g);
        if half {
            let halves = |x: &[f32]| Blob::of(&x.iter().map(|x| to_half(*x)).collect::<Vec<_>>());
            let (weights, bias) = (halves(&weights), halves(&bias));
            return Some(Part::unary(F16Depthwise { images, weights, bias, clamp }, x));
        }
        let (weights, bias) = (Blob::of(&weights), Blob::of(&bias));
        let step = F32Depthwise { images, weights, bias, clamp };
        Some(Part::unary(step, x))
    }

    /// `more` is added to the weights where it is not empty.
    pub(super) fn i8_depthwise(
        &self,
        op: &Conv2d,
        g: &Geometry,
        x: ValueId,
        weights: &[i8],
        more: &[i8],
        c: &I8Constants,
    ) -> Option<Part> {
        let taps = g.kernel[0] * g.kernel[1];
        if taps > MAX_TAPS {
            return None;
        }
        let bias: Option<Vec<i32>> = weights
            .chunks_exact(taps)
            .enumerate()
            .map(|(channel, w)| {
                let rest = more.chunks_exact(taps).nth(channel).unwrap_or_default();
                c.folded(channel, w.iter().chain(rest).copied())
            })
            .collect();
        let from = I8Depthwise {
            weights: &taps_first(weights, taps),
            kernel: g.kernel,
            channels: g.channels,
            bias: &bias?,
            multipliers: &c.multipliers,
            rounding: c.rounding,
            zero_point: c.zero_point,
            bounds: c.bounds,
        };
        let len = match more {
            [] => self.kernels.i8_depthwise_len(g.kernel, g.channels),
            _ => self.kernels.i8_depthwise_sum_len(g.kernel, g.channels),
        };
        let mut packed = Buffer::zeroed(len);
        let done = if more.is_empty() {
            self.kernels.i8_depthwise_pack(&from, packed.bytes_mut())
        } else {
            self.kernels.i8_depthwise_pack_sum(&from, &taps_first(more, taps), packed.bytes_mut())
        };
        if !done {
            return None;
        }
        let pad = c.x_zero as i8;
        Some(Part::unary(
            depthwise::I8Depthwise { images: images(op, g), packed: packed.into(), pad },
            x,
        ))
    }
}

use super::conv2d::{Geometry, join};
use super::wide::Wide;
use super::{Lower, Part, Tail};
use paring_backend::requantize::weight_scales;
use paring_ir::ops::Dense;
use paring_ir::{Node, ValueId};
use paring_kernels::Tile;
use paring_qmath::Rounding;
use paring_runtime::Blob;
use paring_runtime::steps::dense::InDouble;
use paring_runtime::steps::gemm::Layout;
use paring_runtime::steps::products::{F16Gemm, F32Gemm, I8Constants, I8Gemm};
use paring_tensor::DType;

/// Rows of `depth` elements side by side, and as many rows of `channels`.
pub(super) fn plain(tile: Tile, rows: usize, [depth, channels]: [usize; 2]) -> Option<Layout> {
    Some(Layout {
        samples: 1,
        sample: rows * depth,
        rows,
        taps: 1,
        depth,
        channels,
        groups: 1,
        at: Layout::table(tile, rows, 1, |row, _| Some(row * depth))?,
        frame: None,
        width: 0,
        again: 0,
        shift: 0,
    })
}

impl Lower<'_> {
    fn dense_in_double(
        &self,
        x: ValueId,
        w: ValueId,
        y: ValueId,
        depth: usize,
        constants: &I8Constants,
    ) -> Option<Part> {
        let weights = self.i8_const(w)?;
        let units = constants.bias.len();
        let ((x_scale, _), (y_scale, zero_point)) = (self.i8_quant(x)?, self.i8_quant(y)?);
        let factors = weight_scales(self.ty(w), units).ok()?.into_iter();
        let factors = factors.map(|s| f64::from(x_scale) * f64::from(s) / f64::from(y_scale));
        let bias: Option<Vec<i32>> = weights
            .chunks_exact(depth)
            .enumerate()
            .map(|(unit, w)| constants.folded(unit, w.iter().copied()))
            .collect();
        let bounds = (i32::from(constants.bounds.0), i32::from(constants.bounds.1));
        let (bias, factors) = (Blob::of(&bias?), Blob::of(&factors.collect::<Vec<_>>()));
        let weights = Blob::of(&weights);
        let step = InDouble { weights, depth, bias, factors, zero_point, bounds };
        Some(Part::unary(step, x))
    }

    pub(super) fn dense(&self, op: &Dense, node: &Node, tail: Tail) -> Option<Part> {
        let (&[x, w], bias) = node.inputs().split_first_chunk()?;
        let (bias, y) = (bias.first().copied(), node.outputs()[0]);
        let &[units, depth] = &*self.shape(w)? else { return None };
        let rows = self.ty(y).shape.elements()? / units;
        if depth == 0 {
            return None;
        }
        let layout = |tile| plain(tile, rows, [depth, units]);
        let half = [x, w, y].iter().all(|v| self.is_half(*v));
        if half || (self.is_f32(x) && self.is_f32(w) && self.is_f32(y)) {
            let weights = self.f32_const(w)?;
            let bias = match bias {
                Some(b) => Some(self.f32_const(b)?),
                None => None,
            };
            let clamp = join(op.activation.bounds(), tail.clamp);
            if half {
                let layout = layout(self.kernels.f16_tile())?;
                let step = F16Gemm::new(self.kernels, layout, &weights, bias.as_deref(), clamp);
                let scratch = step.scratch();
                return Some(Part { scratch, step: step.into(), a: x, b: tail.rest });
            }
            let layout = layout(self.kernels.f32_tile())?;
            let step = F32Gemm::new(self.kernels, layout, &weights, bias.as_deref(), clamp);
            return Some(Part { scratch: step.scratch(), step: step.into(), a: x, b: tail.rest });
        }
        let operands = Wide { x, w, bias, y, activation: op.activation, dense: true };
        let image = |batch, columns| Geometry {
            batch,
            input: [1, columns],
            channels: depth,
            filters: units,
            kernel: [1, 1],
            out: [1, columns],
            pad: [0; 4],
        };
        if self.ty(x).dtype == DType::I16 {
            // Rows of the input are columns of an image.
            let g = image(1, rows);
            return self.i16_conv(&operands, &g, g.window_by([1, 1], [1, 1]), 1, layout);
        }
        if self.is_f32(x) {
            let g = image(rows, 1);
            return self.hybrid(&operands, &g, g.window_by([1, 1], [1, 1]), 1);
        }
        let constants = self.i8_constants(x, w, bias, y, units, op.activation, true)?;
        if self.rounding == Rounding::Single {
            return self.dense_in_double(x, w, y, depth, &constants);
        }
        let layout = layout(self.kernels.i8_tile())?;
        let step = I8Gemm::new(self.kernels, layout, &self.i8_const(w)?, &constants)?;
        Some(Part { scratch: step.scratch(), step: step.into(), a: x, b: None })
    }
}

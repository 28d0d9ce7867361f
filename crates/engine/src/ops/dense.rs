use super::conv2d::join;
use super::{Lower, Part, Tail};
use paring_ir::Node;
use paring_ir::ops::Dense;
use paring_qmath::Rounding;
use paring_runtime::steps::gemm::{F32Gemm, I8Gemm, Layout};

impl Lower<'_> {
    pub(super) fn dense(&self, op: &Dense, node: &Node, tail: Tail) -> Option<Part> {
        let (&[x, w], bias) = node.inputs().split_first_chunk()?;
        let (bias, y) = (bias.first().copied(), node.outputs()[0]);
        let &[units, depth] = &*self.shape(w)? else { return None };
        let rows = self.ty(y).shape.elements()? / units;
        if depth == 0 {
            return None;
        }
        let layout = |tile| {
            Some(Layout {
                samples: 1,
                sample: rows * depth,
                rows,
                taps: 1,
                depth,
                channels: units,
                groups: 1,
                at: Layout::table(tile, rows, 1, |row, _| Some(row * depth))?,
                frame: None,
            })
        };
        if self.is_f32(x) && self.is_f32(w) && self.is_f32(y) {
            let weights = self.f32_const(w)?;
            let bias = match bias {
                Some(b) => Some(self.f32_const(b)?),
                None => None,
            };
            let clamp = join(op.activation.bounds(), tail.clamp);
            let layout = layout(self.kernels.f32_tile())?;
            let step = F32Gemm::new(self.kernels, layout, &weights, bias.as_deref(), clamp);
            return Some(Part { step: step.into(), a: x, b: tail.rest, scratch: 0 });
        }
        // With single rounding, dense layers are scaled back in double precision.
        if self.rounding == Rounding::Single {
            return None;
        }
        let constants = self.i8_constants(x, w, bias, y, units, op.activation, true)?;
        let layout = layout(self.kernels.i8_tile())?;
        let step = I8Gemm::new(self.kernels, layout, &self.i8_const(w)?, &constants)?;
        Some(Part::unary(step, x))
    }
}

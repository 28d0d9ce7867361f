use super::table::WideTableStep;
use super::{Lower, Part};
use crate::step::{Io, Step, numbers};
use paring_ir::Node;
use paring_ir::ops::Quantize;
use paring_kernels::Kernels;
use paring_tensor::DType;

/// `f32` to `i8` by division and rounding, ties away from zero or to even.
struct QuantizeStep {
    scale: f32,
    zero_point: i32,
    ties_even: bool,
}

impl Step for QuantizeStep {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let x: &[f32] = numbers(io.a);
        for (out, x) in io.out.iter_mut().zip(x) {
            let real = x / self.scale;
            let whole = if self.ties_even { real.round_ties_even() } else { real.round() };
            let q = (whole as i64).saturating_add(i64::from(self.zero_point)).clamp(-128, 127);
            *out = q as i8 as u8;
        }
    }
}

impl Lower<'_> {
    /// `quantize` and `dequantize`.
    pub(super) fn quantize(&self, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        if self.is_f32(x) {
            let (scale, zero_point) = self.i8_quant(y)?;
            let ties_even = node.op_as::<Quantize>()?.ties_even;
            return Some(Part::unary(QuantizeStep { scale, zero_point, ties_even }, x));
        }
        if self.ty(x).dtype.size() != 1 || self.ty(x).quant.is_none() {
            return None;
        }
        if self.ty(y).dtype == DType::F32 {
            let table = self.all_outputs(node)?.to_f32();
            return (table.len() == 256).then(|| Part::unary(WideTableStep { table }, x));
        }
        Some(Part::unary(self.table(node)?, x))
    }
}

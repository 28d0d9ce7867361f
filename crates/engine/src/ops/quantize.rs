use super::{Lower, Part};
use crate::plan::element;
use paring_ir::Node;
use paring_ir::ops::Quantize;
use paring_qmath::Multiplier;
use paring_runtime::steps::cast::Cast;
use paring_runtime::steps::quantize::{DequantizeStep, QuantizeStep, Requantize};
use paring_runtime::steps::table::WideTableStep;
use paring_runtime::{Blob, Element};
use paring_tensor::DType;

impl Lower<'_> {
    /// `quantize` and `dequantize`.
    pub(super) fn quantize(&self, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let (from, to) = (self.ty(x), self.ty(y));
        if self.is_f32(x) {
            let (scale, zero_point) = to.quant.as_ref()?.as_per_tensor()?;
            let short = matches!(to.dtype, DType::I8 | DType::U8 | DType::I16);
            let element = element(to.dtype).filter(|_| short)?;
            let ties_even = node.op_as::<Quantize>()?.ties_even;
            return Some(Part::unary(QuantizeStep { element, scale, zero_point, ties_even }, x));
        }
        if from.dtype == DType::F16 && self.is_f32(y) {
            return Some(Part::unary(Cast { from: Element::F16, to: Element::F32 }, x));
        }
        let (scale, zero_point) = from.quant.as_ref()?.as_per_tensor()?;
        if to.dtype == DType::F32 {
            if matches!(from.dtype, DType::I16 | DType::I32) {
                let element = element(from.dtype)?;
                return Some(Part::unary(DequantizeStep { element, scale, zero_point }, x));
            }
            let table = self.all_outputs(node)?.to_f32();
            let whole = from.dtype.size() == 1 && table.len() == 256;
            return whole.then(|| Part::unary(WideTableStep { table: Blob::of(&table) }, x));
        }
        if from.dtype.size() == 1 && to.dtype.size() == 1 {
            return Some(Part::unary(self.table(node)?, x));
        }
        let (to_scale, to_zero) = to.quant.as_ref()?.as_per_tensor()?;
        let served = |dtype| matches!(dtype, DType::I8 | DType::U8 | DType::I16 | DType::I32);
        let both = served(from.dtype) && served(to.dtype);
        node.op_as::<Quantize>().filter(|_| both)?;
        let step = Requantize {
            types: [element(from.dtype)?, element(to.dtype)?],
            zeros: [zero_point, to_zero],
            factor: Multiplier::from_real(f64::from(scale) / f64::from(to_scale)),
            count: to.shape.elements()?,
        };
        Some(Part::unary(step, x))
    }
}

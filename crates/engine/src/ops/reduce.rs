use super::{Lower, Part};
use crate::plan::element;
use paring_backend::requantize::mean_multiplier;
use paring_ir::Node;
use paring_ir::ops::{Reduce, ReduceFn};
use paring_runtime::steps::fold::{Fold, FoldFn};
use paring_runtime::steps::half::F16Mean;
use paring_runtime::steps::reduce::{Extents, F32Mean, I8Mean};
use paring_tensor::DType;

impl Lower<'_> {
    pub(super) fn reduce(&self, op: &Reduce, node: &Node) -> Option<Part> {
        self.mean(op, node).or_else(|| self.fold(op, node))
    }

    /// Any function along any axes.
    fn fold(&self, op: &Reduce, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let (from, to) = (self.ty(x), self.ty(y));
        let f = match op.f {
            ReduceFn::Mean => FoldFn::Mean,
            ReduceFn::Sum => FoldFn::Sum,
            ReduceFn::Prod => FoldFn::Prod,
            ReduceFn::Max => FoldFn::Max,
            ReduceFn::Min => FoldFn::Min,
            ReduceFn::L1 => FoldFn::L1,
            ReduceFn::L2 => FoldFn::L2,
            ReduceFn::LogSum => FoldFn::LogSum,
            ReduceFn::LogSumExp => FoldFn::LogSumExp,
            ReduceFn::SumSquare => FoldFn::SumSquare,
            ReduceFn::All => FoldFn::All,
            ReduceFn::Any => FoldFn::Any,
        };
        let (extreme, linear) = (
            matches!(op.f, ReduceFn::Max | ReduceFn::Min),
            matches!(op.f, ReduceFn::Mean | ReduceFn::Sum),
        );
        let logical = matches!(op.f, ReduceFn::All | ReduceFn::Any);
        let integer = matches!(from.dtype, DType::I8 | DType::U8 | DType::I16);
        let dims = self.shape(x)?;
        let mut scale = None;
        match (&from.quant, &to.quant) {
            _ if from.dtype != to.dtype => return None,
            (None, None) if from.dtype == DType::F32 && !logical => {}
            (None, None) if from.dtype == DType::Bool && logical => {}
            (a, b) if extreme && integer && a == b => {}
            (Some(a), Some(b)) if linear && integer => {
                let count: usize = op.axes.iter().map(|a| dims[*a]).product();
                // What the factor of a mean folds in.
                let count = if op.f == ReduceFn::Mean { u32::try_from(count).ok()? } else { 0 };
                let ((_, x_zero), (_, zero_point)) = (a.as_per_tensor()?, b.as_per_tensor()?);
                let factor = mean_multiplier(from, to, count).ok()?;
                scale = Some((x_zero, (factor, zero_point)));
            }
            _ => return None,
        }
        let (mut steps, mut step) = (vec![0; dims.len()], 1);
        for axis in (0..dims.len()).rev().filter(|a| !op.axes.contains(a)) {
            steps[axis] = step;
            step *= dims[axis];
        }
        let scratch = Fold::scratch(step);
        let step = Fold { f, element: element(from.dtype)?, dims, steps, scale };
        Some(Part { step: step.into(), a: x, b: None, scratch })
    }

    /// The mean along neighbouring axes.
    fn mean(&self, op: &Reduce, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let shape = self.shape(x)?;
        let (&first, &last) = (op.axes.first()?, op.axes.last()?);
        if op.f != ReduceFn::Mean || last - first + 1 != op.axes.len() {
            return None;
        }
        let len: usize = shape[first..=last].iter().product();
        let extents = Extents { len, inner: shape[last + 1..].iter().product() };
        if self.is_f32(x) && self.is_f32(y) {
            return Some(Part::unary(F32Mean { extents }, x));
        }
        if self.is_half(x) && self.is_half(y) {
            return Some(Part::unary(F16Mean { extents }, x));
        }
        let ((_, x_zero), (_, zero_point)) = (self.i8_quant(x)?, self.i8_quant(y)?);
        // Sums of centred bytes stay within 32 bits.
        if len >= 1 << 22 {
            return None;
        }
        let count = u32::try_from(len).ok()?;
        let factor = mean_multiplier(self.ty(x), self.ty(y), count).ok()?;
        Some(Part::unary(I8Mean { extents, x_zero, factor, zero_point }, x))
    }
}

use super::{Lower, Part, Several};
use crate::plan::element;
use paring_ir::Node;
use paring_ir::ops::Svdf;
use paring_qmath::Multiplier;
use paring_runtime::Blob;
use paring_runtime::steps::svdf::{IntegerSvdf, Memory, Svdf as Real};
use paring_tensor::DType;

impl Lower<'_> {
    pub(super) fn svdf(&self, op: &Svdf, node: &Node) -> Option<Several> {
        let (&[x, feature, time, bias, state], &[y, _]) = (node.inputs(), node.outputs()) else {
            return None;
        };
        let (&[batch, inputs], &[filters, n]) = (&*self.shape(x)?, &*self.shape(time)?) else {
            return None;
        };
        let mut all = self.places(node)?;
        let results = all.results.clone();
        let memory = Memory { batch, inputs, filters, memory: n, rank: op.rank, results };
        let part = if [x, state, y].iter().all(|v| self.is_f32(*v)) {
            let product = self.product(batch, inputs, &self.f32_const(feature)?, None)?;
            let step = Real {
                memory,
                inner: product.scratch(),
                feature: Box::new(product.into()),
                time: Blob::of(&self.f32_const(time)?),
                bias: Blob::of(&self.f32_const(bias)?),
                clamp: op.activation.bounds(),
            };
            Part { scratch: step.scratch(), step: step.into(), a: x, b: Some(state) }
        } else {
            let quant = |v| self.ty(v).quant.as_ref()?.as_per_tensor();
            let short = |v| {
                let dtype = self.ty(v).dtype;
                element(dtype).filter(|_| matches!(dtype, DType::I8 | DType::I16))
            };
            let (from, to, kept) = (self.i8_quant(x)?, quant(y)?, quant(state)?);
            let (feature_scale, time_scale) = (quant(feature)?.0, quant(time)?.0);
            // Both factors are computed in single precision.
            let factors = [from.0 * feature_scale / kept.0, kept.0 * time_scale / to.0];
            let bytes = self.ty(feature).dtype == DType::I8;
            let times = self
                .graph
                .constant(time)
                .filter(|_| bytes && short(time).is_some())?
                .dense()
                .to_i64();
            let bias = self.graph.constant(bias).filter(|b| b.dtype() == DType::I32)?.dense();
            let step = IntegerSvdf {
                memory,
                zeros: [from.1, kept.1, to.1],
                factors: factors.map(|f| Multiplier::from_real(f64::from(f))),
                feature: Blob::of(&self.i8_const(feature)?),
                time: Blob::of(&times.into_iter().map(|w| w as i16).collect::<Vec<_>>()),
                bias: Blob::of(&bias.view::<i32>().ok()?),
                types: [short(state)?, short(y)?],
            };
            Part { scratch: step.scratch(), step: step.into(), a: x, b: Some(state) }
        };
        all.parts.push((part, None));
        Some(all)
    }
}

use super::{Activation, arity, check_bias};
use crate::{CostEntry, Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};
use std::any::TypeId;

/// Singular value decomposition filter, a layer with memory: each of `F` feature filters looks at the
/// input, its answers of the last `M` runs are weighed by a time filter, and `rank` filters add up to
/// one unit; then the activation.
///
/// Inputs: `x[B,I]`, `feature[F,I]`, `time[F,M]`, `bias[F/rank]`, `state[B,F*M]`.
/// Outputs: `y[B,F/rank]` and the next state. Quantized: `feature` in `i8`, `time` and `state` in
/// `i16`, `bias` in `i32`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Svdf {
    /// Filters that add up to one unit.
    pub rank: usize,
    /// Clamp of the result.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

register_op!(Svdf, "svdf", "singular value decomposition filter with memory");

impl Op for Svdf {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 5..=5)?;
        let fail = || {
            let shapes: Vec<_> = inputs.iter().map(|t| t.shape.to_string()).collect();
            OpError::new(format!(
                "shapes {} are not [B,I], [F,I], [F,M], [F/{}], [B,F*M]",
                shapes.join(", "),
                self.rank
            ))
        };
        let dims = |i: usize| inputs[i].shape.dims();
        let ([b, i], [f, i2], [f2, m], [b2, fm]) = (dims(0), dims(1), dims(2), dims(4)) else {
            return Err(fail());
        };
        let (f_len, m_len) = (f.fixed().ok_or_else(fail)?, m.fixed().ok_or_else(fail)?);
        let memory = f_len.checked_mul(m_len).ok_or_else(fail)?;
        let fits = i == i2 && f == f2 && b == b2 && *fm == Dim::Fixed(memory);
        if !fits || m_len == 0 || self.rank == 0 || f_len % self.rank != 0 {
            return Err(fail());
        }
        let units = f_len / self.rank;
        check_bias(Some(&inputs[3]), units)?;
        let y = TensorType::new(inputs[0].dtype, vec![b.clone(), Dim::Fixed(units)]);
        Ok(vec![y, inputs[4].clone()])
    }
}

inventory::submit! {
    CostEntry {
        key: || TypeId::of::<Svdf>(),
        macs: |_, inputs, _| {
            let batch = inputs[0].shape.fixed()?[0] as u64;
            let taps = inputs[1].shape.elements()?.checked_add(inputs[2].shape.elements()?)?;
            batch.checked_mul(taps as u64)
        },
    }
}

use super::arity;
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, Quant, TensorType};
use serde::{Deserialize, Serialize};

/// The axes in another order: axis `i` of the result is axis `perm[i]` of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transpose {
    /// A permutation of the axes.
    pub perm: Vec<usize>,
}

register_op!(Transpose, "transpose", "the axes in another order");

impl Op for Transpose {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let dims = inputs[0].shape.dims();
        let mut sorted = self.perm.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..dims.len()) {
            let why = format!("{:?} does not reorder the axes of {}", self.perm, inputs[0].shape);
            return Err(OpError::new(why));
        }
        let shape: Vec<Dim> = self.perm.iter().map(|&p| dims[p].clone()).collect();
        let moved = |axis: usize| self.perm.iter().position(|&p| p == axis).unwrap_or(axis);
        let quant = match &inputs[0].quant {
            Some(Quant::PerAxis { axis, scales, zero_points }) => Some(Quant::PerAxis {
                axis: moved(*axis),
                scales: scales.clone(),
                zero_points: zero_points.clone(),
            }),
            Some(Quant::PerBlock { .. }) => {
                return Err(OpError::new("a block-quantized value cannot be transposed"));
            }
            other => other.clone(),
        };
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape: shape.into(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

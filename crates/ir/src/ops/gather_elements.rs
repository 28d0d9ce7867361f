use super::{arity, axis_of, indices, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// For each element of `indices`, the element of `x` at the same place but with the index along an
/// axis. Negative indices count from the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatherElements {
    /// The axis that the indices point into.
    pub axis: usize,
}

register_op!(GatherElements, "gather_elements", "single elements along an axis, chosen by indices");

impl Op for GatherElements {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=2)?;
        axis_of(self.axis, inputs[0])?;
        indices(inputs[1])?;
        if inputs[0].shape.rank() != inputs[1].shape.rank() {
            return Err(OpError::new(format!(
                "indices {} for {}: the ranks differ",
                inputs[1].shape, inputs[0].shape
            )));
        }
        let quant = one_quant(&inputs[..1])?;
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape: inputs[1].shape.clone(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

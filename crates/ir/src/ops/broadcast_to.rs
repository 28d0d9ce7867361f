use super::{arity, broadcast, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// The value broadcast with a shape by NumPy's rule; an extent of 1 in the shape leaves that of the
/// value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroadcastTo {
    /// The shape to broadcast with.
    pub shape: Vec<usize>,
}

register_op!(BroadcastTo, "broadcast_to", "the value broadcast to a shape");

impl Op for BroadcastTo {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let shape = broadcast(&inputs[0].shape, &(&self.shape).into())?;
        let quant = one_quant(inputs)?;
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape, quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

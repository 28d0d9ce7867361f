use super::{arity, is_false, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// The upper or lower triangle of the last two axes; the rest becomes zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trilu {
    /// The upper triangle, or the lower.
    #[serde(default, skip_serializing_if = "is_false")]
    pub upper: bool,
    /// Diagonal at which the triangle begins: 0 the main one, positive above it.
    pub k: i64,
}

register_op!(Trilu, "trilu", "the upper or lower triangle of matrices");

impl Op for Trilu {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        if inputs[0].shape.rank() < 2 {
            return Err(OpError::new(format!("{} is no matrix", inputs[0].shape)));
        }
        let quant = one_quant(inputs)?;
        Ok(vec![TensorType { quant, ..inputs[0].clone() }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

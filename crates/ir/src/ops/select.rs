use super::{arity, broadcast, one_quant, same_dtype};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{DType, TensorType};
use serde::{Deserialize, Serialize};

/// `a` where the condition holds, `b` elsewhere. Inputs: `condition` (bool), `a`, `b`; shapes
/// broadcast by NumPy's rule. Quantized `a` and `b` share their parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Select {}

register_op!(Select, "select", "one of two values by a condition, element by element");

impl Op for Select {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 3..=3)?;
        if inputs[0].dtype != DType::Bool {
            return Err(OpError::new(format!("the condition is {}, not bool", inputs[0].dtype)));
        }
        let dtype = same_dtype(&inputs[1..])?;
        let quant = one_quant(&inputs[1..])?;
        let both = broadcast(&inputs[1].shape, &inputs[2].shape)?;
        Ok(vec![TensorType { dtype, shape: broadcast(&inputs[0].shape, &both)?, quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

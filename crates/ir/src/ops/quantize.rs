use super::arity;
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// Real or quantized numbers in the quantization that the output declares: rounds to nearest, ties
/// away from zero (or to even), and saturates; from quantized numbers it requantizes in integers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantize {
    /// Whether ties of real numbers go to the even neighbour, as ONNX has it.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub ties_even: bool,
}

register_op!(Quantize, "quantize", "numbers in the quantization that the output declares");

impl Op for Quantize {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        Ok(vec![TensorType::new(inputs[0].dtype, inputs[0].shape.clone())])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Quantizes
    }
}

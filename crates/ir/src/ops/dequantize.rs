use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, TensorType};
use serde::{Deserialize, Serialize};

/// The real numbers of a quantized value, or the `f32` of a half-precision one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dequantize {}

register_op!(Dequantize, "dequantize", "quantized or half-precision numbers as f32");

impl Op for Dequantize {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        if inputs[0].quant.is_none() && !inputs[0].dtype.is_float() {
            return Err(OpError::new(format!("{} is not quantized", inputs[0])));
        }
        Ok(vec![TensorType::new(DType::F32, inputs[0].shape.clone())])
    }
}

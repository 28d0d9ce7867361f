use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, Shape, TensorType};
use serde::{Deserialize, Serialize};

/// Quantizes to `u8` by the range of the data itself, as ONNX's `DynamicQuantizeLinear` does.
/// Outputs: the stored numbers, the scale (`f32`, a scalar), the zero point (`u8`, a scalar).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicQuantize {}

register_op!(DynamicQuantize, "dynamic_quantize", "u8 numbers by the range of the data itself");

impl Op for DynamicQuantize {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        if inputs[0].dtype != DType::F32 {
            return Err(OpError::new(format!("{} elements are not f32", inputs[0].dtype)));
        }
        Ok(vec![
            TensorType::new(DType::U8, inputs[0].shape.clone()),
            TensorType::new(DType::F32, Shape::default()),
            TensorType::new(DType::U8, Shape::default()),
        ])
    }
}

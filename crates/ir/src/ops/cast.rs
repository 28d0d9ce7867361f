use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, TensorType};
use serde::{Deserialize, Serialize};

/// The elements in another type: floats to integers cut toward zero and saturate, integers to
/// narrower ones wrap, anything to `bool` is "not zero". Quantization plays no part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// The new element type.
    pub to: DType,
}

register_op!(Cast, "cast", "the elements in another type");

impl Op for Cast {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        Ok(vec![TensorType::new(self.to, inputs[0].shape.clone())])
    }
}

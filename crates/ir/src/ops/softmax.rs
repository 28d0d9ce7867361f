use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// `exp(beta * x) / sum(exp(beta * x))` along an axis, or its logarithm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {
    /// The axis that is normalized.
    pub axis: usize,
    /// Factor of the exponent.
    #[serde(with = "crate::attr::f32")]
    pub beta: f32,
    /// Whether the logarithm is taken.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub log: bool,
}

register_op!(Softmax, "softmax", "normalized exponentials along an axis");

impl Op for Softmax {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        if self.axis >= inputs[0].shape.rank() {
            let why = format!("axis {} is not in {}", self.axis, inputs[0].shape);
            return Err(OpError::new(why));
        }
        Ok(vec![TensorType::new(inputs[0].dtype, inputs[0].shape.clone())])
    }
}

use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// Local response normalization over the last axis: `x / (bias + alpha / size * s)^beta`, where `s`
/// is the sum of squares over `size` channels around the element, `(size - 1) / 2` before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lrn {
    /// Channels in the window.
    pub size: usize,
    /// Weight of the mean of squares.
    #[serde(with = "crate::attr::f32")]
    pub alpha: f32,
    /// The exponent.
    #[serde(with = "crate::attr::f32")]
    pub beta: f32,
    /// Added before the power.
    #[serde(with = "crate::attr::f32")]
    pub bias: f32,
}

register_op!(Lrn, "lrn", "local response normalization over the last axis");

impl Op for Lrn {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        if self.size == 0 || inputs[0].shape.rank() == 0 {
            return Err(OpError::new("the window or the input has no channels"));
        }
        Ok(vec![TensorType::new(inputs[0].dtype, inputs[0].shape.clone())])
    }
}

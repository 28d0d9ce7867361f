use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// Batch normalization over the last axis with fixed statistics:
/// `scale * (x - mean) / sqrt(variance + epsilon) + bias`.
///
/// Inputs: `x[..., C]`, `scale[C]`, `bias[C]`, `mean[C]`, `variance[C]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    #[serde(with = "crate::attr::f32")]
    pub epsilon: f32,
}

register_op!(BatchNorm, "batch_norm", "batch normalization with fixed statistics");

impl Op for BatchNorm {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 5..=5)?;
        let Some(channels) = inputs[0].shape.dims().last() else {
            return Err(OpError::new("the input is a scalar"));
        };
        for (what, ty) in ["scale", "bias", "mean", "variance"].iter().zip(&inputs[1..]) {
            if ty.shape.dims() != std::slice::from_ref(channels) {
                return Err(OpError::new(format!("the {what} {} is not [{channels}]", ty.shape)));
            }
        }
        Ok(vec![TensorType::new(inputs[0].dtype, inputs[0].shape.clone())])
    }
}

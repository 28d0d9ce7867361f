use super::{arity, axis_of};
use crate::{Op, OpError, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// `x` divided by its norm along an axis. Where the norm is zero the result is zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LpNormalize {
    /// The axis of one norm.
    pub axis: usize,
    /// 1 for the sum of magnitudes, 2 for the Euclidean norm.
    pub p: u32,
    /// Lower bound of the sum of magnitudes or squares.
    #[serde(default, with = "crate::attr::f32", skip_serializing_if = "is_zero")]
    pub epsilon: f32,
}

fn is_zero(x: &f32) -> bool {
    *x == 0.0
}

register_op!(LpNormalize, "lp_normalize", "division by the norm along an axis");

impl Op for LpNormalize {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        axis_of(self.axis, inputs[0])?;
        if !matches!(self.p, 1 | 2) {
            return Err(OpError::new(format!("norm {} is not 1 or 2", self.p)));
        }
        Ok(vec![TensorType::new(inputs[0].dtype, inputs[0].shape.clone())])
    }
}

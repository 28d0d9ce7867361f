use super::{arity, axis_of};
use crate::{Op, OpError, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// 1 at the first largest element along an axis, 0 elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardmax {
    /// The axis that is searched.
    pub axis: usize,
}

register_op!(Hardmax, "hardmax", "1 at the first largest element along an axis");

impl Op for Hardmax {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        axis_of(self.axis, inputs[0])?;
        Ok(vec![TensorType::new(inputs[0].dtype, inputs[0].shape.clone())])
    }
}

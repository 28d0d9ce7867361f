use super::{arity, axis_of, is_false};
use crate::{Op, OpError, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// The running sum along an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CumSum {
    /// The axis that is summed along.
    pub axis: usize,
    /// Whether an element's own value is left out of its sum.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exclusive: bool,
    /// Whether the sum runs from the end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reverse: bool,
}

register_op!(CumSum, "cum_sum", "the running sum along an axis");

impl Op for CumSum {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        axis_of(self.axis, inputs[0])?;
        Ok(vec![TensorType::new(inputs[0].dtype, inputs[0].shape.clone())])
    }
}

use super::{arity, axis_of, indices, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Slices of `x` along an axis, chosen by `indices`: the result has the axes of `x` before `axis`,
/// then those of the indices after the batch axes, then the rest of `x`.
///
/// Negative indices count from the end; an index out of range is an error when it is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// The axis that the indices point into.
    pub axis: usize,
    /// Leading axes that `x` and the indices share.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub batch_dims: usize,
}

register_op!(Gather, "gather", "slices along an axis, chosen by indices");

impl Op for Gather {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=2)?;
        let (x, at) = (inputs[0].shape.dims(), inputs[1].shape.dims());
        axis_of(self.axis, inputs[0])?;
        indices(inputs[1])?;
        let batch = self.batch_dims;
        if batch > self.axis || batch > at.len() || x[..batch] != at[..batch] {
            return Err(OpError::new(format!(
                "{} and {} do not share {batch} axes before axis {}",
                inputs[0].shape, inputs[1].shape, self.axis
            )));
        }
        let dims: Vec<Dim> =
            x[..self.axis].iter().chain(&at[batch..]).chain(&x[self.axis + 1..]).cloned().collect();
        let quant = one_quant(&inputs[..1])?;
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape: dims.into(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

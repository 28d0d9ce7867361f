use super::{arity, indices, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Slices of `x` at coordinates: the last axis of `indices` holds the coordinates along the axes of
/// `x` after the batch axes. Negative coordinates count from the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatherNd {
    /// Leading axes that `x` and the indices share.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub batch_dims: usize,
}

register_op!(GatherNd, "gather_nd", "slices at coordinates");

impl Op for GatherNd {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=2)?;
        indices(inputs[1])?;
        let (x, at) = (inputs[0].shape.dims(), inputs[1].shape.dims());
        let fail = || {
            OpError::new(format!(
                "coordinates {} do not fit {} with {} batch axes",
                inputs[1].shape, inputs[0].shape, self.batch_dims
            ))
        };
        let [outer @ .., depth] = at else { return Err(fail()) };
        let depth = depth.fixed().ok_or_else(fail)?;
        let batch = self.batch_dims;
        let used = batch.checked_add(depth).ok_or_else(fail)?;
        if used > x.len() || batch > outer.len() || x[..batch] != outer[..batch] {
            return Err(fail());
        }
        let dims: Vec<Dim> = outer.iter().chain(&x[used..]).cloned().collect();
        let quant = one_quant(&inputs[..1])?;
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape: dims.into(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

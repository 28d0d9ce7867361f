use super::{arity, axis_of, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{DType, Dim, TensorType};
use serde::{Deserialize, Serialize};

/// The `k` largest or smallest elements along an axis, in order, and their indices; the smaller index
/// comes first among equals. Outputs: values, indices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopK {
    /// How many.
    pub k: usize,
    /// The axis that is searched.
    pub axis: usize,
    /// The largest, or the smallest.
    pub largest: bool,
    /// Element type of the indices: `i32` or `i64`.
    pub to: DType,
}

register_op!(TopK, "top_k", "the largest or smallest elements along an axis and their indices");

impl Op for TopK {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        axis_of(self.axis, inputs[0])?;
        super::index_type(self.to)?;
        let mut dims = inputs[0].shape.dims().to_vec();
        if dims[self.axis].fixed().is_some_and(|n| self.k > n) {
            return Err(OpError::new(format!(
                "{} elements of axis {} of {}",
                self.k, self.axis, inputs[0].shape
            )));
        }
        dims[self.axis] = Dim::Fixed(self.k);
        let quant = one_quant(&inputs[..1])?;
        let values = TensorType { dtype: inputs[0].dtype, shape: dims.clone().into(), quant };
        Ok(vec![values, TensorType::new(self.to, dims)])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

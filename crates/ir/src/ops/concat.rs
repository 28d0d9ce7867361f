use super::same_dtype;
use crate::{Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Joins values along an axis. Quantized inputs may have parameters that differ from the output's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The axis along which the inputs lie one after another.
    pub axis: usize,
}

register_op!(Concat, "concat", "joins values along an axis");

impl Op for Concat {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        let dtype = same_dtype(inputs)?;
        let mut dims = inputs[0].shape.dims().to_vec();
        if self.axis >= dims.len() {
            let why = format!("axis {} is not in {}", self.axis, inputs[0].shape);
            return Err(OpError::new(why));
        }
        let mut total = 0_usize;
        for input in inputs {
            let other = input.shape.dims();
            let fits = other.len() == dims.len()
                && (0..dims.len()).all(|i| i == self.axis || other[i] == dims[i]);
            if !fits {
                return Err(OpError::new(format!(
                    "{} and {} differ in more than axis {}",
                    inputs[0].shape, input.shape, self.axis
                )));
            }
            let extent = other[self.axis].fixed().ok_or_else(|| {
                OpError::new(format!("axis {} of {} is unbound", self.axis, input.shape))
            })?;
            total = total
                .checked_add(extent)
                .ok_or_else(|| OpError::new("the joined axis is too long"))?;
        }
        dims[self.axis] = Dim::Fixed(total);
        Ok(vec![TensorType::new(dtype, dims)])
    }
}

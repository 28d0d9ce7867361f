use super::{arity, fixed};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Every `step`-th element from `start`, along each axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The first index, an entry an axis.
    pub start: Vec<usize>,
    /// Number of elements, an entry an axis.
    pub len: Vec<usize>,
    /// Distance between elements, an entry an axis; negative steps go backward.
    pub step: Vec<i64>,
}

register_op!(Slice, "slice", "every n-th element from a start, along each axis");

impl Op for Slice {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let shape = fixed("the input", inputs[0])?;
        let rank = shape.len();
        if [self.start.len(), self.len.len(), self.step.len()] != [rank; 3] {
            return Err(OpError::new(format!("needs a start, length and step for {rank} axes")));
        }
        for axis in 0..rank {
            let (start, len, step) = (self.start[axis], self.len[axis], self.step[axis]);
            let last = start as i128 + (len as i128 - 1) * i128::from(step);
            let inside = start < shape[axis] && (0..shape[axis] as i128).contains(&last);
            if step == 0 || (len > 0 && !inside) {
                return Err(OpError::new(format!(
                    "{len} elements from {start} in steps of {step} are not in axis {axis} of {}",
                    inputs[0].shape
                )));
            }
        }
        let dims: Vec<Dim> = self.len.iter().map(|&n| Dim::Fixed(n)).collect();
        Ok(vec![TensorType { shape: dims.into(), ..inputs[0].clone() }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

use super::arity;
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Every `step`-th element from `start`, along each axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The first index, an entry an axis.
    pub start: Vec<usize>,
    /// Number of elements, an entry an axis. [`Slice::ALL`] from 0 in steps of 1 is the whole axis,
    /// also where its extent is a symbol.
    pub len: Vec<usize>,
    /// Distance between elements, an entry an axis; negative steps go backward.
    pub step: Vec<i64>,
}

register_op!(Slice, "slice", "every n-th element from a start, along each axis");

impl Slice {
    /// The length that stands for a whole axis.
    pub const ALL: usize = i64::MAX as usize;
}

impl Op for Slice {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let rank = inputs[0].shape.rank();
        if [self.start.len(), self.len.len(), self.step.len()] != [rank; 3] {
            return Err(OpError::new(format!("needs a start, length and step for {rank} axes")));
        }
        let mut dims = Vec::with_capacity(rank);
        for (axis, dim) in inputs[0].shape.dims().iter().enumerate() {
            let (start, len, step) = (self.start[axis], self.len[axis], self.step[axis]);
            if (start, len, step) == (0, Self::ALL, 1) {
                dims.push(dim.clone());
                continue;
            }
            let last = start as i128 + (len as i128 - 1) * i128::from(step);
            let inside = |n: usize| start < n && (0..n as i128).contains(&last);
            if step == 0 || (len > 0 && !dim.fixed().is_some_and(inside)) {
                return Err(OpError::new(format!(
                    "{len} elements from {start} in steps of {step} are not in axis {axis} of {}",
                    inputs[0].shape
                )));
            }
            dims.push(Dim::Fixed(len));
        }
        Ok(vec![TensorType { shape: dims.into(), ..inputs[0].clone() }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

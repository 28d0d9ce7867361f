use super::{arity, axis_of, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// The elements in reverse order along one axis: all of them, or as many as a second operand says for
/// each index of a batch axis (the rest stays).
///
/// Inputs: `x`, and with `batch_axis` the lengths, one for each index of that axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reverse {
    /// The axis that is reversed.
    pub axis: usize,
    /// The axis that has lengths of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_axis: Option<usize>,
}

register_op!(Reverse, "reverse", "the elements in reverse order along an axis");

impl Op for Reverse {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        let operands = if self.batch_axis.is_some() { 2 } else { 1 };
        arity(inputs, operands..=operands)?;
        axis_of(self.axis, inputs[0])?;
        if let Some(batch) = self.batch_axis {
            axis_of(batch, inputs[0])?;
            super::indices(inputs[1])?;
            let wanted = &inputs[0].shape.dims()[batch];
            if batch == self.axis || inputs[1].shape.dims() != std::slice::from_ref(wanted) {
                return Err(OpError::new(format!(
                    "lengths {} for axis {batch} of {}",
                    inputs[1].shape, inputs[0].shape
                )));
            }
        }
        let quant = one_quant(&inputs[..1])?;
        Ok(vec![TensorType { quant, ..inputs[0].clone() }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

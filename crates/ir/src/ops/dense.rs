use super::{Activation, arity, check_bias, fixed};
use crate::{CostEntry, Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};
use std::any::TypeId;

/// Fully connected layer over the last axis: `x[..., I] * w[O, I] + b[O]`, then the activation.
///
/// The bias may be left out. Quantized as [`Conv2d`](super::Conv2d) is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Clamp of the result.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

register_op!(Dense, "dense", "fully connected layer over the last axis");

impl Op for Dense {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=3)?;
        let &[o, i] = fixed("the weights", inputs[1])?.as_slice() else {
            return Err(OpError::new(format!(
                "the weights {} are not [outputs, inputs]",
                inputs[1].shape
            )));
        };
        let mut dims = inputs[0].shape.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == Dim::Fixed(i) => *last = Dim::Fixed(o),
            _ => {
                return Err(OpError::new(format!(
                    "the input {} does not end in the {i} inputs of the weights",
                    inputs[0].shape
                )));
            }
        }
        check_bias(inputs.get(2), o)?;
        Ok(vec![TensorType::new(inputs[0].dtype, dims)])
    }
}

inventory::submit! {
    CostEntry {
        key: || TypeId::of::<Dense>(),
        macs: |_, inputs, outputs| {
            let depth = *inputs[1].shape.fixed()?.last()? as u64;
            (outputs[0].shape.elements()? as u64).checked_mul(depth)
        },
    }
}

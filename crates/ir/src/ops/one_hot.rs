use super::{arity, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// A new axis along which one element is "on", chosen by an index. Inputs: the indices, and the two
/// values `[off, on]`. Negative indices count from the end; where an index is out of range all
/// elements are off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneHot {
    /// Where the new axis stands in the result.
    pub axis: usize,
    /// Its extent.
    pub depth: usize,
    /// Whether a negative index is out of range, as TFLite has it.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub negative_is_off: bool,
}

register_op!(OneHot, "one_hot", "a new axis along which one element is on");

impl Op for OneHot {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=2)?;
        let mut dims = inputs[0].shape.dims().to_vec();
        if self.axis > dims.len() {
            let why = format!("a new axis {} in {}", self.axis, inputs[0].shape);
            return Err(OpError::new(why));
        }
        if inputs[1].shape != [2].into() {
            return Err(OpError::new(format!("the values {} are not [off, on]", inputs[1].shape)));
        }
        dims.insert(self.axis, Dim::Fixed(self.depth));
        let quant = one_quant(&inputs[1..])?;
        Ok(vec![TensorType { dtype: inputs[1].dtype, shape: dims.into(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

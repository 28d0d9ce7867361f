use super::{arity, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// The whole value repeated along each axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tile {
    /// How often, an entry an axis.
    pub repeats: Vec<usize>,
}

register_op!(Tile, "tile", "the whole value repeated along each axis");

impl Op for Tile {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let fail =
            || OpError::new(format!("{} repeated {:?} times", inputs[0].shape, self.repeats));
        if self.repeats.len() != inputs[0].shape.rank() {
            return Err(fail());
        }
        let dims = inputs[0].shape.dims().iter().zip(&self.repeats).map(|(d, r)| match d.fixed() {
            _ if *r == 1 => Some(d.clone()),
            Some(n) => n.checked_mul(*r).map(Dim::Fixed),
            None => None,
        });
        let dims: Vec<Dim> = dims.collect::<Option<_>>().ok_or_else(fail)?;
        let quant = one_quant(inputs)?;
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape: dims.into(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

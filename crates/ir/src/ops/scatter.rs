use super::{arity, axis_of, indices, one_quant, same_dtype};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// How a scattered element meets the element that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScatterFn {
    /// It takes its place; the last one wins.
    #[default]
    Replace,
    /// Their sum.
    Add,
    /// Their product.
    Mul,
    /// The smaller.
    Min,
    /// The larger.
    Max,
}

impl ScatterFn {
    fn is_replace(&self) -> bool {
        *self == Self::Replace
    }
}

/// A copy of `x` in which each element of `updates` is put at its own place but with the index along
/// an axis taken from `indices`. Inputs: `x`, `indices`, `updates`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScatterElements {
    /// The axis that the indices point into.
    pub axis: usize,
    /// What happens to the element that is there.
    #[serde(default, skip_serializing_if = "ScatterFn::is_replace")]
    pub reduction: ScatterFn,
}

/// A copy of `x` in which slices of `updates` are put at coordinates: the last axis of `indices`
/// holds the coordinates along the first axes of `x`. Inputs: `x`, `indices`, `updates`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScatterNd {
    /// What happens to the elements that are there.
    #[serde(default, skip_serializing_if = "ScatterFn::is_replace")]
    pub reduction: ScatterFn,
}

register_op!(ScatterElements, "scatter_elements", "a copy with single elements put along an axis");
register_op!(ScatterNd, "scatter_nd", "a copy with slices put at coordinates");

/// The type of a copy of `inputs[0]` that takes elements of `inputs[2]`.
fn copy(inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
    same_dtype(&[inputs[0], inputs[2]])?;
    let quant = one_quant(&[inputs[0], inputs[2]])?;
    Ok(vec![TensorType { quant, ..inputs[0].clone() }])
}

impl Op for ScatterElements {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 3..=3)?;
        axis_of(self.axis, inputs[0])?;
        indices(inputs[1])?;
        if inputs[1].shape != inputs[2].shape || inputs[1].shape.rank() != inputs[0].shape.rank() {
            return Err(OpError::new(format!(
                "indices {} and updates {} do not fit {}",
                inputs[1].shape, inputs[2].shape, inputs[0].shape
            )));
        }
        copy(inputs)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

impl Op for ScatterNd {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 3..=3)?;
        indices(inputs[1])?;
        let (x, at, new) = (&inputs[0].shape, &inputs[1].shape, &inputs[2].shape);
        let fail = || OpError::new(format!("coordinates {at} and updates {new} do not fit {x}"));
        let [outer @ .., depth] = at.dims() else { return Err(fail()) };
        let depth = depth.fixed().filter(|d| *d <= x.rank()).ok_or_else(fail)?;
        if !new.dims().iter().eq(outer.iter().chain(&x.dims()[depth..])) {
            return Err(fail());
        }
        copy(inputs)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

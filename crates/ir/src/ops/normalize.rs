use super::{arity, broadcast};
use crate::{Op, OpError, register_op};
use paring_tensor::TensorType;
use serde::{Deserialize, Serialize};

/// `scale * (x - mean) / sqrt(variance + epsilon) + bias` with the statistics of `x` itself along
/// some axes: layer, instance and group normalization.
///
/// Inputs: `x`, `scale`, `bias`; the last, or both of them, may be left out. They broadcast to `x`.
/// Layer normalization takes the last axes; instance normalization of an image takes height and
/// width; group normalization takes height, width and channels, with `groups`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// The axes of one set of statistics, ascending.
    pub axes: Vec<usize>,
    /// Parts of the last axis that have statistics of their own; the last axis is then one of
    /// `axes`.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// Added to the variance.
    #[serde(with = "crate::attr::f32")]
    pub epsilon: f32,
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

register_op!(Normalize, "normalize", "layer, instance and group normalization");

impl Op for Normalize {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=3)?;
        let shape = &inputs[0].shape;
        let rank = shape.rank();
        let ascending = self.axes.windows(2).all(|w| w[0] < w[1]);
        if !ascending || self.axes.last().is_none_or(|a| *a >= rank) {
            let why = format!("axes {:?} are not ascending axes of {shape}", self.axes);
            return Err(OpError::new(why));
        }
        let divided = || {
            let channels = shape.dims().last()?.fixed()?;
            (self.axes.last() == Some(&(rank - 1)) && channels % self.groups == 0).then_some(())
        };
        if self.groups == 0 || (self.groups > 1 && divided().is_none()) {
            let why = format!("{} groups do not divide the last axis of {shape}", self.groups);
            return Err(OpError::new(why));
        }
        for (what, ty) in ["scale", "bias"].iter().zip(&inputs[1..]) {
            if broadcast(shape, &ty.shape)? != *shape {
                let why = format!("the {what} {} does not broadcast to {shape}", ty.shape);
                return Err(OpError::new(why));
            }
        }
        Ok(vec![TensorType::new(inputs[0].dtype, shape.clone())])
    }
}

use super::{arity, nhwc, one_quant};
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Blocks of channels of `x[N,H,W,C]` laid out as squares of `block` by `block` pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthToSpace {
    /// Side of a square.
    pub block: usize,
    /// Order of the channels.
    #[serde(default, skip_serializing_if = "DepthOrder::is_dcr")]
    pub order: DepthOrder,
}

/// Squares of `block` by `block` pixels of `x[N,H,W,C]` laid out as channels, in the order `dcr`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceToDepth {
    /// Side of a square.
    pub block: usize,
}

/// How the position in the square and the remaining channel make up the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepthOrder {
    /// Position first: channel `(row * block + column) * rest + c`. TFLite's order.
    #[default]
    Dcr,
    /// Position last: channel `c * block * block + row * block + column`.
    Crd,
}

impl DepthOrder {
    fn is_dcr(&self) -> bool {
        *self == Self::Dcr
    }
}

register_op!(DepthToSpace, "depth_to_space", "blocks of channels laid out as squares of pixels");
register_op!(SpaceToDepth, "space_to_depth", "squares of pixels laid out as channels");

impl Op for DepthToSpace {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let (n, [h, w], c) = nhwc("the input", inputs[0])?;
        let fail =
            || OpError::new(format!("{} has no blocks of side {}", inputs[0].shape, self.block));
        let area = self.block.checked_mul(self.block).filter(|a| *a > 0).ok_or_else(fail)?;
        if c % area != 0 {
            return Err(fail());
        }
        let long = |n: usize| n.checked_mul(self.block).map(Dim::Fixed).ok_or_else(fail);
        let dims = vec![n.clone(), long(h)?, long(w)?, Dim::Fixed(c / area)];
        let quant = one_quant(inputs)?;
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape: dims.into(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

impl Op for SpaceToDepth {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let (n, [h, w], c) = nhwc("the input", inputs[0])?;
        let fail =
            || OpError::new(format!("{} has no squares of side {}", inputs[0].shape, self.block));
        if self.block == 0 || h % self.block != 0 || w % self.block != 0 {
            return Err(fail());
        }
        let depth = self.block.checked_mul(self.block).and_then(|a| c.checked_mul(a));
        let (h, w) = (Dim::Fixed(h / self.block), Dim::Fixed(w / self.block));
        let dims = vec![n.clone(), h, w, Dim::Fixed(depth.ok_or_else(fail)?)];
        let quant = one_quant(inputs)?;
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape: dims.into(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

use super::arity;
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Elements before and after each axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Elements before and after, an entry an axis; negative numbers cut off.
    pub pads: Vec<[i64; 2]>,
    /// What the new elements are.
    pub mode: PadMode,
}

/// What padded elements are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// One number; of a quantized value it is real, so zero is the zero point.
    Constant(f64),
    /// Mirrored without the edge element.
    Reflect,
    /// Mirrored with the edge element.
    Symmetric,
    /// The edge element.
    Edge,
    /// From the other end.
    Wrap,
}

register_op!(Pad, "pad", "elements before and after each axis");

impl Op for Pad {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let rank = inputs[0].shape.rank();
        if self.pads.len() != rank {
            let why =
                format!("{} pads for the {rank} axes of {}", self.pads.len(), inputs[0].shape);
            return Err(OpError::new(why));
        }
        let mut dims = Vec::with_capacity(rank);
        for (axis, (dim, [before, after])) in
            inputs[0].shape.dims().iter().zip(&self.pads).enumerate()
        {
            if (*before, *after) == (0, 0) {
                dims.push(dim.clone());
                continue;
            }
            let n = dim.fixed().ok_or_else(|| {
                OpError::new(format!("axis {axis} of {} is unbound", inputs[0].shape))
            })?;
            let padded = (n as i128) + i128::from(*before) + i128::from(*after);
            let limit = match self.mode {
                PadMode::Constant(_) | PadMode::Wrap => i64::MAX,
                PadMode::Reflect => n as i64 - 1,
                PadMode::Symmetric => n as i64,
                PadMode::Edge => {
                    if n == 0 {
                        0
                    } else {
                        i64::MAX
                    }
                }
            };
            if *before.max(after) > limit || (matches!(self.mode, PadMode::Wrap) && n == 0) {
                return Err(OpError::new(format!(
                    "axis {axis} of {} cannot be padded by {before} and {after} in this mode",
                    inputs[0].shape
                )));
            }
            match usize::try_from(padded) {
                Ok(n) => dims.push(Dim::Fixed(n)),
                Err(_) => {
                    return Err(OpError::new(format!(
                        "axis {axis} of {} cannot be padded by {before} and {after}",
                        inputs[0].shape
                    )));
                }
            }
        }
        let ty = TensorType { shape: dims.into(), ..inputs[0].clone() };
        Ok(vec![ty])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

use super::arity;
use crate::{Op, OpError, QuantRule, register_op};
use paring_tensor::{Dim, Quant, TensorType};
use serde::{Deserialize, Serialize};

/// The same elements in another shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The new extents; at most one is -1 and takes what remains.
    pub shape: Vec<i64>,
}

impl Reshape {
    /// To these extents.
    #[must_use]
    pub fn to(shape: &[usize]) -> Self {
        Self { shape: shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect() }
    }
}

register_op!(Reshape, "reshape", "the same elements in another shape");

impl Op for Reshape {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let from = &inputs[0].shape;
        let fail = || OpError::new(format!("{from} does not reshape to {:?}", self.shape));
        // A symbol that both shapes share cancels; -1 then stands for it.
        let symbols: Vec<&Dim> = from.dims().iter().filter(|d| d.fixed().is_none()).collect();
        let numbers = from.dims().iter().filter_map(Dim::fixed);
        let have = numbers.clone().try_fold(1_usize, usize::checked_mul).ok_or_else(fail)?;
        let mut known = 1_usize;
        let mut hole = None;
        let mut dims = Vec::with_capacity(self.shape.len());
        for (i, &n) in self.shape.iter().enumerate() {
            if n == -1 && hole.replace(i).is_none() {
                dims.push(Dim::Fixed(1));
                continue;
            }
            let n = usize::try_from(n).map_err(|_| fail())?;
            known = known.checked_mul(n).ok_or_else(fail)?;
            dims.push(Dim::Fixed(n));
        }
        match (hole, symbols.as_slice()) {
            (None, []) if known == have => {}
            (Some(i), []) if known > 0 && have % known == 0 => dims[i] = Dim::Fixed(have / known),
            (Some(i), [symbol]) if known == have => dims[i] = (*symbol).clone(),
            _ => return Err(fail()),
        }
        let quant = match &inputs[0].quant {
            None => None,
            Some(q) => match q.as_per_tensor() {
                Some((scale, zero_point)) => Some(Quant::per_tensor(scale, zero_point)),
                None => {
                    return Err(OpError::new("a per-axis quantized value cannot be reshaped"));
                }
            },
        };
        Ok(vec![TensorType { dtype: inputs[0].dtype, shape: dims.into(), quant }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Moves
    }
}

use super::{arity, broadcast, same_dtype};
use crate::{CostEntry, Op, OpError, register_op};
use paring_tensor::{Shape, TensorType};
use serde::{Deserialize, Serialize};
use std::any::TypeId;

/// Matrix product `a[..., M, K] * b[..., K, N]` of two computed values; leading axes broadcast.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatMul {}

register_op!(MatMul, "matmul", "matrix product of two computed values");

impl Op for MatMul {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=2)?;
        let dtype = same_dtype(inputs)?;
        let (a, b) = (inputs[0].shape.dims(), inputs[1].shape.dims());
        let fail = || {
            OpError::new(format!(
                "shapes {} and {} do not multiply as matrices",
                inputs[0].shape, inputs[1].shape
            ))
        };
        let ([left @ .., m, k], [right @ .., k2, n]) = (a, b) else { return Err(fail()) };
        if k != k2 {
            return Err(fail());
        }
        let mut dims = broadcast(&left.to_vec().into(), &right.to_vec().into())?.dims().to_vec();
        dims.extend([m.clone(), n.clone()]);
        Ok(vec![TensorType::new(dtype, Shape::from(dims))])
    }
}

inventory::submit! {
    CostEntry {
        key: || TypeId::of::<MatMul>(),
        macs: |_, inputs, outputs| {
            let depth = inputs[0].shape.dims().last()?.fixed()? as u64;
            (outputs[0].shape.elements()? as u64).checked_mul(depth)
        },
    }
}

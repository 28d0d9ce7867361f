use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, Dim, TensorType};
use serde::{Deserialize, Serialize};

/// The indices of the elements that are not zero, `[rank, count]` in `i64`, in row-major order of the
/// elements. The number of them depends on the data: it is a symbol in the type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonZero {
    /// The symbol that stands for the number of indices.
    pub count: String,
}

register_op!(NonZero, "non_zero", "the indices of elements that are not zero");

impl Op for NonZero {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let dims = vec![Dim::Fixed(inputs[0].shape.rank()), Dim::symbol(&self.count)];
        Ok(vec![TensorType::new(DType::I64, dims)])
    }
}

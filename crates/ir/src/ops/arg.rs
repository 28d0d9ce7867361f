use super::{arity, axis_of, is_false};
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, Dim, TensorType};
use serde::{Deserialize, Serialize};

/// The index of the largest or smallest element along an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arg {
    /// Which element.
    pub f: ArgFn,
    /// The axis that is searched.
    pub axis: usize,
    /// Whether the axis stays with extent 1.
    pub keep_dims: bool,
    /// Whether the last of equal elements counts, not the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub select_last: bool,
    /// Element type of the index: `i32` or `i64`.
    pub to: DType,
}

/// Which element's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ArgFn {
    Max,
    Min,
}

register_op!(Arg, "arg", "the index of the largest or smallest element along an axis");

impl Op for Arg {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        axis_of(self.axis, inputs[0])?;
        super::index_type(self.to)?;
        let mut dims = inputs[0].shape.dims().to_vec();
        if dims[self.axis] == Dim::Fixed(0) {
            return Err(OpError::new(format!(
                "axis {} of {} is empty",
                self.axis, inputs[0].shape
            )));
        }
        if self.keep_dims {
            dims[self.axis] = Dim::Fixed(1);
        } else {
            dims.remove(self.axis);
        }
        Ok(vec![TensorType::new(self.to, dims)])
    }
}

use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, Dim, TensorType};
use serde::{Deserialize, Serialize};

/// A function of all elements along some axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// The function.
    pub f: ReduceFn,
    /// The axes that go, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep_dims: bool,
}

/// What is computed along the axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ReduceFn {
    Mean,
    Sum,
    Prod,
    Max,
    Min,
    L1,
    L2,
    LogSum,
    LogSumExp,
    SumSquare,
    /// Of booleans.
    All,
    /// Of booleans.
    Any,
}

register_op!(Reduce, "reduce", "a function of all elements along some axes");

impl Op for Reduce {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let dims = inputs[0].shape.dims();
        let ascending = self.axes.windows(2).all(|w| w[0] < w[1]);
        if !ascending || self.axes.iter().any(|a| *a >= dims.len()) {
            return Err(OpError::new(format!(
                "axes {:?} are not ascending axes of {}",
                self.axes, inputs[0].shape
            )));
        }
        let boolean = matches!(self.f, ReduceFn::All | ReduceFn::Any);
        if boolean != (inputs[0].dtype == DType::Bool) && boolean {
            return Err(OpError::new(format!("{:?} of {} elements", self.f, inputs[0].dtype)));
        }
        let kept: Vec<Dim> = dims
            .iter()
            .enumerate()
            .filter_map(|(i, d)| match self.axes.contains(&i) {
                false => Some(d.clone()),
                true => self.keep_dims.then_some(Dim::Fixed(1)),
            })
            .collect();
        Ok(vec![TensorType::new(inputs[0].dtype, kept)])
    }
}

use super::{Activation, arity, broadcast, same_dtype};
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, TensorType};
use serde::{Deserialize, Serialize};

/// A function of two elements; shapes broadcast by NumPy's rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binary {
    /// The function.
    pub f: BinaryFn,
    /// Clamp of the result.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

/// Functions of two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum BinaryFn {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Pow,
    /// Remainder with the sign of the divisor (Python's `%`).
    Mod,
    /// Remainder with the sign of the dividend (C's `fmod`).
    Fmod,
    FloorDiv,
    SquaredDifference,
    /// `a` where positive, `a * b` elsewhere.
    Prelu,
    /// `atan2(a, b)`
    Atan2,
    And,
    Or,
    Xor,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl BinaryFn {
    /// Whether the result is a boolean.
    #[must_use]
    pub fn compares(self) -> bool {
        use BinaryFn::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }
}

impl Binary {
    /// The function without an activation.
    #[must_use]
    pub fn new(f: BinaryFn) -> Self {
        Self { f, activation: Activation::None }
    }
}

register_op!(Binary, "binary", "a function of two elements with broadcasting");

impl Op for Binary {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=2)?;
        // The exponent of a power may have a type of its own.
        let dtype = if self.f == BinaryFn::Pow { inputs[0].dtype } else { same_dtype(inputs)? };
        if matches!(self.f, BinaryFn::And | BinaryFn::Or | BinaryFn::Xor) && dtype != DType::Bool {
            return Err(OpError::new(format!("{:?} of {dtype} elements", self.f)));
        }
        let dtype = if self.f.compares() { DType::Bool } else { dtype };
        Ok(vec![TensorType::new(dtype, broadcast(&inputs[0].shape, &inputs[1].shape)?)])
    }
}

use super::arity;
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, TensorType};
use serde::{Deserialize, Serialize};

/// A function of each element.
///
/// Constants and forms are those of the ONNX operator of the same name where nothing else is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "f", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Unary {
    Relu,
    Relu6,
    #[serde(rename = "relu_n1_to_1")]
    ReluN1To1,
    /// `x` where positive, `alpha * x` elsewhere.
    LeakyRelu {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
    },
    /// `min(max(x, min), max)`; infinite bounds do nothing.
    Clip {
        #[serde(with = "crate::attr::f32")]
        min: f32,
        #[serde(with = "crate::attr::f32")]
        max: f32,
    },
    Sigmoid,
    HardSigmoid {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
        #[serde(with = "crate::attr::f32")]
        beta: f32,
    },
    /// `x * min(max(x + 3, 0), 6) / 6`
    HardSwish,
    /// `x * sigmoid(x)`
    Silu,
    Tanh,
    Elu {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
    },
    Selu {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
        #[serde(with = "crate::attr::f32")]
        gamma: f32,
    },
    Celu {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
    },
    /// With the error function, or with the tanh approximation.
    Gelu {
        tanh: bool,
    },
    Softplus,
    Softsign,
    Mish,
    ThresholdedRelu {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
    },
    Abs,
    Neg,
    Sign,
    Floor,
    Ceil,
    /// To the nearest integer, ties to even.
    Round,
    Exp,
    Log,
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    Square,
    Reciprocal,
    Erf,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    /// Logical negation of booleans.
    Not,
    /// Every bit of an integer inverted.
    BitNot,
    /// To boolean.
    IsNan,
    /// To boolean.
    IsInf {
        negative: bool,
        positive: bool,
    },
}

register_op!(Unary, "unary", "a function of each element: activations and mathematics");

impl Op for Unary {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let dtype = match self {
            Self::IsNan | Self::IsInf { .. } => DType::Bool,
            Self::Not if inputs[0].dtype != DType::Bool => {
                return Err(OpError::new(format!("`not` of {} elements", inputs[0].dtype)));
            }
            Self::BitNot if !inputs[0].dtype.is_integer() => {
                return Err(OpError::new(format!("`bit_not` of {} elements", inputs[0].dtype)));
            }
            _ => inputs[0].dtype,
        };
        Ok(vec![TensorType::new(dtype, inputs[0].shape.clone())])
    }
}

//! Bare functions in a model: operations of Keras 3, and the calls of TensorFlow that Keras 2 keeps as
//! `TFOpLambda`.

use super::{Read, activation, merge};
use crate::build::LayerCx;
use crate::config::Layer;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{BinaryFn, MatMul, Reduce, ReduceFn, Reshape, Softmax, Transpose, Unary};
use serde_json::Value;

/// What a function does.
#[derive(Clone, Copy)]
enum Does {
    Each(fn() -> Unary),
    Activation(&'static str),
    Both(BinaryFn),
    Fold(ReduceFn),
    Other(Read),
}

/// The functions, by their names in Keras 3 and in TensorFlow.
const FUNCTIONS: &[(&str, &str, Does)] = &[
    ("Add", "math.add", Does::Both(BinaryFn::Add)),
    ("", "__operators__.add", Does::Both(BinaryFn::Add)),
    ("Subtract", "math.subtract", Does::Both(BinaryFn::Sub)),
    ("Multiply", "math.multiply", Does::Both(BinaryFn::Mul)),
    ("TrueDivide", "math.truediv", Does::Both(BinaryFn::Div)),
    ("Divide", "math.divide", Does::Both(BinaryFn::Div)),
    ("Maximum", "math.maximum", Does::Both(BinaryFn::Max)),
    ("Minimum", "math.minimum", Does::Both(BinaryFn::Min)),
    ("NotEqual", "math.not_equal", Does::Both(BinaryFn::NotEqual)),
    ("Equal", "math.equal", Does::Both(BinaryFn::Equal)),
    ("Greater", "math.greater", Does::Both(BinaryFn::Greater)),
    ("Less", "math.less", Does::Both(BinaryFn::Less)),
    ("LogicalAnd", "math.logical_and", Does::Both(BinaryFn::And)),
    ("LogicalOr", "math.logical_or", Does::Both(BinaryFn::Or)),
    ("LogicalNot", "math.logical_not", Does::Each(|| Unary::Not)),
    ("Any", "math.reduce_any", Does::Fold(ReduceFn::Any)),
    ("All", "math.reduce_all", Does::Fold(ReduceFn::All)),
    ("Power", "math.pow", Does::Both(BinaryFn::Pow)),
    ("Absolute", "math.abs", Does::Each(|| Unary::Abs)),
    ("Negative", "math.negative", Does::Each(|| Unary::Neg)),
    ("Exp", "math.exp", Does::Each(|| Unary::Exp)),
    ("Log", "math.log", Does::Each(|| Unary::Log)),
    ("Sqrt", "math.sqrt", Does::Each(|| Unary::Sqrt)),
    ("Rsqrt", "math.rsqrt", Does::Each(|| Unary::Rsqrt)),
    ("Square", "math.square", Does::Each(|| Unary::Square)),
    ("Sin", "math.sin", Does::Each(|| Unary::Sin)),
    ("Cos", "math.cos", Does::Each(|| Unary::Cos)),
    ("Erf", "math.erf", Does::Each(|| Unary::Erf)),
    ("Floor", "math.floor", Does::Each(|| Unary::Floor)),
    ("Ceil", "math.ceil", Does::Each(|| Unary::Ceil)),
    ("Relu", "nn.relu", Does::Activation("relu")),
    ("Relu6", "nn.relu6", Does::Activation("relu6")),
    ("Sigmoid", "math.sigmoid", Does::Activation("sigmoid")),
    ("", "nn.sigmoid", Does::Activation("sigmoid")),
    ("Tanh", "math.tanh", Does::Activation("tanh")),
    ("Silu", "nn.silu", Does::Activation("silu")),
    ("", "nn.swish", Does::Activation("silu")),
    ("Softplus", "math.softplus", Does::Activation("softplus")),
    ("Softsign", "nn.softsign", Does::Activation("softsign")),
    ("HardSigmoid", "", Does::Activation("hard_sigmoid")),
    ("HardSilu", "", Does::Activation("hard_silu")),
    ("HardTanh", "", Does::Activation("hard_tanh")),
    ("LogSigmoid", "math.log_sigmoid", Does::Activation("log_sigmoid")),
    ("Mish", "", Does::Activation("mish")),
    ("Selu", "nn.selu", Does::Activation("selu")),
    ("Mean", "math.reduce_mean", Does::Fold(ReduceFn::Mean)),
    ("Sum", "math.reduce_sum", Does::Fold(ReduceFn::Sum)),
    ("Max", "math.reduce_max", Does::Fold(ReduceFn::Max)),
    ("Min", "math.reduce_min", Does::Fold(ReduceFn::Min)),
    (
        "Gelu",
        "",
        Does::Other(|cx| {
            let x = cx.x()?;
            let tanh = cx.layer.flag("approximate", true);
            cx.node(Unary::Gelu { tanh }, &[x])
        }),
    ),
    (
        "Elu",
        "nn.elu",
        Does::Other(|cx| {
            let x = cx.x()?;
            let alpha = cx.layer.float("alpha", 1.0)?;
            cx.node(Unary::Elu { alpha }, &[x])
        }),
    ),
    (
        "LeakyRelu",
        "",
        Does::Other(|cx| {
            let x = cx.x()?;
            let alpha = cx.layer.float("negative_slope", 0.2)?;
            cx.node(Unary::LeakyRelu { alpha }, &[x])
        }),
    ),
    (
        "Softmax",
        "nn.softmax",
        Does::Other(|cx| {
            let x = cx.x()?;
            let rank = cx.shape(x)?.len();
            let axis = axes(cx)?.and_then(|a| a.first().copied()).unwrap_or(-1);
            let axis = super::shape::axis(cx, axis, rank)?;
            cx.node(Softmax { axis, beta: 1.0, log: false }, &[x])
        }),
    ),
    ("Concatenate", "", Does::Other(|cx| merge::concatenate(cx, "axis"))),
    (
        "Matmul",
        "linalg.matmul",
        Does::Other(|cx| {
            let turned = |key| cx.keywords.get(key).is_some_and(|v| v == &Value::Bool(true));
            let (&[a, b], false) =
                (cx.inputs.as_slice(), turned("transpose_a") || turned("transpose_b"))
            else {
                return Err(cx.layer.unsupported("other than two operands as they are"));
            };
            cx.node(MatMul {}, &[a, b])
        }),
    ),
    (
        "Transpose",
        "",
        Does::Other(|cx| {
            let x = cx.x()?;
            let rank = cx.shape(x)?.len();
            let perm = match cx.layer.list("axes")? {
                None => (0..rank).rev().collect(),
                Some(list) => list
                    .iter()
                    .map(|a| super::shape::axis(cx, *a, rank))
                    .collect::<Result<Vec<_>>>()?,
            };
            cx.node(Transpose { perm }, &[x])
        }),
    ),
    (
        "Reshape",
        "",
        Does::Other(|cx| {
            let x = cx.x()?;
            let shape = cx.layer.list("newshape")?;
            let mut shape = shape.ok_or_else(|| cx.layer.bad("`newshape` is missing"))?;
            // An open batch is stated as -1, also beside another one.
            if shape.iter().filter(|n| **n == -1).count() > 1 {
                let batch = cx.shape(x)?.first().copied().unwrap_or(1);
                shape[0] = i64::try_from(batch).unwrap_or(1);
            }
            cx.node(Reshape { shape }, &[x])
        }),
    ),
];

fn entry(layer: &Layer) -> Option<Does> {
    let keras = layer.function;
    let name = if keras { layer.class.as_str() } else { layer.text("function").unwrap_or("") };
    let known = |(three, two, _): &&(&str, &str, Does)| {
        !name.is_empty() && name == if keras { *three } else { *two }
    };
    FUNCTIONS.iter().find(known).map(|(_, _, does)| *does)
}

/// The reader of a function, if it is known.
pub(super) fn find(layer: &Layer) -> Option<Read> {
    entry(layer).map(|_| read as Read)
}

/// Axes that the function states in its configuration or its call.
fn axes(cx: &LayerCx<'_, '_>) -> Result<Option<Vec<i64>>> {
    let Some(stated) = cx.keywords.get("axis") else { return cx.layer.list("axis") };
    cx.layer.with("axis", stated.clone()).list("axis")
}

fn read(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let Some(does) = entry(cx.layer) else {
        return Err(cx.layer.unsupported("the reader does not know this function"));
    };
    match does {
        Does::Each(op) => {
            let x = cx.x()?;
            cx.node(op(), &[x])
        }
        Does::Activation(name) => {
            let x = cx.x()?;
            activation::function(cx, name, x, None)
        }
        Does::Both(f) => {
            let number = cx.keywords.get("y").and_then(Value::as_f64);
            if let (1, Some(number)) = (cx.inputs.len(), number) {
                let number = cx.scalar("number", number as f32)?;
                cx.inputs.push(number);
            }
            if cx.inputs.len() != 2 {
                return Err(cx.layer.bad("has not two operands"));
            }
            merge::merge(cx, f)
        }
        Does::Fold(f) => {
            let x = cx.x()?;
            let rank = cx.shape(x)?.len();
            let axes = match axes(cx)? {
                None => (0..rank).collect(),
                Some(given) => super::shape::axes(cx, &given, rank)?,
            };
            let keep = cx.keywords.get("keepdims").and_then(Value::as_bool);
            let keep_dims = keep.unwrap_or_else(|| cx.layer.flag("keepdims", false));
            cx.node(Reduce { f, axes, keep_dims }, &[x])
        }
        Does::Other(read) => read(cx),
    }
}

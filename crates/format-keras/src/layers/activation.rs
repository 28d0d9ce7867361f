//! Functions of each element, and layers that do nothing when a model is used.

use super::Read;
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Softmax, Unary};

pub(super) const READERS: &[(&str, Read)] = &[
    ("Activation", |cx| {
        let x = cx.x()?;
        let name = cx.layer.text("activation").unwrap_or("linear").to_owned();
        function(cx, &name, x, None)
    }),
    ("ReLU", relu),
    ("LeakyReLU", |cx| {
        let alpha = match cx.layer.config.contains_key("negative_slope") {
            true => cx.layer.float("negative_slope", 0.3)?,
            false => cx.layer.float("alpha", 0.3)?,
        };
        let x = cx.x()?;
        cx.node(Unary::LeakyRelu { alpha }, &[x])
    }),
    ("ELU", |cx| {
        let alpha = cx.layer.float("alpha", 1.0)?;
        let x = cx.x()?;
        cx.node(Unary::Elu { alpha }, &[x])
    }),
    ("ThresholdedReLU", |cx| {
        let alpha = cx.layer.float("theta", 1.0)?;
        let x = cx.x()?;
        cx.node(Unary::ThresholdedRelu { alpha }, &[x])
    }),
    ("PReLU", |cx| {
        let alpha = cx.weight("alpha", 0)?;
        let alpha = cx.constant("alpha", alpha)?;
        let x = cx.x()?;
        cx.node(Binary::new(BinaryFn::Prelu), &[x, alpha])
    }),
    ("Softmax", |cx| {
        let x = cx.x()?;
        let rank = cx.shape(x)?.len();
        let axis = cx.layer.list("axis")?.and_then(|a| a.first().copied()).unwrap_or(-1);
        let axis = super::shape::axis(cx, axis, rank)?;
        cx.node(Softmax { axis, beta: 1.0, log: false }, &[x])
    }),
    ("Dropout", same),
    ("AlphaDropout", same),
    ("GaussianDropout", same),
    ("GaussianNoise", same),
    ("SpatialDropout1D", same),
    ("SpatialDropout2D", same),
    ("ActivityRegularization", same),
    ("InputLayer", same),
];

fn same(cx: &mut LayerCx<'_>) -> Result<ValueId> {
    cx.x()
}

fn relu(cx: &mut LayerCx<'_>) -> Result<ValueId> {
    let alpha = cx.layer.float("negative_slope", 0.0)?;
    let threshold = cx.layer.float("threshold", 0.0)?;
    let bounded = cx.layer.config.get("max_value").is_some_and(|v| !v.is_null());
    let max = cx.layer.float("max_value", f32::INFINITY)?;
    if threshold != 0.0 || (alpha != 0.0 && bounded) {
        return Err(cx.layer.unsupported("a threshold, or a slope with a bound"));
    }
    let x = cx.x()?;
    let op = match (alpha != 0.0, bounded) {
        (true, _) => Unary::LeakyRelu { alpha },
        (_, false) => Unary::Relu,
        (_, true) if max == 6.0 => Unary::Relu6,
        _ => Unary::Clip { min: 0.0, max },
    };
    cx.node(op, &[x])
}

/// The activation that a layer of another kind applies to its result.
pub(super) fn after(cx: &mut LayerCx<'_>, value: ValueId) -> Result<ValueId> {
    let name = cx.layer.text("activation").unwrap_or("linear").to_owned();
    function(cx, &name, value, Some(&name))
}

fn function(cx: &mut LayerCx<'_>, name: &str, x: ValueId, suffix: Option<&str>) -> Result<ValueId> {
    let op = match name {
        "linear" => return Ok(x),
        "softmax" | "log_softmax" => {
            let axis = cx.shape(x)?.len().checked_sub(1);
            let axis = axis.ok_or_else(|| cx.layer.bad("softmax of a scalar"))?;
            let op = Softmax { axis, beta: 1.0, log: name == "log_softmax" };
            return match suffix {
                Some(suffix) => cx.side(suffix, op, &[x]),
                None => cx.node(op, &[x]),
            };
        }
        "relu" => Unary::Relu,
        "relu6" => Unary::Relu6,
        "sigmoid" => Unary::Sigmoid,
        "tanh" => Unary::Tanh,
        "elu" => Unary::Elu { alpha: 1.0 },
        "selu" => Unary::Selu { alpha: 1.673_263_2, gamma: 1.050_701 },
        "softplus" => Unary::Softplus,
        "softsign" => Unary::Softsign,
        "swish" | "silu" => Unary::Silu,
        "gelu" => Unary::Gelu { tanh: false },
        "exponential" => Unary::Exp,
        "mish" => Unary::Mish,
        "leaky_relu" => Unary::LeakyRelu { alpha: 0.2 },
        // Keras 3 divides by six, earlier versions by five.
        "hard_sigmoid" if cx.layer.config.contains_key("build_config") => {
            Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }
        }
        "hard_sigmoid" => Unary::HardSigmoid { alpha: 0.2, beta: 0.5 },
        "hard_silu" | "hard_swish" => Unary::HardSwish,
        other => return Err(cx.layer.unsupported(format!("activation `{other}`"))),
    };
    match suffix {
        Some(suffix) => cx.side(suffix, op, &[x]),
        None => cx.node(op, &[x]),
    }
}

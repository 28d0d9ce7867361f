//! Functions of each element, and layers that do nothing when a model is used.

use super::{Read, steps};
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Reshape, Slice, Softmax, Unary};

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
    ("Softmax", softmax),
    ("Dropout", same),
    ("AlphaDropout", same),
    ("GaussianDropout", same),
    ("GaussianNoise", same),
    ("SpatialDropout1D", same),
    ("SpatialDropout2D", same),
    ("SpatialDropout3D", same),
    ("ActivityRegularization", same),
    ("Identity", same),
    ("InputLayer", same),
];

pub(super) fn same(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    cx.x()
}

fn relu(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let alpha = cx.layer.float("negative_slope", 0.0)?;
    let threshold = cx.layer.float("threshold", 0.0)?;
    let bounded = cx.layer.config.get("max_value").is_some_and(|v| !v.is_null());
    let max = cx.layer.float("max_value", f32::INFINITY)?;
    let x = cx.x()?;
    if threshold == 0.0 && (alpha == 0.0 || !bounded) {
        let op = match (alpha != 0.0, bounded) {
            (true, _) => Unary::LeakyRelu { alpha },
            (_, false) => Unary::Relu,
            (_, true) if max == 6.0 => Unary::Relu6,
            _ => Unary::Clip { min: 0.0, max },
        };
        return cx.node(op, &[x]);
    }
    // Elements above the threshold (or equal to it) up to the bound; below it the line through it.
    let shift = cx.scalar("threshold", threshold)?;
    let less = cx.side("below", Binary::new(BinaryFn::Less), &[x, shift])?;
    let above = match bounded {
        true => cx.side("bounded", Unary::Clip { min: f32::NEG_INFINITY, max }, &[x])?,
        false => x,
    };
    let distance = cx.side("distance", Binary::new(BinaryFn::Sub), &[x, shift])?;
    let slope = cx.scalar("slope", alpha)?;
    let line = cx.side("line", Binary::new(BinaryFn::Mul), &[distance, slope])?;
    cx.node(paring_ir::ops::Select {}, &[less, line, above])
}

/// Over one axis or several.
fn softmax(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let x = cx.x()?;
    if steps(cx, 0)?.is_some() || cx.inputs.len() > 1 {
        return Err(cx.layer.unsupported("a mask"));
    }
    let shape = cx.shape(x)?;
    let given = cx.layer.list("axis")?.unwrap_or_else(|| vec![-1]);
    let axes = super::shape::axes(cx, &given, shape.len())?;
    let (Some(&first), Some(&end)) = (axes.first(), axes.last()) else {
        return Err(cx.layer.bad("no axis"));
    };
    if let [axis] = axes.as_slice() {
        return cx.node(Softmax { axis: *axis, beta: 1.0, log: false }, &[x]);
    }
    if end - first + 1 != axes.len() {
        return Err(cx.layer.unsupported("axes that are not side by side"));
    }
    let mut flat = shape[..first].to_vec();
    flat.push(shape[first..=end].iter().product());
    flat.extend(&shape[end + 1..]);
    let x = cx.side("flat", Reshape::to(&flat), &[x])?;
    let y = cx.side("softmax", Softmax { axis: first, beta: 1.0, log: false }, &[x])?;
    cx.node(Reshape::to(&shape), &[y])
}

/// The activation that a layer of another kind applies to its result.
pub(super) fn after(cx: &mut LayerCx<'_, '_>, value: ValueId) -> Result<ValueId> {
    let name = cx.layer.text("activation").unwrap_or("linear").to_owned();
    function(cx, &name, value, Some(&name))
}

/// The op of a function that is one.
pub(super) fn unary(name: &str, version: u32) -> Option<Unary> {
    Some(match name {
        "relu" => Unary::Relu,
        "relu6" => Unary::Relu6,
        "sigmoid" => Unary::Sigmoid,
        "tanh" => Unary::Tanh,
        "elu" => Unary::Elu { alpha: 1.0 },
        "selu" => Unary::Selu { alpha: 1.673_263_2, gamma: 1.050_701 },
        "celu" => Unary::Celu { alpha: 1.0 },
        "softplus" => Unary::Softplus,
        "softsign" => Unary::Softsign,
        "swish" | "silu" => Unary::Silu,
        "gelu" => Unary::Gelu { tanh: false },
        "exponential" => Unary::Exp,
        "mish" => Unary::Mish,
        "leaky_relu" => Unary::LeakyRelu { alpha: 0.2 },
        // Keras 3 divides by six, earlier versions by five.
        "hard_sigmoid" if version >= 3 => Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
        "hard_sigmoid" => Unary::HardSigmoid { alpha: 0.2, beta: 0.5 },
        "hard_silu" | "hard_swish" => Unary::HardSwish,
        "hard_tanh" => Unary::ReluN1To1,
        "sparse_sigmoid" => Unary::HardSigmoid { alpha: 0.5, beta: 0.5 },
        _ => return None,
    })
}

/// Adds a function; its node has the layer's name unless there is a suffix.
pub(super) fn function(
    cx: &mut LayerCx<'_, '_>,
    name: &str,
    x: ValueId,
    suffix: Option<&str>,
) -> Result<ValueId> {
    use BinaryFn::{Add, Mul, Sub};
    if name == "linear" {
        return Ok(x);
    }
    if let Some(op) = unary(name, cx.store().version) {
        return match suffix {
            Some(suffix) => cx.side(suffix, op, &[x]),
            None => cx.node(op, &[x]),
        };
    }
    let last = |f: BinaryFn, cx: &mut LayerCx<'_, '_>, a: ValueId, b: ValueId| match suffix {
        Some(suffix) => cx.side(suffix, Binary::new(f), &[a, b]),
        None => cx.node(Binary::new(f), &[a, b]),
    };
    match name {
        "softmax" | "log_softmax" => {
            let axis = cx.shape(x)?.len().checked_sub(1);
            let axis = axis.ok_or_else(|| cx.layer.bad("softmax of a scalar"))?;
            let op = Softmax { axis, beta: 1.0, log: name == "log_softmax" };
            match suffix {
                Some(suffix) => cx.side(suffix, op, &[x]),
                None => cx.node(op, &[x]),
            }
        }
        "glu" => {
            let shape = cx.shape(x)?;
            let half = shape.last().map_or(0, |n| n / 2);
            if shape.last() != Some(&(2 * half)) {
                return Err(cx.layer.bad(format!("halves of shape {shape:?}")));
            }
            let mut parts = Vec::new();
            for at in [0, half] {
                let (mut start, mut len) = (vec![0; shape.len()], shape.clone());
                if let (Some(s), Some(n)) = (start.last_mut(), len.last_mut()) {
                    (*s, *n) = (at, half);
                }
                parts.push(cx.side(
                    "half",
                    Slice { start, len, step: vec![1; shape.len()] },
                    &[x],
                )?);
            }
            let gate = cx.side("gate", Unary::Sigmoid, &parts[1..])?;
            last(Mul, cx, parts[0], gate)
        }
        // What is above a threshold, and what is below its negative.
        "hard_shrink" => {
            let above = cx.side("above", Unary::ThresholdedRelu { alpha: 0.5 }, &[x])?;
            let turned = cx.side("turned", Unary::Neg, &[x])?;
            let below = cx.side("below", Unary::ThresholdedRelu { alpha: 0.5 }, &[turned])?;
            last(Sub, cx, above, below)
        }
        // What a clip to the threshold leaves.
        "soft_shrink" => {
            let within = cx.side("within", Unary::Clip { min: -0.5, max: 0.5 }, &[x])?;
            last(Sub, cx, x, within)
        }
        "tanh_shrink" => {
            let bent = cx.side("bent", Unary::Tanh, &[x])?;
            last(Sub, cx, x, bent)
        }
        "log_sigmoid" => {
            let turned = cx.side("turned", Unary::Neg, &[x])?;
            let soft = cx.side("softplus", Unary::Softplus, &[turned])?;
            match suffix {
                Some(suffix) => cx.side(suffix, Unary::Neg, &[soft]),
                None => cx.node(Unary::Neg, &[soft]),
            }
        }
        // ((x + sqrt(x^2 + 4)) / 2
        "squareplus" => {
            let (four, half) = (cx.scalar("four", 4.0)?, cx.scalar("half", 0.5)?);
            let square = cx.side("square", Unary::Square, &[x])?;
            let sum = cx.side("sum", Binary::new(Add), &[square, four])?;
            let root = cx.side("root", Unary::Sqrt, &[sum])?;
            let sum = cx.side("total", Binary::new(Add), &[x, root])?;
            last(Mul, cx, sum, half)
        }
        // 0, then (x + 1)^2 / 4 between -1 and 1, then x
        "sparse_plus" => {
            let (one, quarter) = (cx.scalar("one", 1.0)?, cx.scalar("quarter", 0.25)?);
            let up = cx.side("up", Binary::new(Add), &[x, one])?;
            let within = cx.side("within", Unary::Clip { min: 0.0, max: 2.0 }, &[up])?;
            let square = cx.side("square", Unary::Square, &[within])?;
            let bend = cx.side("bend", Binary::new(Mul), &[square, quarter])?;
            let down = cx.side("down", Binary::new(Sub), &[x, one])?;
            let line = cx.side("line", Unary::Relu, &[down])?;
            last(Add, cx, bend, line)
        }
        other => Err(cx.layer.unsupported(format!("activation `{other}`"))),
    }
}

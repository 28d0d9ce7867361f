//! Activations and arithmetic on each element.

use crate::layer::{Layer, Outputs, Reject, axis, number, switch};
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Cast, Unary};
use paring_tensor::{DType, Tensor};

fn unary(layer: &mut Layer<'_>, op: Unary) -> Outputs {
    let x = layer.bottom()?;
    Ok(vec![layer.emit(op, &[x])?])
}

pub(super) fn relu(layer: &mut Layer<'_>) -> Outputs {
    let alpha: f32 = number(layer.parameters("relu_param"), "negative_slope", 0.0)?;
    unary(layer, if alpha == 0.0 { Unary::Relu } else { Unary::LeakyRelu { alpha } })
}

pub(super) fn elu(layer: &mut Layer<'_>) -> Outputs {
    let alpha = number(layer.parameters("elu_param"), "alpha", 1.0)?;
    unary(layer, Unary::Elu { alpha })
}

pub(super) fn relu6(layer: &mut Layer<'_>) -> Outputs {
    unary(layer, Unary::Relu6)
}

pub(super) fn clip(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("clip_param");
    let bound = |name| match text.word(name) {
        Some(_) => number(text, name, 0.0),
        None => Err(Reject::Malformed(format!("`{name}` is missing"))),
    };
    let (min, max) = (bound("min")?, bound("max")?);
    unary(layer, Unary::Clip { min, max })
}

/// `x * sigmoid(beta * x)`
pub(super) fn swish(layer: &mut Layer<'_>) -> Outputs {
    let beta: f32 = number(layer.parameters("swish_param"), "beta", 1.0)?;
    if beta == 1.0 {
        return unary(layer, Unary::Silu);
    }
    let x = layer.bottom()?;
    let scaled = affine(layer, x, beta, 0.0)?;
    let gate = layer.aux(Unary::Sigmoid, &[scaled])?;
    Ok(vec![layer.emit(Binary::new(BinaryFn::Mul), &[x, gate])?])
}

/// 1 where the element is above the threshold, else 0.
pub(super) fn threshold(layer: &mut Layer<'_>) -> Outputs {
    let at = number(layer.parameters("threshold_param"), "threshold", 0.0)?;
    let x = layer.bottom()?;
    let at = layer.scalar("threshold", at)?;
    let above = layer.aux(Binary::new(BinaryFn::Greater), &[x, at])?;
    Ok(vec![layer.emit(Cast { to: DType::F32 }, &[above])?])
}

/// `a * x + y` with one factor `a` a channel.
pub(super) fn axpy(layer: &mut Layer<'_>) -> Outputs {
    let &[a, x, y] = layer.bottoms.as_slice() else {
        return Err(Reject::Malformed("has not three bottoms".to_owned()));
    };
    let shape = layer.shape(a);
    let (n, c) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
    let a = layer.reshape(a, &[n, c, 1, 1])?;
    let product = layer.aux(Binary::new(BinaryFn::Mul), &[a, x])?;
    Ok(vec![layer.emit(Binary::new(BinaryFn::Add), &[product, y])?])
}

pub(super) fn sigmoid(layer: &mut Layer<'_>) -> Outputs {
    unary(layer, Unary::Sigmoid)
}

pub(super) fn tanh(layer: &mut Layer<'_>) -> Outputs {
    unary(layer, Unary::Tanh)
}

pub(super) fn abs(layer: &mut Layer<'_>) -> Outputs {
    unary(layer, Unary::Abs)
}

pub(super) fn softplus(layer: &mut Layer<'_>) -> Outputs {
    unary(layer, Unary::Softplus)
}

/// A blob shaped to broadcast from an axis on.
fn along(
    layer: &mut Layer<'_>,
    blob: &Tensor,
    first: usize,
    rank: usize,
    what: &str,
) -> Result<ValueId, Reject> {
    let mut shape = blob.shape().to_vec();
    // The oldest form has leading ones.
    while shape.len() > 1 && shape[0] == 1 {
        shape.remove(0);
    }
    if first + shape.len() > rank {
        return Err(Reject::Malformed(format!("{what} of {shape:?} from axis {first} of {rank}")));
    }
    shape.resize(rank - first, 1);
    let tensor = blob.reshape(shape)?;
    layer.constant(what, tensor)
}

pub(super) fn prelu(layer: &mut Layer<'_>) -> Outputs {
    let x = layer.bottom()?;
    let blob = layer.blob(0, "slopes")?.clone();
    let rank = layer.shape(x).len();
    let slopes = if blob.len() == 1 {
        let blob = blob.reshape(Vec::new())?;
        layer.constant("slopes", blob)?
    } else {
        along(layer, &blob, 1, rank, "slopes")?
    };
    Ok(vec![layer.emit(Binary::new(BinaryFn::Prelu), &[x, slopes])?])
}

/// `factor * x + offset`
fn affine(
    layer: &mut Layer<'_>,
    mut x: ValueId,
    factor: f32,
    offset: f32,
) -> Result<ValueId, Reject> {
    if factor != 1.0 {
        let factor = layer.scalar("factor", factor)?;
        x = layer.aux(Binary::new(BinaryFn::Mul), &[x, factor])?;
    }
    if offset != 0.0 {
        let offset = layer.scalar("offset", offset)?;
        x = layer.aux(Binary::new(BinaryFn::Add), &[x, offset])?;
    }
    Ok(x)
}

/// `(shift + scale * x) ^ power`
pub(super) fn power(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("power_param");
    let (power, scale, shift) =
        (number(text, "power", 1.0)?, number(text, "scale", 1.0)?, number(text, "shift", 0.0)?);
    let x = layer.bottom()?;
    let x = affine(layer, x, scale, shift)?;
    if power == 1.0_f32 {
        return Ok(vec![x]);
    }
    let power = layer.scalar("power", power)?;
    Ok(vec![layer.emit(Binary::new(BinaryFn::Pow), &[x, power])?])
}

/// `base ^ (shift + scale * x)`; without a base that of the natural logarithm.
pub(super) fn exp(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("exp_param");
    let (base, scale, shift): (f32, f32, f32) =
        (number(text, "base", -1.0)?, number(text, "scale", 1.0)?, number(text, "shift", 0.0)?);
    let ln = if base > 0.0 { base.ln() } else { 1.0 };
    let x = layer.bottom()?;
    let x = affine(layer, x, scale * ln, shift * ln)?;
    Ok(vec![layer.emit(Unary::Exp, &[x])?])
}

/// `log(shift + scale * x)` to a base.
pub(super) fn log(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("log_param");
    let (base, scale, shift): (f32, f32, f32) =
        (number(text, "base", -1.0)?, number(text, "scale", 1.0)?, number(text, "shift", 0.0)?);
    let x = layer.bottom()?;
    let x = affine(layer, x, scale, shift)?;
    let y = layer.emit(Unary::Log, &[x])?;
    let ln = if base > 0.0 { base.ln() } else { 1.0 };
    Ok(vec![affine(layer, y, 1.0 / ln, 0.0)?])
}

pub(super) fn eltwise(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("eltwise_param");
    let f = match text.word("operation").unwrap_or("SUM") {
        "SUM" | "1" => BinaryFn::Add,
        "PROD" | "0" => BinaryFn::Mul,
        "MAX" | "2" => BinaryFn::Max,
        other => return Err(Reject::Unsupported(format!("operation `{other}`"))),
    };
    let factors: Vec<f32> = text
        .words("coeff")
        .map(|w| w.parse().map_err(|_| Reject::Malformed(format!("`coeff: {w}`"))))
        .collect::<Result<_, _>>()?;
    let mut bottoms = layer.bottoms.clone();
    if !factors.is_empty() {
        if f != BinaryFn::Add || factors.len() != bottoms.len() {
            return Err(Reject::Malformed(format!("{} coefficients", factors.len())));
        }
        for (x, factor) in bottoms.iter_mut().zip(&factors) {
            *x = affine(layer, *x, *factor, 0.0)?;
        }
    }
    let mut rest = bottoms.into_iter();
    let mut y = rest.next().ok_or_else(|| Reject::Malformed("has no bottom".to_owned()))?;
    for x in rest {
        y = layer.emit(Binary::new(f), &[y, x])?;
    }
    Ok(vec![y])
}

/// The second operand: the second bottom, or a blob.
fn second(layer: &mut Layer<'_>, parameters: &str, what: &str) -> Result<ValueId, Reject> {
    let text = layer.parameters(parameters);
    let x = layer.bottom()?;
    let rank = layer.shape(x).len();
    let first = axis(text, "axis", 1, rank)?;
    match layer.bottoms.get(1).copied() {
        Some(other) => {
            let mut shape = layer.shape(other);
            if first + shape.len() > rank {
                return Err(Reject::Malformed(format!("{shape:?} from axis {first} of {rank}")));
            }
            shape.resize(rank - first, 1);
            layer.reshape(other, &shape)
        }
        None => {
            let blob = layer.blob(0, what)?.clone();
            along(layer, &blob, first, rank, what)
        }
    }
}

pub(super) fn scale(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("scale_param");
    let x = layer.bottom()?;
    let factors = second(layer, "scale_param", "factors")?;
    let mut y = layer.emit(Binary::new(BinaryFn::Mul), &[x, factors])?;
    if switch(text, "bias_term", false) {
        let at = usize::from(layer.bottoms.len() < 2);
        let blob = layer.blob(at, "bias")?.clone();
        let rank = layer.shape(x).len();
        let first = axis(text, "axis", 1, rank)?;
        let bias = along(layer, &blob, first, rank, "bias")?;
        y = layer.aux(Binary::new(BinaryFn::Add), &[y, bias])?;
    }
    Ok(vec![y])
}

pub(super) fn bias(layer: &mut Layer<'_>) -> Outputs {
    let x = layer.bottom()?;
    let bias = second(layer, "bias_param", "bias")?;
    Ok(vec![layer.emit(Binary::new(BinaryFn::Add), &[x, bias])?])
}

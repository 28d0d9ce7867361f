//! Normalizations.

use super::Read;
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{
    BatchNorm, Binary, BinaryFn, LpNormalize, Normalize, Reduce, ReduceFn, Transpose, Unary,
};
use paring_tensor::Tensor;
use serde_json::Value;

pub(super) const READERS: &[(&str, Read)] = &[
    ("BatchNormalization", batch),
    ("LayerNormalization", layer),
    ("GroupNormalization", group),
    ("UnitNormalization", unit),
    ("RMSNormalization", root_mean_square),
    ("Rescaling", |cx| {
        let (scale, offset) = (numbers(cx, "scale", 1.0)?, numbers(cx, "offset", 0.0)?);
        let mut x = cx.x()?;
        if !cx.ty(x).dtype.is_float() {
            let to = paring_tensor::DType::F32;
            x = cx.side("float", paring_ir::ops::Cast { to }, &[x])?;
        }
        let (scale, offset) = (cx.constant("scale", scale)?, cx.constant("offset", offset)?);
        let scaled = cx.side("scaled", Binary::new(BinaryFn::Mul), &[x, scale])?;
        cx.node(Binary::new(BinaryFn::Add), &[scaled, offset])
    }),
    ("Normalization", standardize),
    // A factor for each channel, as networks of the ConvNeXt kind have.
    ("LayerScale", |cx| {
        let x = cx.x()?;
        let gamma = cx.weight("gamma", 0)?;
        let gamma = cx.constant("gamma", gamma)?;
        cx.node(Binary::new(BinaryFn::Mul), &[x, gamma])
    }),
];

fn filled(value: f32, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(shape, vec![value; shape.iter().product()])?)
}

/// A number, or a list of numbers however deep, in any version's form.
fn numbers(cx: &LayerCx<'_, '_>, key: &str, default: f32) -> Result<Tensor> {
    fn flat(value: &Value, all: &mut Vec<f32>) -> bool {
        match value {
            Value::Array(items) => items.iter().all(|v| flat(v, all)),
            v => v.as_f64().map(|x| all.push(x as f32)).is_some(),
        }
    }
    let Some(stated) = cx.layer.config.get(key).filter(|v| !v.is_null()) else {
        return Ok(Tensor::scalar(default));
    };
    let inner = stated.get("config").and_then(|c| c.get("value")).unwrap_or(stated);
    let mut all = Vec::new();
    if !flat(inner, &mut all) {
        return Err(cx.layer.bad(format!("`{key}` is no list of numbers")));
    }
    Ok(match inner {
        Value::Array(_) => Tensor::from_vec([all.len()], all)?,
        _ => Tensor::scalar(all.first().copied().unwrap_or(default)),
    })
}

/// The axis that the layer states, and `x` with it last; `false` if it was last.
fn moved(cx: &mut LayerCx<'_, '_>) -> Result<(ValueId, usize, bool)> {
    let x = cx.x()?;
    let rank = cx.shape(x)?.len();
    let given = cx.layer.list("axis")?.unwrap_or_else(|| vec![-1]);
    let [one] = super::shape::axes(cx, &given, rank)?[..] else {
        return Err(cx.layer.unsupported("statistics of several axes"));
    };
    if one + 1 == rank {
        return Ok((x, one, false));
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm[one..].rotate_left(1);
    Ok((cx.side("axis_last", Transpose { perm }, &[x])?, one, true))
}

/// The axis back to its place.
fn back(cx: &mut LayerCx<'_, '_>, y: ValueId, axis: usize, moved: bool) -> Result<ValueId> {
    if !moved {
        return Ok(y);
    }
    let mut perm: Vec<usize> = (0..cx.shape(y)?.len()).collect();
    perm[axis..].rotate_right(1);
    cx.side("axis_back", Transpose { perm }, &[y])
}

/// Weights that layers leave out are ones or zeros; the positions of the others close up.
fn batch(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let (x, axis, turned) = moved(cx)?;
    let channels = cx.shape(x)?.last().copied().unwrap_or(0);
    let (scale, center) = (cx.layer.flag("scale", true), cx.layer.flag("center", true));
    let (gamma, beta) = affine(cx, &[channels], scale, center)?;
    let first = usize::from(scale) + usize::from(center);
    let mean = cx.weight("moving_mean", first)?;
    let variance = cx.weight("moving_variance", first + 1)?;
    let epsilon = cx.layer.float("epsilon", 1e-3)?;
    let inputs = [
        x,
        cx.constant("gamma", gamma)?,
        cx.constant("beta", beta)?,
        cx.constant("moving_mean", mean)?,
        cx.constant("moving_variance", variance)?,
    ];
    let y = cx.node(BatchNorm { epsilon }, &inputs)?;
    back(cx, y, axis, turned)
}

/// Scale and offset of a shape.
fn affine(
    cx: &LayerCx<'_, '_>,
    shape: &[usize],
    scale: bool,
    center: bool,
) -> Result<(Tensor, Tensor)> {
    let gamma = if scale { cx.weight("gamma", 0)? } else { filled(1.0, shape)? };
    let beta = match center {
        true => cx.weight("beta", usize::from(scale))?,
        false => filled(0.0, shape)?,
    };
    Ok((gamma, beta))
}

fn layer(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let x = cx.x()?;
    let shape = cx.shape(x)?;
    let given = cx.layer.list("axis")?.unwrap_or_else(|| vec![-1]);
    let axes = super::shape::axes(cx, &given, shape.len())?;
    if cx.layer.flag("rms_scaling", false) {
        return Err(cx.layer.unsupported("`rms_scaling`"));
    }
    let own: Vec<usize> = axes.iter().map(|a| shape[*a]).collect();
    let (scale, center) = (cx.layer.flag("scale", true), cx.layer.flag("center", true));
    let (gamma, beta) = affine(cx, &own, scale, center)?;
    // Axes between and after those have extent 1.
    let first = axes.first().copied().unwrap_or(0);
    let wide: Vec<usize> =
        (first..shape.len()).map(|a| if axes.contains(&a) { shape[a] } else { 1 }).collect();
    let (gamma, beta) = (gamma.reshape(wide.clone())?, beta.reshape(wide)?);
    let epsilon = cx.layer.float("epsilon", 1e-3)?;
    let inputs = [x, cx.constant("gamma", gamma)?, cx.constant("beta", beta)?];
    cx.node(Normalize { axes, groups: 1, epsilon }, &inputs)
}

fn group(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let (x, axis, turned) = moved(cx)?;
    let shape = cx.shape(x)?;
    let channels = shape.last().copied().unwrap_or(0);
    let groups = match cx.layer.list("groups")?.and_then(|g| g.first().copied()) {
        None => 32,
        Some(-1) => channels,
        Some(n) => usize::try_from(n).map_err(|_| cx.layer.bad(format!("{n} groups")))?,
    };
    let (scale, center) = (cx.layer.flag("scale", true), cx.layer.flag("center", true));
    let (gamma, beta) = affine(cx, &[channels], scale, center)?;
    let epsilon = cx.layer.float("epsilon", 1e-3)?;
    let inputs = [x, cx.constant("gamma", gamma)?, cx.constant("beta", beta)?];
    let y = cx.node(Normalize { axes: (1..shape.len()).collect(), groups, epsilon }, &inputs)?;
    back(cx, y, axis, turned)
}

/// Division by the Euclidean norm along one axis or several.
fn unit(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let x = cx.x()?;
    let rank = cx.shape(x)?.len();
    let given = cx.layer.list("axis")?.unwrap_or_else(|| vec![-1]);
    let axes = super::shape::axes(cx, &given, rank)?;
    if let [axis] = axes.as_slice() {
        return cx.node(LpNormalize { axis: *axis, p: 2, epsilon: 1e-12 }, &[x]);
    }
    let sum = Reduce { f: ReduceFn::SumSquare, axes, keep_dims: true };
    let sum = cx.side("sum", sum, &[x])?;
    let bound = cx.side("bounded", Unary::Clip { min: 1e-12, max: f32::INFINITY }, &[sum])?;
    let norm = cx.side("inverse", Unary::Rsqrt, &[bound])?;
    cx.node(Binary::new(BinaryFn::Mul), &[x, norm])
}

/// Division by the root of the mean square, without a mean that is taken off.
fn root_mean_square(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let x = cx.x()?;
    let rank = cx.shape(x)?.len();
    let given = cx.layer.list("axis")?.unwrap_or_else(|| vec![-1]);
    let axes = super::shape::axes(cx, &given, rank)?;
    if axes != [rank.saturating_sub(1)] {
        return Err(cx.layer.unsupported("statistics along other axes than the last"));
    }
    let square = cx.side("square", Unary::Square, &[x])?;
    let mean = Reduce { f: ReduceFn::Mean, axes, keep_dims: true };
    let mean = cx.side("mean", mean, &[square])?;
    let epsilon = cx.layer.float("epsilon", 1e-6)?;
    let epsilon = cx.scalar("epsilon", epsilon)?;
    let sum = cx.side("sum", Binary::new(BinaryFn::Add), &[mean, epsilon])?;
    let inverse = cx.side("inverse", Unary::Rsqrt, &[sum])?;
    let y = cx.side("normalized", Binary::new(BinaryFn::Mul), &[x, inverse])?;
    let scale = cx.weight("scale", 0)?;
    let scale = cx.constant("scale", scale)?;
    cx.node(Binary::new(BinaryFn::Mul), &[y, scale])
}

/// With a mean and a variance of the data, or the inverse of that.
fn standardize(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let mut x = cx.x()?;
    if !cx.ty(x).dtype.is_float() {
        let to = paring_tensor::DType::F32;
        x = cx.side("float", paring_ir::ops::Cast { to }, &[x])?;
    }
    let shape = cx.shape(x)?;
    let stated = cx.layer.config.get("mean").is_some_and(|v| !v.is_null());
    let (mean, variance) = match stated {
        true => (numbers(cx, "mean", 0.0)?, numbers(cx, "variance", 1.0)?),
        false => (cx.weight("mean", 0)?, cx.weight("variance", 1)?),
    };
    // The statistics are of some axes; the others have extent 1.
    let given = match cx.layer.config.get("axis") {
        Some(Value::Null) => Vec::new(),
        _ => cx.layer.list("axis")?.unwrap_or_else(|| vec![-1]),
    };
    let axes = super::shape::axes(cx, &given, shape.len())?;
    let first = axes.first().copied().unwrap_or(shape.len());
    let wide: Vec<usize> =
        (first..shape.len()).map(|a| if axes.contains(&a) { shape[a] } else { 1 }).collect();
    let fit =
        |t: &Tensor| if t.len() == 1 { t.reshape(Vec::new()) } else { t.reshape(wide.clone()) };
    let (mean, variance) = (fit(&mean)?, fit(&variance)?);
    // The layer bounds the deviation by a small number from below.
    let deviation = variance.to_f32().into_iter().map(|v| v.sqrt().max(1e-7)).collect();
    let deviation = Tensor::from_vec(variance.shape(), deviation)?;
    let (mean, deviation) = (cx.constant("mean", mean)?, cx.constant("deviation", deviation)?);
    if cx.layer.flag("invert", false) {
        let wide = cx.side("wide", Binary::new(BinaryFn::Mul), &[x, deviation])?;
        return cx.node(Binary::new(BinaryFn::Add), &[wide, mean]);
    }
    let centred = cx.side("centred", Binary::new(BinaryFn::Sub), &[x, mean])?;
    cx.node(Binary::new(BinaryFn::Div), &[centred, deviation])
}

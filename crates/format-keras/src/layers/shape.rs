//! Other shapes and orders of the same elements.

use super::{Read, last, own};
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{
    Pad, PadMode, Reshape, Resize, ResizeCoordinates, ResizeMethod, ResizeNearest, Slice, Tile,
    Transpose,
};
use serde_json::Value;

pub(super) const READERS: &[(&str, Read)] = &[
    ("Flatten", |cx| {
        let x = last(cx)?;
        let shape = cx.shape(x)?;
        let batch = shape.first().copied().unwrap_or(1);
        let rest = shape.iter().skip(1).product();
        cx.node(Reshape::to(&[batch, rest]), &[x])
    }),
    ("Reshape", |cx| {
        let x = cx.x()?;
        let shape = cx.layer.list("target_shape")?;
        let mut shape = shape.ok_or_else(|| cx.layer.bad("`target_shape` is missing"))?;
        let batch = cx.shape(x)?.first().copied().unwrap_or(1);
        shape.insert(0, batch as i64);
        cx.node(Reshape { shape }, &[x])
    }),
    ("Permute", |cx| {
        let x = cx.x()?;
        let dims = cx.layer.list("dims")?.ok_or_else(|| cx.layer.bad("`dims` is missing"))?;
        let mut perm = vec![0];
        for d in dims {
            perm.push(usize::try_from(d).map_err(|_| cx.layer.bad(format!("axis {d}")))?);
        }
        cx.node(Transpose { perm }, &[x])
    }),
    ("RepeatVector", |cx| {
        let x = cx.x()?;
        let n = cx.layer.count("n")?;
        let &[b, c] = cx.shape(x)?.as_slice() else {
            return Err(cx.layer.bad("the input is no vector"));
        };
        let x = cx.side("step", Reshape::to(&[b, 1, c]), &[x])?;
        cx.node(Tile { repeats: vec![1, n, 1] }, &[x])
    }),
    ("ZeroPadding3D", |cx| pad(cx, 3)),
    ("ZeroPadding2D", |cx| pad(cx, 2)),
    ("ZeroPadding1D", |cx| pad(cx, 1)),
    ("Cropping3D", |cx| crop(cx, 3)),
    ("Cropping2D", |cx| crop(cx, 2)),
    ("Cropping1D", |cx| crop(cx, 1)),
    ("UpSampling3D", |cx| upsample(cx, 3)),
    ("UpSampling2D", |cx| upsample(cx, 2)),
    ("UpSampling1D", |cx| upsample(cx, 1)),
];

/// An axis that counts from the end where it is negative.
pub(super) fn axis(cx: &LayerCx<'_, '_>, axis: i64, rank: usize) -> Result<usize> {
    let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(from_start)
        .ok()
        .filter(|a| *a < rank)
        .ok_or_else(|| cx.layer.bad(format!("axis {axis} of a value of rank {rank}")))
}

/// Axes in ascending order.
pub(super) fn axes(cx: &LayerCx<'_, '_>, given: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut axes = given.iter().map(|a| axis(cx, *a, rank)).collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// `n`, `[a, b]` or `[[a, b], [c, d]]`: what is before and after each spatial axis.
fn edges(cx: &LayerCx<'_, '_>, key: &str, dims: usize) -> Result<Vec<[usize; 2]>> {
    let fail = || cx.layer.bad(format!("`{key}` is no list of edges"));
    let number =
        |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n < 1 << 30);
    let value = cx.layer.config.get(key).ok_or_else(fail)?;
    if let Some(n) = number(value) {
        return Ok(vec![[n, n]; dims]);
    }
    let items = value.as_array().ok_or_else(fail)?;
    if let (1, [a, b]) = (dims, items.as_slice())
        && let (Some(a), Some(b)) = (number(a), number(b))
    {
        return Ok(vec![[a, b]]);
    }
    let each = items.iter().map(|v| match (number(v), v.as_array().map(Vec::as_slice)) {
        (Some(n), _) => Ok([n, n]),
        (_, Some([a, b])) => Ok([number(a).ok_or_else(fail)?, number(b).ok_or_else(fail)?]),
        _ => Err(fail()),
    });
    let each = each.collect::<Result<Vec<_>>>()?;
    if each.len() == dims { Ok(each) } else { Err(fail()) }
}

fn pad(cx: &mut LayerCx<'_, '_>, dims: usize) -> Result<ValueId> {
    let x = last(cx)?;
    let mut pads = vec![[0, 0]];
    pads.extend(edges(cx, "padding", dims)?.iter().map(|e| e.map(|n| n as i64)));
    pads.push([0, 0]);
    let y = cx.node(Pad { pads, mode: PadMode::Constant(0.0) }, &[x])?;
    own(cx, y)
}

fn crop(cx: &mut LayerCx<'_, '_>, dims: usize) -> Result<ValueId> {
    let x = last(cx)?;
    let shape = cx.shape(x)?;
    let mut op =
        Slice { start: vec![0; shape.len()], len: shape.clone(), step: vec![1; shape.len()] };
    if shape.len() != dims + 2 {
        return Err(cx.layer.bad(format!("an input of shape {shape:?}")));
    }
    for (i, [before, after]) in edges(cx, "cropping", dims)?.into_iter().enumerate() {
        let n = shape[i + 1];
        let left = n.checked_sub(before).and_then(|n| n.checked_sub(after));
        let left = left.ok_or_else(|| cx.layer.bad(format!("crops more than {n} elements")))?;
        op.start[i + 1] = before;
        op.len[i + 1] = left;
    }
    let y = cx.node(op, &[x])?;
    own(cx, y)
}

fn upsample(cx: &mut LayerCx<'_, '_>, dims: usize) -> Result<ValueId> {
    let x = last(cx)?;
    // The oldest version has another name for the factor of a sequence.
    let key = if cx.layer.config.contains_key("length") { "length" } else { "size" };
    let size = cx.layer.counts(key, 2, dims)?;
    let shape = cx.shape(x)?;
    if shape.len() != dims + 2 {
        return Err(cx.layer.bad(format!("an input of shape {shape:?}")));
    }
    let new = shape[1..].iter().zip(&size).map(|(n, s)| n.saturating_mul(*s)).collect();
    let (method, coordinates) = match cx.layer.text("interpolation").unwrap_or("nearest") {
        "nearest" => (ResizeMethod::Nearest, ResizeCoordinates::Asymmetric),
        "bilinear" => (ResizeMethod::Linear, ResizeCoordinates::HalfPixel),
        other => return Err(cx.layer.unsupported(format!("interpolation `{other}`"))),
    };
    let op = Resize {
        nearest: ResizeNearest::Floor,
        ..Resize::new((1..=dims).collect(), new, method, coordinates)
    };
    let y = cx.node(op, &[x])?;
    own(cx, y)
}

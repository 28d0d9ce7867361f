//! Pools. Averages do not count padded positions.

use super::{Read, channels_first, last, own, steps};
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Cast, Padding, Pool, PoolKind, Reduce, ReduceFn, Reshape};
use paring_tensor::DType;

pub(super) const READERS: &[(&str, Read)] = &[
    ("MaxPooling2D", |cx| pool(cx, PoolKind::Max, 2)),
    ("AveragePooling2D", |cx| pool(cx, PoolKind::Average, 2)),
    ("MaxPooling1D", |cx| pool(cx, PoolKind::Max, 1)),
    ("AveragePooling1D", |cx| pool(cx, PoolKind::Average, 1)),
    ("GlobalAveragePooling2D", |cx| global(cx, ReduceFn::Mean)),
    ("GlobalMaxPooling2D", |cx| global(cx, ReduceFn::Max)),
    ("GlobalAveragePooling1D", |cx| global(cx, ReduceFn::Mean)),
    ("GlobalMaxPooling1D", |cx| global(cx, ReduceFn::Max)),
    ("GlobalAveragePooling3D", |cx| global(cx, ReduceFn::Mean)),
    ("GlobalMaxPooling3D", |cx| global(cx, ReduceFn::Max)),
];

fn pool(cx: &mut LayerCx<'_, '_>, kind: PoolKind, dims: usize) -> Result<ValueId> {
    let key = if cx.layer.config.contains_key("pool_size") { "pool_size" } else { "pool_length" };
    let kernel = cx.layer.pair(key, 2, dims)?;
    let key = if cx.layer.config.contains_key("strides") { "strides" } else { "stride" };
    let stride = match cx.layer.list(key)? {
        Some(_) => cx.layer.pair(key, 1, dims)?,
        None => kernel,
    };
    let pad = match super::conv::padding(cx.layer) {
        "same" => Padding::SAME,
        "valid" => Padding::VALID,
        other => return Err(cx.layer.unsupported(format!("padding `{other}`"))),
    };
    let op = Pool {
        kind,
        kernel,
        stride,
        pad,
        dilation: [1, 1],
        ceil: false,
        count_include_pad: false,
        activation: Default::default(),
    };
    let x = last(cx)?;
    if dims == 2 {
        let y = cx.node(op, &[x])?;
        return own(cx, y);
    }
    let &[b, t, c] = cx.shape(x)?.as_slice() else {
        return Err(cx.layer.bad("the input is no sequence"));
    };
    let x = cx.side("image", Reshape::to(&[b, t, 1, c]), &[x])?;
    let y = cx.side("pool", op, &[x])?;
    let shape = cx.shape(y)?;
    let length = shape.get(1).copied().unwrap_or(0);
    let y = cx.node(Reshape::to(&[b, length, c]), &[y])?;
    own(cx, y)
}

/// Over all axes between the batch and the channels.
fn global(cx: &mut LayerCx<'_, '_>, f: ReduceFn) -> Result<ValueId> {
    let x = cx.x()?;
    let rank = cx.shape(x)?.len();
    let axes = match channels_first(cx)? {
        true => (2..rank).collect(),
        false => (1..rank.saturating_sub(1)).collect(),
    };
    let keep_dims = cx.layer.flag("keepdims", false);
    let mean = cx.layer.class == "GlobalAveragePooling1D";
    if mean && let Some(mask) = steps(cx, 0)? {
        return masked_mean(cx, x, mask, keep_dims);
    }
    cx.node(Reduce { f, axes, keep_dims }, &[x])
}

/// The mean of the steps that count.
fn masked_mean(
    cx: &mut LayerCx<'_, '_>,
    x: ValueId,
    mask: ValueId,
    keep_dims: bool,
) -> Result<ValueId> {
    let &[b, t, _] = cx.shape(x)?.as_slice() else {
        return Err(cx.layer.bad("the input is no sequence"));
    };
    let mask = cx.side("steps", Cast { to: DType::F32 }, &[mask])?;
    let mask = cx.side("weights", Reshape::to(&[b, t, 1]), &[mask])?;
    let kept = cx.side("kept", Binary::new(BinaryFn::Mul), &[x, mask])?;
    let sum = Reduce { f: ReduceFn::Sum, axes: vec![1], keep_dims };
    let total = cx.side("total", sum.clone(), &[kept])?;
    let count = cx.side("count", sum, &[mask])?;
    cx.node(Binary::new(BinaryFn::Div), &[total, count])
}

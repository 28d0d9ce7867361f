//! Pools. Averages do not count padded positions.

use super::{Read, channels_last};
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Padding, Pool, PoolKind, Reduce, ReduceFn, Reshape};

pub(super) const READERS: &[(&str, Read)] = &[
    ("MaxPooling2D", |cx| pool(cx, PoolKind::Max, 2)),
    ("AveragePooling2D", |cx| pool(cx, PoolKind::Average, 2)),
    ("MaxPooling1D", |cx| pool(cx, PoolKind::Max, 1)),
    ("AveragePooling1D", |cx| pool(cx, PoolKind::Average, 1)),
    ("GlobalAveragePooling2D", |cx| global(cx, ReduceFn::Mean)),
    ("GlobalMaxPooling2D", |cx| global(cx, ReduceFn::Max)),
    ("GlobalAveragePooling1D", |cx| global(cx, ReduceFn::Mean)),
    ("GlobalMaxPooling1D", |cx| global(cx, ReduceFn::Max)),
];

fn pool(cx: &mut LayerCx<'_>, kind: PoolKind, dims: usize) -> Result<ValueId> {
    channels_last(cx)?;
    let key = if cx.layer.config.contains_key("pool_size") { "pool_size" } else { "pool_length" };
    let kernel = cx.layer.pair(key, 2, dims)?;
    let key = if cx.layer.config.contains_key("strides") { "strides" } else { "stride" };
    let stride = match cx.layer.list(key)? {
        Some(_) => cx.layer.pair(key, 1, dims)?,
        None => kernel,
    };
    let padding = cx.layer.text("padding").or_else(|| cx.layer.text("border_mode"));
    let pad = match padding.unwrap_or("valid") {
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
    let x = cx.x()?;
    if dims == 2 {
        return cx.node(op, &[x]);
    }
    let &[b, t, c] = cx.shape(x)?.as_slice() else {
        return Err(cx.layer.bad("the input is no sequence"));
    };
    let x = cx.side("image", Reshape::to(&[b, t, 1, c]), &[x])?;
    let y = cx.side("pool", op, &[x])?;
    let shape = cx.shape(y)?;
    let length = shape.get(1).copied().unwrap_or(0);
    cx.node(Reshape::to(&[b, length, c]), &[y])
}

/// Over all axes between the batch and the channels.
fn global(cx: &mut LayerCx<'_>, f: ReduceFn) -> Result<ValueId> {
    channels_last(cx)?;
    let x = cx.x()?;
    let axes = (1..cx.shape(x)?.len().saturating_sub(1)).collect();
    let keep_dims = cx.layer.flag("keepdims", false);
    cx.node(Reduce { f, axes, keep_dims }, &[x])
}

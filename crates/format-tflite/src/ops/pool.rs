//! Pools. Averages do not count padded positions in this format.

use super::{Read, activation, padding, pair, required};
use crate::error::Result;
use crate::import::OpCx;
use paring_ir::ops::{Pool, PoolKind};

pub(super) const READERS: &[(&str, Read)] = &[
    ("AVERAGE_POOL_2D", |cx| pool(cx, PoolKind::Average)),
    ("MAX_POOL_2D", |cx| pool(cx, PoolKind::Max)),
    ("L2_POOL_2D", |cx| pool(cx, PoolKind::L2)),
];

fn pool(cx: &mut OpCx<'_, '_>, kind: PoolKind) -> Result<()> {
    let options = required!(cx, Pool2DOptions);
    let x = cx.input(0)?;
    let op = Pool {
        kind,
        kernel: pair("window", options.filter_height()?, options.filter_width()?)?,
        stride: pair("stride", options.stride_h()?, options.stride_w()?)?,
        pad: padding(options.padding()?)?,
        dilation: [1, 1],
        ceil: false,
        count_include_pad: false,
        activation: activation(options.fused_activation_function()?)?,
    };
    cx.emit(op, &[x])
}

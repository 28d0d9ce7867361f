//! Convolutions and pools of volumes `[batch, depth, height, width, channels]`, as operations on images:
//! a convolution is the sum of those of the slices that one tap of depth sees, a pool is one of images
//! and then one along the depth.

use super::{Read, activation, conv, last, own};
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{
    Binary, BinaryFn, Conv2d, Pad, PadMode, Padding, Pool, PoolKind, Reshape, Slice,
};

pub(super) const READERS: &[(&str, Read)] = &[
    ("Conv3D", convolution),
    ("Convolution3D", convolution),
    ("MaxPooling3D", |cx| pool(cx, PoolKind::Max)),
    ("AveragePooling3D", |cx| pool(cx, PoolKind::Average)),
];

fn volume(cx: &mut LayerCx<'_, '_>) -> Result<(ValueId, [usize; 5])> {
    let x = last(cx)?;
    let shape = cx.shape(x)?;
    let shape = <[usize; 5]>::try_from(shape);
    Ok((x, shape.map_err(|s| cx.layer.bad(format!("an input of shape {s:?}")))?))
}

fn same(cx: &LayerCx<'_, '_>) -> Result<bool> {
    match conv::padding(cx.layer) {
        "same" => Ok(true),
        "valid" => Ok(false),
        other => Err(cx.layer.unsupported(format!("padding `{other}`"))),
    }
}

fn product(cx: &LayerCx<'_, '_>, numbers: &[usize]) -> Result<usize> {
    let all = numbers.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    all.ok_or_else(|| cx.layer.bad("a volume that is too large"))
}

fn convolution(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let (mut x, [batch, depth, h, w, channels]) = volume(cx)?;
    let kernel = cx.weight("kernel", 0)?;
    let &[kd, kh, kw, seen, outputs] = kernel.shape() else {
        return Err(cx.layer.bad("its filters do not have five axes"));
    };
    let stride = cx.layer.counts("strides", 1, 3)?;
    let dilation = cx.layer.counts("dilation_rate", 1, 3)?;
    let groups = match cx.layer.config.contains_key("groups") {
        true => cx.layer.count("groups")?,
        false => 1,
    };
    let same = same(cx)?;
    if kd == 0 || kd > 1 << 10 {
        return Err(cx.layer.bad(format!("a depth of {kd} taps")));
    }
    // Zeros before and after, as for images.
    let reach = (kd - 1).saturating_mul(dilation[0]).saturating_add(1);
    let mut long = depth;
    if same {
        let steps = depth.div_ceil(stride[0]).max(1);
        let total = ((steps - 1) * stride[0]).saturating_add(reach).saturating_sub(depth);
        let (before, after) = ((total / 2) as i64, (total - total / 2) as i64);
        let pads = vec![[0, 0], [before, after], [0, 0], [0, 0], [0, 0]];
        if total > 0 {
            x = cx.side("padded", Pad { pads, mode: PadMode::Constant(0.0) }, &[x])?;
        }
        long = depth.saturating_add(total);
    }
    let Some(steps) = long.checked_sub(reach).map(|n| n / stride[0] + 1) else {
        return Err(cx.layer.bad(format!("a depth of {depth} for {reach} taps")));
    };
    let op = Conv2d {
        stride: [stride[1], stride[2]],
        pad: if same { Padding::SAME } else { Padding::VALID },
        dilation: [dilation[1], dilation[2]],
        groups,
        activation: Default::default(),
    };
    let taps = kernel.transpose(&[0, 4, 1, 2, 3])?;
    let size = product(cx, &[outputs, kh, kw, seen])?;
    let bytes = taps.bytes();
    let samples = product(cx, &[batch, steps])?;
    let mut sum = None;
    for tap in 0..kd {
        let slice = Slice {
            start: vec![0, tap * dilation[0], 0, 0, 0],
            len: vec![batch, steps, h, w, channels],
            step: vec![1, stride[0] as i64, 1, 1, 1],
        };
        let part = cx.side("slices", slice, &[x])?;
        let part = cx.side("images", Reshape::to(&[samples, h, w, channels]), &[part])?;
        let own = bytes.slice(tap * size * 4..(tap + 1) * size * 4);
        let own = paring_tensor::Tensor::new(taps.dtype(), [outputs, kh, kw, seen], own)?;
        let mut inputs = vec![part, cx.constant("kernel", own)?];
        if tap == 0 {
            conv::bias(cx, 1, &mut inputs)?;
        }
        let part = cx.side("tap", op.clone(), &inputs)?;
        sum = Some(match sum {
            None => part,
            Some(sum) => cx.side("sum", Binary::new(BinaryFn::Add), &[sum, part])?,
        });
    }
    let sum = sum.ok_or_else(|| cx.layer.bad("has no taps"))?;
    let &[_, oh, ow, _] = cx.shape(sum)?.as_slice() else {
        return Err(cx.layer.bad("computes no image"));
    };
    let y = cx.node(Reshape::to(&[batch, steps, oh, ow, outputs]), &[sum])?;
    let y = own(cx, y)?;
    activation::after(cx, y)
}

/// The maximum of maxima is the maximum; a mean over the elements of a box is the mean of the means of
/// its slices, of which each has as many elements.
fn pool(cx: &mut LayerCx<'_, '_>, kind: PoolKind) -> Result<ValueId> {
    let (x, [batch, depth, h, w, channels]) = volume(cx)?;
    let kernel = cx.layer.counts("pool_size", 2, 3)?;
    let stride = match cx.layer.list("strides")? {
        Some(_) => cx.layer.counts("strides", 1, 3)?,
        None => kernel.clone(),
    };
    let pad = if same(cx)? { Padding::SAME } else { Padding::VALID };
    let op = |kernel: [usize; 2], stride: [usize; 2]| Pool {
        kind,
        kernel,
        stride,
        pad,
        dilation: [1, 1],
        ceil: false,
        count_include_pad: false,
        activation: Default::default(),
    };
    let samples = product(cx, &[batch, depth])?;
    let images = cx.side("images", Reshape::to(&[samples, h, w, channels]), &[x])?;
    let flat = op([kernel[1], kernel[2]], [stride[1], stride[2]]);
    let flat = cx.side("flat", flat, &[images])?;
    let &[_, oh, ow, _] = cx.shape(flat)?.as_slice() else {
        return Err(cx.layer.bad("computes no image"));
    };
    let area = product(cx, &[oh, ow])?;
    let columns = cx.side("columns", Reshape::to(&[batch, depth, area, channels]), &[flat])?;
    let deep = cx.side("deep", op([kernel[0], 1], [stride[0], 1]), &[columns])?;
    let steps = cx.shape(deep)?.get(1).copied().unwrap_or(0);
    let y = cx.node(Reshape::to(&[batch, steps, oh, ow, channels]), &[deep])?;
    own(cx, y)
}

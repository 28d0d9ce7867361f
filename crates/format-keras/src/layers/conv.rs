//! Convolutions. Keras has filters as height, width, input, output; the graph as output, height,
//! width, input. One-dimensional layers become images of width 1.

use super::{Read, activation, channels_last};
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Conv2d, ConvTranspose2d, Padding, Reshape};
use paring_tensor::Tensor;

pub(super) const READERS: &[(&str, Read)] = &[
    ("Conv2D", |cx| conv(cx, 2)),
    ("Convolution2D", |cx| conv(cx, 2)),
    ("Conv1D", |cx| conv(cx, 1)),
    ("Convolution1D", |cx| conv(cx, 1)),
    ("DepthwiseConv2D", |cx| depthwise(cx, 2)),
    ("DepthwiseConv1D", |cx| depthwise(cx, 1)),
    ("SeparableConv2D", |cx| separable(cx, 2)),
    ("SeparableConv1D", |cx| separable(cx, 1)),
    ("Conv2DTranspose", transpose),
];

/// The input as an image.
fn image(cx: &mut LayerCx<'_>, dims: usize) -> Result<ValueId> {
    channels_last(cx)?;
    let x = cx.x()?;
    match (cx.shape(x)?.as_slice(), dims) {
        (&[_, _, _, _], 2) => Ok(x),
        (&[b, t, c], 1) => cx.side("image", Reshape::to(&[b, t, 1, c]), &[x]),
        (shape, _) => Err(cx.layer.bad(format!("an input of shape {shape:?}"))),
    }
}

/// The other way, and the activation.
fn finish(cx: &mut LayerCx<'_>, y: ValueId, dims: usize) -> Result<ValueId> {
    let y = match (cx.shape(y)?.as_slice(), dims) {
        (&[b, t, _, c], 1) => cx.side("sequence", Reshape::to(&[b, t, c]), &[y])?,
        _ => y,
    };
    activation::after(cx, y)
}

/// A filter of one spatial axis with a second one of extent 1.
fn wide(filter: &Tensor, dims: usize) -> Result<Tensor> {
    let mut shape = filter.shape().to_vec();
    if dims == 1 && shape.len() == 3 {
        shape.insert(1, 1);
    }
    Ok(filter.reshape(shape)?)
}

/// The sliding window that the layer states; groups are the caller's.
fn window(cx: &LayerCx<'_>, dims: usize, kernel: usize) -> Result<Conv2d> {
    let layer = cx.layer;
    let strides = match layer.config.contains_key("strides") {
        true => layer.pair("strides", 1, dims)?,
        false => layer.pair(if dims == 1 { "subsample_length" } else { "subsample" }, 1, dims)?,
    };
    let dilation = layer.pair("dilation_rate", 1, dims)?;
    let padding = layer.text("padding").or_else(|| layer.text("border_mode")).unwrap_or("valid");
    let pad = match padding {
        "same" => Padding::SAME,
        "valid" => Padding::VALID,
        "causal" if dims == 1 => Padding::Explicit([(kernel.max(1) - 1) * dilation[0], 0, 0, 0]),
        other => return Err(layer.unsupported(format!("padding `{other}`"))),
    };
    Ok(Conv2d { stride: strides, pad, dilation, groups: 1, activation: Default::default() })
}

fn bias(cx: &mut LayerCx<'_>, position: usize, inputs: &mut Vec<ValueId>) -> Result<()> {
    if cx.layer.flag("use_bias", cx.layer.flag("bias", true)) {
        let bias = cx.weight("bias", position)?;
        inputs.push(cx.constant("bias", bias)?);
    }
    Ok(())
}

fn conv(cx: &mut LayerCx<'_>, dims: usize) -> Result<ValueId> {
    let x = image(cx, dims)?;
    let kernel = wide(&cx.weight("kernel", 0)?, dims)?;
    let height = kernel.shape().first().copied().unwrap_or(1);
    let groups = match cx.layer.config.contains_key("groups") {
        true => cx.layer.count("groups")?,
        false => 1,
    };
    let op = Conv2d { groups, ..window(cx, dims, height)? };
    let kernel = cx.arranged(&kernel, [3, 0, 1, 2])?;
    let mut inputs = vec![x, cx.constant("kernel", kernel)?];
    bias(cx, 1, &mut inputs)?;
    let y = cx.node(op, &inputs)?;
    finish(cx, y, dims)
}

/// Filters `[H,W,C,M]` as `[C*M,H,W,1]`.
fn depthwise_filters(cx: &LayerCx<'_>, kernel: &Tensor) -> Result<Tensor> {
    let turned = cx.arranged(kernel, [2, 3, 0, 1])?;
    let &[c, m, h, w] = turned.shape() else {
        return Err(cx.layer.bad("its filters do not have four axes"));
    };
    Ok(turned.reshape([c * m, h, w, 1])?)
}

fn depthwise(cx: &mut LayerCx<'_>, dims: usize) -> Result<ValueId> {
    let x = image(cx, dims)?;
    let kernel = wide(&cx.weight("depthwise_kernel", 0)?, dims)?;
    let height = kernel.shape().first().copied().unwrap_or(1);
    let groups = cx.shape(x)?.last().copied().unwrap_or(0);
    let op = Conv2d { groups, ..window(cx, dims, height)? };
    let kernel = depthwise_filters(cx, &kernel)?;
    let mut inputs = vec![x, cx.constant("kernel", kernel)?];
    bias(cx, 1, &mut inputs)?;
    let y = cx.node(op, &inputs)?;
    finish(cx, y, dims)
}

fn separable(cx: &mut LayerCx<'_>, dims: usize) -> Result<ValueId> {
    let x = image(cx, dims)?;
    let first = wide(&cx.weight("depthwise_kernel", 0)?, dims)?;
    let second = wide(&cx.weight("pointwise_kernel", 1)?, dims)?;
    let height = first.shape().first().copied().unwrap_or(1);
    let groups = cx.shape(x)?.last().copied().unwrap_or(0);
    let op = Conv2d { groups, ..window(cx, dims, height)? };
    let first = depthwise_filters(cx, &first)?;
    let first = cx.constant("depthwise_kernel", first)?;
    let between = cx.side("depthwise", op, &[x, first])?;
    let second = cx.arranged(&second, [3, 0, 1, 2])?;
    let mut inputs = vec![between, cx.constant("pointwise_kernel", second)?];
    bias(cx, 2, &mut inputs)?;
    let op = Conv2d {
        stride: [1, 1],
        pad: Padding::VALID,
        dilation: [1, 1],
        groups: 1,
        activation: Default::default(),
    };
    let y = cx.node(op, &inputs)?;
    finish(cx, y, dims)
}

/// Filters are `[H,W,O,C]` here. `same` makes the output `stride` times as large.
fn transpose(cx: &mut LayerCx<'_>) -> Result<ValueId> {
    let x = image(cx, 2)?;
    let kernel = cx.weight("kernel", 0)?;
    let like = window(cx, 2, 1)?;
    let extra = cx.layer.list("output_padding")?;
    if like.dilation != [1, 1] || extra.is_some() {
        return Err(cx.layer.unsupported("dilation or output padding of a transposed convolution"));
    }
    let (&[_, h, w, _], &[kh, kw, _, _]) = (cx.shape(x)?.as_slice(), kernel.shape()) else {
        return Err(cx.layer.bad("its filters do not have four axes"));
    };
    let size = |n: usize, k: usize, s: usize| {
        let base = n.saturating_mul(s);
        if like.pad == Padding::SAME { base } else { base.saturating_add(k.saturating_sub(s)) }
    };
    let output = [size(h, kh, like.stride[0]), size(w, kw, like.stride[1])];
    let (pad, output_padding) = ConvTranspose2d::for_output([h, w], [kh, kw], like.stride, output);
    let op = ConvTranspose2d {
        stride: like.stride,
        pad,
        output_padding,
        dilation: [1, 1],
        groups: 1,
        activation: Default::default(),
    };
    let kernel = cx.arranged(&kernel, [2, 0, 1, 3])?;
    let mut inputs = vec![x, cx.constant("kernel", kernel)?];
    bias(cx, 1, &mut inputs)?;
    let y = cx.node(op, &inputs)?;
    finish(cx, y, 2)
}

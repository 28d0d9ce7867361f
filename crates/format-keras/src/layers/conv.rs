//! Convolutions. Keras has filters as height, width, input, output; the graph as output, height,
//! width, input. One-dimensional layers become images of width 1.

use super::{Read, activation, last, own};
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Conv2d, ConvTranspose2d, Padding, Reshape};
use paring_tensor::Tensor;

pub(super) const READERS: &[(&str, Read)] = &[
    ("Conv2D", |cx| conv(cx, 2)),
    ("Convolution2D", |cx| conv(cx, 2)),
    ("AtrousConvolution2D", |cx| conv(cx, 2)),
    ("Conv1D", |cx| conv(cx, 1)),
    ("Convolution1D", |cx| conv(cx, 1)),
    ("AtrousConvolution1D", |cx| conv(cx, 1)),
    ("DepthwiseConv2D", |cx| depthwise(cx, 2)),
    ("DepthwiseConv1D", |cx| depthwise(cx, 1)),
    ("SeparableConv2D", |cx| separable(cx, 2)),
    ("SeparableConvolution2D", |cx| separable(cx, 2)),
    ("SeparableConv1D", |cx| separable(cx, 1)),
    ("Conv2DTranspose", |cx| transpose(cx, 2)),
    ("Conv1DTranspose", |cx| transpose(cx, 1)),
];

/// The input as an image with its channels last.
fn image(cx: &mut LayerCx<'_, '_>, dims: usize) -> Result<ValueId> {
    let x = last(cx)?;
    match (cx.shape(x)?.as_slice(), dims) {
        (&[_, _, _, _], 2) => Ok(x),
        (&[b, t, c], 1) => cx.side("image", Reshape::to(&[b, t, 1, c]), &[x]),
        (shape, _) => Err(cx.layer.bad(format!("an input of shape {shape:?}"))),
    }
}

/// The other way, and the activation.
fn finish(cx: &mut LayerCx<'_, '_>, y: ValueId, dims: usize) -> Result<ValueId> {
    let y = match (cx.shape(y)?.as_slice(), dims) {
        (&[b, t, _, c], 1) => cx.side("sequence", Reshape::to(&[b, t, c]), &[y])?,
        _ => y,
    };
    let y = own(cx, y)?;
    activation::after(cx, y)
}

/// A filter of one spatial axis with a second one of extent 1. Filters of the oldest version may have
/// outputs and inputs first, and those of Theano are mirrored.
fn filter(cx: &LayerCx<'_, '_>, key: &str, position: usize, dims: usize) -> Result<Tensor> {
    let mut tensor = cx.weight(key, position)?;
    let first = cx.layer.text("dim_ordering") == Some("th");
    if cx.store().version == 1 && first && dims == 2 {
        tensor = cx.arranged(&tensor, [2, 3, 1, 0])?;
    }
    let mut shape = tensor.shape().to_vec();
    if dims == 1 && shape.len() == 3 {
        shape.insert(1, 1);
        tensor = tensor.reshape(shape)?;
    }
    if cx.store().mirrored {
        tensor = mirrored(cx, &tensor)?;
    }
    Ok(tensor)
}

/// A filter `[H,W,..]` turned by half a turn.
fn mirrored(cx: &LayerCx<'_, '_>, filter: &Tensor) -> Result<Tensor> {
    let &[h, w, c, o] = filter.shape() else {
        return Err(cx.layer.bad("its filters do not have four axes"));
    };
    let numbers = filter.to_f32();
    let mut turned = Vec::with_capacity(numbers.len());
    for tap in (0..h * w).rev() {
        turned.extend_from_slice(&numbers[tap * c * o..(tap + 1) * c * o]);
    }
    Ok(Tensor::from_vec([h, w, c, o], turned)?)
}

/// The sliding window that the layer states; groups are the caller's.
fn window(cx: &LayerCx<'_, '_>, dims: usize, kernel: usize) -> Result<Conv2d> {
    let layer = cx.layer;
    let strides = match layer.config.contains_key("strides") {
        true => layer.pair("strides", 1, dims)?,
        false => layer.pair(if dims == 1 { "subsample_length" } else { "subsample" }, 1, dims)?,
    };
    let dilation = match layer.config.contains_key("atrous_rate") {
        true => layer.pair("atrous_rate", 1, dims)?,
        false => layer.pair("dilation_rate", 1, dims)?,
    };
    let pad = match padding(layer) {
        "same" => Padding::SAME,
        "valid" => Padding::VALID,
        "causal" if dims == 1 => {
            let before = (kernel.max(1) - 1).checked_mul(dilation[0]);
            let before = before.ok_or_else(|| layer.bad("its dilation is too large"))?;
            Padding::Explicit([before, 0, 0, 0])
        }
        other => return Err(layer.unsupported(format!("padding `{other}`"))),
    };
    Ok(Conv2d { stride: strides, pad, dilation, groups: 1, activation: Default::default() })
}

/// The name of the padding, in either version's attribute.
pub(super) fn padding(layer: &crate::config::Layer) -> &str {
    layer.text("padding").or_else(|| layer.text("border_mode")).unwrap_or("valid")
}

pub(super) fn bias(
    cx: &mut LayerCx<'_, '_>,
    position: usize,
    inputs: &mut Vec<ValueId>,
) -> Result<()> {
    if cx.layer.flag("use_bias", cx.layer.flag("bias", true)) {
        let bias = cx.weight("bias", position)?;
        // The oldest version may have axes of extent 1 around it.
        let bias = bias.reshape([bias.len()])?;
        inputs.push(cx.constant("bias", bias)?);
    }
    Ok(())
}

fn conv(cx: &mut LayerCx<'_, '_>, dims: usize) -> Result<ValueId> {
    let x = image(cx, dims)?;
    let kernel = filter(cx, "kernel", 0, dims)?;
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
fn depthwise_filters(cx: &LayerCx<'_, '_>, kernel: &Tensor) -> Result<Tensor> {
    let turned = cx.arranged(kernel, [2, 3, 0, 1])?;
    let &[c, m, h, w] = turned.shape() else {
        return Err(cx.layer.bad("its filters do not have four axes"));
    };
    Ok(turned.reshape([c * m, h, w, 1])?)
}

fn depthwise(cx: &mut LayerCx<'_, '_>, dims: usize) -> Result<ValueId> {
    let x = image(cx, dims)?;
    let kernel = filter(cx, "depthwise_kernel", 0, dims)?;
    let height = kernel.shape().first().copied().unwrap_or(1);
    let groups = cx.shape(x)?.last().copied().unwrap_or(0);
    let op = Conv2d { groups, ..window(cx, dims, height)? };
    let kernel = depthwise_filters(cx, &kernel)?;
    let mut inputs = vec![x, cx.constant("kernel", kernel)?];
    bias(cx, 1, &mut inputs)?;
    let y = cx.node(op, &inputs)?;
    finish(cx, y, dims)
}

fn separable(cx: &mut LayerCx<'_, '_>, dims: usize) -> Result<ValueId> {
    let x = image(cx, dims)?;
    let first = filter(cx, "depthwise_kernel", 0, dims)?;
    let second = filter(cx, "pointwise_kernel", 1, dims)?;
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

/// Filters are `[H,W,O,C]` here. Without output padding `same` makes the output `stride` times as
/// large, and `valid` gives every tap a place.
fn transpose(cx: &mut LayerCx<'_, '_>, dims: usize) -> Result<ValueId> {
    let x = image(cx, dims)?;
    let kernel = filter(cx, "kernel", 0, dims)?;
    let Conv2d { stride, dilation, .. } = window(cx, dims, 1)?;
    let same = padding(cx.layer) == "same";
    let extra = match cx.layer.list("output_padding")? {
        None => [None; 2],
        Some(list) => {
            let number = |i: usize| {
                let n = list.get(i).or_else(|| list.first()).copied().unwrap_or(0);
                usize::try_from(n).ok().filter(|n| *n < 1 << 20)
            };
            if list.is_empty() || number(0).is_none() || number(1).is_none() {
                return Err(cx.layer.bad(format!("output padding {list:?}")));
            }
            [number(0), if dims == 1 { Some(0) } else { number(1) }]
        }
    };
    let (&[_, h, w, _], &[kh, kw, _, _]) = (cx.shape(x)?.as_slice(), kernel.shape()) else {
        return Err(cx.layer.bad("its filters do not have four axes"));
    };
    // The extents by the rule of Keras' `compute_conv_transpose_output_shape`.
    let size = |axis: usize, n: usize, k: usize| {
        let (s, k) =
            (stride[axis], (k.max(1) - 1).saturating_mul(dilation[axis]).saturating_add(1));
        let base = n.saturating_mul(s);
        match (extra[axis], same) {
            (None, true) => base,
            (None, false) => base.saturating_add(k.saturating_sub(s)),
            (Some(more), same) => {
                let pad = if same { k / 2 } else { 0 };
                let full = n.saturating_sub(1).saturating_mul(s).saturating_add(k);
                full.saturating_add(more).saturating_sub(2 * pad)
            }
        }
    };
    let output = [size(0, h, kh), size(1, w, kw)];
    let window = [0, 1].map(|i| ([kh, kw][i].max(1) - 1).saturating_mul(dilation[i]) + 1);
    let (pad, output_padding) = ConvTranspose2d::for_output([h, w], window, stride, output);
    let op = ConvTranspose2d {
        stride,
        pad,
        output_padding,
        dilation,
        groups: 1,
        activation: Default::default(),
    };
    let kernel = cx.arranged(&kernel, [2, 0, 1, 3])?;
    let mut inputs = vec![x, cx.constant("kernel", kernel)?];
    bias(cx, 1, &mut inputs)?;
    let y = cx.node(op, &inputs)?;
    finish(cx, y, dims)
}

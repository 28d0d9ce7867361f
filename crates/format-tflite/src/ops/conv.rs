//! Convolutions.

use super::{Read, activation, padding, pair, real_weights, reorder, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use crate::model::natural;
use paring_ir::ops::{AutoPad, Conv2d, ConvTranspose2d, Padding};

pub(super) const READERS: &[(&str, Read)] =
    &[("CONV_2D", conv), ("DEPTHWISE_CONV_2D", depthwise), ("TRANSPOSE_CONV", transposed)];

/// Weights are OHWI, as the graph has them. Groups are not stated: they follow from the channels.
fn conv(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, Conv2DOptions);
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let (&[_, _, _, channels], &[_, _, _, per_group]) =
        (cx.shape(x)?.as_slice(), cx.shape(w)?.as_slice())
    else {
        return Err(ReadError::malformed("input and filters do not have four axes each"));
    };
    if per_group == 0 || channels % per_group != 0 {
        return Err(ReadError::malformed(format!(
            "filters over {per_group} channels of an input of {channels}"
        )));
    }
    let op = Conv2d {
        stride: pair("stride", options.stride_h()?, options.stride_w()?)?,
        pad: padding(options.padding()?)?,
        dilation: pair("dilation", options.dilation_h_factor()?, options.dilation_w_factor()?)?,
        groups: channels / per_group,
        activation: activation(options.fused_activation_function()?)?,
    };
    let mut inputs = vec![x, real_weights(cx, x, w)?];
    inputs.extend(cx.optional(2)?);
    cx.emit(op, &inputs)
}

/// Weights are `[1,H,W,O]` here and `[O,H,W,1]` in the graph.
fn depthwise(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, DepthwiseConv2DOptions);
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let (&[_, _, _, channels], &[1, kh, kw, filters]) =
        (cx.shape(x)?.as_slice(), cx.shape(w)?.as_slice())
    else {
        return Err(ReadError::malformed("the filters are not [1, height, width, channels]"));
    };
    if channels == 0 || filters % channels != 0 {
        return Err(ReadError::malformed(format!("{filters} filters for {channels} channels")));
    }
    let op = Conv2d {
        stride: pair("stride", options.stride_h()?, options.stride_w()?)?,
        pad: padding(options.padding()?)?,
        dilation: pair("dilation", options.dilation_h_factor()?, options.dilation_w_factor()?)?,
        groups: channels,
        activation: activation(options.fused_activation_function()?)?,
    };
    let w = reorder(cx, w, &[3, 1, 2, 0], &[filters, kh, kw, 1], "depthwise")?;
    let mut inputs = vec![x, real_weights(cx, x, w)?];
    inputs.extend(cx.optional(2)?);
    cx.emit(op, &inputs)
}

/// Operands are the extents of the output, the filters `[O,H,W,C]`, the input, and a bias that may be
/// left out. The padding is what the convolution from the output to the input would have.
fn transposed(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, TransposeConvOptions);
    let result = cx.ints(0)?.into_iter().map(|n| natural("an extent of the output", n));
    let result = result.collect::<Result<Vec<_>>>()?;
    let (w, x) = (cx.input(1)?, cx.input(2)?);
    let (&[batch, ih, iw, _], &[filters, kh, kw, _], &[n, oh, ow, o]) =
        (cx.shape(x)?.as_slice(), cx.shape(w)?.as_slice(), result.as_slice())
    else {
        return Err(ReadError::malformed("output, filters and input do not have four axes each"));
    };
    if (n, o) != (batch, filters) {
        let why = format!("an output {result:?} of {filters} filters and a batch of {batch}");
        return Err(ReadError::malformed(why));
    }
    let stride = pair("stride", options.stride_h()?, options.stride_w()?)?;
    let same = padding(options.padding()?)? == Padding::Auto(AutoPad::Same);
    let (mut pad, mut output_padding) = ([0; 4], [0; 2]);
    for (axis, (input, kernel, output)) in [(ih, kh, oh), (iw, kw, ow)].into_iter().enumerate() {
        let fail = || {
            let why = format!("an output of {output} from {input} by filters of {kernel}");
            ReadError::malformed(why)
        };
        let reach = |positions: usize| {
            positions.checked_sub(1)?.checked_mul(stride[axis])?.checked_add(kernel)
        };
        if same {
            let covered = reach(output.div_ceil(stride[axis])).ok_or_else(fail)?;
            pad[axis] = covered.saturating_sub(output) / 2;
        }
        let full = reach(input).ok_or_else(fail)?;
        let end = output.checked_add(pad[axis]).ok_or_else(fail)?;
        pad[axis + 2] = full.saturating_sub(end);
        output_padding[axis] = end.saturating_sub(full);
    }
    let op = ConvTranspose2d {
        stride,
        pad,
        output_padding,
        dilation: [1, 1],
        groups: 1,
        activation: activation(options.fused_activation_function()?)?,
    };
    let mut inputs = vec![x, real_weights(cx, x, w)?];
    inputs.extend(cx.optional(3)?);
    cx.emit(op, &inputs)
}

//! Convolutions.

use super::{Read, activation, padding, pair, real_weights, reorder, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use paring_ir::ops::Conv2d;

pub(super) const READERS: &[(&str, Read)] = &[("CONV_2D", conv), ("DEPTHWISE_CONV_2D", depthwise)];

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

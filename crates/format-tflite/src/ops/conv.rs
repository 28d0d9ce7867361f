//! Convolutions.

use super::{
    Read, Write, activation, activation_code, clamp_after, explicit_pad, of, padding, pair,
    real_weights, reorder, required, weights,
};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused, int};
use crate::import::OpCx;
use crate::model::natural;
use crate::schema::{BuiltinOptions, Conv2DOptions, DepthwiseConv2DOptions, TransposeConvOptions};
use paring_ir::ops::{AutoPad, Conv2d, ConvTranspose2d, Padding};
use paring_ir::{Graph, Node, ValueId};
use paring_tensor::{DType, Quant, Tensor};

pub(super) const READERS: &[(&str, Read)] =
    &[("CONV_2D", conv), ("DEPTHWISE_CONV_2D", depthwise), ("TRANSPOSE_CONV", transposed)];

/// Ends the name of the zeros that stand for a bias where there is none: the runtimes' convolutions want
/// one.
const NO_BIAS: &str = "/no_bias";

/// The bias, if there is one.
fn bias(cx: &mut OpCx<'_, '_>) -> Result<Option<ValueId>> {
    let stands_in = cx.input_info(2).is_some_and(|i| i.name.ends_with(NO_BIAS) && i.is_const());
    if stands_in && cx.known(2)?.to_f64().iter().all(|b| *b == 0.0) {
        return Ok(None);
    }
    cx.optional(2)
}

/// The bias of `filters` filters, or zeros.
fn write_bias(cx: &mut NodeCx<'_, '_>, filters: usize) -> Result<i32, Refused> {
    if cx.node.inputs().len() > 2 {
        return cx.input(2);
    }
    let (x, w) = (cx.input_type(0)?, cx.input_type(1)?);
    let dtype = match x.dtype {
        DType::I8 | DType::U8 => DType::I32,
        DType::I16 => DType::I64,
        real => real,
    };
    let quant = match (x.quant.as_ref().and_then(Quant::as_per_tensor), &w.quant) {
        (Some((x, _)), Some(w)) => {
            Some(Quant::symmetric(0, w.scales().iter().map(|w| x * w).collect()))
        }
        _ => None,
    };
    let quant = quant.map(|q| match q.scales() {
        [one] => Quant::per_tensor(*one, 0),
        _ => q,
    });
    let zeros = Tensor::zeros(dtype, [filters]).map_err(|e| e.to_string())?;
    cx.constant(&NO_BIAS[1..], &zeros.into(), quant.as_ref())
}

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
    let mut inputs = vec![x, weights(cx, x, w)?];
    inputs.extend(bias(cx)?);
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
    let mut inputs = vec![x, weights(cx, x, w)?];
    inputs.extend(bias(cx)?);
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

pub(super) const WRITERS: &[(super::Key, Write)] =
    &[(of::<Conv2d>, write), (of::<ConvTranspose2d>, write_transposed)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Conv2d = cx.op()?;
    let x = cx.shape(cx.input_type(0)?)?;
    let w = cx.shape(cx.input_type(1)?)?;
    let (&[_, h, width, channels], &[filters, kh, kw, _]) = (x.as_slice(), w.as_slice()) else {
        return Err("input and filters do not have four axes each".to_owned());
    };
    let window = [0, 1].map(|i| ([kh, kw][i].max(1) - 1) * op.dilation[i] + 1);
    let (input, padding) = explicit_pad(cx, op.pad, [h, width], window, op.stride, 0.0)?;
    let depthwise = is_depthwise(cx.export.graph, cx.node);
    let fused_activation_function = activation_code(op.activation);
    let [stride_h, stride_w] = [int(op.stride[0])?, int(op.stride[1])?];
    let [dilation_h_factor, dilation_w_factor] = [int(op.dilation[0])?, int(op.dilation[1])?];
    let (name, options, weights) = if depthwise {
        let options = DepthwiseConv2DOptions {
            padding,
            stride_w,
            stride_h,
            depth_multiplier: int(filters / channels.max(1))?,
            fused_activation_function,
            dilation_w_factor,
            dilation_h_factor,
        };
        let weights = cx.reordered(1, &[3, 1, 2, 0], &[1, kh, kw, filters], "depthwise")?;
        let options = BuiltinOptions::DepthwiseConv2DOptions(Box::new(options));
        ("DEPTHWISE_CONV_2D", options, weights)
    } else {
        let options = Conv2DOptions {
            padding,
            stride_w,
            stride_h,
            fused_activation_function,
            dilation_w_factor,
            dilation_h_factor,
            ..Default::default()
        };
        ("CONV_2D", BuiltinOptions::Conv2DOptions(Box::new(options)), cx.input(1)?)
    };
    let (bias, output) = (write_bias(cx, filters)?, cx.output(0)?);
    cx.operator(name, Some(options), vec![input, weights, bias], vec![output])
}

/// Whether a node is a convolution that the format has an operator of its own for.
pub(super) fn is_depthwise(graph: &Graph, node: &Node) -> bool {
    let channels = node.inputs().first().and_then(|v| graph.ty(*v).shape.dims().last()?.fixed());
    let groups = node.op_as::<Conv2d>().map(|op| op.groups);
    groups.is_some_and(|g| g > 1 && Some(g) == channels)
}

fn write_transposed(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &ConvTranspose2d = cx.op()?;
    let w = cx.shape(cx.input_type(1)?)?;
    let result = cx.shape(cx.output_type(0)?)?;
    let (&[_, kh, kw, _], &[_, oh, ow, _]) = (w.as_slice(), result.as_slice()) else {
        return Err("output and filters do not have four axes each".to_owned());
    };
    if op.groups != 1 || op.dilation != [1, 1] {
        return Err("the format has no grouped or dilated transposed convolution".to_owned());
    }
    let start = |same: bool, axis: usize| {
        let (kernel, output, stride) = ([kh, kw][axis], [oh, ow][axis], op.stride[axis].max(1));
        let covered = output.div_ceil(stride).saturating_sub(1) * stride + kernel;
        if same { covered.saturating_sub(output) / 2 } else { 0 }
    };
    let fits = |same: bool| [0, 1].into_iter().all(|axis| start(same, axis) == op.pad[axis]);
    let padding = match (fits(true), fits(false)) {
        (true, _) => 0,
        (_, true) => 1,
        _ => return Err(format!("the format cannot pad a transposed convolution by {:?}", op.pad)),
    };
    let options = BuiltinOptions::TransposeConvOptions(Box::new(TransposeConvOptions {
        padding,
        stride_w: int(op.stride[1])?,
        stride_h: int(op.stride[0])?,
        ..Default::default()
    }));
    let mut inputs = vec![cx.sizes(&result)?, cx.input(1)?, cx.input(0)?];
    if cx.node.inputs().len() > 2 {
        inputs.push(cx.input(2)?);
    }
    clamp_after(cx, op.activation, "TRANSPOSE_CONV", Some(options), inputs)
}

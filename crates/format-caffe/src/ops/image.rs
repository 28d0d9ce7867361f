//! Convolutions and pools.

use crate::layer::{Layer, Outputs, Reject, number, switch};
use crate::text::Tree;
use paring_ir::ops::{
    Activation, Conv2d, ConvTranspose2d, Padding, Pool, PoolKind, Reduce, ReduceFn,
};
use paring_tensor::Tensor;

/// A parameter for height and width: `name` once or twice, or `name_h` and `name_w`.
fn pair(text: &Tree, name: &str, default: usize) -> Result<[usize; 2], Reject> {
    // The plain name of a kernel is `kernel_size`, that of its parts `kernel_h`.
    let part = name.strip_suffix("_size").unwrap_or(name);
    let all: Vec<usize> = text
        .words(name)
        .map(|w| w.parse().map_err(|_| Reject::Malformed(format!("`{name}: {w}`"))))
        .collect::<Result<_, _>>()?;
    let both = match all.as_slice() {
        [] => [default; 2],
        [one] => [*one; 2],
        [h, w] => [*h, *w],
        more => return Err(Reject::Unsupported(format!("`{name}` of {} axes", more.len()))),
    };
    Ok([number(text, &format!("{part}_h"), both[0])?, number(text, &format!("{part}_w"), both[1])?])
}

struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    pad: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
    bias: bool,
}

fn window(text: &Tree) -> Result<Window, Reject> {
    Ok(Window {
        kernel: pair(text, "kernel_size", 0)?,
        stride: pair(text, "stride", 1)?,
        pad: pair(text, "pad", 0)?,
        dilation: pair(text, "dilation", 1)?,
        groups: number(text, "group", 1)?,
        bias: switch(text, "bias_term", true),
    })
}

fn padding([h, w]: [usize; 2]) -> Padding {
    if [h, w] == [0, 0] { Padding::VALID } else { Padding::Explicit([h, w, h, w]) }
}

/// The filters, `[outputs, inputs / groups, height, width]`, however the file states their shape.
fn filters(
    layer: &Layer<'_>,
    window: &Window,
    first: usize,
    second: usize,
) -> Result<Tensor, Reject> {
    let [h, w] = window.kernel;
    let blob = layer.blob(0, "weights")?;
    let shape = [first, second, h, w];
    blob.reshape(shape).map_err(|_| {
        Reject::Malformed(format!("weights of {:?} where {shape:?} are needed", blob.shape()))
    })
}

fn bias(layer: &Layer<'_>, outputs: usize) -> Result<Tensor, Reject> {
    Ok(layer.blob(1, "bias")?.reshape([outputs])?)
}

fn divided(n: usize, groups: usize, what: &str) -> Result<usize, Reject> {
    if groups == 0 || !n.is_multiple_of(groups) {
        return Err(Reject::Malformed(format!("{groups} groups of {n} {what} channels")));
    }
    Ok(n / groups)
}

pub(super) fn convolution(layer: &mut Layer<'_>) -> Outputs {
    let window = window(layer.parameters("convolution_param"))?;
    convolve(layer, window)
}

/// One group a channel, whatever is stated.
pub(super) fn depthwise(layer: &mut Layer<'_>) -> Outputs {
    let window = window(layer.parameters("convolution_param"))?;
    let x = layer.bottom()?;
    let groups = layer.shape(x).get(1).copied().unwrap_or(0);
    convolve(layer, Window { groups, ..window })
}

fn convolve(layer: &mut Layer<'_>, window: Window) -> Outputs {
    let outputs: usize = number(layer.parameters("convolution_param"), "num_output", 0)?;
    let x = layer.bottom()?;
    let x = layer.image(x)?;
    let channels = layer.shape(x).last().copied().unwrap_or(0);
    let seen = divided(channels, window.groups, "input")?;
    let w = filters(layer, &window, outputs, seen)?.transpose(&[0, 2, 3, 1])?;
    let mut operands = vec![x, layer.constant("weights", w)?];
    if window.bias {
        let b = bias(layer, outputs)?;
        operands.push(layer.constant("bias", b)?);
    }
    let op = Conv2d {
        stride: window.stride,
        pad: padding(window.pad),
        dilation: window.dilation,
        groups: window.groups,
        activation: Activation::None,
    };
    let y = layer.emit(op, &operands)?;
    Ok(vec![layer.planar(y)?])
}

pub(super) fn deconvolution(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("convolution_param");
    let window = window(text)?;
    let outputs: usize = number(text, "num_output", 0)?;
    let x = layer.bottom()?;
    let x = layer.image(x)?;
    let channels = layer.shape(x).last().copied().unwrap_or(0);
    let each = divided(outputs, window.groups, "output")?;
    let seen = divided(channels, window.groups, "input")?;
    let [h, w] = window.kernel;
    // [G * C, O, H, W] to [G * O, H, W, C]
    let weights = filters(layer, &window, channels, each)?
        .reshape([window.groups, seen, each, h, w])?
        .transpose(&[0, 2, 3, 4, 1])?
        .reshape([outputs, h, w, seen])?;
    let mut operands = vec![x, layer.constant("weights", weights)?];
    if window.bias {
        let b = bias(layer, outputs)?;
        operands.push(layer.constant("bias", b)?);
    }
    let [ph, pw] = window.pad;
    let op = ConvTranspose2d {
        stride: window.stride,
        pad: [ph, pw, ph, pw],
        output_padding: [0, 0],
        dilation: window.dilation,
        groups: window.groups,
        activation: Activation::None,
    };
    let y = layer.emit(op, &operands)?;
    Ok(vec![layer.planar(y)?])
}

/// Windows are kept that begin in the input or the padding before it but do not fit, and an average
/// counts padding.
pub(super) fn pooling(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("pooling_param");
    let kind = match text.word("pool").unwrap_or("MAX") {
        "MAX" | "0" => PoolKind::Max,
        "AVE" | "1" => PoolKind::Average,
        other => return Err(Reject::Unsupported(format!("pooling `{other}`"))),
    };
    let x = layer.bottom()?;
    if switch(text, "global_pooling", false) {
        let f = if kind == PoolKind::Max { ReduceFn::Max } else { ReduceFn::Mean };
        return Ok(vec![layer.emit(Reduce { f, axes: vec![2, 3], keep_dims: true }, &[x])?]);
    }
    let window = window(text)?;
    let x = layer.image(x)?;
    let op = Pool {
        kind,
        kernel: window.kernel,
        stride: window.stride,
        pad: padding(window.pad),
        dilation: [1, 1],
        ceil: text.word("round_mode").is_none_or(|m| m == "CEIL" || m == "0"),
        count_include_pad: kind == PoolKind::Average,
        activation: Activation::None,
    };
    let y = layer.emit(op, &[x])?;
    Ok(vec![layer.planar(y)?])
}

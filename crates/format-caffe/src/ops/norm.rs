//! Normalizations.

use crate::layer::{Layer, Outputs, Reject, axis, number, switch};
use paring_ir::ops::{
    Activation, BatchNorm, Binary, BinaryFn, Lrn, Normalize, Padding, Pool, PoolKind, Reduce,
    ReduceFn, Softmax, Unary,
};
use paring_tensor::Tensor;

pub(super) fn lrn(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("lrn_param");
    if text.word("norm_region").is_some_and(|r| r == "WITHIN_CHANNEL" || r == "1") {
        return within(layer);
    }
    let op = Lrn {
        size: number(text, "local_size", 5)?,
        alpha: number(text, "alpha", 1.0)?,
        beta: number(text, "beta", 0.75)?,
        bias: number(text, "k", 1.0)?,
    };
    let x = layer.bottom()?;
    let x = layer.image(x)?;
    let y = layer.emit(op, &[x])?;
    Ok(vec![layer.planar(y)?])
}

/// By the mean of squares of a window of the channel's own plane, which counts the zeros around it:
/// `x / (1 + alpha * mean)^beta`.
fn within(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("lrn_param");
    let size: usize = number(text, "local_size", 5)?;
    let (alpha, beta): (f32, f32) = (number(text, "alpha", 1.0)?, number(text, "beta", 0.75)?);
    let x = layer.bottom()?;
    let x = layer.image(x)?;
    let square = layer.aux(Unary::Square, &[x])?;
    let half = size.saturating_sub(1) / 2;
    let mean = Pool {
        kind: PoolKind::Average,
        kernel: [size; 2],
        stride: [1, 1],
        pad: Padding::Explicit([half; 4]),
        dilation: [1, 1],
        ceil: true,
        count_include_pad: true,
        activation: Activation::None,
    };
    let mean = layer.aux(mean, &[square])?;
    let (alpha, one) = (layer.scalar("alpha", alpha)?, layer.scalar("one", 1.0)?);
    let scaled = layer.aux(Binary::new(BinaryFn::Mul), &[mean, alpha])?;
    let sum = layer.aux(Binary::new(BinaryFn::Add), &[scaled, one])?;
    let power = layer.scalar("power", -beta)?;
    let factor = layer.aux(Binary::new(BinaryFn::Pow), &[sum, power])?;
    let y = layer.emit(Binary::new(BinaryFn::Mul), &[x, factor])?;
    Ok(vec![layer.planar(y)?])
}

/// By the Euclidean norm of all channels of a position, or of the whole image; then a factor for each
/// channel, or one.
pub(super) fn normalize(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("norm_param");
    let spatial = switch(text, "across_spatial", true);
    let epsilon = number(text, "eps", 1e-10)?;
    let x = layer.bottom()?;
    let shape = layer.shape(x);
    if shape.len() != 4 {
        return Err(Reject::Malformed(format!("{shape:?} is no image")));
    }
    let axes = if spatial { vec![1, 2, 3] } else { vec![1] };
    let sum = layer.aux(Reduce { f: ReduceFn::SumSquare, axes, keep_dims: true }, &[x])?;
    let epsilon = layer.scalar("epsilon", epsilon)?;
    let sum = layer.aux(Binary::new(BinaryFn::Add), &[sum, epsilon])?;
    let inverse = layer.aux(Unary::Rsqrt, &[sum])?;
    let y = layer.aux(Binary::new(BinaryFn::Mul), &[x, inverse])?;
    let factors = layer.blob(0, "factors")?;
    let factors = match factors.len() {
        1 => factors.reshape(Vec::new())?,
        n => factors.reshape([n, 1, 1])?,
    };
    let factors = layer.constant("factors", factors)?;
    Ok(vec![layer.emit(Binary::new(BinaryFn::Mul), &[y, factors])?])
}

/// A factor and an offset for each channel, with the statistics in them.
pub(super) fn bn(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("bn_param");
    if text.word("bn_mode").is_some_and(|m| m != "INFERENCE" && m != "1") {
        return Err(Reject::Unsupported("statistics of the batch itself".to_owned()));
    }
    let x = layer.bottom()?;
    let channels = layer.shape(x).get(1).copied().unwrap_or(1);
    let mut y = x;
    for (i, (what, f)) in
        [("factors", BinaryFn::Mul), ("offsets", BinaryFn::Add)].iter().enumerate()
    {
        let numbers = layer.blob(i, what)?.reshape([channels, 1, 1])?;
        let numbers = layer.constant(what, numbers)?;
        y = match i {
            0 => layer.aux(Binary::new(*f), &[y, numbers])?,
            _ => layer.emit(Binary::new(*f), &[y, numbers])?,
        };
    }
    Ok(vec![y])
}

/// The stored statistics are sums that the third blob divides.
pub(super) fn batch_norm(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("batch_norm_param");
    if !switch(text, "use_global_stats", true) {
        return Err(Reject::Unsupported("statistics of the batch itself".to_owned()));
    }
    let epsilon = number(text, "eps", 1e-5)?;
    let divisor = layer.blob(2, "factor")?.to_f32().first().copied().unwrap_or(0.0);
    let factor = if divisor == 0.0 { 0.0 } else { 1.0 / divisor };
    let x = layer.bottom()?;
    let channels = layer.shape(x).get(1).copied().unwrap_or(1);
    let mut parameters = Vec::new();
    for (what, value) in [("scale", 1.0_f32), ("bias", 0.0)] {
        parameters
            .push(layer.constant(what, Tensor::from_vec([channels], vec![value; channels])?)?);
    }
    for (i, what) in ["mean", "variance"].iter().enumerate() {
        let data = layer.blob(i, what)?.to_f32().into_iter().map(|v| v * factor).collect();
        parameters.push(layer.constant(what, Tensor::from_vec([channels], data)?)?);
    }
    let image = layer.shape(x).len() == 4;
    let x = if image { layer.image(x)? } else { x };
    let mut inputs = vec![x];
    inputs.append(&mut parameters);
    let y = layer.emit(BatchNorm { epsilon }, &inputs)?;
    Ok(vec![if image { layer.planar(y)? } else { y }])
}

/// Mean and, if asked for, variance of each image's channels, or of each image.
pub(super) fn mvn(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("mvn_param");
    let whole = switch(text, "across_channels", false);
    let axes = if whole { vec![1, 2, 3] } else { vec![2, 3] };
    let x = layer.bottom()?;
    if switch(text, "normalize_variance", true) {
        let epsilon = number(text, "eps", 1e-9)?;
        return Ok(vec![layer.emit(Normalize { axes, groups: 1, epsilon }, &[x])?]);
    }
    let mean = layer.aux(Reduce { f: ReduceFn::Mean, axes, keep_dims: true }, &[x])?;
    Ok(vec![layer.emit(Binary::new(BinaryFn::Sub), &[x, mean])?])
}

pub(super) fn softmax(layer: &mut Layer<'_>) -> Outputs {
    let x = layer.bottom()?;
    let rank = layer.shape(x).len();
    let axis = axis(layer.parameters("softmax_param"), "axis", 1, rank)?;
    Ok(vec![layer.emit(Softmax { axis, beta: 1.0, log: false }, &[x])?])
}

//! Normalizations.

use crate::layer::{Layer, Outputs, Reject, axis, number, switch};
use paring_ir::ops::{BatchNorm, Lrn, Normalize, Reduce, ReduceFn, Softmax};
use paring_ir::ops::{Binary, BinaryFn};
use paring_tensor::Tensor;

pub(super) fn lrn(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("lrn_param");
    if text.word("norm_region").is_some_and(|r| r == "WITHIN_CHANNEL" || r == "1") {
        return Err(Reject::Unsupported("normalization within channels".to_owned()));
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

//! Normalizations.

use super::Read;
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{BatchNorm, Binary, BinaryFn, Normalize};
use paring_tensor::Tensor;

pub(super) const READERS: &[(&str, Read)] = &[
    ("BatchNormalization", batch),
    ("LayerNormalization", layer),
    ("Rescaling", |cx| {
        let (scale, offset) = (cx.layer.float("scale", 1.0)?, cx.layer.float("offset", 0.0)?);
        let x = cx.x()?;
        let scale = cx.constant("scale", Tensor::scalar(scale))?;
        let offset = cx.constant("offset", Tensor::scalar(offset))?;
        let scaled = cx.side("scaled", Binary::new(BinaryFn::Mul), &[x, scale])?;
        cx.node(Binary::new(BinaryFn::Add), &[scaled, offset])
    }),
    ("Normalization", |cx| {
        let (mean, variance) = (cx.weight("mean", 0)?, cx.weight("variance", 1)?);
        // The layer bounds the deviation by a small number from below.
        let deviation = variance.to_f32().into_iter().map(|v| v.sqrt().max(1e-7)).collect();
        let deviation = Tensor::from_vec(variance.shape(), deviation)?;
        let x = cx.x()?;
        let (mean, deviation) = (cx.constant("mean", mean)?, cx.constant("deviation", deviation)?);
        let centred = cx.side("centred", Binary::new(BinaryFn::Sub), &[x, mean])?;
        cx.node(Binary::new(BinaryFn::Div), &[centred, deviation])
    }),
];

fn filled(value: f32, n: usize) -> Result<Tensor> {
    Ok(Tensor::from_vec([n], vec![value; n])?)
}

/// The weights are gamma, beta, mean and variance; the first two may be left out.
fn batch(cx: &mut LayerCx<'_>) -> Result<ValueId> {
    let x = cx.x()?;
    let shape = cx.shape(x)?;
    let axis = cx.layer.list("axis")?.and_then(|a| a.first().copied()).unwrap_or(-1);
    if super::shape::axis(cx, axis, shape.len())? + 1 != shape.len() {
        return Err(cx.layer.unsupported("statistics along another axis than the last"));
    }
    let channels = shape.last().copied().unwrap_or(0);
    let (scale, center) = (cx.layer.flag("scale", true), cx.layer.flag("center", true));
    let mut position = 0;
    let mut next = || {
        position += 1;
        position - 1
    };
    let gamma = if scale { cx.weight("gamma", next())? } else { filled(1.0, channels)? };
    let beta = if center { cx.weight("beta", next())? } else { filled(0.0, channels)? };
    let mean = cx.weight("moving_mean", next())?;
    let variance = cx.weight("moving_variance", next())?;
    let epsilon = cx.layer.float("epsilon", 1e-3)?;
    let inputs = [
        x,
        cx.constant("gamma", gamma)?,
        cx.constant("beta", beta)?,
        cx.constant("moving_mean", mean)?,
        cx.constant("moving_variance", variance)?,
    ];
    cx.node(BatchNorm { epsilon }, &inputs)
}

fn layer(cx: &mut LayerCx<'_>) -> Result<ValueId> {
    let x = cx.x()?;
    let rank = cx.shape(x)?.len();
    let given = cx.layer.list("axis")?.unwrap_or_else(|| vec![-1]);
    let mut axes = Vec::with_capacity(given.len());
    for a in given {
        axes.push(super::shape::axis(cx, a, rank)?);
    }
    axes.sort_unstable();
    let (scale, center) = (cx.layer.flag("scale", true), cx.layer.flag("center", true));
    if axes != [rank - 1] {
        return Err(cx.layer.unsupported("statistics along other axes than the last"));
    }
    let channels = cx.shape(x)?.last().copied().unwrap_or(0);
    let gamma = if scale { cx.weight("gamma", 0)? } else { filled(1.0, channels)? };
    let position = usize::from(scale);
    let beta = if center { cx.weight("beta", position)? } else { filled(0.0, channels)? };
    let epsilon = cx.layer.float("epsilon", 1e-3)?;
    let inputs = [x, cx.constant("gamma", gamma)?, cx.constant("beta", beta)?];
    cx.node(Normalize { axes, groups: 1, epsilon }, &inputs)
}

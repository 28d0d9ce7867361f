//! Normalizations.

use super::{Entry, Outcome, channels_first, channels_last};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{
    BatchNorm, Binary, BinaryFn, BroadcastTo, LpNormalize, Lrn, Normalize, Reduce, ReduceFn, Unary,
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("BatchNormalization", batch),
    Entry::new("InstanceNormalization", instance),
    Entry::new("LayerNormalization", layer),
    Entry::new("GroupNormalization", group),
    Entry::new("RMSNormalization", rms),
    Entry::new("LRN", lrn),
    Entry::new("LpNormalization", lp),
    Entry::new("MeanVarianceNormalization", mean_variance),
];

/// Brings the channels of an input to the end, applies `f`, and brings them back.
fn over_channels(
    cx: &mut Cx<'_, '_>,
    f: impl FnOnce(&mut Cx<'_, '_>, ValueId) -> Result<ValueId, Reject>,
) -> Outcome {
    let x = cx.input(0)?;
    let rank = cx.shape(x)?.len();
    if rank < 2 {
        return Err(Reject::malformed(format!("an input of {rank} axes has no channels")));
    }
    let x = cx.transpose(x, &channels_last(rank))?;
    let y = f(cx, x)?;
    let y = cx.transpose(y, &channels_first(rank))?;
    cx.set(0, y);
    Ok(())
}

fn batch(cx: &mut Cx<'_, '_>) -> Outcome {
    if cx.flag("training_mode", false)? || cx.wants(3) {
        return Err(Reject::unsupported("training mode; export the model for inference"));
    }
    if !cx.flag("spatial", true)? && cx.input_shape(0)?.len() > 2 {
        return Err(Reject::unsupported("statistics for each element (spatial = 0)"));
    }
    let epsilon = cx.float("epsilon", 1e-5)?;
    let parameters = [cx.input(1)?, cx.input(2)?, cx.input(3)?, cx.input(4)?];
    over_channels(cx, |cx, x| {
        let [scale, bias, mean, variance] = parameters;
        cx.emit(BatchNorm { epsilon }, &[x, scale, bias, mean, variance])
    })
}

fn instance(cx: &mut Cx<'_, '_>) -> Outcome {
    let epsilon = cx.float("epsilon", 1e-5)?;
    let (scale, bias) = (cx.input(1)?, cx.input(2)?);
    over_channels(cx, |cx, x| {
        let rank = cx.shape(x)?.len();
        let axes = (1..rank - 1).collect();
        cx.emit(Normalize { axes, groups: 1, epsilon }, &[x, scale, bias])
    })
}

fn group(cx: &mut Cx<'_, '_>) -> Outcome {
    let epsilon = cx.float("epsilon", 1e-5)?;
    let groups = cx.int("num_groups", 0)?;
    let groups = usize::try_from(groups)
        .ok()
        .filter(|g| *g > 0)
        .ok_or_else(|| Reject::malformed(format!("num_groups {groups}")))?;
    let (scale, bias) = (cx.input(1)?, cx.input(2)?);
    over_channels(cx, |cx, x| {
        let shape = cx.shape(x)?;
        let channels = *shape.last().unwrap_or(&0);
        if channels % groups != 0 {
            return Err(Reject::malformed(format!("{groups} groups of {channels} channels")));
        }
        // Until set 21 there was one scale and bias for each group.
        let mut spread = |id: ValueId| -> Result<ValueId, Reject> {
            let len = cx.shape(id)?.iter().product::<usize>();
            if len == channels || len != groups {
                return Ok(id);
            }
            let wide = cx.reshape(id, &[groups, 1])?;
            let wide = cx.aux(BroadcastTo { shape: vec![groups, channels / groups] }, &[wide])?;
            cx.reshape(wide, &[channels])
        };
        let (scale, bias) = (spread(scale)?, spread(bias)?);
        let axes = (1..shape.len()).collect();
        cx.emit(Normalize { axes, groups, epsilon }, &[x, scale, bias])
    })
}

fn layer(cx: &mut Cx<'_, '_>) -> Outcome {
    let epsilon = cx.float("epsilon", 1e-5)?;
    let rank = cx.input_shape(0)?.len();
    let axis = cx.int("axis", -1)?;
    let axis = cx.axis(axis, rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let x = cx.input(0)?;
    let mut operands = vec![x];
    operands.extend(cx.opt_input(1)?);
    operands.extend(cx.opt_input(2)?);
    let y = cx.emit(Normalize { axes: axes.clone(), groups: 1, epsilon }, &operands)?;
    cx.set(0, y);
    if cx.wants(1) || cx.wants(2) {
        let mean = Reduce { f: ReduceFn::Mean, axes, keep_dims: true };
        let center = cx.aux(mean.clone(), &[x])?;
        let away = cx.aux(Binary::new(BinaryFn::Sub), &[x, center])?;
        let squares = cx.aux(Unary::Square, &[away])?;
        let variance = cx.aux(mean, &[squares])?;
        let epsilon = cx.scalar_like(variance, f64::from(epsilon))?;
        let sum = cx.aux(Binary::new(BinaryFn::Add), &[variance, epsilon])?;
        let inverse = cx.aux(Unary::Rsqrt, &[sum])?;
        cx.set(1, center);
        cx.set(2, inverse);
    }
    Ok(())
}

/// `x / sqrt(mean(x * x) + epsilon) * scale`
fn rms(cx: &mut Cx<'_, '_>) -> Outcome {
    let epsilon = cx.float("epsilon", 1e-5)?;
    let rank = cx.input_shape(0)?.len();
    let axis = cx.int("axis", -1)?;
    let axes = (cx.axis(axis, rank)?..rank).collect();
    let (x, scale) = (cx.input(0)?, cx.input(1)?);
    let squares = cx.aux(Unary::Square, &[x])?;
    let mean = cx.aux(Reduce { f: ReduceFn::Mean, axes, keep_dims: true }, &[squares])?;
    let epsilon = cx.scalar_like(mean, f64::from(epsilon))?;
    let sum = cx.aux(Binary::new(BinaryFn::Add), &[mean, epsilon])?;
    let factor = cx.aux(Unary::Rsqrt, &[sum])?;
    let y = cx.aux(Binary::new(BinaryFn::Mul), &[x, factor])?;
    let y = cx.emit(Binary::new(BinaryFn::Mul), &[y, scale])?;
    cx.set(0, y);
    Ok(())
}

fn lrn(cx: &mut Cx<'_, '_>) -> Outcome {
    let size = cx.opt_int("size")?.ok_or_else(|| Reject::malformed("`size` is missing"))?;
    let size = usize::try_from(size)
        .ok()
        .filter(|s| *s > 0)
        .ok_or_else(|| Reject::malformed(format!("size {size}")))?;
    let (alpha, beta) = (cx.float("alpha", 1e-4)?, cx.float("beta", 0.75)?);
    let bias = cx.float("bias", 1.0)?;
    over_channels(cx, |cx, x| cx.emit(Lrn { size, alpha, beta, bias }, &[x]))
}

fn lp(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let axis = cx.int("axis", -1)?;
    let axis = cx.axis(axis, rank)?;
    let p = cx.int("p", 2)?;
    let p = u32::try_from(p).map_err(|_| Reject::malformed(format!("norm {p}")))?;
    let x = cx.input(0)?;
    let y = cx.emit(LpNormalize { axis, p, epsilon: 0.0 }, &[x])?;
    cx.set(0, y);
    Ok(())
}

/// `(x - mean) / (standard deviation + 1e-9)`
fn mean_variance(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let default = [0, 2, 3];
    let mut axes: Vec<usize> = cx
        .ints("axes")?
        .unwrap_or(&default)
        .iter()
        .map(|a| cx.axis(*a, rank))
        .collect::<Result<_, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    let x = cx.input(0)?;
    let mean = Reduce { f: ReduceFn::Mean, axes, keep_dims: true };
    let center = cx.aux(mean.clone(), &[x])?;
    let away = cx.aux(Binary::new(BinaryFn::Sub), &[x, center])?;
    let squares = cx.aux(Unary::Square, &[away])?;
    let variance = cx.aux(mean, &[squares])?;
    let deviation = cx.aux(Unary::Sqrt, &[variance])?;
    let small = cx.scalar_like(deviation, 1e-9)?;
    let divisor = cx.aux(Binary::new(BinaryFn::Add), &[deviation, small])?;
    let y = cx.emit(Binary::new(BinaryFn::Div), &[away, divisor])?;
    cx.set(0, y);
    Ok(())
}

//! Elements chosen by indices.

use super::{Entry, Outcome};
use crate::cx::{Cx, resolve_axis};
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{
    Cast, Concat, Gather, GatherElements, GatherNd, NonZero, OneHot, Reverse, Trilu,
};
use paring_tensor::{DType, Tensor};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("Gather", gather),
    Entry::new("GatherElements", gather_elements),
    Entry::new("GatherND", gather_nd),
    Entry::new("OneHot", one_hot),
    Entry::new("NonZero", non_zero),
    Entry::new("Compress", compress),
    Entry::new("ReverseSequence", reverse_sequence),
    Entry::new("Trilu", trilu),
];

fn gather(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let axis = cx.int("axis", 0)?;
    let axis = cx.axis(axis, rank)?;
    let (x, at) = (cx.input(0)?, cx.input(1)?);
    let y = cx.emit(Gather { axis, batch_dims: 0 }, &[x, at])?;
    cx.set(0, y);
    Ok(())
}

fn gather_elements(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let axis = cx.int("axis", 0)?;
    let axis = cx.axis(axis, rank)?;
    let (x, at) = (cx.input(0)?, cx.input(1)?);
    let y = cx.emit(GatherElements { axis }, &[x, at])?;
    cx.set(0, y);
    Ok(())
}

fn gather_nd(cx: &mut Cx<'_, '_>) -> Outcome {
    let batch = cx.int("batch_dims", 0)?;
    let batch_dims =
        usize::try_from(batch).map_err(|_| Reject::malformed(format!("batch_dims {batch}")))?;
    let (x, at) = (cx.input(0)?, cx.input(1)?);
    let y = cx.emit(GatherNd { batch_dims }, &[x, at])?;
    cx.set(0, y);
    Ok(())
}

/// An index of any numeric type as `i64`.
fn index(cx: &mut Cx<'_, '_>, id: ValueId) -> Result<ValueId, Reject> {
    if matches!(cx.dtype(id), DType::I32 | DType::I64) {
        return Ok(id);
    }
    cx.aux(Cast { to: DType::I64 }, &[id])
}

fn one_hot(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let depth =
        cx.scalar_const(1, "depth")?.ok_or_else(|| Reject::malformed("input 1 is missing"))?;
    if !(0.0..1e12).contains(&depth) {
        return Err(Reject::malformed(format!("depth {depth}")));
    }
    let axis = cx.int("axis", -1)?;
    let axis = resolve_axis(axis, rank + 1)?;
    let (at, values) = (cx.input(0)?, cx.input(2)?);
    let at = index(cx, at)?;
    let op = OneHot { axis, depth: depth as usize, negative_is_off: false };
    let y = cx.emit(op, &[at, values])?;
    cx.set(0, y);
    Ok(())
}

fn non_zero(cx: &mut Cx<'_, '_>) -> Outcome {
    let x = cx.input(0)?;
    let y = cx.emit(NonZero { count: format!("{}.count", cx.name) }, &[x])?;
    cx.set(0, y);
    Ok(())
}

/// Keeps what a constant condition says.
fn compress(cx: &mut Cx<'_, '_>) -> Outcome {
    let condition =
        cx.need_const(1, "condition")?.ok_or_else(|| Reject::malformed("input 1 is missing"))?;
    let kept: Vec<i64> = condition
        .to_i64()
        .into_iter()
        .enumerate()
        .filter_map(|(i, c)| (c != 0).then_some(i as i64))
        .collect();
    let shape = cx.input_shape(0)?;
    let x = cx.input(0)?;
    let (x, axis) = match cx.opt_int("axis")? {
        Some(axis) => (x, cx.axis(axis, shape.len())?),
        None => (cx.reshape(x, &[shape.iter().product()])?, 0),
    };
    let at = cx.konst("indices", Tensor::from_vec([kept.len()], kept)?)?;
    let y = cx.emit(Gather { axis, batch_dims: 0 }, &[x, at])?;
    cx.set(0, y);
    Ok(())
}

fn reverse_sequence(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let (axis, batch) = (cx.int("time_axis", 0)?, cx.int("batch_axis", 1)?);
    let (axis, batch) = (cx.axis(axis, rank)?, cx.axis(batch, rank)?);
    let (x, lengths) = (cx.input(0)?, cx.input(1)?);
    let y = cx.emit(Reverse { axis, batch_axis: Some(batch) }, &[x, lengths])?;
    cx.set(0, y);
    Ok(())
}

fn trilu(cx: &mut Cx<'_, '_>) -> Outcome {
    let k = cx.need_const(1, "k")?.map(|t| t.to_i64()).unwrap_or_default();
    let upper = cx.flag("upper", true)?;
    let x = cx.input(0)?;
    let y = cx.emit(Trilu { upper, k: k.first().copied().unwrap_or(0) }, &[x])?;
    cx.set(0, y);
    Ok(())
}

/// Values joined along an axis, or the one there is.
pub(super) fn join(
    cx: &mut Cx<'_, '_>,
    values: &[ValueId],
    axis: usize,
) -> Result<ValueId, Reject> {
    match values {
        [one] => Ok(*one),
        _ => cx.emit(Concat { axis }, values),
    }
}

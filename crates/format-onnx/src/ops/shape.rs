//! Operators that change the shape or the order of axes, or do nothing in inference.

use super::constant::{extents, filled};
use super::{Entry, Outcome};
use crate::cx::{Cx, resolve_axis};
use crate::reject::Reject;
use paring_ir::ops::{BroadcastTo, Reshape, Tile, Transpose};
use paring_tensor::Tensor;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("Reshape", reshape),
    Entry::new("Flatten", flatten),
    Entry::new("Squeeze", squeeze),
    Entry::new("Unsqueeze", unsqueeze),
    Entry::new("Transpose", transpose),
    Entry::new("Expand", expand),
    Entry::new("Tile", tile),
    Entry::kept("Shape", shape),
    Entry::kept("Size", size),
    Entry::kept("Identity", identity),
    Entry::kept("Dropout", dropout),
];

/// The whole input in another shape.
pub(super) fn to_shape(cx: &mut Cx<'_, '_>, shape: &[usize]) -> Outcome {
    if cx.input_shape(0)? == shape {
        return identity(cx);
    }
    let x = cx.input(0)?;
    let y = cx.emit(Reshape::to(shape), &[x])?;
    cx.set(0, y);
    Ok(())
}

fn reshape(cx: &mut Cx<'_, '_>) -> Outcome {
    let wanted =
        cx.ints_of("shape", 1)?.ok_or_else(|| Reject::malformed("the shape is missing"))?;
    let from = cx.input_shape(0)?;
    let keep_zero = cx.flag("allowzero", false)?;
    let fail = || Reject::malformed(format!("{from:?} does not reshape to {wanted:?}"));
    let mut known = 1_usize;
    let mut hole = None;
    let mut shape = Vec::with_capacity(wanted.len());
    for (i, &n) in wanted.iter().enumerate() {
        let n = match n {
            -1 if hole.is_none() => {
                hole = Some(i);
                shape.push(0);
                continue;
            }
            0 if !keep_zero => *from.get(i).ok_or_else(fail)?,
            n => usize::try_from(n).map_err(|_| fail())?,
        };
        known = known.checked_mul(n).ok_or_else(fail)?;
        shape.push(n);
    }
    let have: usize = from.iter().product();
    match hole {
        Some(i) if known > 0 && have.is_multiple_of(known) => shape[i] = have / known,
        None if known == have => {}
        _ => return Err(fail()),
    }
    to_shape(cx, &shape)
}

fn flatten(cx: &mut Cx<'_, '_>) -> Outcome {
    let from = cx.input_shape(0)?;
    let axis = cx.int("axis", 1)?;
    // The axis may also stand after the last one.
    let at = if axis == from.len() as i64 { from.len() } else { cx.axis(axis, from.len())? };
    to_shape(cx, &[from[..at].iter().product(), from[at..].iter().product()])
}

fn squeeze(cx: &mut Cx<'_, '_>) -> Outcome {
    let from = cx.input_shape(0)?;
    let axes: Vec<usize> = match cx.ints_of("axes", 1)? {
        Some(axes) => axes.iter().map(|a| cx.axis(*a, from.len())).collect::<Result<_, _>>()?,
        None => (0..from.len()).filter(|i| from[*i] == 1).collect(),
    };
    if let Some(a) = axes.iter().find(|a| from[**a] != 1) {
        return Err(Reject::malformed(format!("axis {a} of {from:?} is not 1")));
    }
    let kept: Vec<usize> = (0..from.len()).filter(|i| !axes.contains(i)).map(|i| from[i]).collect();
    to_shape(cx, &kept)
}

fn unsqueeze(cx: &mut Cx<'_, '_>) -> Outcome {
    let from = cx.input_shape(0)?;
    let axes = cx.ints_of("axes", 1)?.ok_or_else(|| Reject::malformed("the axes are missing"))?;
    let rank = from.len() + axes.len();
    let mut new = vec![false; rank];
    for a in &axes {
        if std::mem::replace(&mut new[resolve_axis(*a, rank)?], true) {
            return Err(Reject::malformed(format!("axes {axes:?} name one twice")));
        }
    }
    let mut old = from.into_iter();
    let shape: Vec<usize> =
        new.into_iter().map(|n| if n { 1 } else { old.next().unwrap_or(1) }).collect();
    to_shape(cx, &shape)
}

fn transpose(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let perm: Vec<usize> = match cx.ints("perm")? {
        Some(perm) => perm.iter().map(|a| cx.axis(*a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect(),
    };
    if perm.iter().copied().eq(0..rank) {
        return identity(cx);
    }
    let x = cx.input(0)?;
    let y = cx.emit(Transpose { perm }, &[x])?;
    cx.set(0, y);
    Ok(())
}

fn expand(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = extents(cx, 1, "shape")?;
    let x = cx.input(0)?;
    let y = cx.emit(BroadcastTo { shape }, &[x])?;
    cx.set(0, y);
    Ok(())
}

fn tile(cx: &mut Cx<'_, '_>) -> Outcome {
    let repeats = extents(cx, 1, "repeats")?;
    let x = cx.input(0)?;
    let y = cx.emit(Tile { repeats }, &[x])?;
    cx.set(0, y);
    Ok(())
}

fn shape(cx: &mut Cx<'_, '_>) -> Outcome {
    let dims = cx.input_shape(0)?;
    let rank = dims.len() as i64;
    let bound = |x: i64| {
        let x = if x < 0 { x.saturating_add(rank) } else { x };
        usize::try_from(x.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (bound(cx.int("start", 0)?), bound(cx.int("end", rank)?));
    let part = dims.get(start..end).unwrap_or(&[]);
    let data: Vec<i64> = part.iter().map(|&n| n as i64).collect();
    cx.set_const(0, Tensor::from_vec([data.len()], data)?);
    Ok(())
}

fn size(cx: &mut Cx<'_, '_>) -> Outcome {
    let count: usize = cx.input_shape(0)?.iter().product();
    cx.set_const(0, Tensor::scalar(count as i64));
    Ok(())
}

pub(super) fn identity(cx: &mut Cx<'_, '_>) -> Outcome {
    let val = cx.inputs.first().cloned().ok_or_else(|| Reject::malformed("has no input"))?;
    cx.set_val(0, val);
    Ok(())
}

/// In inference everything passes. Where a mask is asked for, all of it is true.
fn dropout(cx: &mut Cx<'_, '_>) -> Outcome {
    if cx.scalar_const(2, "training mode")?.is_some_and(|t| t != 0.0)
        && cx.scalar_const(1, "ratio")?.is_none_or(|r| r != 0.0)
    {
        return Err(Reject::unsupported("training mode; export the model for inference"));
    }
    if cx.wants(1) {
        let shape = cx.input_shape(0)?;
        let yes = Tensor::scalar(1_u8).reinterpret(paring_tensor::DType::Bool)?;
        // Before set 10 the mask had the type of the data.
        let yes = if cx.opset < 10 { yes.cast(cx.input_type(0)?.dtype) } else { yes };
        let mask = filled(cx, &shape, &yes)?;
        cx.set_const(1, mask);
    }
    identity(cx)
}

//! Sequences of tensors, where constants decide which element is meant.

use super::{Entry, Outcome};
use crate::build::Val;
use crate::cx::Cx;
use crate::reject::Reject;
use std::rc::Rc;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::kept("SequenceEmpty", |cx| {
        cx.set_val(0, Val::Sequence(Rc::default()));
        Ok(())
    }),
    Entry::kept("SequenceConstruct", |cx| {
        let all = cx.inputs.clone();
        cx.set_val(0, Val::Sequence(Rc::new(all)));
        Ok(())
    }),
    Entry::kept("SequenceInsert", insert),
    Entry::kept("SequenceErase", erase),
    Entry::kept("SequenceAt", at),
    Entry::kept("SequenceLength", length),
    Entry::kept("SplitToSequence", split),
    Entry::kept("ConcatFromSequence", concat),
];

fn list(cx: &Cx<'_, '_>) -> Result<Vec<Val>, Reject> {
    match cx.inputs.first() {
        Some(Val::Sequence(s)) => Ok(s.to_vec()),
        _ => Err(Reject::malformed("input 0 is not a sequence")),
    }
}

/// A position, counted from the end if negative.
fn position(cx: &Cx<'_, '_>, input: usize, len: usize) -> Result<Option<usize>, Reject> {
    let Some(at) = cx.scalar_const(input, "position")? else { return Ok(None) };
    let at = if at < 0.0 { at + len as f64 } else { at };
    if (0.0..=len as f64).contains(&at) {
        Ok(Some(at as usize))
    } else {
        Err(Reject::malformed(format!("position {at} in a sequence of {len}")))
    }
}

fn insert(cx: &mut Cx<'_, '_>) -> Outcome {
    let mut all = list(cx)?;
    if all.len() >= 4096 {
        return Err(Reject::unsupported("a sequence of more than 4096 tensors"));
    }
    let at = position(cx, 2, all.len())?.unwrap_or(all.len());
    let new = cx.inputs.get(1).cloned().unwrap_or(Val::Absent);
    all.insert(at, new);
    cx.set_val(0, Val::Sequence(Rc::new(all)));
    Ok(())
}

fn erase(cx: &mut Cx<'_, '_>) -> Outcome {
    let mut all = list(cx)?;
    let at = position(cx, 1, all.len())?.unwrap_or(all.len().saturating_sub(1));
    if at >= all.len() {
        return Err(Reject::malformed(format!("position {at} in a sequence of {}", all.len())));
    }
    all.remove(at);
    cx.set_val(0, Val::Sequence(Rc::new(all)));
    Ok(())
}

fn at(cx: &mut Cx<'_, '_>) -> Outcome {
    let all = list(cx)?;
    let at = position(cx, 1, all.len())?.unwrap_or(0);
    let val = all.get(at).cloned().ok_or_else(|| {
        Reject::malformed(format!("position {at} in a sequence of {}", all.len()))
    })?;
    cx.set_val(0, val);
    Ok(())
}

fn length(cx: &mut Cx<'_, '_>) -> Outcome {
    let len = list(cx)?.len() as i64;
    cx.set_const(0, paring_tensor::Tensor::scalar(len));
    Ok(())
}

fn split(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = cx.input_shape(0)?;
    let axis = cx.int("axis", 0)?;
    let axis = cx.axis(axis, shape.len())?;
    let stated = cx.need_const(1, "split")?;
    let keep = stated.is_some() || cx.flag("keepdims", true)?;
    let number = |n: i64| {
        usize::try_from(n)
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| Reject::malformed(format!("parts of {n}")))
    };
    let sizes: Vec<usize> = match stated {
        Some(t) if t.shape().is_empty() => {
            let each = number(t.to_i64().first().copied().unwrap_or(0))?;
            (0..shape[axis].div_ceil(each)).map(|i| each.min(shape[axis] - i * each)).collect()
        }
        Some(t) => t.to_i64().into_iter().map(number).collect::<Result<_, _>>()?,
        None => vec![1; shape[axis]],
    };
    if sizes.iter().try_fold(0_usize, |n, s| n.checked_add(*s)) != Some(shape[axis])
        || sizes.len() > 1 << 16
    {
        return Err(Reject::malformed(format!("parts {sizes:?} of axis {axis} of {shape:?}")));
    }
    let x = cx.input(0)?;
    let mut from = 0;
    let mut all = Vec::new();
    for size in sizes {
        let mut y = super::slice::part(cx, x, axis, from, size)?;
        if !keep {
            let mut rest = shape.clone();
            rest.remove(axis);
            y = cx.reshape(y, &rest)?;
        }
        all.push(Val::Node(y));
        from += size;
    }
    cx.set_val(0, Val::Sequence(Rc::new(all)));
    Ok(())
}

fn concat(cx: &mut Cx<'_, '_>) -> Outcome {
    let all = list(cx)?;
    let new = cx.flag("new_axis", false)?;
    cx.inputs = all;
    let axis = cx.int("axis", 0)?;
    let rank = cx.input_shape(0)?.len() + usize::from(new);
    let axis = cx.axis(axis, rank)?;
    let mut values = cx.all_inputs()?;
    if new {
        for v in &mut values {
            let mut shape = cx.shape(*v)?;
            shape.insert(axis, 1);
            *v = cx.reshape(*v, &shape)?;
        }
    }
    let y = super::gather::join(cx, &values, axis)?;
    cx.set(0, y);
    Ok(())
}

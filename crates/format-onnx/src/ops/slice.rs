//! Parts of a value and values joined.

use super::{Entry, Outcome};
use crate::build::Val;
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::Slice;

pub(super) const ENTRIES: &[Entry] =
    &[Entry::new("Slice", slice), Entry::new("Split", split), Entry::new("Concat", concat)];

fn slice(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = cx.input_shape(0)?;
    let rank = shape.len();
    let need = |list: Option<Vec<i64>>, what: &str| {
        list.ok_or_else(|| Reject::malformed(format!("the {what} are missing")))
    };
    let starts = need(cx.ints_of("starts", 1)?, "starts")?;
    let ends = need(cx.ints_of("ends", 2)?, "ends")?;
    let axes: Vec<usize> = match cx.ints_of("axes", 3)? {
        Some(axes) => axes.iter().map(|a| cx.axis(*a, rank)).collect::<Result<_, _>>()?,
        None => (0..starts.len()).collect(),
    };
    let steps = cx.need_const(4, "steps")?.map_or_else(|| vec![1; starts.len()], |t| t.to_i64());
    let same = [ends.len(), axes.len(), steps.len()] == [starts.len(); 3];
    if !same || axes.iter().any(|a| *a >= rank) {
        return Err(Reject::malformed(format!(
            "starts {starts:?}, ends {ends:?}, axes {axes:?}, steps {steps:?} of {rank} axes"
        )));
    }
    let (mut start, mut len, mut step) = (vec![0; rank], shape.clone(), vec![1; rank]);
    for (i, &axis) in axes.iter().enumerate() {
        let n = i64::try_from(shape[axis]).unwrap_or(i64::MAX);
        let from_front = |x: i64| if x < 0 { x.saturating_add(n) } else { x };
        let (s, e) = (from_front(starts[i]), from_front(ends[i]));
        let (s, count) = match steps[i] {
            0 => return Err(Reject::malformed("a step of 0")),
            by if by > 0 => {
                let (s, e) = (s.clamp(0, n), e.clamp(0, n));
                (s, (i128::from(e) - i128::from(s) + i128::from(by) - 1) / i128::from(by))
            }
            by => {
                let (s, e) = (s.clamp(-1, n - 1), e.clamp(-1, n - 1));
                let by = -i128::from(by);
                (s, (i128::from(s) - i128::from(e) + by - 1) / by)
            }
        };
        let count = usize::try_from(count.max(0)).unwrap_or(0);
        len[axis] = count;
        start[axis] = if count == 0 { 0 } else { usize::try_from(s).unwrap_or(0) };
        step[axis] = steps[i];
    }
    if len == shape && step.iter().all(|s| *s == 1) {
        return super::shape::identity(cx);
    }
    let x = cx.input(0)?;
    let y = cx.emit(Slice { start, len, step }, &[x])?;
    cx.set(0, y);
    Ok(())
}

/// A part of an axis.
pub(super) fn part(
    cx: &mut Cx<'_, '_>,
    x: ValueId,
    axis: usize,
    from: usize,
    count: usize,
) -> Result<ValueId, Reject> {
    let mut len = cx.shape(x)?;
    let mut start = vec![0; len.len()];
    let step = vec![1; len.len()];
    (start[axis], len[axis]) = (from, count);
    cx.emit(Slice { start, len, step }, &[x])
}

fn split(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = cx.input_shape(0)?;
    let axis = cx.int("axis", 0)?;
    let axis = cx.axis(axis, shape.len())?;
    let outputs = cx.wanted.len();
    let sizes: Vec<usize> = match cx.ints_of("split", 1)? {
        Some(list) => list
            .iter()
            .map(|n| usize::try_from(*n).map_err(|_| Reject::malformed(format!("a part of {n}"))))
            .collect::<Result<_, _>>()?,
        None => {
            let parts = match cx.opt_int("num_outputs")? {
                Some(n) => usize::try_from(n).unwrap_or(0),
                None => outputs,
            };
            if parts == 0 || parts > (1 << 16) {
                return Err(Reject::malformed(format!("{parts} parts")));
            }
            // The last part is shorter where the parts do not come out even.
            let each = shape[axis].div_ceil(parts);
            (0..parts).map(|i| each.min(shape[axis].saturating_sub(i * each))).collect()
        }
    };
    let total = sizes.iter().try_fold(0_usize, |n, s| n.checked_add(*s));
    if sizes.len() < outputs || total != Some(shape[axis]) {
        return Err(Reject::malformed(format!(
            "parts {sizes:?} of axis {axis} of {shape:?} for {outputs} outputs"
        )));
    }
    let x = cx.input(0)?;
    let mut from = 0;
    for (i, size) in sizes.into_iter().enumerate() {
        if cx.wants(i) {
            let y = part(cx, x, axis, from, size)?;
            cx.set(i, y);
        }
        from += size;
    }
    Ok(())
}

pub(super) fn concat(cx: &mut Cx<'_, '_>) -> Outcome {
    // Before set 4 the axis had a default.
    let default = (cx.opset < 4).then_some(1);
    let axis = cx.opt_int("axis")?.or(default);
    let axis = axis.ok_or_else(|| Reject::malformed("`axis` is missing"))?;
    let rank = cx.input_shape(0)?.len();
    let axis = cx.axis(axis, rank)?;
    if let [only] = cx.inputs.as_slice() {
        let only: Val = only.clone();
        cx.set_val(0, only);
        return Ok(());
    }
    let inputs = cx.all_inputs()?;
    let y = super::gather::join(cx, &inputs, axis)?;
    cx.set(0, y);
    Ok(())
}

//! Parts of values.

use super::{Read, Write, of, required};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused, int};
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, NoOptions, StridedSliceOptions};
use paring_ir::ops::{Reshape, Slice};

pub(super) const READERS: &[(&str, Read)] = &[("SLICE", slice), ("STRIDED_SLICE", strided)];

/// Begin and size of each axis; a size of -1 is what remains.
fn slice(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let (shape, begin, size) = (cx.shape(x)?, cx.ints(1)?, cx.ints(2)?);
    if begin.len() != shape.len() || size.len() != shape.len() {
        return Err(ReadError::malformed(format!("begin {begin:?}, size {size:?} of {shape:?}")));
    }
    let mut op = Slice { start: Vec::new(), len: Vec::new(), step: vec![1; shape.len()] };
    for ((&n, begin), size) in shape.iter().zip(begin).zip(size) {
        let start = usize::try_from(begin).ok().filter(|b| *b <= n);
        let start = start.ok_or_else(|| ReadError::malformed(format!("begin {begin} of {n}")))?;
        let len = if size == -1 { Some(n - start) } else { usize::try_from(size).ok() };
        let len = len.filter(|len| *len <= n - start);
        op.len.push(
            len.ok_or_else(|| {
                ReadError::malformed(format!("{size} elements from {begin} of {n}"))
            })?,
        );
        op.start.push(start);
    }
    cx.emit(op, &[x])
}

/// One entry of a strided slice, after the ellipsis is written out.
enum Entry {
    /// Begin, end and stride; `None` for a masked begin or end.
    Range(Option<i64>, Option<i64>, i64),
    /// One index; the axis goes.
    Index(i64),
    NewAxis,
}

/// Python's slicing: `x[begin:end:stride, ...]` with masks for what is left out.
fn strided(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, StridedSliceOptions);
    let x = cx.input(0)?;
    let shape = cx.shape(x)?;
    let (begin, end, stride) = (cx.ints(1)?, cx.ints(2)?, cx.ints(3)?);
    if end.len() != begin.len() || stride.len() != begin.len() || begin.len() > 32 {
        return Err(ReadError::malformed(format!(
            "begin {begin:?}, end {end:?} and strides {stride:?} differ in length or are too long"
        )));
    }
    let set = |mask: i32, i: usize| mask >> i & 1 == 1;
    let (ellipsis, new) = (options.ellipsis_mask()?, options.new_axis_mask()?);
    let (begin_mask, end_mask) = (options.begin_mask()?, options.end_mask()?);
    let (shrink, offset) = (options.shrink_axis_mask()?, options.offset()?);
    let taken = (0..begin.len()).filter(|i| !set(ellipsis, *i) && !set(new, *i)).count();
    let mut missing = shape.len().checked_sub(taken).ok_or_else(|| {
        ReadError::malformed(format!("{taken} ranges for a value of rank {}", shape.len()))
    })?;
    let mut entries = Vec::new();
    for i in 0..begin.len() {
        if set(ellipsis, i) {
            // All axes that no other entry names; a second ellipsis finds none left.
            entries.extend((0..std::mem::take(&mut missing)).map(|_| Entry::Range(None, None, 1)));
        } else if set(new, i) {
            entries.push(Entry::NewAxis);
        } else if set(shrink, i) {
            entries.push(Entry::Index(begin[i]));
        } else {
            let end = if offset { begin[i].saturating_add(end[i]) } else { end[i] };
            let masked = |mask, n| (!set(mask, i)).then_some(n);
            entries.push(Entry::Range(
                masked(begin_mask, begin[i]),
                masked(end_mask, end),
                stride[i],
            ));
        }
    }
    entries.extend((0..missing).map(|_| Entry::Range(None, None, 1)));
    let mut op = Slice { start: Vec::new(), len: Vec::new(), step: Vec::new() };
    let mut result = Vec::new();
    let mut axes = shape.iter();
    for entry in entries {
        if matches!(entry, Entry::NewAxis) {
            result.push(1);
            continue;
        }
        let n = *axes.next().ok_or_else(|| ReadError::malformed("more ranges than axes"))?;
        let (start, len, step) = match entry {
            Entry::Index(i) => {
                let at = if i < 0 { i.saturating_add(n as i64) } else { i };
                let at = usize::try_from(at).ok().filter(|at| *at < n);
                (at.ok_or_else(|| ReadError::malformed(format!("index {i} of {n}")))?, 1, 1)
            }
            Entry::Range(begin, end, step) => range(n, begin, end, step)?,
            Entry::NewAxis => continue,
        };
        if !matches!(entry, Entry::Index(_)) {
            result.push(len);
        }
        op.start.push(start);
        op.len.push(len);
        op.step.push(step);
    }
    if op.len == result {
        return cx.emit(op, &[x]);
    }
    let part = cx.before("part", op, &[x])?;
    cx.emit(Reshape::to(&result), &[part])
}

/// First index, number of indices and step of a range over `n` indices.
fn range(n: usize, begin: Option<i64>, end: Option<i64>, step: i64) -> Result<(usize, usize, i64)> {
    let n = i64::try_from(n).map_err(|_| ReadError::malformed("an axis is too long"))?;
    if step == 0 || step == i64::MIN {
        return Err(ReadError::malformed(format!("a stride of {step}")));
    }
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let clamp = |i: i64| (if i < 0 { i.saturating_add(n) } else { i }).clamp(low, high);
    let first = begin.map_or(if step > 0 { low } else { high }, clamp);
    let last = end.map_or(if step > 0 { high } else { low }, clamp);
    let span = if step > 0 { last - first } else { first - last };
    let len = if span > 0 { (span as u64).div_ceil(step.unsigned_abs()) as usize } else { 0 };
    // An empty range begins anywhere.
    let first = if len == 0 { 0 } else { usize::try_from(first).unwrap_or(0) };
    Ok((first, len, step))
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Slice>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Slice = cx.op()?;
    let (x, output) = (cx.input(0)?, cx.output(0)?);
    let begin = cx.sizes(&op.start)?;
    if op.step.iter().all(|s| *s == 1) {
        let size = cx.sizes(&op.len)?;
        let options = BuiltinOptions::SliceOptions(Box::new(NoOptions {}));
        return cx.operator("SLICE", Some(options), vec![x, begin, size], vec![output]);
    }
    let (mut end, mut strides, mut end_mask) = (Vec::new(), Vec::new(), 0);
    for (i, ((start, len), step)) in op.start.iter().zip(&op.len).zip(&op.step).enumerate() {
        let step = i32::try_from(*step).map_err(|e| e.to_string())?;
        let past = int(*len)?.checked_mul(step).and_then(|n| n.checked_add(int(*start).ok()?));
        let past = past.ok_or("a range is too long for the format")?;
        // Below zero would count from the end.
        if past < 0 {
            end_mask |= 1 << i;
        }
        end.push(past.max(0));
        strides.push(step);
    }
    let (end, strides) = (cx.ints(&end)?, cx.ints(&strides)?);
    let options = StridedSliceOptions { end_mask, ..Default::default() };
    let options = BuiltinOptions::StridedSliceOptions(Box::new(options));
    cx.operator("STRIDED_SLICE", Some(options), vec![x, begin, end, strides], vec![output])
}

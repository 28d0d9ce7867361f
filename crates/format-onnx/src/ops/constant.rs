//! Operators that make constants.

use super::{Entry, Outcome};
use crate::cx::{Cx, charge};
use crate::reject::Reject;
use crate::tensor::{self, External};
use bytes::Bytes;
use paring_format::Source;
use paring_tensor::{DType, Tensor};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::kept("Constant", constant),
    Entry::kept("ConstantOfShape", constant_of_shape),
    Entry::kept("Range", range),
    Entry::kept("EyeLike", eye_like),
];

fn constant(cx: &mut Cx<'_, '_>) -> Outcome {
    let own = |cx: &Cx<'_, '_>, f: &dyn Fn(&mut External<'_>) -> Result<Tensor, Reject>| {
        // Tensors in attributes hold their contents themselves.
        let nowhere = Source { path: cx.name.clone().into(), bytes: Bytes::new() };
        f(&mut External::new(&nowhere))
    };
    let mut value = None;
    if let Some(t) = cx.tensor("value")? {
        value = Some(own(cx, &|e| tensor::read(t, e))?);
    } else if let Some(x) = cx.opt_float("value_float")? {
        value = Some(Tensor::scalar(x));
    } else if let Some(x) = cx.opt_int("value_int")? {
        value = Some(Tensor::scalar(x));
    } else if let Some(x) = cx.floats("value_floats")? {
        value = Some(Tensor::from_vec([x.len()], x.to_vec())?);
    } else if let Some(x) = cx.ints("value_ints")? {
        value = Some(Tensor::from_vec([x.len()], x.to_vec())?);
    } else if let Some(s) = cx.get("sparse_value").and_then(|a| a.sparse_tensor.as_deref()) {
        let mut budget = *cx.budget;
        let nowhere = Source { path: cx.name.clone().into(), bytes: Bytes::new() };
        let mut external = External::new(&nowhere);
        value = Some(tensor::read_sparse(s, &mut external, &mut |b| charge(&mut budget, b))?);
        *cx.budget = budget;
    } else if cx.get("value_string").or(cx.get("value_strings")).is_some() {
        return Err(Reject::unsupported("string elements"));
    }
    let value = value.ok_or_else(|| Reject::malformed("has no value"))?;
    cx.set_const(0, value);
    Ok(())
}

/// The extents that a constant input holds.
pub(super) fn extents(cx: &Cx<'_, '_>, input: usize, what: &str) -> Result<Vec<usize>, Reject> {
    let t = cx
        .need_const(input, what)?
        .ok_or_else(|| Reject::malformed(format!("input {input} is missing")))?;
    t.to_i64()
        .into_iter()
        .map(|n| usize::try_from(n).map_err(|_| Reject::malformed(format!("the {what} holds {n}"))))
        .collect()
}

/// One number repeated over a shape, counted against the limit on computed constants.
pub(super) fn filled(
    cx: &mut Cx<'_, '_>,
    shape: &[usize],
    number: &Tensor,
) -> Result<Tensor, Reject> {
    let size = number.dtype().size();
    let bytes = shape
        .iter()
        .try_fold(size, |n, &d| n.checked_mul(d))
        .ok_or_else(|| Reject::malformed(format!("shape {shape:?} is too large")))?;
    cx.charge(bytes)?;
    if number.bytes().iter().all(|b| *b == 0) {
        return Ok(Tensor::zeros(number.dtype(), shape)?);
    }
    let data: Bytes = number.bytes().repeat(bytes / size).into();
    Ok(Tensor::new(number.dtype(), shape, data)?)
}

fn constant_of_shape(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = extents(cx, 0, "shape")?;
    let nowhere = Source { path: cx.name.clone().into(), bytes: Bytes::new() };
    let value = match cx.tensor("value")? {
        Some(t) => tensor::read(t, &mut External::new(&nowhere))?,
        None => Tensor::from_vec([1], vec![0.0_f32])?,
    };
    if value.len() != 1 {
        return Err(Reject::malformed(format!("the value has {} elements", value.len())));
    }
    let tensor = filled(cx, &shape, &value)?;
    cx.set_const(0, tensor);
    Ok(())
}

fn range(cx: &mut Cx<'_, '_>) -> Outcome {
    let need = |i: usize, what: &str| {
        let t = cx.need_const(i, what)?;
        let t = t.ok_or_else(|| Reject::malformed(format!("input {i} is missing")))?;
        if t.len() == 1 {
            Ok(t)
        } else {
            Err(Reject::malformed(format!("the {what} has {} elements", t.len())))
        }
    };
    let (start, limit, delta) = (need(0, "start")?, need(1, "limit")?, need(2, "delta")?);
    let dtype = start.dtype();
    let first = |t: &Tensor| t.to_f64().first().copied().unwrap_or(0.0);
    let (s, l, d) = (first(&start), first(&limit), first(&delta));
    if d == 0.0 || !(s.is_finite() && l.is_finite() && d.is_finite()) {
        return Err(Reject::malformed(format!("from {s} to {l} in steps of {d}")));
    }
    let count = if dtype.is_float() {
        ((l - s) / d).ceil().max(0.0)
    } else {
        let int = |t: &Tensor| i128::from(t.to_i64().first().copied().unwrap_or(0));
        let (s, l, d) = (int(&start), int(&limit), int(&delta));
        let (span, step) = if d > 0 { (l - s, d) } else { (s - l, -d) };
        ((span.max(0) + step - 1) / step) as f64
    };
    if count >= (1_u64 << 40) as f64 {
        return Err(Reject::malformed(format!("{count} elements")));
    }
    let count = count as usize;
    cx.charge(count.saturating_mul(dtype.size()))?;
    let tensor = if dtype == DType::F32 {
        let (s, d) = (s as f32, d as f32);
        Tensor::from_vec([count], (0..count).map(|i| s + i as f32 * d).collect())?
    } else if dtype.is_float() {
        Tensor::from_vec([count], (0..count).map(|i| s + i as f64 * d).collect())?.cast(dtype)
    } else {
        let int = |t: &Tensor| t.to_i64().first().copied().unwrap_or(0);
        let (s, d) = (int(&start), int(&delta));
        let data = (0..count).map(|i| s.wrapping_add(d.wrapping_mul(i as i64))).collect();
        Tensor::from_vec([count], data)?.cast(dtype)
    };
    cx.set_const(0, tensor);
    Ok(())
}

fn eye_like(cx: &mut Cx<'_, '_>) -> Outcome {
    let ty = cx.input_type(0)?;
    let shape = cx.input_shape(0)?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(Reject::malformed(format!("{} is no matrix", ty.shape)));
    };
    let dtype = match cx.opt_int("dtype")? {
        Some(t) => tensor::dtype(i32::try_from(t).unwrap_or(-1))?,
        None => ty.dtype,
    };
    let k = cx.int("k", 0)?;
    cx.charge(rows.saturating_mul(columns).saturating_mul(16))?;
    let mut data = Tensor::zeros(paring_tensor::DType::U8, shape.clone())?.to_i64();
    for row in 0..rows {
        let column = i64::try_from(row).ok().and_then(|r| r.checked_add(k));
        if let Some(c) = column.and_then(|c| usize::try_from(c).ok()).filter(|c| *c < columns) {
            data[row * columns + c] = 1;
        }
    }
    cx.set_const(0, Tensor::from_vec(shape, data)?.cast(dtype));
    Ok(())
}

//! Values made of shapes and single numbers.

use super::{Read, Write, of};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use crate::model::natural;
use crate::schema::{BuiltinOptions, NoOptions};
use paring_ir::ops::{BroadcastTo, Tile};
use paring_tensor::{DType, Tensor};

pub(super) const READERS: &[(&str, Read)] = &[
    ("SHAPE", shape),
    ("RANK", |cx| {
        let x = cx.input(0)?;
        let rank = cx.shape(x)?.len();
        constant(cx, Tensor::scalar(rank as i32))
    }),
    ("FILL", |cx| {
        let shape = extents(cx, 0)?;
        let value = cx.input(1)?;
        cx.emit(BroadcastTo { shape }, &[value])
    }),
    ("ZEROS_LIKE", |cx| {
        let x = cx.input(0)?;
        let (shape, ty) = (cx.shape(x)?, cx.ty(x).clone());
        let zero = cx.constant("zero", Tensor::zeros(ty.dtype, [])?, ty.quant)?;
        cx.emit(BroadcastTo { shape }, &[zero])
    }),
    ("RANGE", range),
    ("BROADCAST_TO", |cx| {
        let x = cx.input(0)?;
        let shape = extents(cx, 1)?;
        cx.emit(BroadcastTo { shape }, &[x])
    }),
    ("BROADCAST_ARGS", broadcast_args),
    ("TILE", |cx| {
        let x = cx.input(0)?;
        let repeats = extents(cx, 1)?;
        cx.emit(Tile { repeats }, &[x])
    }),
];

/// A list of extents in an operand that has to be constant.
fn extents(cx: &mut OpCx<'_, '_>, k: usize) -> Result<Vec<usize>> {
    cx.ints(k)?.into_iter().map(|n| natural("an extent", n)).collect()
}

/// Makes the operator's result a constant.
fn constant(cx: &mut OpCx<'_, '_>, tensor: Tensor) -> Result<()> {
    let declared = cx.output_info(0)?.dtype()?;
    if declared != tensor.dtype() {
        let why = format!("holds {declared} elements where {} belong", tensor.dtype());
        return Err(ReadError::malformed(why).at(|| "output 0".to_owned()));
    }
    cx.import.budget.take(tensor.bytes().len())?;
    let value = cx.constant("value", tensor, None)?;
    cx.forward(0, value)
}

/// All shapes are numbers in this format, so they are known here.
fn shape(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let shape = cx.shape(x)?;
    let rank = shape.len();
    let shape: Vec<i64> = shape.into_iter().map(|n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
    let dtype = cx.output_info(0)?.dtype()?;
    if !matches!(dtype, DType::I32 | DType::I64) {
        return Err(ReadError::malformed(format!("a shape of type {dtype}")));
    }
    constant(cx, Tensor::from_vec([rank], shape)?.cast(dtype))
}

fn range(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let (start, limit, delta) = (cx.known(0)?, cx.known(1)?, cx.known(2)?);
    let dtype = start.dtype();
    let fail = || ReadError::malformed("start, limit and step do not make a range");
    if [&start, &limit, &delta].iter().any(|t| t.len() != 1 || t.dtype() != dtype) {
        return Err(fail());
    }
    let count = |n: f64| (0.0..1e9).contains(&n).then_some(n as usize).ok_or_else(fail);
    let tensor = if dtype.is_float() {
        let (start, limit, delta) = (start.to_f32()[0], limit.to_f32()[0], delta.to_f32()[0]);
        let count = count(f64::from((limit - start) / delta).ceil().max(0.0))?;
        cx.import.budget.take(count.saturating_mul(8))?;
        let values = (0..count).map(|i| start + i as f32 * delta).collect();
        Tensor::from_vec([count], values)?.cast(dtype)
    } else {
        let (start, limit, delta) = (start.to_i64()[0], limit.to_i64()[0], delta.to_i64()[0]);
        if delta == 0 {
            return Err(fail());
        }
        let span = (i128::from(limit) - i128::from(start)) * i128::from(delta.signum());
        let steps = span.max(0) as u128;
        let count = count(steps.div_ceil(u128::from(delta.unsigned_abs())) as f64)?;
        cx.import.budget.take(count.saturating_mul(16))?;
        let values = (0..count as i64).map(|i| start.wrapping_add(i.wrapping_mul(delta)));
        Tensor::from_vec([count], values.collect::<Vec<i64>>())?.cast(dtype)
    };
    constant(cx, tensor)
}

/// The shape that two shapes broadcast to.
fn broadcast_args(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let (a, b) = (cx.ints(0)?, cx.ints(1)?);
    let dtype = cx.known(0)?.dtype();
    let rank = a.len().max(b.len());
    let at = |s: &[i64], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    let shape = (0..rank).map(|i| match (at(&a, i), at(&b, i)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(ReadError::malformed(format!("{a:?} and {b:?} do not broadcast"))),
    });
    let shape = shape.collect::<Result<Vec<_>>>()?;
    constant(cx, Tensor::from_vec([rank], shape)?.cast(dtype))
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[
    (of::<BroadcastTo>, |cx| {
        let shape = cx.shape(cx.output_type(0)?)?;
        let inputs = vec![cx.input(0)?, cx.sizes(&shape)?];
        let output = cx.output(0)?;
        let options = BuiltinOptions::BroadcastToOptions(Box::new(NoOptions {}));
        cx.operator("BROADCAST_TO", Some(options), inputs, vec![output])
    }),
    (of::<Tile>, |cx| {
        let repeats = &cx.op::<Tile>()?.repeats;
        let inputs = vec![cx.input(0)?, cx.sizes(repeats)?];
        let output = cx.output(0)?;
        let options = BuiltinOptions::TileOptions(Box::new(NoOptions {}));
        cx.operator("TILE", Some(options), inputs, vec![output])
    }),
];

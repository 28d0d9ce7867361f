//! Elements chosen by indices.

use super::{Read, axis, options, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use crate::model::natural;
use paring_ir::ops::{
    Arg, ArgFn, Dequantize, Gather, GatherNd, OneHot, ScatterFn, ScatterNd, TopK,
};
use paring_tensor::{DType, Tensor};

pub(super) const READERS: &[(&str, Read)] = &[
    ("GATHER", gather),
    ("GATHER_ND", |cx| {
        let inputs = [cx.input(0)?, cx.input(1)?];
        cx.emit(GatherNd { batch_dims: 0 }, &inputs)
    }),
    ("EMBEDDING_LOOKUP", embedding),
    ("SCATTER_ND", scatter),
    ("ONE_HOT", one_hot),
    ("ARG_MAX", |cx| arg(cx, ArgFn::Max)),
    ("ARG_MIN", |cx| arg(cx, ArgFn::Min)),
    ("TOPK_V2", top_k),
];

fn gather(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let given = options!(cx, GatherOptions);
    let (at, batch) = match &given {
        Some(options) => (options.axis()?, options.batch_dims()?),
        None => (0, 0),
    };
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let axis = axis(i64::from(at), cx.shape(x)?.len())?;
    let batch = i64::from(batch);
    let batch = if batch < 0 { batch + cx.shape(indices)?.len() as i64 } else { batch };
    cx.emit(Gather { axis, batch_dims: natural("batch_dims", batch)? }, &[x, indices])
}

/// Rows of a table, which may be quantized where the rows are real.
fn embedding(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let (indices, table) = (cx.input(0)?, cx.input(1)?);
    let op = Gather { axis: 0, batch_dims: 0 };
    if cx.ty(table).quant.is_none() || cx.output_type(0)?.quant.is_some() {
        return cx.emit(op, &[table, indices]);
    }
    let rows = cx.before("rows", op, &[table, indices])?;
    cx.emit(Dequantize {}, &[rows])
}

/// Slices put into zeros, added where they meet.
fn scatter(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let (indices, updates) = (cx.input(0)?, cx.input(1)?);
    let shape = cx.ints(2)?.into_iter().map(|n| natural("an extent", n));
    let shape = shape.collect::<Result<Vec<_>>>()?;
    let ty = cx.ty(updates).clone();
    let bytes = shape.iter().try_fold(ty.dtype.size(), |n, d| n.checked_mul(*d));
    cx.import.budget.take(bytes.unwrap_or(usize::MAX))?;
    let zeros = cx.constant("zeros", Tensor::zeros(ty.dtype, shape)?, ty.quant)?;
    cx.emit(ScatterNd { reduction: ScatterFn::Add }, &[zeros, indices, updates])
}

fn one_hot(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let at = required!(cx, OneHotOptions).axis()?;
    let indices = cx.input(0)?;
    let depth = natural("the depth", cx.int(1)?)?;
    let (on, off) = (cx.known(2)?, cx.known(3)?);
    if on.len() != 1 || off.len() != 1 || on.dtype() != off.dtype() {
        return Err(ReadError::malformed("the values are not two numbers of one type"));
    }
    let bytes = [off.bytes().as_ref(), on.bytes().as_ref()].concat();
    let quant = cx.input(2).map(|v| cx.ty(v).quant.clone())?;
    let values = cx.constant("values", Tensor::new(on.dtype(), [2], bytes.into())?, quant)?;
    let axis = axis(i64::from(at), cx.shape(indices)?.len() + 1)?;
    cx.emit(OneHot { axis, depth, negative_is_off: true }, &[indices, values])
}

/// Element type of indices that the options or the output state.
fn index_type(cx: &OpCx<'_, '_>, k: usize) -> Result<DType> {
    match cx.output_info(k)?.dtype()? {
        dtype @ (DType::I32 | DType::I64) => Ok(dtype),
        dtype => Err(ReadError::malformed(format!("indices of type {dtype}"))),
    }
}

fn arg(cx: &mut OpCx<'_, '_>, f: ArgFn) -> Result<()> {
    let x = cx.input(0)?;
    let axis = axis(cx.int(1)?, cx.shape(x)?.len())?;
    let to = index_type(cx, 0)?;
    cx.emit(Arg { f, axis, keep_dims: false, select_last: false, to }, &[x])
}

fn top_k(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let k = natural("k", cx.int(1)?)?;
    let axis = cx.shape(x)?.len().checked_sub(1);
    let axis = axis.ok_or_else(|| ReadError::malformed("the input is a scalar"))?;
    let to = if cx.output_count() > 1 { index_type(cx, 1)? } else { DType::I32 };
    cx.emit(TopK { k, axis, largest: true, to }, &[x])
}

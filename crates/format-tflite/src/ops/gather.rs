//! Elements chosen by indices.

use super::{Read, Write, axis, of, options, required};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused, int};
use crate::import::OpCx;
use crate::model::natural;
use crate::schema::{ArgMaxOptions, BuiltinOptions, GatherOptions, NoOptions, OneHotOptions};
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

pub(super) const WRITERS: &[(super::Key, Write)] = &[
    (of::<Gather>, |cx| {
        let op: &Gather = cx.op()?;
        let options = GatherOptions { axis: int(op.axis)?, batch_dims: int(op.batch_dims)? };
        cx.simple("GATHER", Some(BuiltinOptions::GatherOptions(Box::new(options))))
    }),
    (of::<GatherNd>, |cx| {
        if cx.op::<GatherNd>()?.batch_dims != 0 {
            return Err("the format gathers without batch axes".to_owned());
        }
        cx.simple("GATHER_ND", Some(BuiltinOptions::GatherNdOptions(Box::new(NoOptions {}))))
    }),
    (of::<ScatterNd>, write_scatter),
    (of::<OneHot>, write_one_hot),
    (of::<Arg>, write_arg),
    (of::<TopK>, write_top_k),
];

fn write_scatter(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &ScatterNd = cx.op()?;
    let zeros = cx.known(0)?.dense();
    if op.reduction != ScatterFn::Add || zeros.to_f64().iter().any(|x| *x != 0.0) {
        return Err("the format only adds to zeros".to_owned());
    }
    let shape = cx.shape(cx.output_type(0)?)?;
    let inputs = vec![cx.input(1)?, cx.input(2)?, cx.sizes(&shape)?];
    let output = cx.output(0)?;
    let options = BuiltinOptions::ScatterNdOptions(Box::new(NoOptions {}));
    cx.operator("SCATTER_ND", Some(options), inputs, vec![output])
}

fn write_one_hot(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &OneHot = cx.op()?;
    if !op.negative_is_off {
        return Err("negative indices do not count from the end in the format".to_owned());
    }
    let values = cx.known(1)?.dense();
    let quant = cx.input_type(1)?.quant.clone();
    let size = values.dtype().size();
    let value = |cx: &mut NodeCx<'_, '_>, name: &str, i: usize| {
        let one = Tensor::new(values.dtype(), [], values.bytes().slice(i * size..(i + 1) * size));
        cx.constant(name, &one.map_err(|e| e.to_string())?.into(), quant.as_ref())
    };
    let (off, on) = (value(cx, "off", 0)?, value(cx, "on", 1)?);
    let inputs = vec![cx.input(0)?, cx.scalar(int(op.depth)?)?, on, off];
    let output = cx.output(0)?;
    let options = BuiltinOptions::OneHotOptions(Box::new(OneHotOptions { axis: int(op.axis)? }));
    cx.operator("ONE_HOT", Some(options), inputs, vec![output])
}

fn write_arg(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Arg = cx.op()?;
    if op.select_last {
        return Err("the format takes the first of equal elements".to_owned());
    }
    let options = Box::new(ArgMaxOptions { output_type: crate::export::type_code(op.to) });
    let (name, options) = match op.f {
        ArgFn::Max => ("ARG_MAX", BuiltinOptions::ArgMaxOptions(options)),
        ArgFn::Min => ("ARG_MIN", BuiltinOptions::ArgMinOptions(options)),
    };
    let inputs = vec![cx.input(0)?, cx.scalar(int(op.axis)?)?];
    let output = cx.output(0)?;
    if !op.keep_dims {
        return cx.operator(name, Some(options), inputs, vec![output]);
    }
    let shape = cx.shape(cx.output_type(0)?)?;
    let mut without = shape.clone();
    without.remove(op.axis);
    let found = cx.between("found", op.to, &without, None)?;
    cx.operator(name, Some(options), inputs, vec![found])?;
    let shape = cx.sizes(&shape)?;
    cx.operator("RESHAPE", None, vec![found, shape], vec![output])
}

fn write_top_k(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &TopK = cx.op()?;
    if !op.largest || op.axis + 1 != cx.input_type(0)?.shape.rank() {
        return Err("the format finds the largest elements along the last axis only".to_owned());
    }
    let inputs = vec![cx.input(0)?, cx.scalar(int(op.k)?)?];
    let (values, indices) = (cx.output(0)?, cx.output(1)?);
    let options = BuiltinOptions::TopKv2Options(Box::new(NoOptions {}));
    let ty = cx.output_type(1)?;
    if ty.dtype == DType::I32 {
        return cx.operator("TOPK_V2", Some(options), inputs, vec![values, indices]);
    }
    let shape = cx.shape(ty)?;
    let narrow = cx.between("indices", DType::I32, &shape, None)?;
    cx.operator("TOPK_V2", Some(options), inputs, vec![values, narrow])?;
    cx.operator("CAST", None, vec![narrow], vec![indices])
}

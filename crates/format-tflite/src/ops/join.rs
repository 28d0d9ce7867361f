//! Values put together and taken apart.

use super::{Read, Write, axis, of, required};
use crate::error::{ReadError, Result};
use crate::export::int;
use crate::import::OpCx;
use crate::model::natural;
use crate::schema::{BuiltinOptions, ConcatenationOptions};
use paring_ir::ValueId;
use paring_ir::ops::{Concat, Reshape, Slice};
use paring_tensor::DType;

pub(super) const READERS: &[(&str, Read)] = &[
    ("CONCATENATION", concat),
    ("PACK", pack),
    ("UNPACK", unpack),
    ("SPLIT", split),
    ("SPLIT_V", split_v),
];

fn concat(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, ConcatenationOptions);
    if options.fused_activation_function()? != 0 {
        return Err(ReadError::unsupported("a fused activation"));
    }
    let inputs = cx.all_inputs()?;
    let first = inputs.first().ok_or_else(|| ReadError::malformed("has no inputs"))?;
    let axis = axis(i64::from(options.axis()?), cx.shape(*first)?.len())?;
    cx.emit(Concat { axis }, &inputs)
}

/// Joins values along an axis that each of them gets for it.
fn pack(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, PackOptions);
    let inputs = cx.all_inputs()?;
    let first = inputs.first().ok_or_else(|| ReadError::malformed("has no inputs"))?;
    let mut shape = cx.shape(*first)?;
    let at = axis(i64::from(options.axis()?), shape.len() + 1)?;
    shape.insert(at, 1);
    let expand = Reshape::to(&shape);
    if let [only] = inputs.as_slice() {
        return cx.emit(expand, &[*only]);
    }
    let parts = inputs.into_iter().map(|v| cx.before("part", expand.clone(), &[v]));
    let parts = parts.collect::<Result<Vec<_>>>()?;
    cx.emit(Concat { axis: at }, &parts)
}

fn unpack(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, PackOptions);
    let x = cx.input(0)?;
    let mut shape = cx.shape(x)?;
    let at = axis(i64::from(options.axis()?), shape.len())?;
    let count = cx.output_count();
    if shape[at] != count {
        return Err(ReadError::malformed(format!("{count} outputs for axis {at} of {shape:?}")));
    }
    let sizes = vec![1; count];
    shape.remove(at);
    for (k, part) in starts(&sizes).enumerate() {
        let slice = part_of(cx, x, at, part, 1)?;
        let slice = cx.before("part", slice, &[x])?;
        cx.emit_one(k, Reshape::to(&shape), &[slice])?;
    }
    Ok(())
}

fn split(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(1)?;
    let shape = cx.shape(x)?;
    let at = axis(cx.int(0)?, shape.len())?;
    let count = cx.output_count();
    if count == 0 || shape[at] % count != 0 {
        return Err(ReadError::malformed(format!("{count} equal parts of axis {at} of {shape:?}")));
    }
    split_into(cx, x, at, &vec![shape[at] / count; count])
}

/// The sizes are an operand; one of them may be -1 and takes what remains.
fn split_v(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let shape = cx.shape(x)?;
    let given = cx.ints(1)?;
    let at = axis(cx.int(2)?, shape.len())?;
    let fail = || ReadError::malformed(format!("parts {given:?} of axis {at} of {shape:?}"));
    let known = given.iter().filter(|n| **n != -1).try_fold(0_i64, |sum, n| sum.checked_add(*n));
    let rest = (shape[at] as i64).checked_sub(known.ok_or_else(fail)?).ok_or_else(fail)?;
    let open = given.iter().filter(|n| **n == -1).count();
    if given.len() != cx.output_count() || open > 1 || rest < 0 || (open == 0 && rest != 0) {
        return Err(fail());
    }
    let sizes = given.iter().map(|n| natural("a part", if *n == -1 { rest } else { *n }));
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    split_into(cx, x, at, &sizes)
}

fn split_into(cx: &mut OpCx<'_, '_>, x: ValueId, at: usize, sizes: &[usize]) -> Result<()> {
    for (k, start) in starts(sizes).enumerate() {
        let part = part_of(cx, x, at, start, sizes[k])?;
        cx.emit_one(k, part, &[x])?;
    }
    Ok(())
}

fn starts(sizes: &[usize]) -> impl Iterator<Item = usize> {
    sizes.iter().scan(0_usize, |at, n| {
        let start = *at;
        *at += n;
        Some(start)
    })
}

/// The slice of `len` indices from `start` along one axis.
fn part_of(cx: &OpCx<'_, '_>, x: ValueId, at: usize, start: usize, len: usize) -> Result<Slice> {
    let shape = cx.shape(x)?;
    let mut op =
        Slice { start: vec![0; shape.len()], len: shape.clone(), step: vec![1; shape.len()] };
    op.start[at] = start;
    op.len[at] = len;
    Ok(op)
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Concat>, |cx| {
    let result = cx.output_type(0)?;
    for k in 0..cx.node.inputs().len() {
        if cx.input_type(k)?.quant != result.quant && result.dtype != DType::U8 {
            let why = "the format joins integers of one quantization; quantize the operands alike";
            return Err(why.to_owned());
        }
    }
    let options =
        ConcatenationOptions { axis: int(cx.op::<Concat>()?.axis)?, ..Default::default() };
    cx.simple("CONCATENATION", Some(BuiltinOptions::ConcatenationOptions(Box::new(options))))
})];

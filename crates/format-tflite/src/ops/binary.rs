//! Functions of two elements.

use super::{Read, Write, activation, activation_code, clamp_after, of, options};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::schema::{AddOptions, BuiltinOptions};
use paring_ir::ops::{Activation, Binary, BinaryFn};

pub(super) const READERS: &[(&str, Read)] = &[
    ("ADD", |cx| {
        let fused = options!(cx, AddOptions).map_or(Ok(0), |o| o.fused_activation_function())?;
        binary(cx, BinaryFn::Add, fused)
    }),
    ("SUB", |cx| {
        let fused = options!(cx, SubOptions).map_or(Ok(0), |o| o.fused_activation_function())?;
        binary(cx, BinaryFn::Sub, fused)
    }),
    ("MUL", |cx| {
        let fused = options!(cx, MulOptions).map_or(Ok(0), |o| o.fused_activation_function())?;
        binary(cx, BinaryFn::Mul, fused)
    }),
    ("DIV", |cx| {
        let fused = options!(cx, DivOptions).map_or(Ok(0), |o| o.fused_activation_function())?;
        binary(cx, BinaryFn::Div, fused)
    }),
    ("MAXIMUM", |cx| binary(cx, BinaryFn::Max, 0)),
    ("MINIMUM", |cx| binary(cx, BinaryFn::Min, 0)),
    ("POW", |cx| binary(cx, BinaryFn::Pow, 0)),
    ("FLOOR_DIV", |cx| binary(cx, BinaryFn::FloorDiv, 0)),
    ("FLOOR_MOD", |cx| binary(cx, BinaryFn::Mod, 0)),
    ("SQUARED_DIFFERENCE", |cx| binary(cx, BinaryFn::SquaredDifference, 0)),
    ("ATAN2", |cx| binary(cx, BinaryFn::Atan2, 0)),
    ("PRELU", |cx| binary(cx, BinaryFn::Prelu, 0)),
    ("LOGICAL_AND", |cx| binary(cx, BinaryFn::And, 0)),
    ("LOGICAL_OR", |cx| binary(cx, BinaryFn::Or, 0)),
    ("BITWISE_XOR", |cx| binary(cx, BinaryFn::BitXor, 0)),
    ("RIGHT_SHIFT", |cx| binary(cx, BinaryFn::ShiftRight, 0)),
    ("EQUAL", |cx| binary(cx, BinaryFn::Equal, 0)),
    ("NOT_EQUAL", |cx| binary(cx, BinaryFn::NotEqual, 0)),
    ("LESS", |cx| binary(cx, BinaryFn::Less, 0)),
    ("LESS_EQUAL", |cx| binary(cx, BinaryFn::LessEqual, 0)),
    ("GREATER", |cx| binary(cx, BinaryFn::Greater, 0)),
    ("GREATER_EQUAL", |cx| binary(cx, BinaryFn::GreaterEqual, 0)),
    ("ADD_N", |cx| {
        let all = cx.all_inputs()?;
        let (&first, rest) =
            all.split_first().ok_or_else(|| ReadError::malformed("has no inputs"))?;
        let Some((&last, between)) = rest.split_last() else { return cx.forward(0, first) };
        if cx.ty(first).quant.is_some() {
            return Err(ReadError::unsupported("a sum of many quantized values"));
        }
        let mut sum = first;
        for v in between {
            sum = cx.before("sum", Binary::new(BinaryFn::Add), &[sum, *v])?;
        }
        cx.emit(Binary::new(BinaryFn::Add), &[sum, last])
    }),
];

fn binary(cx: &mut OpCx<'_, '_>, f: BinaryFn, fused: i8) -> Result<()> {
    let inputs = [cx.input(0)?, cx.input(1)?];
    let activation: Activation = activation(fused)?;
    cx.emit(Binary { f, activation }, &inputs)
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Binary>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    use BinaryFn as F;
    let op: &Binary = cx.op()?;
    let fused = |pot| {
        let fused_activation_function = activation_code(op.activation);
        Box::new(AddOptions { fused_activation_function, pot_scale_int16: pot })
    };
    let arithmetic = match op.f {
        F::Add => Some(("ADD", BuiltinOptions::AddOptions(fused(false)))),
        F::Sub => Some(("SUB", BuiltinOptions::SubOptions(fused(false)))),
        F::Mul => Some(("MUL", BuiltinOptions::MulOptions(fused(true)))),
        F::Div => Some(("DIV", BuiltinOptions::DivOptions(fused(true)))),
        _ => None,
    };
    if let Some((name, options)) = arithmetic {
        return cx.simple(name, Some(options));
    }
    let name = match op.f {
        F::Max => "MAXIMUM",
        F::Min => "MINIMUM",
        F::Pow => "POW",
        F::FloorDiv => "FLOOR_DIV",
        F::Mod => "FLOOR_MOD",
        F::SquaredDifference => "SQUARED_DIFFERENCE",
        F::Atan2 => "ATAN2",
        F::Prelu => "PRELU",
        F::And => "LOGICAL_AND",
        F::Or => "LOGICAL_OR",
        F::BitXor => "BITWISE_XOR",
        F::ShiftRight => "RIGHT_SHIFT",
        F::Equal => "EQUAL",
        F::NotEqual => "NOT_EQUAL",
        F::Less => "LESS",
        F::LessEqual => "LESS_EQUAL",
        F::Greater => "GREATER",
        F::GreaterEqual => "GREATER_EQUAL",
        f => return Err(format!("the format has no {f:?}")),
    };
    let (a, b, result) = (cx.input_type(0)?, cx.input_type(1)?, cx.output_type(0)?);
    if op.f == F::Atan2 && a.shape != b.shape || op.f == F::Prelu && a.shape != result.shape {
        return Err(format!("the format does not broadcast the operand of {name}"));
    }
    let inputs = cx.inputs()?;
    clamp_after(cx, op.activation, name, None, inputs)
}

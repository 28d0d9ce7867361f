//! Functions of each element.

use super::{Read, Write, of, options, required, stored};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::schema::{AddOptions, BuiltinOptions, GeluOptions, LeakyReluOptions};
use paring_ir::ops::Unary;

pub(super) const READERS: &[(&str, Read)] = &[
    ("RELU", |cx| unary(cx, Unary::Relu)),
    ("RELU6", |cx| unary(cx, Unary::Relu6)),
    ("RELU_N1_TO_1", |cx| unary(cx, Unary::ReluN1To1)),
    ("RELU_0_TO_1", |cx| unary(cx, Unary::Clip { min: 0.0, max: 1.0 })),
    ("LEAKY_RELU", |cx| {
        let alpha = required!(cx, LeakyReluOptions).alpha()?;
        if !alpha.is_finite() {
            return Err(ReadError::malformed(format!("alpha is {alpha}")));
        }
        unary(cx, Unary::LeakyRelu { alpha })
    }),
    ("LOGISTIC", |cx| unary(cx, Unary::Sigmoid)),
    ("TANH", |cx| unary(cx, Unary::Tanh)),
    ("HARD_SWISH", |cx| unary(cx, Unary::HardSwish)),
    ("ELU", |cx| unary(cx, Unary::Elu { alpha: 1.0 })),
    ("GELU", |cx| {
        let tanh = options!(cx, GeluOptions).map_or(Ok(false), |o| o.approximate())?;
        unary(cx, Unary::Gelu { tanh })
    }),
    ("ABS", |cx| unary(cx, Unary::Abs)),
    ("NEG", |cx| unary(cx, Unary::Neg)),
    ("SIGN", |cx| unary(cx, Unary::Sign)),
    ("FLOOR", |cx| unary(cx, Unary::Floor)),
    ("CEIL", |cx| unary(cx, Unary::Ceil)),
    ("ROUND", |cx| unary(cx, Unary::Round)),
    ("EXP", |cx| unary(cx, Unary::Exp)),
    ("LOG", |cx| unary(cx, Unary::Log)),
    ("SQRT", |cx| unary(cx, Unary::Sqrt)),
    ("RSQRT", |cx| unary(cx, Unary::Rsqrt)),
    ("SQUARE", |cx| unary(cx, Unary::Square)),
    ("SIN", |cx| unary(cx, Unary::Sin)),
    ("COS", |cx| unary(cx, Unary::Cos)),
    ("LOGICAL_NOT", |cx| unary(cx, Unary::Not)),
];

fn unary(cx: &mut OpCx<'_, '_>, f: Unary) -> Result<()> {
    let x = cx.input(0)?;
    cx.emit(f, &[x])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Unary>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Unary = cx.op()?;
    let name = match op {
        Unary::Relu => "RELU",
        Unary::Relu6 => "RELU6",
        Unary::ReluN1To1 => "RELU_N1_TO_1",
        Unary::Clip { min, max } => match (*min, *max) {
            (0.0, 1.0) => "RELU_0_TO_1",
            (0.0, 6.0) => "RELU6",
            (-1.0, 1.0) => "RELU_N1_TO_1",
            (0.0, f32::INFINITY) => "RELU",
            (min, max) => return write_clip(cx, min, max),
        },
        Unary::LeakyRelu { alpha } => {
            let options = LeakyReluOptions { alpha: *alpha };
            let options = BuiltinOptions::LeakyReluOptions(Box::new(options));
            return cx.simple("LEAKY_RELU", Some(options));
        }
        Unary::Gelu { tanh } => {
            let options = BuiltinOptions::GeluOptions(Box::new(GeluOptions { approximate: *tanh }));
            return cx.simple("GELU", Some(options));
        }
        Unary::Silu => return write_silu(cx),
        Unary::Elu { alpha: 1.0 } => "ELU",
        Unary::Sigmoid => "LOGISTIC",
        Unary::Tanh => "TANH",
        Unary::HardSwish => "HARD_SWISH",
        Unary::Abs => "ABS",
        Unary::Neg => "NEG",
        Unary::Sign => "SIGN",
        Unary::Floor => "FLOOR",
        Unary::Ceil => "CEIL",
        Unary::Round => "ROUND",
        Unary::Exp => "EXP",
        Unary::Log => "LOG",
        Unary::Sqrt => "SQRT",
        Unary::Rsqrt => "RSQRT",
        Unary::Square => "SQUARE",
        Unary::Sin => "SIN",
        Unary::Cos => "COS",
        Unary::Not => "LOGICAL_NOT",
        f => return Err(format!("the format has no {f:?}")),
    };
    cx.simple(name, None)
}

/// Bounds that no operator has: the larger of the lower bound, the smaller of the upper one.
fn write_clip(cx: &mut NodeCx<'_, '_>, min: f32, max: f32) -> Result<(), Refused> {
    let ty = cx.input_type(0)?;
    let shape = cx.shape(ty)?;
    let (x, output) = (cx.input(0)?, cx.output(0)?);
    let bound = |cx: &mut NodeCx<'_, '_>, name: &str, value: f32| {
        cx.constant(name, &stored(ty, f64::from(value))?.into(), ty.quant.as_ref())
    };
    let low = bound(cx, "min", min.max(f32::MIN))?;
    let between = cx.between("max", ty.dtype, &shape, ty.quant.as_ref())?;
    cx.operator("MAXIMUM", None, vec![x, low], vec![between])?;
    let high = bound(cx, "max", max.min(f32::MAX))?;
    cx.operator("MINIMUM", None, vec![between, high], vec![output])
}

fn write_silu(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let ty = cx.input_type(0)?;
    if ty.quant.is_some() {
        return Err("the format has no quantized silu".to_owned());
    }
    let shape = cx.shape(ty)?;
    let (x, output) = (cx.input(0)?, cx.output(0)?);
    let gate = cx.between("gate", ty.dtype, &shape, None)?;
    cx.operator("LOGISTIC", None, vec![x], vec![gate])?;
    let options = BuiltinOptions::MulOptions(Box::<AddOptions>::default());
    cx.operator("MUL", Some(options), vec![x, gate], vec![output])
}

//! Normalizations by neighbouring elements.

use super::{Read, Write, of, required};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused, int};
use crate::import::OpCx;
use crate::model::natural;
use crate::schema::{AddOptions, BuiltinOptions, LocalResponseNormalizationOptions};
use paring_ir::ops::{BatchNorm, LpNormalize, Lrn};
use paring_tensor::{DType, Tensor};

pub(super) const READERS: &[(&str, Read)] =
    &[("L2_NORMALIZATION", l2), ("LOCAL_RESPONSE_NORMALIZATION", lrn)];

/// The runtimes bound the norm by 1e-6 from below.
fn l2(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let axis = cx.shape(x)?.len().checked_sub(1);
    let axis = axis.ok_or_else(|| ReadError::malformed("the input is a scalar"))?;
    cx.emit(LpNormalize { axis, p: 2, epsilon: 1e-12 }, &[x])
}

/// The weight is of the sum of squares here and of their mean in the graph.
fn lrn(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, LocalResponseNormalizationOptions);
    let radius = natural("the radius", i64::from(options.radius()?))?;
    let size = 2 * radius + 1;
    let (alpha, beta, bias) = (options.alpha()?, options.beta()?, options.bias()?);
    if !(alpha.is_finite() && beta.is_finite() && bias.is_finite()) {
        return Err(ReadError::malformed("a parameter is not finite"));
    }
    let x = cx.input(0)?;
    cx.emit(Lrn { size, alpha: alpha * size as f32, beta, bias }, &[x])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[
    (of::<LpNormalize>, |cx| {
        let op: &LpNormalize = cx.op()?;
        if op.p != 2 || op.axis + 1 != cx.input_type(0)?.shape.rank() {
            return Err("the format has the Euclidean norm along the last axis only".to_owned());
        }
        let options = BuiltinOptions::L2NormOptions(Box::<AddOptions>::default());
        cx.simple("L2_NORMALIZATION", Some(options))
    }),
    (of::<Lrn>, |cx| {
        let op: &Lrn = cx.op()?;
        if op.size.is_multiple_of(2) {
            return Err("the format's window has as many channels on both sides".to_owned());
        }
        let options = LocalResponseNormalizationOptions {
            radius: int(op.size / 2)?,
            bias: op.bias,
            alpha: op.alpha / op.size as f32,
            beta: op.beta,
        };
        let options = BuiltinOptions::LocalResponseNormalizationOptions(Box::new(options));
        cx.simple("LOCAL_RESPONSE_NORMALIZATION", Some(options))
    }),
    (of::<BatchNorm>, write_batch_norm),
];

/// One factor and one summand a channel.
fn write_batch_norm(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &BatchNorm = cx.op()?;
    let ty = cx.input_type(0)?;
    if ty.dtype != DType::F32 || ty.quant.is_some() {
        return Err("the format normalizes batches of real numbers only".to_owned());
    }
    let numbers = |cx: &NodeCx<'_, '_>, k| Ok::<_, Refused>(cx.known(k)?.dense().to_f32());
    let (scale, bias) = (numbers(cx, 1)?, numbers(cx, 2)?);
    let (mean, variance) = (numbers(cx, 3)?, numbers(cx, 4)?);
    let factor: Vec<f32> =
        scale.iter().zip(&variance).map(|(s, v)| s / (v + op.epsilon).sqrt()).collect();
    let each = bias.iter().zip(&mean).zip(&factor);
    let summand: Vec<f32> = each.map(|((b, m), f)| b - m * f).collect();
    let add = |cx: &mut NodeCx<'_, '_>, name: &str, values: Vec<f32>| {
        let tensor = Tensor::from_vec([values.len()], values).map_err(|e| e.to_string())?;
        cx.constant(name, &tensor.into(), None)
    };
    let (factor, summand) = (add(cx, "factor", factor)?, add(cx, "summand", summand)?);
    let shape = cx.shape(ty)?;
    let scaled = cx.between("scaled", DType::F32, &shape, None)?;
    let (x, output) = (cx.input(0)?, cx.output(0)?);
    let options = Box::<AddOptions>::default();
    let mul = BuiltinOptions::MulOptions(options.clone());
    cx.operator("MUL", Some(mul), vec![x, factor], vec![scaled])?;
    cx.operator(
        "ADD",
        Some(BuiltinOptions::AddOptions(options)),
        vec![scaled, summand],
        vec![output],
    )
}

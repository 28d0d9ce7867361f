//! Operators on quantized operands. Each is its operator on real numbers between dequantization and
//! quantization, which become one integer node where all parameters are constant; those that give
//! sums as integers are arithmetic on `i32`.

use super::quant::{dequantized, quantized};
use super::{Entry, Outcome, conv, matmul, pool, slice, softmax};
use crate::build::Val;
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Cast, Dequantize, Unary};
use paring_tensor::{DType, Quant, Tensor};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("QLinearConv", qlinear_conv),
    Entry::new("QLinearMatMul", qlinear_matmul),
    Entry::new("ConvInteger", conv_integer),
    Entry::new("MatMulInteger", matmul_integer),
    Entry::microsoft("QLinearAdd", |cx| two(cx, BinaryFn::Add)),
    Entry::microsoft("QLinearMul", |cx| two(cx, BinaryFn::Mul)),
    Entry::microsoft("QLinearSigmoid", |cx| one(cx, |cx, x| cx.emit(Unary::Sigmoid, &[x]))),
    Entry::microsoft("QLinearLeakyRelu", |cx| {
        let alpha = cx.float("alpha", 0.01)?;
        one(cx, |cx, x| cx.emit(Unary::LeakyRelu { alpha }, &[x]))
    }),
    Entry::microsoft("QLinearGlobalAveragePool", |cx| {
        channels_first(cx)?;
        one(cx, |cx, x| {
            cx.inputs = vec![Val::Node(x)];
            pool::global_average(cx)?;
            result(cx)
        })
    }),
    Entry::microsoft("QLinearAveragePool", |cx| {
        channels_first(cx)?;
        one(cx, |cx, x| {
            let kept = std::mem::replace(&mut cx.inputs, vec![Val::Node(x)]);
            let done = pool::average(cx);
            cx.inputs = kept;
            done?;
            result(cx)
        })
    }),
    Entry::microsoft("QLinearConcat", concat),
    Entry::microsoft("QLinearSoftmax", |cx| {
        one(cx, |cx, x| {
            cx.inputs = vec![Val::Node(x)];
            // The operator set whose `Softmax` is meant is an attribute.
            cx.opset = cx.int("opset", 13)?;
            softmax::softmax(cx)?;
            result(cx)
        })
    }),
    Entry::microsoft("QGemm", qgemm),
];

fn channels_first(cx: &Cx<'_, '_>) -> Outcome {
    if cx.flag("channels_last", false)? {
        return Err(Reject::unsupported("channels_last"));
    }
    Ok(())
}

/// What an importer set as the first output.
fn result(cx: &mut Cx<'_, '_>) -> Result<ValueId, Reject> {
    let val = cx.outputs.first().cloned().unwrap_or(Val::Absent);
    cx.build.value(&val)
}

/// Inputs: `x`, its scale and zero point, the output's scale and zero point.
fn one(
    cx: &mut Cx<'_, '_>,
    f: impl FnOnce(&mut Cx<'_, '_>, ValueId) -> Result<ValueId, Reject>,
) -> Outcome {
    let kept = cx.inputs.clone();
    let x = dequantized(cx, 0, 1, None)?;
    let y = f(cx, x)?;
    cx.inputs = kept;
    let y = quantized(cx, y, 3)?;
    cx.set(0, y);
    Ok(())
}

/// Inputs: `a`, `b`, the output; each with scale and zero point.
fn two(cx: &mut Cx<'_, '_>, f: BinaryFn) -> Outcome {
    let (a, b) = (dequantized(cx, 0, 1, None)?, dequantized(cx, 3, 4, None)?);
    let y = cx.emit(Binary::new(f), &[a, b])?;
    let y = quantized(cx, y, 6)?;
    cx.set(0, y);
    Ok(())
}

/// Inputs: the output's scale and zero point, then each operand with scale and zero point.
fn concat(cx: &mut Cx<'_, '_>) -> Outcome {
    if cx.inputs.len() < 5 || cx.inputs.len() % 3 != 2 {
        return Err(Reject::malformed(format!("{} inputs", cx.inputs.len())));
    }
    let mut parts = Vec::new();
    for i in (2..cx.inputs.len()).step_by(3) {
        parts.push(Val::Node(dequantized(cx, i, i + 1, None)?));
    }
    let kept = std::mem::replace(&mut cx.inputs, parts);
    slice::concat(cx)?;
    let y = result(cx)?;
    cx.inputs = kept;
    let y = quantized(cx, y, 0)?;
    cx.set(0, y);
    Ok(())
}

fn qlinear_conv(cx: &mut Cx<'_, '_>) -> Outcome {
    let x = dequantized(cx, 0, 1, None)?;
    let w = dequantized(cx, 3, 4, Some(0))?;
    let mut operands = vec![Val::Node(x), Val::Node(w)];
    if cx.has(8) {
        operands.push(Val::Node(bias(cx, 8)?));
    }
    let kept = std::mem::replace(&mut cx.inputs, operands);
    conv::conv(cx)?;
    let y = result(cx)?;
    cx.inputs = kept;
    let y = quantized(cx, y, 6)?;
    cx.set(0, y);
    Ok(())
}

/// `Gemm` of quantized operands: `a`, `b`, each with scale and zero point, the bias, the output's scale
/// and zero point.
fn qgemm(cx: &mut Cx<'_, '_>) -> Outcome {
    let columns = usize::from(!cx.flag("transB", false)?);
    let a = dequantized(cx, 0, 1, None)?;
    let b = dequantized(cx, 3, 4, Some(columns))?;
    let mut operands = vec![Val::Node(a), Val::Node(b)];
    if cx.has(6) {
        operands.push(Val::Node(bias(cx, 6)?));
    }
    let kept = std::mem::replace(&mut cx.inputs, operands);
    matmul::gemm(cx)?;
    cx.inputs = kept;
    if cx.has(7) {
        let y = result(cx)?;
        let y = quantized(cx, y, 7)?;
        cx.set(0, y);
    }
    Ok(())
}

/// The bias, whose scale is the product of those of input and weights.
fn bias(cx: &mut Cx<'_, '_>, input: usize) -> Result<ValueId, Reject> {
    let (stored, xs, ws) = (cx.constant(input), cx.constant(1), cx.constant(4));
    if let (Some(b), Some(xs), Some(ws)) = (stored, xs, ws) {
        let x = xs.to_f32().first().copied().unwrap_or(0.0);
        let scales: Vec<f32> = ws.to_f32().iter().map(|w| x * w).collect();
        let quant = match scales.as_slice() {
            [one] => Quant::per_tensor(*one, 0),
            _ => Quant::symmetric(0, scales),
        };
        let (name, b) = (format!("{}.bias", cx.name), b.clone());
        let stored = cx.build.graph.add_const(name, b, Some(quant))?;
        return cx.aux(Dequantize {}, &[stored]);
    }
    let (b, xs, ws) = (cx.input(input)?, cx.input(1)?, cx.input(4)?);
    let b = cx.aux(Cast { to: DType::F32 }, &[b])?;
    let xs = cx.reshape(xs, &[])?;
    let ws = if cx.shape(ws)?.iter().product::<usize>() == 1 { cx.reshape(ws, &[])? } else { ws };
    let scale = cx.aux(Binary::new(BinaryFn::Mul), &[xs, ws])?;
    cx.aux(Binary::new(BinaryFn::Mul), &[b, scale])
}

fn qlinear_matmul(cx: &mut Cx<'_, '_>) -> Outcome {
    let rows = cx.input_shape(0)?.len().checked_sub(2);
    let columns = cx.input_shape(3)?.len().checked_sub(1);
    let a = dequantized(cx, 0, 1, rows)?;
    let b = dequantized(cx, 3, 4, columns)?;
    let kept = std::mem::replace(&mut cx.inputs, vec![Val::Node(a), Val::Node(b)]);
    matmul::matmul(cx)?;
    let y = result(cx)?;
    cx.inputs = kept;
    let y = quantized(cx, y, 6)?;
    cx.set(0, y);
    Ok(())
}

/// An operand less its zero point, as `i32`. The zero point's numbers lie along `axis` if there are
/// several.
fn centred(cx: &mut Cx<'_, '_>, input: usize, zero: usize, axis: usize) -> Result<Val, Reject> {
    let shape = cx.input_shape(input)?;
    let mut along = vec![1; shape.len()];
    let zeros = if cx.has(zero) { cx.input_shape(zero)?.iter().product() } else { 0 };
    if zeros > 1 {
        match along.get_mut(axis) {
            Some(slot) if shape[axis] == zeros => *slot = zeros,
            _ => return Err(Reject::malformed(format!("{zeros} zero points for {shape:?}"))),
        }
    }
    let constant = cx.constant(zero).filter(|z| z.len() == zeros);
    if let (Some(t), true) = (cx.constant(input), zeros == 0 || constant.is_some()) {
        let z = constant.map(Tensor::to_i64).unwrap_or_default();
        let inner: usize = shape.get(axis + 1..).unwrap_or(&[]).iter().product();
        let of = |i: usize| match z.as_slice() {
            [] => 0,
            [one] => *one,
            many => many[(i / inner.max(1)) % many.len()],
        };
        let data = t.to_i64().iter().enumerate().map(|(i, x)| (x - of(i)) as i32).collect();
        return Ok(Val::constant(format!("{}.{input}", cx.name), Tensor::from_vec(shape, data)?));
    }
    let x = cx.input(input)?;
    let x = cx.aux(Cast { to: DType::I32 }, &[x])?;
    if zeros == 0 {
        return Ok(Val::Node(x));
    }
    let z = cx.input(zero)?;
    let z = cx.reshape(z, if zeros == 1 { &[] } else { &along })?;
    let z = cx.aux(Cast { to: DType::I32 }, &[z])?;
    Ok(Val::Node(cx.aux(Binary::new(BinaryFn::Sub), &[x, z])?))
}

fn conv_integer(cx: &mut Cx<'_, '_>) -> Outcome {
    cx.inputs = vec![centred(cx, 0, 2, 0)?, centred(cx, 1, 3, 0)?];
    conv::conv(cx)
}

fn matmul_integer(cx: &mut Cx<'_, '_>) -> Outcome {
    let rows = cx.input_shape(0)?.len().saturating_sub(2);
    let columns = cx.input_shape(1)?.len().saturating_sub(1);
    let (a, b) = (centred(cx, 0, 2, rows)?, centred(cx, 1, 3, columns)?);
    let (a, b) = (cx.build.value(&a)?, cx.build.value(&b)?);
    let y = matmul::product(cx, a, b)?;
    cx.set(0, y);
    Ok(())
}

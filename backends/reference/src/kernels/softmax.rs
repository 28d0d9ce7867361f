use crate::kernel::{Call, Done, Fault, Types, filled, one};
use crate::quantized::{Affine, ints, is_quantized, stored};
use crate::register_kernel;
use crate::walk::around;
use paring_ir::ops::Softmax;
use paring_qmath::softmax::{Divisor, exponentials};
use paring_qmath::softmax16;
use paring_tensor::DType;

register_kernel!(Softmax, support, run);

fn support(op: &Softmax, types: Types<'_>) -> Result<(), String> {
    let (x, y) = (types.inputs[0], types.outputs[0]);
    if !is_quantized(x) && !is_quantized(y) {
        return super::floats_only("softmax", x.dtype);
    }
    let (from, to) = (Affine::of("the input", x)?, Affine::of("the output", y)?);
    if op.log {
        return super::through_real_support(types);
    }
    let wanted = match (from.dtype, to.dtype) {
        (DType::I8, DType::I8) => (1.0 / 256.0, -128),
        (DType::U8, DType::U8) => (1.0 / 256.0, 0),
        (DType::I8 | DType::U8, DType::I16) => (1.0 / 65536.0, -32768),
        (DType::I16, DType::I16) => (1.0 / 32768.0, 0),
        (a, b) => return Err(format!("softmax from {a} to {b}")),
    };
    if (to.scale - wanted.0).abs() > 0.001 * wanted.0 || to.zero != wanted.1 {
        return Err(format!(
            "the output of an integer softmax has scale {} and zero point {}, not {} and {}",
            wanted.0, wanted.1, to.scale, to.zero
        ));
    }
    Ok(())
}

fn run(op: &Softmax, call: &Call<'_>) -> Done {
    let (x, y) = (call.types.inputs[0], call.types.outputs[0]);
    if !is_quantized(x) && !is_quantized(y) {
        return real(op, call);
    }
    if op.log {
        return super::through_real(call, |call| real(op, call));
    }
    let (from, to) = (Affine::of("the input", x)?, Affine::of("the output", y)?);
    let data = ints(&call.inputs[0])?;
    let row: fn(&Softmax, Affine, Affine, &[i32]) -> Vec<i32> =
        if from.dtype == DType::I16 { row_16 } else { row_8 };
    let shape = call.shape(0);
    let (outer, len, inner) = around(shape, op.axis);
    let mut out = filled(data.len(), 0)?;
    let mut line = vec![0; len];
    for o in 0..outer {
        for i in 0..inner {
            let at = |k: usize| (o * len + k) * inner + i;
            for (k, v) in line.iter_mut().enumerate() {
                *v = data[at(k)];
            }
            for (k, v) in row(op, from, to, &line).into_iter().enumerate() {
                out[at(k)] = v;
            }
        }
    }
    Ok(vec![stored(y.dtype, shape, out)?])
}

fn real(op: &Softmax, call: &Call<'_>) -> Done {
    let shape = call.shape(0);
    let (outer, len, inner) = around(shape, op.axis);
    if call.dtype(0) == DType::F64 {
        let x = call.view::<f64>(0)?;
        let mut y = filled(x.len(), 0.0)?;
        for o in 0..outer {
            for i in 0..inner {
                let at = |k: usize| (o * len + k) * inner + i;
                let beta = f64::from(op.beta);
                let max = (0..len).map(|k| x[at(k)] * beta).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..len).map(|k| (x[at(k)] * beta - max).exp()).sum();
                for k in 0..len {
                    let d = x[at(k)] * beta - max;
                    y[at(k)] = if op.log { d - sum.ln() } else { d.exp() / sum };
                }
            }
        }
        return one(shape, y);
    }
    let x = call.inputs[0].to_f32();
    let mut y = filled(x.len(), 0.0_f32)?;
    for o in 0..outer {
        for i in 0..inner {
            let at = |k: usize| (o * len + k) * inner + i;
            let max = (0..len).map(|k| x[at(k)]).fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0_f32;
            for k in 0..len {
                let e = ((x[at(k)] - max) * op.beta).exp();
                y[at(k)] = e;
                sum += e;
            }
            for k in 0..len {
                y[at(k)] =
                    if op.log { (x[at(k)] - max) * op.beta - sum.ln() } else { y[at(k)] / sum };
            }
        }
    }
    super::floats(shape, y, call.dtype(0)).map_err(Fault::from)
}

/// TFLite's 8-bit softmax.
fn row_8(op: &Softmax, from: Affine, to: Affine, x: &[i32]) -> Vec<i32> {
    let exps = exponentials(f64::from(op.beta) * f64::from(from.scale));
    let max = x.iter().copied().max().unwrap_or(0);
    let exp = |x: &i32| exps[(max - x) as usize];
    let divisor = Divisor::of(x.iter().map(exp), to.dtype.size() as u32 * 8);
    x.iter().map(|x| to.cut(divisor.divide(exp(x)).saturating_add(to.low))).collect()
}

/// TFLite's 16-bit softmax.
fn row_16(op: &Softmax, from: Affine, _: Affine, x: &[i32]) -> Vec<i32> {
    let (exps, inverses) = (softmax16::exponentials(f32::exp), softmax16::inverses());
    let factor = softmax16::factor(from.scale, op.beta);
    let max = x.iter().copied().max().unwrap_or(0);
    let terms: Vec<i32> =
        x.iter().map(|x| softmax16::exponential(&exps, factor, x - max)).collect();
    let sum = terms.iter().fold(0_i32, |s, e| s.wrapping_add(*e));
    let divisor = softmax16::Divisor::of(&inverses, sum);
    terms.iter().map(|e| i32::from(divisor.divide(*e))).collect()
}

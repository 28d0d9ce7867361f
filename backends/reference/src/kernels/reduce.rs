use crate::kernel::{Call, Done, Fault, Types, filled, one};
use crate::number::{Number, each_number};
use crate::quantized::{Affine, ints, is_quantized, scale, stored};
use crate::register_kernel;
use crate::walk::{strides, walk};
use paring_backend::requantize;
use paring_ir::ops::{Reduce, ReduceFn};
use paring_tensor::{DType, Tensor};

register_kernel!(Reduce, support, run);

fn support(op: &Reduce, types: Types<'_>) -> Result<(), String> {
    let (x, y) = (types.inputs[0], types.outputs[0]);
    if super::any_quantized(types) {
        let (from, to) = (Affine::of("the input", x)?, Affine::of("the output", y)?);
        return match op.f {
            ReduceFn::Mean | ReduceFn::Sum => Ok(()),
            ReduceFn::Max | ReduceFn::Min if (from.scale, from.zero) == (to.scale, to.zero) => {
                Ok(())
            }
            ReduceFn::All | ReduceFn::Any => Err(format!("{:?} of quantized numbers", op.f)),
            _ => super::through_real_support(types),
        };
    }
    let dtype = x.dtype;
    match op.f {
        ReduceFn::All | ReduceFn::Any | ReduceFn::Max | ReduceFn::Min => Ok(()),
        _ if dtype == DType::Bool => Err(format!("{:?} of booleans", op.f)),
        ReduceFn::LogSum | ReduceFn::LogSumExp => super::floats_only("logarithms", dtype),
        _ => Ok(()),
    }
}

/// Shape with the reduced axes at extent 1, and for each input element the output element it belongs to.
fn plan(op: &Reduce, call: &Call<'_>) -> (usize, Vec<isize>) {
    let shape = call.shape(0);
    let kept: Vec<usize> =
        shape.iter().enumerate().map(|(i, n)| if op.axes.contains(&i) { 1 } else { *n }).collect();
    let own = strides(&kept);
    let steps = (0..shape.len()).map(|i| if op.axes.contains(&i) { 0 } else { own[i] }).collect();
    (kept.iter().product(), steps)
}

/// Folds every element into the output element it belongs to.
fn fold<A: Copy, R: Clone>(
    op: &Reduce,
    call: &Call<'_>,
    x: &[A],
    start: R,
    mut f: impl FnMut(&mut R, A),
) -> Result<Vec<R>, Fault> {
    let shape = call.shape(0);
    let (len, steps) = plan(op, call);
    let mut out = filled(len, start)?;
    walk(shape, [&strides(shape), &steps], [0, 0], |[from, to]| f(&mut out[to], x[from]));
    Ok(out)
}

/// Elements that one output element stands for.
fn count(op: &Reduce, call: &Call<'_>) -> usize {
    op.axes.iter().map(|a| call.shape(0)[*a]).product()
}

fn run(op: &Reduce, call: &Call<'_>) -> Done {
    if super::any_quantized(call.types) {
        return match op.f {
            ReduceFn::Mean | ReduceFn::Sum => quantized_sum(op, call),
            ReduceFn::Max | ReduceFn::Min
                if is_quantized(call.types.inputs[0]) && is_quantized(call.types.outputs[0]) =>
            {
                each_number!(call.dtype(0), T => compare::<T>(op, call))
            }
            _ => super::through_real(call, |call| real(op, call)),
        };
    }
    match op.f {
        ReduceFn::Max | ReduceFn::Min => each_number!(call.dtype(0), T => compare::<T>(op, call)),
        ReduceFn::All | ReduceFn::Any => {
            let all = op.f == ReduceFn::All;
            let y = fold(op, call, &call.view::<u8>(0)?, u8::from(all), |y, x| {
                let x = u8::from(x != 0);
                if all { *y &= x } else { *y |= x }
            })?;
            Ok(vec![Tensor::from_vec(call.out_shape(0)?, y)?.reinterpret(DType::Bool)?])
        }
        _ if call.dtype(0).is_float() => real(op, call),
        _ => each_number!(call.dtype(0), T => integer::<T>(op, call)),
    }
}

fn compare<T: Number>(op: &Reduce, call: &Call<'_>) -> Done {
    let x = call.view::<T>(0)?;
    let max = op.f == ReduceFn::Max;
    let start = T::from_f64(if max { f64::NEG_INFINITY } else { f64::INFINITY });
    let y = fold(op, call, &x, start, |y, x| {
        *y = if max { x.larger(*y) } else { x.smaller(*y) };
    })?;
    Ok(vec![Tensor::from_vec(call.out_shape(0)?, y)?.reinterpret(call.dtype(0))?])
}

fn integer<T: Number>(op: &Reduce, call: &Call<'_>) -> Done {
    let x = call.view::<T>(0)?;
    let zero = T::zero();
    let y = match op.f {
        ReduceFn::Sum => fold(op, call, &x, zero, |y, x| *y = y.plus(x))?,
        ReduceFn::Prod => fold(op, call, &x, T::one(), |y, x| *y = y.times(x))?,
        ReduceFn::SumSquare => fold(op, call, &x, zero, |y, x| *y = y.plus(x.times(x)))?,
        ReduceFn::L1 => fold(op, call, &x, zero, |y, x| {
            *y = y.plus(if x < zero { zero.minus(x) } else { x });
        })?,
        _ => {
            // A mean or a Euclidean norm: in wide integers, cut toward zero.
            let wide: Vec<i64> = call.inputs[0].to_i64();
            let n = count(op, call).max(1) as i64;
            let norm = op.f == ReduceFn::L2;
            let sums = fold(op, call, &wide, 0_i64, |y, x| {
                *y = y.wrapping_add(if norm { x.wrapping_mul(x) } else { x });
            })?;
            let y = sums.into_iter();
            let y: Vec<i64> = if norm {
                y.map(|s| (s as f64).sqrt() as i64).collect()
            } else {
                y.map(|s| s / n).collect()
            };
            return Ok(vec![Tensor::from_vec(call.out_shape(0)?, y)?.cast(call.dtype(0))]);
        }
    };
    Ok(vec![Tensor::from_vec(call.out_shape(0)?, y)?.reinterpret(call.dtype(0))?])
}

fn real(op: &Reduce, call: &Call<'_>) -> Done {
    let shape = call.out_shape(0)?;
    let n = count(op, call) as f64;
    if call.dtype(0) == DType::F32 && matches!(op.f, ReduceFn::Mean | ReduceFn::Sum) {
        // In single precision and in order, as runtimes compute them.
        let mut y = fold(op, call, &call.view::<f32>(0)?, 0.0_f32, |y, x| *y += x)?;
        if op.f == ReduceFn::Mean {
            y.iter_mut().for_each(|y| *y /= n as f32);
        }
        return one(shape, y);
    }
    let x = call.inputs[0].to_f64();
    let sum = |f: fn(f64) -> f64| fold(op, call, &x, 0.0_f64, |y, x| *y += f(x));
    let mut y = match op.f {
        ReduceFn::Prod => fold(op, call, &x, 1.0, |y, x| *y *= x)?,
        ReduceFn::L1 => sum(f64::abs)?,
        ReduceFn::L2 | ReduceFn::SumSquare => sum(|x| x * x)?,
        ReduceFn::LogSumExp => {
            let max = fold(op, call, &x, f64::NEG_INFINITY, |y: &mut f64, x| *y = y.max(x))?;
            let (_, steps) = plan(op, call);
            let mut sums = filled(max.len(), 0.0)?;
            walk(call.shape(0), [&strides(call.shape(0)), &steps], [0, 0], |[from, to]| {
                let shift = if max[to].is_finite() { max[to] } else { 0.0 };
                sums[to] += (x[from] - shift).exp();
            });
            let shift = |m: f64| if m.is_finite() { m } else { 0.0 };
            sums.iter().zip(&max).map(|(s, m)| s.ln() + shift(*m)).collect()
        }
        _ => sum(|x| x)?,
    };
    for y in &mut y {
        match op.f {
            ReduceFn::Mean => *y /= n,
            ReduceFn::L2 => *y = y.sqrt(),
            ReduceFn::LogSum => *y = y.ln(),
            _ => {}
        }
    }
    Ok(vec![Tensor::from_vec(shape, y)?.cast(call.dtype(0))])
}

/// TFLite's integer sum and mean. A mean folds the number of elements into the multiplier.
fn quantized_sum(op: &Reduce, call: &Call<'_>) -> Done {
    let ty = call.types.outputs[0];
    let from = Affine::of("the input", call.types.inputs[0])?;
    let to = Affine::of("the output", ty)?;
    let x = ints(&call.inputs[0])?;
    let n = count(op, call) as i64;
    let sums = fold(op, call, &x, 0_i64, |y, x| *y += i64::from(x))?;
    let folded = if op.f == ReduceFn::Mean { u32::try_from(n).unwrap_or(u32::MAX) } else { 0 };
    let m = requantize::mean_multiplier(call.types.inputs[0], ty, folded)?;
    let q = sums
        .into_iter()
        .map(|sum| {
            let sum = sum - i64::from(from.zero) * n;
            to.cut(scale(m, sum as i32).saturating_add(to.zero))
        })
        .collect();
    Ok(vec![stored(ty.dtype, &call.out_shape(0)?, q)?])
}

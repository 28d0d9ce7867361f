use super::conv2d::{clamp_f32, weight_zero, weighted_support};
use super::window::{Mac, dot};
use crate::kernel::{Call, Done, Fault, one, room};
use crate::quantized::{Affine, centred, dense_multipliers, is_quantized, scale, stored};
use crate::register_kernel;
use paring_backend::requantize::weight_scales;
use paring_ir::ops::Dense;
use paring_qmath::Rounding;
use paring_qmath::dynamic::Dynamic;
use paring_tensor::half::{bf16, f16};
use paring_tensor::{DType, Tensor};

register_kernel!(Dense, |_, types| weighted_support(types), run);

fn run(op: &Dense, call: &Call<'_>) -> Done {
    let (x, w) = (call.types.inputs[0], call.types.inputs[1]);
    match (is_quantized(x), is_quantized(w)) {
        (true, _) => integer(op, call),
        (false, true) => hybrid(op, call),
        (false, false) => plain(op, call),
    }
}

/// For each row of `x`, the product with every row of `w`, finished.
fn products<T: Mac<A>, A: Default, R>(
    x: &[T],
    w: &[T],
    depth: usize,
    finish: impl Fn(A, usize, usize) -> R,
) -> Result<Vec<R>, Fault> {
    let units = w.len().checked_div(depth).unwrap_or(0);
    let mut out = room(x.len() / depth.max(1) * units)?;
    for (n, row) in x.chunks_exact(depth.max(1)).enumerate() {
        for (unit, filter) in w.chunks_exact(depth).enumerate() {
            out.push(finish(dot(row, filter), unit, n));
        }
    }
    Ok(out)
}

/// As [`products`] of real numbers: eight units side by side, so that their sums, each in order, do not
/// wait for one another.
fn real_products<T: Mac<T>>(
    x: &[T],
    w: &[T],
    depth: usize,
    finish: impl Fn(T, usize) -> T,
) -> Result<Vec<T>, Fault> {
    const SIDE: usize = 8;
    let units = w.len() / depth;
    let mut out = room(x.len() / depth * units)?;
    for row in x.chunks_exact(depth) {
        let mut blocks = w.chunks_exact(depth * SIDE);
        let mut unit = 0;
        for block in &mut blocks {
            let mut sums = [T::default(); SIDE];
            let filters: [&[T]; SIDE] = std::array::from_fn(|i| &block[i * depth..(i + 1) * depth]);
            for (k, x) in row.iter().enumerate() {
                for (sum, filter) in sums.iter_mut().zip(&filters) {
                    *sum = T::mac(*sum, *x, filter[k]);
                }
            }
            out.extend(sums.into_iter().enumerate().map(|(i, sum)| finish(sum, unit + i)));
            unit += SIDE;
        }
        for (i, filter) in blocks.remainder().chunks_exact(depth).enumerate() {
            out.push(finish(dot(row, filter), unit + i));
        }
    }
    Ok(out)
}

fn plain(op: &Dense, call: &Call<'_>) -> Done {
    let shape = call.out_shape(0)?;
    let clamp = clamp_f32(op.activation);
    let depth = call.shape(1)[1];
    if depth == 0 {
        // A sum of nothing: the bias alone.
        let units = call.shape(1)[0];
        let rows: usize = shape[..shape.len() - 1].iter().product();
        let bias = call.inputs.get(2).map_or_else(|| vec![0.0; units], Tensor::to_f32);
        let y: Vec<f32> = (0..rows).flat_map(|_| bias.iter().map(|b| clamp(*b))).collect();
        return Ok(vec![Tensor::from_vec(shape, y)?.cast(call.dtype(0))]);
    }
    match call.dtype(0) {
        DType::F32 => {
            let bias = call.optional::<f32>(2)?;
            let finish = |sum: f32, u: usize| clamp(bias.as_ref().map_or(sum, |b| sum + b[u]));
            one(shape, real_products(&call.view::<f32>(0)?, &call.view::<f32>(1)?, depth, finish)?)
        }
        DType::F16 | DType::BF16 => {
            let bias = call.inputs.get(2).map(Tensor::to_f32);
            let finish = |sum: f32, u: usize| clamp(bias.as_ref().map_or(sum, |b| sum + b[u]));
            let (x, w) = (call.inputs[0].to_f32(), call.inputs[1].to_f32());
            let y = real_products(&x, &w, depth, finish)?;
            if call.dtype(0) == DType::F16 {
                one(shape, y.into_iter().map(f16::from_f32).collect())
            } else {
                one(shape, y.into_iter().map(bf16::from_f32).collect())
            }
        }
        DType::F64 => {
            let (low, high) = op.activation.bounds();
            let bias = call.optional::<f64>(2)?;
            let finish = |sum: f64, u: usize| {
                let sum = bias.as_ref().map_or(sum, |b| sum + b[u]);
                if sum.is_nan() { sum } else { sum.max(f64::from(low)).min(f64::from(high)) }
            };
            one(shape, real_products(&call.view::<f64>(0)?, &call.view::<f64>(1)?, depth, finish)?)
        }
        DType::I32 => {
            let bias = call.optional::<i32>(2)?;
            let finish =
                |sum: i32, u: usize, _| bias.as_ref().map_or(sum, |b| sum.wrapping_add(b[u]));
            one(shape, products(&call.view::<i32>(0)?, &call.view::<i32>(1)?, depth, finish)?)
        }
        _ => {
            let bias = call.optional::<i64>(2)?;
            let finish =
                |sum: i64, u: usize, _| bias.as_ref().map_or(sum, |b| sum.wrapping_add(b[u]));
            one(shape, products(&call.view::<i64>(0)?, &call.view::<i64>(1)?, depth, finish)?)
        }
    }
}

/// TFLite's quantized fully connected layer. TFLite Micro scales the sums back in fixed point; LiteRT's
/// reference kernel multiplies them with the real factor in double precision and rounds ties away
/// from zero.
fn integer(op: &Dense, call: &Call<'_>) -> Done {
    let [x, w, ..] = call.types.inputs else {
        return Err("operands are missing".to_owned().into());
    };
    let y = call.types.outputs[0];
    let [units, depth] = *call.shape(1) else { return Err("weights".to_owned().into()) };
    let from = Affine::of("the input", x)?;
    let to = Affine::of("the output", y)?.clamped(op.activation);
    let data = centred(&call.inputs[0], from.zero)?;
    let weights = centred(&call.inputs[1], weight_zero(w)?)?;
    let bias = call.inputs.get(2).map(Tensor::to_i64);
    let multipliers = dense_multipliers(x, w, y, units)?;
    let scales = weight_scales(w, units)?;
    let factors: Vec<f64> = scales
        .iter()
        .map(|s| f64::from(from.scale) * f64::from(*s) / f64::from(to.scale))
        .collect();
    let wide = x.dtype == DType::I16;
    let finish = |sum: i64, unit: usize, _| {
        let mut sum = sum + bias.as_ref().map_or(0, |b| b[unit]);
        if !wide {
            sum = i64::from(sum as i32);
        }
        let scaled = match call.rounding {
            Rounding::Single => (sum as f64 * factors[unit]).round() as i32,
            Rounding::Double if wide => multipliers[unit].apply_wide(sum),
            Rounding::Double => scale(multipliers[unit], sum as i32),
        };
        to.cut(scaled.saturating_add(to.zero))
    };
    let shape = call.out_shape(0)?;
    let q = if depth == 0 {
        let rows: usize = shape[..shape.len() - 1].iter().product();
        (0..rows)
            .flat_map(|n| (0..units).map(move |u| (n, u)))
            .map(|(n, u)| finish(0, u, n))
            .collect()
    } else if wide {
        products(&data, &weights, depth, finish)?
    } else {
        products(&data, &weights, depth, |sum: i32, u, n| finish(i64::from(sum), u, n))?
    };
    Ok(vec![stored(y.dtype, &shape, q)?])
}

/// TFLite's dynamic-range layer: each row is quantized by its own range, the sums are integer.
fn hybrid(op: &Dense, call: &Call<'_>) -> Done {
    let w = call.types.inputs[1];
    let [units, depth] = *call.shape(1) else { return Err("weights".to_owned().into()) };
    let scales = weight_scales(w, units)?;
    let weights = centred(&call.inputs[1], 0)?;
    let bias = call.optional::<f32>(2)?;
    let clamp = clamp_f32(op.activation);
    let shape = call.out_shape(0)?;
    let x = call.view::<f32>(0)?;
    let rows: usize = shape[..shape.len() - 1].iter().product();
    let mut y = room(rows * units)?;
    for n in 0..rows {
        let row = &x[n * depth..(n + 1) * depth];
        let by = Dynamic::by_range(row);
        let row: Vec<i16> = row.iter().map(|x| by.centred(*x)).collect();
        for (unit, w_scale) in scales.iter().enumerate() {
            let sum: i32 = dot(&row, &weights[unit * depth..(unit + 1) * depth]);
            let real = sum as f32 * (by.scale() * w_scale);
            y.push(clamp(bias.as_ref().map_or(real, |b| real + b[unit])));
        }
    }
    one(shape, y)
}

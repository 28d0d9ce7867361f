use super::conv2d::{clamp_f32, weight_zero, weighted_support};
use super::window::{Mac, dot};
use crate::kernel::{Call, Done, Fault, Types, filled, one};
use crate::quantized::{Affine, centred, is_quantized, scale, stored};
use crate::register_kernel;
use paring_backend::requantize::{channel_multipliers, dense_multipliers};
use paring_ir::ops::ConvTranspose2d;
use paring_tensor::{DType, Tensor};

register_kernel!(ConvTranspose2d, support, run);

fn support(_: &ConvTranspose2d, types: Types<'_>) -> Result<(), String> {
    let (x, w) = (types.inputs[0], types.inputs[1]);
    if is_quantized(w) && !is_quantized(x) {
        return Err("a transposed convolution with integer weights only; dequantize them".into());
    }
    weighted_support(types)
}

/// The sums of products at every output, `[batch, height, width, filters]`.
fn sums<T: Mac<A>, A: Copy + Default + std::ops::Add<Output = A>>(
    op: &ConvTranspose2d,
    call: &Call<'_>,
    x: &[T],
    w: &[T],
) -> Result<Vec<A>, Fault> {
    let (&[batch, height, width, channels], &[filters, kh, kw, depth]) =
        (call.shape(0), call.shape(1))
    else {
        return Err("operands are not images".to_owned().into());
    };
    let out = call.out_shape(0)?;
    let per_group = filters / op.groups;
    // Where a tap of an input element goes, if it is in the output.
    let place = |axis: usize, at: usize, tap: usize, size: usize| {
        (at * op.stride[axis] + tap * op.dilation[axis])
            .checked_sub(op.pad[axis])
            .filter(|p| *p < size)
    };
    let mut sums = filled(out.iter().product(), A::default())?;
    for (i, pixel) in x.chunks_exact(channels.max(1)).enumerate().take(batch * height * width) {
        let (n, y, at) = (i / (height * width), i / width % height, i % width);
        for ky in 0..kh {
            let Some(oy) = place(0, y, ky, out[1]) else { continue };
            for kx in 0..kw {
                let Some(ox) = place(1, at, kx, out[2]) else { continue };
                let target = ((n * out[1] + oy) * out[2] + ox) * filters;
                for f in 0..filters {
                    let group = f / per_group * depth;
                    let taps = ((f * kh + ky) * kw + kx) * depth;
                    let product: A = dot(&pixel[group..group + depth], &w[taps..taps + depth]);
                    sums[target + f] = sums[target + f] + product;
                }
            }
        }
    }
    Ok(sums)
}

fn run(op: &ConvTranspose2d, call: &Call<'_>) -> Done {
    if is_quantized(call.types.inputs[0]) {
        return integer(op, call);
    }
    let shape = call.out_shape(0)?;
    let filters = shape[3].max(1);
    match call.dtype(0) {
        DType::I32 | DType::I64 => {
            let (x, w) = (call.inputs[0].to_i64(), call.inputs[1].to_i64());
            let mut y: Vec<i64> = sums(op, call, &x, &w)?;
            if let Some(bias) = call.inputs.get(2).map(Tensor::to_i64) {
                y.iter_mut().enumerate().for_each(|(i, y)| *y = y.wrapping_add(bias[i % filters]));
            }
            Ok(vec![Tensor::from_vec(shape, y)?.cast(call.dtype(0))])
        }
        DType::F64 => {
            let mut y: Vec<f64> = sums(op, call, &call.view::<f64>(0)?, &call.view::<f64>(1)?)?;
            let (low, high) = op.activation.bounds();
            let bias = call.optional::<f64>(2)?;
            for (i, y) in y.iter_mut().enumerate() {
                *y += bias.as_ref().map_or(0.0, |b| b[i % filters]);
                *y = if y.is_nan() { *y } else { y.max(f64::from(low)).min(f64::from(high)) };
            }
            one(shape, y)
        }
        dtype => {
            let (x, w) = (call.inputs[0].to_f32(), call.inputs[1].to_f32());
            let mut y: Vec<f32> = sums(op, call, &x, &w)?;
            let clamp = clamp_f32(op.activation);
            let bias = call.inputs.get(2).map(Tensor::to_f32);
            for (i, y) in y.iter_mut().enumerate() {
                *y = clamp(*y + bias.as_ref().map_or(0.0, |b| b[i % filters]));
            }
            Ok(super::floats(&shape, y, dtype)?)
        }
    }
}

/// TFLite's quantized `TRANSPOSE_CONV`.
fn integer(op: &ConvTranspose2d, call: &Call<'_>) -> Done {
    let [tx, tw, ..] = call.types.inputs else { return Err("operands".to_owned().into()) };
    let ty = call.types.outputs[0];
    let from = Affine::of("the input", tx)?;
    let to = Affine::of("the output", ty)?.clamped(op.activation);
    let shape = call.out_shape(0)?;
    let filters = shape[3];
    let multipliers = if from.dtype == DType::U8 {
        dense_multipliers(tx, tw, ty, filters)?
    } else {
        channel_multipliers(tx, tw, ty, filters)?
    };
    let x = centred(&call.inputs[0], from.zero)?;
    let w = centred(&call.inputs[1], weight_zero(tw)?)?;
    let bias = call.inputs.get(2).map(Tensor::to_i64);
    let wide = from.dtype == DType::I16;
    let all: Vec<i64> = sums(op, call, &x, &w)?;
    let q = all
        .into_iter()
        .enumerate()
        .map(|(i, sum)| {
            let f = i % filters;
            let sum = sum.wrapping_add(bias.as_ref().map_or(0, |b| b[f]));
            let m = multipliers[f];
            let y = if wide { m.apply_wide(sum) } else { scale(m, sum as i32) };
            to.cut(y.saturating_add(to.zero))
        })
        .collect();
    Ok(vec![stored(ty.dtype, &shape, q)?])
}

use super::window::{Geometry, Mac, dot, vector_matrix};
use crate::kernel::{Call, Done, Fault, Types, one};
use crate::quantized::{Affine, centred, is_quantized, scale, stored};
use crate::register_kernel;
use paring_backend::requantize::{channel_multipliers, dense_multipliers};
use paring_ir::ops::{Activation, Conv2d};
use paring_qmath::dynamic::Dynamic;
use paring_tensor::half::{bf16, f16};
use paring_tensor::{DType, Tensor};

register_kernel!(Conv2d, support, run);

fn support(_: &Conv2d, types: Types<'_>) -> Result<(), String> {
    weighted_support(types)
}

/// What convolutions and dense layers have in common: which types of operands they serve.
pub(super) fn weighted_support(types: Types<'_>) -> Result<(), String> {
    let (x, w, y) = (types.inputs[0], types.inputs[1], types.outputs[0]);
    let bias = types.inputs.get(2);
    if is_quantized(x) && is_quantized(y) {
        let (_, w_zero) = (Affine::of("the input", x)?, weight_zero(w)?);
        Affine::of("the output", y)?;
        channel_multipliers(x, w, y, w.shape.dims().first().and_then(|d| d.fixed()).unwrap_or(0))?;
        let sixteen = x.dtype == DType::I16;
        if sixteen && (w_zero != 0 || Affine::of("the input", x)?.zero != 0) {
            return Err("16-bit kernels take symmetric quantization only".to_owned());
        }
        if !matches!(x.dtype, DType::I8 | DType::U8 | DType::I16)
            || !matches!(w.dtype, DType::I4 | DType::I8 | DType::U8)
            || !matches!(y.dtype, DType::I8 | DType::U8 | DType::I16)
        {
            return Err(format!(
                "no integer kernel for {} inputs, {} weights and {} outputs; \
                 8-bit inputs or 16-bit ones, and 4- or 8-bit weights are served",
                x.dtype, w.dtype, y.dtype
            ));
        }
        return match bias.map(|b| b.dtype) {
            None | Some(DType::I32) => Ok(()),
            Some(DType::I64) if sixteen => Ok(()),
            Some(other) => Err(format!("the bias is {other}, not i32 (or i64 for 16-bit inputs)")),
        };
    }
    if x.dtype == DType::F32 && is_quantized(w) && y.dtype == DType::F32 {
        if weight_zero(w)? != 0 || !matches!(w.dtype, DType::I4 | DType::I8) {
            return Err("dynamic-range kernels take symmetric signed weights".to_owned());
        }
        return match bias.map(|b| b.dtype) {
            None | Some(DType::F32) => Ok(()),
            Some(other) => Err(format!("the bias is {other}, not f32")),
        };
    }
    if is_quantized(x) || is_quantized(w) || is_quantized(y) {
        return Err(format!(
            "operands {x} and {w} with the result {y}: quantize all of them, or dequantize first"
        ));
    }
    let plain = x.dtype.is_float() || matches!(x.dtype, DType::I32 | DType::I64);
    if !plain || w.dtype != x.dtype || bias.is_some_and(|b| b.dtype != x.dtype) {
        return Err(format!("inputs of {} with weights of {}", x.dtype, w.dtype));
    }
    Ok(())
}

/// The zero point that all weights share.
pub(super) fn weight_zero(w: &paring_tensor::TensorType) -> Result<i32, String> {
    let zeros = w.quant.as_ref().map_or(&[][..], |q| q.zero_points());
    match zeros.split_first() {
        None => Ok(0),
        Some((first, rest)) if rest.iter().all(|z| z == first) => Ok(*first),
        _ => Err("the weights have several zero points".to_owned()),
    }
}

fn geometry(op: &Conv2d, call: &Call<'_>) -> Result<Geometry, Fault> {
    let (&[batch, h, w, channels], &[filters, kh, kw, _]) = (call.shape(0), call.shape(1)) else {
        return Err(Fault::Internal("operands are not images".to_owned()));
    };
    let out = call.out_shape(0)?;
    let [top, left, _, _] = op.padding([h, w], [kh, kw]);
    Ok(Geometry {
        batch,
        size: [h, w],
        channels,
        filters,
        kernel: [kh, kw],
        groups: op.groups,
        out: [out[1], out[2]],
        stride: op.stride,
        dilation: op.dilation,
        pad: [top, left],
    })
}

fn run(op: &Conv2d, call: &Call<'_>) -> Done {
    let g = geometry(op, call)?;
    let (x, w) = (call.types.inputs[0], call.types.inputs[1]);
    match (is_quantized(x), is_quantized(w)) {
        (true, _) => integer(op, call, &g),
        (false, true) => hybrid(op, call, &g),
        (false, false) => plain(op, call, &g),
    }
}

/// Whether each group has one channel.
fn is_depthwise(g: &Geometry) -> bool {
    g.groups > 1 && g.channels_per_group() == 1
}

/// Adds `x[c] * w[f]` to the sum of each filter, filter `f` seeing channel `f / multiplier`.
fn multiply<T: Mac<A>, A: Copy>(sums: &mut [A], x: &[T], w: &[T]) {
    if x.len() == sums.len() {
        for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
            *sum = T::mac(*sum, *x, *w);
        }
        return;
    }
    let per_channel = sums.len() / x.len().max(1);
    for ((sums, w), x) in sums.chunks_exact_mut(per_channel).zip(w.chunks_exact(per_channel)).zip(x)
    {
        for (sum, w) in sums.iter_mut().zip(w) {
            *sum = T::mac(*sum, *x, *w);
        }
    }
}

/// Weights `[filters, taps]` of depthwise filters as `[taps, filters]`.
fn taps_first<T: Copy + Default>(w: &[T], taps: usize) -> Vec<T> {
    let filters = w.len() / taps.max(1);
    let mut out = vec![T::default(); w.len()];
    for (f, filter) in w.chunks_exact(taps.max(1)).enumerate() {
        for (k, v) in filter.iter().enumerate() {
            out[k * filters + f] = *v;
        }
    }
    out
}

/// Sums of products, then `finish(sum, filter, image)`.
fn sums<T: Mac<A>, A: Copy + Default, R: Copy + Default + Send>(
    g: &Geometry,
    x: &[T],
    w: &[T],
    finish: impl Fn(A, usize, usize) -> R + Sync,
) -> Result<Vec<R>, Fault> {
    if is_depthwise(g) {
        let taps = taps_first(w, g.taps());
        return g.depthwise(x, &taps, multiply::<T, A>, |sums, n, out| {
            for (f, (sum, out)) in sums.iter().zip(out).enumerate() {
                *out = finish(*sum, f, n);
            }
        });
    }
    let (taps, per_group) = (g.taps(), g.filters_per_group());
    g.convolve(x, |patch, group, n, out| {
        for (i, out) in out.iter_mut().enumerate() {
            let f = group * per_group + i;
            *out = finish(dot(patch, &w[f * taps..(f + 1) * taps]), f, n);
        }
    })
}

fn real<T: Mac<T> + PartialOrd + std::ops::Add<Output = T>>(
    g: &Geometry,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    clamp: impl Fn(T) -> T + Sync,
) -> Result<Vec<T>, Fault> {
    let finish = |sum: T, f: usize| clamp(bias.map_or(sum, |b| sum + b[f]));
    if is_depthwise(g) {
        return sums(g, x, w, |sum, f, _| finish(sum, f));
    }
    let w = g.filters_last(w);
    let (block, per_group) = (g.taps() * g.filters_per_group(), g.filters_per_group());
    g.convolve(x, |patch, group, _, out| {
        vector_matrix(patch, &w[group * block..(group + 1) * block], out);
        for (i, out) in out.iter_mut().enumerate() {
            *out = finish(*out, group * per_group + i);
        }
    })
}

/// Cuts a real number to an activation's bounds; NaN stays.
pub(super) fn clamp_f32(activation: Activation) -> impl Fn(f32) -> f32 + Copy {
    let (low, high) = activation.bounds();
    move |x| {
        if x < low {
            low
        } else if x > high {
            high
        } else {
            x
        }
    }
}

fn plain(op: &Conv2d, call: &Call<'_>, g: &Geometry) -> Done {
    let shape = call.out_shape(0)?;
    let clamp = clamp_f32(op.activation);
    match call.dtype(0) {
        DType::F32 => {
            let bias = call.optional::<f32>(2)?;
            let y = real(g, &call.view::<f32>(0)?, &call.view::<f32>(1)?, bias.as_deref(), clamp)?;
            one(shape, y)
        }
        DType::F64 => {
            let (low, high) = op.activation.bounds();
            let (low, high) = (f64::from(low), f64::from(high));
            let clamp = move |x: f64| {
                if x < low {
                    low
                } else if x > high {
                    high
                } else {
                    x
                }
            };
            let bias = call.optional::<f64>(2)?;
            let y = real(g, &call.view::<f64>(0)?, &call.view::<f64>(1)?, bias.as_deref(), clamp)?;
            one(shape, y)
        }
        DType::F16 | DType::BF16 => {
            let bias = call.inputs.get(2).map(Tensor::to_f32);
            let (x, w) = (call.inputs[0].to_f32(), call.inputs[1].to_f32());
            let y = real(g, &x, &w, bias.as_deref(), clamp)?;
            if call.dtype(0) == DType::F16 {
                one(shape, y.into_iter().map(f16::from_f32).collect())
            } else {
                one(shape, y.into_iter().map(bf16::from_f32).collect())
            }
        }
        DType::I32 => {
            let bias = call.optional::<i32>(2)?;
            let finish =
                |sum: i32, f: usize, _| bias.as_ref().map_or(sum, |b| sum.wrapping_add(b[f]));
            one(shape, sums(g, &call.view::<i32>(0)?, &call.view::<i32>(1)?, finish)?)
        }
        _ => {
            let bias = call.optional::<i64>(2)?;
            let finish =
                |sum: i64, f: usize, _| bias.as_ref().map_or(sum, |b| sum.wrapping_add(b[f]));
            one(shape, sums(g, &call.view::<i64>(0)?, &call.view::<i64>(1)?, finish)?)
        }
    }
}

/// TFLite's quantized convolution: integer sums, scaled back channel by channel.
fn integer(op: &Conv2d, call: &Call<'_>, g: &Geometry) -> Done {
    let [x, w, ..] = call.types.inputs else {
        return Err("operands are missing".to_owned().into());
    };
    let y = call.types.outputs[0];
    let from = Affine::of("the input", x)?;
    let to = Affine::of("the output", y)?.clamped(op.activation);
    // The legacy unsigned kernels multiply the two scales in single precision.
    let multipliers = if x.dtype == DType::U8 {
        dense_multipliers(x, w, y, g.filters)?
    } else {
        channel_multipliers(x, w, y, g.filters)?
    };
    let data = centred(&call.inputs[0], from.zero)?;
    let weights = centred(&call.inputs[1], weight_zero(w)?)?;
    let shape = call.out_shape(0)?;
    let q = if x.dtype == DType::I16 {
        let bias = call.inputs.get(2).map(Tensor::to_i64);
        sums(g, &data, &weights, |sum: i64, f, _| {
            let sum = bias.as_ref().map_or(sum, |b| sum.wrapping_add(b[f]));
            to.cut(multipliers[f].apply_wide(sum).saturating_add(to.zero))
        })?
    } else {
        let bias = call.optional::<i32>(2)?;
        sums(g, &data, &weights, |sum: i32, f, _| {
            let sum = bias.as_ref().map_or(sum, |b| sum.wrapping_add(b[f]));
            to.cut(scale(multipliers[f], sum).saturating_add(to.zero))
        })?
    };
    Ok(vec![stored(y.dtype, &shape, q)?])
}

/// TFLite's dynamic-range convolution: each image is quantized by its own range, the sums are integer.
/// Where all weights share one scale the images are quantized symmetrically, but never for depthwise
/// filters.
fn hybrid(op: &Conv2d, call: &Call<'_>, g: &Geometry) -> Done {
    let w = call.types.inputs[1];
    let scales = paring_backend::requantize::weight_scales(w, g.filters)?;
    let x = call.view::<f32>(0)?;
    let image = g.size[0] * g.size[1] * g.channels;
    let mut data = Vec::with_capacity(x.len());
    let mut image_scales = Vec::with_capacity(g.batch);
    let symmetric = !is_depthwise(g) && scales.windows(2).all(|w| w[0] == w[1]);
    for image in x.chunks_exact(image.max(1)) {
        let by = if symmetric { Dynamic::by_magnitude } else { Dynamic::by_range }(image);
        data.extend(image.iter().map(|x| by.centred(*x)));
        image_scales.push(by.scale());
    }
    let weights = centred(&call.inputs[1], 0)?;
    let bias = call.optional::<f32>(2)?;
    let clamp = clamp_f32(op.activation);
    let y = sums(g, &data, &weights, |sum: i32, f, n| {
        let real = sum as f32 * scales[f] * image_scales[n];
        clamp(bias.as_ref().map_or(real, |b| real + b[f]))
    })?;
    one(call.out_shape(0)?, y)
}

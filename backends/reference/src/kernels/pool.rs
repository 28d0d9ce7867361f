use crate::kernel::{Call, Done, Fault, Types, room};
use crate::number::{Number, each_number};
use crate::quantized::{Affine, ints, is_quantized, stored};
use crate::register_kernel;
use paring_ir::ops::{Pool, PoolKind};
use paring_tensor::{DType, Tensor};

register_kernel!(Pool, support, run);

fn support(op: &Pool, types: Types<'_>) -> Result<(), String> {
    let (x, y) = (types.inputs[0], types.outputs[0]);
    if is_quantized(x) || is_quantized(y) {
        let (from, to) = (Affine::of("the input", x)?, Affine::of("the output", y)?);
        return match op.kind {
            PoolKind::Max | PoolKind::Average if (from.scale, from.zero) == (to.scale, to.zero) => {
                Ok(())
            }
            PoolKind::Max | PoolKind::Average => {
                Err("input and output of a pool differ in quantization".to_owned())
            }
            _ => super::through_real_support(types),
        };
    }
    match op.kind {
        PoolKind::Max if x.dtype != DType::Bool => Ok(()),
        _ => super::floats_only("pooling", x.dtype),
    }
}

/// For each output position, the input positions that its window sees, as offsets of their first
/// channel, and how many positions it has with padding counted.
fn windows(op: &Pool, call: &Call<'_>, mut each: impl FnMut(&[usize], usize)) -> Result<(), Fault> {
    let &[batch, h, w, c] = call.shape(0) else { return Err("no image".to_owned().into()) };
    let out = call.out_shape(0)?;
    let window = [0, 1].map(|i| (op.kernel[i] - 1) * op.dilation[i] + 1);
    let [top, left, bottom, right] = op.pad.resolve([h, w], window, op.stride);
    // Taps along one axis: those in the image, and how many are in the padded image.
    let taps = |axis: usize, at: usize, size: usize, before: usize, after: usize| {
        let all = (0..op.kernel[axis]).map(|k| at * op.stride[axis] + k * op.dilation[axis]);
        let counted = all.clone().filter(|p| *p < before + size + after).count();
        let inside = all.filter_map(|p| p.checked_sub(before)).filter(|p| *p < size);
        (inside.collect::<Vec<_>>(), counted)
    };
    let rows: Vec<_> = (0..out[1]).map(|y| taps(0, y, h, top, bottom)).collect();
    let columns: Vec<_> = (0..out[2]).map(|x| taps(1, x, w, left, right)).collect();
    let mut offsets = Vec::new();
    for n in 0..batch {
        for (ys, y_count) in &rows {
            for (xs, x_count) in &columns {
                offsets.clear();
                for y in ys {
                    offsets.extend(xs.iter().map(|x| ((n * h + y) * w + x) * c));
                }
                each(&offsets, y_count * x_count);
            }
        }
    }
    Ok(())
}

fn run(op: &Pool, call: &Call<'_>) -> Done {
    if super::any_quantized(call.types) {
        return match op.kind {
            PoolKind::Max | PoolKind::Average => quantized(op, call),
            _ => super::through_real(call, |call| average(op, call)),
        };
    }
    let dtype = call.dtype(0);
    if op.kind == PoolKind::Max {
        return each_number!(dtype, T => max::<T>(op, call));
    }
    average(op, call)
}

fn max<T: Number>(op: &Pool, call: &Call<'_>) -> Done {
    let x = call.view::<T>(0)?;
    let shape = call.out_shape(0)?;
    let mut y: Vec<T> = room(shape.iter().product())?;
    let (low, high) = op.activation.bounds();
    // A window that sees nothing has the smallest number there is.
    let least = T::from_f64(f64::NEG_INFINITY);
    windows(op, call, |offsets, _| {
        for c in 0..shape[3] {
            let max = offsets.iter().fold(least, |max, at| x[at + c].larger(max));
            let real = max.to_f64();
            y.push(if real < f64::from(low) {
                T::from_f64(f64::from(low))
            } else if real > f64::from(high) {
                T::from_f64(f64::from(high))
            } else {
                max
            });
        }
    })?;
    Ok(vec![Tensor::from_vec(shape, y)?.reinterpret(call.dtype(0))?])
}

fn average(op: &Pool, call: &Call<'_>) -> Done {
    let (low, high) = op.activation.bounds();
    let clamp = |x: f64| {
        if x < f64::from(low) {
            f64::from(low)
        } else if x > f64::from(high) {
            f64::from(high)
        } else {
            x
        }
    };
    let shape = call.out_shape(0)?;
    let len = shape.iter().product();
    if call.dtype(0) == DType::F32 && matches!(op.kind, PoolKind::Average) {
        // Sums in single precision and in order, as runtimes compute them.
        let x = call.view::<f32>(0)?;
        let mut y: Vec<f32> = room(len)?;
        windows(op, call, |offsets, counted| {
            let count = if op.count_include_pad { counted } else { offsets.len() };
            for c in 0..shape[3] {
                let sum: f32 = offsets.iter().map(|at| x[at + c]).sum();
                y.push(clamp(f64::from(sum / count as f32)) as f32);
            }
        })?;
        return Ok(vec![Tensor::from_vec(shape, y)?]);
    }
    let x = call.inputs[0].to_f64();
    let mut y: Vec<f64> = room(len)?;
    windows(op, call, |offsets, counted| {
        let count = if op.count_include_pad { counted } else { offsets.len() };
        for c in 0..shape[3] {
            let all = offsets.iter().map(|at| x[at + c]);
            let value = match op.kind {
                PoolKind::Average => all.sum::<f64>() / count as f64,
                PoolKind::L2 => (all.map(|x| x * x).sum::<f64>() / count as f64).sqrt(),
                PoolKind::Lp(p) => {
                    all.map(|x| x.abs().powf(f64::from(p))).sum::<f64>().powf(1.0 / f64::from(p))
                }
                PoolKind::Max => all.fold(f64::NEG_INFINITY, f64::max),
            };
            y.push(clamp(value));
        }
    })?;
    Ok(vec![Tensor::from_vec(shape, y)?.cast(call.dtype(0))])
}

/// Maximum and mean of stored numbers; a mean is rounded to nearest, ties away from zero.
fn quantized(op: &Pool, call: &Call<'_>) -> Done {
    let ty = call.types.outputs[0];
    let to = Affine::of("the output", ty)?.clamped(op.activation);
    let x = ints(&call.inputs[0])?;
    let shape = call.out_shape(0)?;
    let mut q = room(shape.iter().product())?;
    windows(op, call, |offsets, counted| {
        for c in 0..shape[3] {
            let all = offsets.iter().map(|at| x[at + c]);
            if op.kind == PoolKind::Max {
                q.push(to.cut(all.max().unwrap_or(to.low)));
                continue;
            }
            let mut sum: i32 = all.sum();
            let mut count = offsets.len() as i32;
            if op.count_include_pad {
                sum += (counted as i32 - count) * to.zero;
                count = counted as i32;
            }
            let count = count.max(1);
            let half = count / 2;
            q.push(to.cut(if sum > 0 { (sum + half) / count } else { (sum - half) / count }));
        }
    })?;
    Ok(vec![stored(ty.dtype, &shape, q)?])
}

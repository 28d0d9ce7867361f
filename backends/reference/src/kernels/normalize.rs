//! Normalizations by statistics of the data itself.

use crate::kernel::{Call, Done, Types, filled};
use crate::quantized::{Affine, ints, is_quantized, scale, stored};
use crate::register_kernel;
use crate::walk::{around, broadcast_strides, strides, walk};
use paring_ir::ops::{LpNormalize, Lrn, Normalize};
use paring_qmath::fixed::inverse_square_root;
use paring_tensor::{DType, Tensor};

register_kernel!(Normalize, |_, types| real_or_through("normalization", types), |op, call| {
    if super::any_quantized(call.types) {
        return super::through_real(call, |call| normalize(op, call));
    }
    normalize(op, call)
});
register_kernel!(Lrn, |_, types| real_or_through("normalization", types), |op, call| {
    if super::any_quantized(call.types) {
        return super::through_real(call, |call| lrn(op, call));
    }
    lrn(op, call)
});
register_kernel!(LpNormalize, |_, types| real_or_through("normalization", types), lp_normalize);

fn real_or_through(what: &str, types: Types<'_>) -> Result<(), String> {
    if super::any_quantized(types) {
        return super::through_real_support(types);
    }
    super::floats_only(what, types.inputs[0].dtype)
}

fn normalize(op: &Normalize, call: &Call<'_>) -> Done {
    let shape = call.shape(0);
    let x = call.inputs[0].to_f64();
    // The last axis as [groups, channels of a group]; one set of statistics for each index of the
    // axes that stay and each group.
    let mut split = shape.to_vec();
    let channels = split.pop().unwrap_or(1);
    split.extend([op.groups, channels / op.groups]);
    let rank = shape.len();
    let reduced = |axis: usize| match axis {
        a if a == rank - 1 => op.groups == 1 && op.axes.contains(&(rank - 1)),
        a if a == rank => op.axes.contains(&(rank - 1)),
        a => op.axes.contains(&a),
    };
    let kept: Vec<usize> =
        split.iter().enumerate().map(|(a, n)| if reduced(a) { 1 } else { *n }).collect();
    let own = strides(&kept);
    let steps: Vec<isize> = (0..split.len()).map(|a| if reduced(a) { 0 } else { own[a] }).collect();
    let sets: usize = kept.iter().product();
    let count = (x.len().checked_div(sets).unwrap_or(0)) as f64;
    let each = |f: &mut dyn FnMut(usize, usize)| {
        walk(&split, [&strides(&split), &steps], [0, 0], |[i, s]| f(i, s));
    };
    let (mut mean, mut variance) = (filled(sets, 0.0)?, filled(sets, 0.0)?);
    each(&mut |i, s| mean[s] += x[i] / count);
    each(&mut |i, s| variance[s] += (x[i] - mean[s]).powi(2) / count);
    let mut y = filled(x.len(), 0.0)?;
    each(&mut |i, s| {
        y[i] = (x[i] - mean[s]) / (variance[s] + f64::from(op.epsilon)).sqrt();
    });
    for (operand, scales) in [(1, true), (2, false)] {
        let Some(p) = call.inputs.get(operand) else { break };
        let values = p.to_f64();
        let steps = broadcast_strides(p.shape(), shape);
        walk(shape, [&strides(shape), &steps], [0, 0], |[i, k]| {
            if scales { y[i] *= values[k] } else { y[i] += values[k] }
        });
    }
    Ok(vec![Tensor::from_vec(shape, y)?.cast(call.dtype(0))])
}

fn lrn(op: &Lrn, call: &Call<'_>) -> Done {
    let shape = call.shape(0);
    let channels = shape.last().copied().unwrap_or(1).max(1);
    let x = call.inputs[0].to_f64();
    let before = (op.size - 1) / 2;
    let mut y = Vec::with_capacity(x.len());
    for pixel in x.chunks_exact(channels) {
        for c in 0..channels {
            let window = c.saturating_sub(before)..(c + op.size - before).min(channels);
            let squares: f64 = pixel[window].iter().map(|x| x * x).sum();
            let base = f64::from(op.bias) + f64::from(op.alpha) / op.size as f64 * squares;
            y.push(pixel[c] / base.powf(f64::from(op.beta)));
        }
    }
    Ok(vec![Tensor::from_vec(shape, y)?.cast(call.dtype(0))])
}

fn lp_normalize(op: &LpNormalize, call: &Call<'_>) -> Done {
    let (x, y) = (call.types.inputs[0], call.types.outputs[0]);
    if is_quantized(x) && is_quantized(y) {
        let to = Affine::of("the output", y)?;
        let tflite = to.scale == 1.0 / 128.0 && matches!(to.zero, 0 | 128);
        if op.p == 2 && tflite && matches!(to.dtype, DType::I8 | DType::U8) {
            return integer_l2(op, call);
        }
    }
    if super::any_quantized(call.types) {
        return super::through_real(call, |call| real_lp(op, call));
    }
    real_lp(op, call)
}

fn real_lp(op: &LpNormalize, call: &Call<'_>) -> Done {
    let (outer, n, inner) = around(call.shape(0), op.axis);
    let x = call.inputs[0].to_f64();
    let mut y = filled(x.len(), 0.0_f64)?;
    for o in 0..outer {
        for i in 0..inner {
            let at = |k: usize| (o * n + k) * inner + i;
            let sum: f64 =
                (0..n).map(|k| if op.p == 1 { x[at(k)].abs() } else { x[at(k)] * x[at(k)] }).sum();
            let sum = sum.max(f64::from(op.epsilon));
            let norm = if op.p == 1 { sum } else { sum.sqrt() };
            for k in 0..n {
                y[at(k)] = if norm == 0.0 { 0.0 } else { x[at(k)] / norm };
            }
        }
    }
    Ok(vec![Tensor::from_vec(call.shape(0), y)?.cast(call.dtype(0))])
}

/// TFLite's 8-bit `L2_NORMALIZATION`: the inverse root of the sum of squares in fixed point.
fn integer_l2(op: &LpNormalize, call: &Call<'_>) -> Done {
    let from = Affine::of("the input", call.types.inputs[0])?;
    let to = Affine::of("the output", call.types.outputs[0])?;
    let (outer, n, inner) = around(call.shape(0), op.axis);
    let x = ints(&call.inputs[0])?;
    let mut y = filled(x.len(), 0)?;
    for o in 0..outer {
        for i in 0..inner {
            let at = |k: usize| (o * n + k) * inner + i;
            let sum = (0..n).fold(0_i32, |sum, k| {
                let d = x[at(k)] - from.zero;
                sum.wrapping_add(d * d)
            });
            let mut m = inverse_square_root(sum);
            m.shift += 7;
            for k in 0..n {
                y[at(k)] = to.cut(scale(m, x[at(k)] - from.zero).saturating_add(to.zero));
            }
        }
    }
    Ok(vec![stored(to.dtype, call.shape(0), y)?])
}

//! Ops that search along an axis, and small elementwise leftovers.

use crate::kernel::{Call, Done, Types, filled, one, room};
use crate::number::{Number, each_number};
use crate::register_kernel;
use crate::walk::around;
use paring_ir::ops::{
    Arg, ArgFn, Cast, CumSum, DynamicQuantize, Hardmax, NonMaxSuppression, TopK, Trilu,
};
use paring_qmath::dynamic::Unsigned;
use paring_tensor::{DType, Tensor};
use std::cmp::Ordering;

register_kernel!(Arg, |_, types| super::anything(types), arg);
register_kernel!(TopK, |_, types| super::anything(types), top_k);
register_kernel!(CumSum, plain_numbers, cum_sum);
register_kernel!(Hardmax, |_, types| super::floats_only("hardmax", types.inputs[0].dtype), hardmax);
register_kernel!(Cast, |_, types| super::anything(types), |op, call| {
    Ok(vec![call.inputs[0].cast(op.to)])
});
register_kernel!(Trilu, |_, types| super::anything(types), trilu);
register_kernel!(DynamicQuantize, |_, types| super::anything(types), dynamic_quantize);
register_kernel!(
    NonMaxSuppression,
    |_, types| super::floats_only("boxes", types.inputs[0].dtype),
    non_max_suppression
);

fn plain_numbers(_: &CumSum, types: Types<'_>) -> Result<(), String> {
    if super::any_quantized(types) || types.inputs[0].dtype == DType::Bool {
        return Err(format!("a running sum of {}; dequantize or cast first", types.inputs[0]));
    }
    Ok(())
}

/// Numbers in order; NaN is larger than all.
fn order<T: Number>(a: T, b: T) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn arg(op: &Arg, call: &Call<'_>) -> Done {
    let (outer, n, inner) = around(call.shape(0), op.axis);
    let mut found: Vec<i64> = room(outer * inner)?;
    each_number!(call.dtype(0), T => {
        let x = call.view::<T>(0)?;
        for o in 0..outer {
            for i in 0..inner {
                let at = |k: usize| x[(o * n + k) * inner + i];
                let mut best = 0;
                for k in 1..n {
                    let better = match op.f {
                        ArgFn::Max => order(at(k), at(best)),
                        ArgFn::Min => order(at(best), at(k)),
                    };
                    if better.is_gt() || (op.select_last && better.is_eq()) {
                        best = k;
                    }
                }
                found.push(best as i64);
            }
        }
    });
    Ok(vec![Tensor::from_vec(call.out_shape(0)?, found)?.cast(op.to)])
}

fn top_k(op: &TopK, call: &Call<'_>) -> Done {
    let (outer, n, inner) = around(call.shape(0), op.axis);
    let shape = call.out_shape(0)?;
    let dtype = call.dtype(0);
    let mut indices = filled(outer * op.k * inner, 0_i64)?;
    let values = each_number!(dtype, T => {
        let x = call.view::<T>(0)?;
        let mut values = filled(indices.len(), T::zero())?;
        for o in 0..outer {
            for i in 0..inner {
                let at = |k: usize| x[(o * n + k) * inner + i];
                let mut ranked: Vec<usize> = (0..n).collect();
                // A stable sort leaves the smaller index first among equals.
                if op.largest {
                    ranked.sort_by(|a, b| order(at(*b), at(*a)));
                } else {
                    ranked.sort_by(|a, b| order(at(*a), at(*b)));
                }
                for (k, from) in ranked.into_iter().take(op.k).enumerate() {
                    let to = (o * op.k + k) * inner + i;
                    values[to] = at(from);
                    indices[to] = from as i64;
                }
            }
        }
        Tensor::from_vec(shape.clone(), values)?.reinterpret(dtype)?
    });
    Ok(vec![values, Tensor::from_vec(shape, indices)?.cast(op.to)])
}

fn cum_sum(op: &CumSum, call: &Call<'_>) -> Done {
    let (outer, n, inner) = around(call.shape(0), op.axis);
    let dtype = call.dtype(0);
    each_number!(dtype, T => {
        let x = call.view::<T>(0)?;
        let mut y = filled(x.len(), T::zero())?;
        for o in 0..outer {
            for i in 0..inner {
                let mut sum = T::zero();
                for k in 0..n {
                    let k = if op.reverse { n - 1 - k } else { k };
                    let at = (o * n + k) * inner + i;
                    if op.exclusive {
                        y[at] = sum;
                    }
                    sum = sum.plus(x[at]);
                    if !op.exclusive {
                        y[at] = sum;
                    }
                }
            }
        }
        Ok(vec![Tensor::from_vec(call.shape(0), y)?.reinterpret(dtype)?])
    })
}

fn hardmax(op: &Hardmax, call: &Call<'_>) -> Done {
    let (outer, n, inner) = around(call.shape(0), op.axis);
    let x = call.inputs[0].to_f64();
    let mut y = filled(x.len(), 0.0_f32)?;
    if n > 0 {
        for o in 0..outer {
            for i in 0..inner {
                let at = |k: usize| (o * n + k) * inner + i;
                let best = (1..n).fold(0, |best, k| if x[at(k)] > x[at(best)] { k } else { best });
                y[at(best)] = 1.0;
            }
        }
    }
    Ok(super::floats(call.shape(0), y, call.dtype(0))?)
}

fn trilu(op: &Trilu, call: &Call<'_>) -> Done {
    let x = &call.inputs[0];
    let shape = call.shape(0);
    let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let size = x.dtype().size();
    let zero = match call.types.inputs[0].quant.as_ref().and_then(|q| q.as_per_tensor()) {
        Some((_, zero)) => Tensor::scalar(zero).cast(x.dtype()),
        None => Tensor::scalar(0_i32).cast(x.dtype()),
    };
    let mut bytes: Vec<u8> = room(x.bytes().len())?;
    for (i, element) in x.bytes().chunks_exact(size).enumerate() {
        let (row, column) = (i / columns % rows, i % columns);
        let diagonal = column as i128 - row as i128 - i128::from(op.k);
        let kept = if op.upper { diagonal >= 0 } else { diagonal <= 0 };
        bytes.extend_from_slice(if kept { element } else { zero.bytes() });
    }
    Ok(vec![Tensor::new(x.dtype(), shape, bytes.into())?])
}

fn dynamic_quantize(_: &DynamicQuantize, call: &Call<'_>) -> Done {
    let x = call.view::<f32>(0)?;
    let by = Unsigned::of(&x);
    let mut y = one(call.shape(0), x.iter().map(|x| by.store(*x)).collect())?;
    y.extend([Tensor::scalar(by.scale), Tensor::scalar(by.zero)]);
    Ok(y)
}

/// A box by its corners, ordered.
fn corners(b: &[f32], center: bool) -> [f32; 4] {
    if center {
        let (x, y, w, h) = (b[0], b[1], b[2] / 2.0, b[3] / 2.0);
        return [y - h, x - w, y + h, x + w];
    }
    [b[0].min(b[2]), b[1].min(b[3]), b[0].max(b[2]), b[1].max(b[3])]
}

fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |b: [f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let height = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let width = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let both = height * width;
    let either = area(a) + area(b) - both;
    if area(a) <= 0.0 || area(b) <= 0.0 || either <= 0.0 { 0.0 } else { both / either }
}

fn non_max_suppression(op: &NonMaxSuppression, call: &Call<'_>) -> Done {
    let (boxes, scores) = (call.inputs[0].to_f32(), call.inputs[1].to_f32());
    let &[batches, classes, count] = call.shape(1) else {
        return Err("no scores".to_owned().into());
    };
    let mut rows: Vec<i64> = Vec::new();
    for b in 0..batches {
        let corners: Vec<[f32; 4]> = boxes[b * count * 4..(b + 1) * count * 4]
            .chunks_exact(4)
            .map(|c| corners(c, op.center_boxes))
            .collect();
        for class in 0..classes {
            let scores = &scores[(b * classes + class) * count..][..count];
            let mut ranked: Vec<usize> =
                (0..count).filter(|i| scores[*i] > op.score_threshold).collect();
            ranked.sort_by(|i, j| order(scores[*j], scores[*i]));
            let mut picked: Vec<usize> = Vec::new();
            for i in ranked {
                if picked.len() == op.max_per_class {
                    break;
                }
                let far = |j: &usize| overlap(corners[i], corners[*j]) <= op.iou_threshold;
                if picked.iter().all(far) {
                    picked.push(i);
                    rows.extend([b as i64, class as i64, i as i64]);
                }
            }
        }
    }
    one([rows.len() / 3, 3], rows)
}

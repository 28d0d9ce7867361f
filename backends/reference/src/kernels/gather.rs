//! Ops that move elements by indices that are data.

use crate::kernel::{Call, Done, Fault, one, room};
use crate::number::{Number, each_number};
use crate::register_kernel;
use crate::walk::{around, pick, strides, walk};
use paring_ir::ops::{
    Gather, GatherElements, GatherNd, NonZero, OneHot, ScatterElements, ScatterFn, ScatterNd,
    Select,
};
use paring_tensor::Tensor;

register_kernel!(Gather, |_, types| super::anything(types), gather);
register_kernel!(GatherElements, |_, types| super::anything(types), gather_elements);
register_kernel!(GatherNd, |_, types| super::anything(types), gather_nd);
register_kernel!(ScatterElements, |_, types| super::anything(types), scatter_elements);
register_kernel!(ScatterNd, |_, types| super::anything(types), scatter_nd);
register_kernel!(Select, |_, types| super::anything(types), select);
register_kernel!(OneHot, |_, types| super::anything(types), one_hot);
register_kernel!(NonZero, |_, types| super::anything(types), non_zero);

/// An index into `n` elements; negative ones count from the end.
fn resolve(index: i64, n: usize) -> Result<usize, Fault> {
    let wide = i128::from(index) + if index < 0 { n as i128 } else { 0 };
    usize::try_from(wide)
        .ok()
        .filter(|i| *i < n)
        .ok_or_else(|| Fault::Data(format!("index {index} into {n} elements")))
}

fn gather(op: &Gather, call: &Call<'_>) -> Done {
    let (x, at) = (&call.inputs[0], call.inputs[1].to_i64());
    let shape = call.shape(0);
    let batch: usize = shape[..op.batch_dims].iter().product();
    let outer: usize = shape[op.batch_dims..op.axis].iter().product();
    let (_, n, inner) = around(shape, op.axis);
    let at: Vec<usize> = at.into_iter().map(|i| resolve(i, n)).collect::<Result<_, _>>()?;
    let per_batch = at.len().checked_div(batch).unwrap_or(0);
    let at = &at;
    let offsets = (0..batch).flat_map(|b| {
        (0..outer).flat_map(move |o| {
            at[b * per_batch..(b + 1) * per_batch].iter().flat_map(move |i| {
                let start = ((b * outer + o) * n + i) * inner;
                start..start + inner
            })
        })
    });
    Ok(vec![pick(x, &call.out_shape(0)?, offsets)?])
}

/// The offset into an array of `shape` of each element of an array of indices, put at its own place but
/// with the index along the axis.
fn element_offsets(shape: &[usize], axis: usize, indices: &Tensor) -> Result<Vec<usize>, Fault> {
    let own = strides(indices.shape());
    let target = strides(shape);
    for (i, (n, have)) in indices.shape().iter().zip(shape).enumerate() {
        if i != axis && n > have {
            let why = format!("indices of shape {:?} for {shape:?}", indices.shape());
            return Err(Fault::Data(why));
        }
    }
    let mut steps = target.clone();
    steps[axis] = 0;
    let mut offsets = room(indices.len())?;
    let values = indices.to_i64();
    let mut fault = None;
    walk(indices.shape(), [&own, &steps], [0, 0], |[i, base]| {
        match resolve(values[i], shape[axis]) {
            Ok(at) => offsets.push(base + at * target[axis] as usize),
            Err(e) => {
                fault.get_or_insert(e);
            }
        }
    });
    fault.map_or(Ok(offsets), Err)
}

fn gather_elements(op: &GatherElements, call: &Call<'_>) -> Done {
    let offsets = element_offsets(call.shape(0), op.axis, &call.inputs[1])?;
    Ok(vec![pick(&call.inputs[0], &call.out_shape(0)?, offsets.into_iter())?])
}

/// The offset of each slice that coordinates name, and the length of a slice. The slices lie in arrays
/// of `shape`.
fn slices(shape: &[usize], coordinates: &Tensor) -> Result<(Vec<usize>, usize), Fault> {
    let depth = coordinates.shape().last().copied().unwrap_or(0);
    let own = strides(shape);
    let inner: usize = shape[depth..].iter().product();
    let count: usize = coordinates.shape()[..coordinates.shape().len() - 1].iter().product();
    let values = coordinates.to_i64();
    let mut starts = room(count)?;
    for c in 0..count {
        let mut start = 0;
        for axis in 0..depth {
            start += resolve(values[c * depth + axis], shape[axis])? * own[axis] as usize;
        }
        starts.push(start);
    }
    Ok((starts, inner))
}

fn gather_nd(op: &GatherNd, call: &Call<'_>) -> Done {
    let shape = call.shape(0);
    let batch: usize = shape[..op.batch_dims].iter().product();
    let (starts, inner) = slices(&shape[op.batch_dims..], &call.inputs[1])?;
    let size: usize = shape[op.batch_dims..].iter().product();
    let per_batch = starts.len().checked_div(batch).unwrap_or(0).max(1);
    let offsets = starts.iter().enumerate().flat_map(|(c, start)| {
        let start = c / per_batch * size + start;
        start..start + inner
    });
    Ok(vec![pick(&call.inputs[0], &call.out_shape(0)?, offsets)?])
}

/// Puts updates at offsets of a copy.
fn scatter(call: &Call<'_>, f: ScatterFn, offsets: impl Iterator<Item = usize>) -> Done {
    let dtype = call.dtype(0);
    each_number!(dtype, T => {
        let mut y = call.view::<T>(0)?.into_owned();
        let updates = call.view::<T>(2)?;
        for (at, new) in offsets.zip(updates.iter().copied()) {
            let old = y[at];
            y[at] = match f {
                ScatterFn::Replace => new,
                ScatterFn::Add => old.plus(new),
                ScatterFn::Mul => old.times(new),
                ScatterFn::Min => old.smaller(new),
                ScatterFn::Max => old.larger(new),
            };
        }
        Ok(vec![Tensor::from_vec(call.shape(0), y)?.reinterpret(dtype)?])
    })
}

fn scatter_elements(op: &ScatterElements, call: &Call<'_>) -> Done {
    let offsets = element_offsets(call.shape(0), op.axis, &call.inputs[1])?;
    scatter(call, op.reduction, offsets.into_iter())
}

fn scatter_nd(op: &ScatterNd, call: &Call<'_>) -> Done {
    let (starts, inner) = slices(call.shape(0), &call.inputs[1])?;
    scatter(call, op.reduction, starts.into_iter().flat_map(|s| s..s + inner))
}

fn select(_: &Select, call: &Call<'_>) -> Done {
    let shape = call.out_shape(0)?;
    let both = [1, 2].map(|i| &call.inputs[i]);
    let steps = [0, 1, 2].map(|i| crate::walk::broadcast_strides(call.shape(i), &shape));
    let condition = call.view::<u8>(0)?;
    let size = call.dtype(1).size();
    let mut bytes: Vec<u8> = room(shape.iter().product::<usize>() * size)?;
    walk(&shape, [&steps[0], &steps[1], &steps[2]], [0, 0, 0], |[c, a, b]| {
        let (from, at) = if condition[c] != 0 { (both[0], a) } else { (both[1], b) };
        bytes.extend_from_slice(&from.bytes()[at * size..(at + 1) * size]);
    });
    Ok(vec![Tensor::new(call.dtype(1), shape, bytes.into())?])
}

fn one_hot(op: &OneHot, call: &Call<'_>) -> Done {
    let indices = call.inputs[0].to_i64();
    let inner: usize = call.shape(0)[op.axis..].iter().product();
    let depth = op.depth as i128;
    let outer = indices.len().checked_div(inner).unwrap_or(0);
    let indices = &indices;
    let offsets = (0..outer).flat_map(|o| {
        (0..depth).flat_map(move |d| {
            (0..inner).map(move |i| {
                let at = i128::from(indices[o * inner + i]);
                let at = if at < 0 && !op.negative_is_off { at + depth } else { at };
                usize::from(at == d)
            })
        })
    });
    Ok(vec![pick(&call.inputs[1], &call.out_shape(0)?, offsets)?])
}

fn non_zero(_: &NonZero, call: &Call<'_>) -> Done {
    let x = &call.inputs[0];
    let size = x.dtype().size();
    let shape = call.shape(0);
    let own = strides(shape);
    let real = x.dtype().is_float().then(|| x.to_f64());
    let found: Vec<usize> = (0..x.len())
        .filter(|i| match &real {
            Some(x) => x[*i] != 0.0,
            None => x.bytes()[i * size..(i + 1) * size].iter().any(|b| *b != 0),
        })
        .collect();
    let indices = (0..shape.len())
        .flat_map(|axis| {
            let (step, n) = (own[axis] as usize, shape[axis]);
            found.iter().map(move |i| (i / step % n) as i64)
        })
        .collect();
    one([shape.len(), found.len()], indices)
}

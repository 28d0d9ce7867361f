//! Pools of one, two and three axes, and global ones.

use super::constant::filled;
use super::conv::{Window, WindowPad, from_plane, to_plane};
use super::{Entry, Outcome, channels_first, channels_last};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{
    Activation, Arg, ArgFn, Concat, GatherElements, Pad, PadMode, Pool, PoolKind, Reduce, ReduceFn,
    ScatterElements, ScatterFn, Slice,
};
use paring_tensor::{DType, Tensor};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("MaxPool", max_pool),
    Entry::new("AveragePool", average),
    Entry::new("LpPool", |cx| {
        let p = power(cx)?;
        pool(cx, PoolKind::Lp(p), false)
    }),
    Entry::new("GlobalAveragePool", global_average),
    Entry::new("GlobalMaxPool", |cx| global(cx, ReduceFn::Max)),
    Entry::new("GlobalLpPool", |cx| match power(cx)? {
        1 => global(cx, ReduceFn::L1),
        2 => global(cx, ReduceFn::L2),
        p => Err(Reject::unsupported(format!("the norm of power {p}; 1 and 2 are supported"))),
    }),
    Entry::new("MaxUnpool", unpool),
];

fn power(cx: &Cx<'_, '_>) -> Result<u32, Reject> {
    let p = cx.int("p", 2)?;
    u32::try_from(p)
        .ok()
        .filter(|p| *p > 0)
        .ok_or_else(|| Reject::malformed(format!("a norm of power {p}")))
}

pub(super) fn average(cx: &mut Cx<'_, '_>) -> Outcome {
    let include = cx.flag("count_include_pad", false)?;
    pool(cx, PoolKind::Average, include)
}

pub(super) fn global_average(cx: &mut Cx<'_, '_>) -> Outcome {
    global(cx, ReduceFn::Mean)
}

fn max_pool(cx: &mut Cx<'_, '_>) -> Outcome {
    pool(cx, PoolKind::Max, false)?;
    if cx.wants(1) { max_indices(cx) } else { Ok(()) }
}

fn read(cx: &Cx<'_, '_>) -> Result<(Vec<usize>, Window, bool), Reject> {
    let shape = cx.input_shape(0)?;
    if !(3..=5).contains(&shape.len()) {
        let why = format!("an input of {} axes; 3 to 5 are supported", shape.len());
        return Err(Reject::unsupported(why));
    }
    let window = Window::read(cx, shape.len() - 2, None)?;
    // With a padding rule the extent of the output is the rule's.
    let ceil = cx.flag("ceil_mode", false)? && !matches!(window.pad, WindowPad::Auto(_));
    Ok((shape, window, ceil))
}

fn pool(cx: &mut Cx<'_, '_>, kind: PoolKind, count_include_pad: bool) -> Outcome {
    let (shape, window, ceil) = read(cx)?;
    let rank = shape.len();
    let over = |window: &Window| {
        let (kernel, stride, dilation, pad) = window.plane();
        let activation = Activation::None;
        Pool { kind, kernel, stride, pad, dilation, ceil, count_include_pad, activation }
    };
    let x = cx.input(0)?;
    if rank < 5 {
        let x = to_plane(cx, x)?;
        let y = cx.emit(over(&window), &[x])?;
        let y = from_plane(cx, y, rank)?;
        cx.set(0, y);
        return Ok(());
    }
    // A pool over a box is one over height and width, then one over depth.
    let (plane, deep) = window.split();
    let x = cx.transpose(x, &channels_last(5))?;
    let &[n, d, h, w, c] = cx.shape(x)?.as_slice() else {
        return Err(Reject::malformed("an input without depth"));
    };
    let x = cx.reshape(x, &[n * d, h, w, c])?;
    let y = cx.emit(over(&plane), &[x])?;
    let &[_, h, w, c] = cx.shape(y)?.as_slice() else {
        return Err(Reject::malformed("no image"));
    };
    let y = cx.reshape(y, &[n, 1, d, h * w * c])?;
    let y = cx.emit(over(&deep), &[y])?;
    let d = cx.shape(y)?[2];
    let y = cx.reshape(y, &[n, d, h, w, c])?;
    let y = cx.transpose(y, &channels_first(5))?;
    cx.set(0, y);
    Ok(())
}

fn global(cx: &mut Cx<'_, '_>, f: ReduceFn) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    if rank < 2 {
        return Err(Reject::malformed(format!("an input of {rank} axes")));
    }
    let x = cx.input(0)?;
    let y = cx.emit(Reduce { f, axes: (2..rank).collect(), keep_dims: true }, &[x])?;
    cx.set(0, y);
    Ok(())
}

/// Where the largest element of each window lies in the whole input: every tap of the window is a
/// slice of the padded input, and the largest tap is looked up in a table of places.
fn max_indices(cx: &mut Cx<'_, '_>) -> Outcome {
    let (shape, window, ceil) = read(cx)?;
    let by_column = cx.flag("storage_order", false)?;
    let axes = shape.len() - 2;
    let lowest = match cx.input_type(0)?.dtype {
        d if d.is_float() => f64::NEG_INFINITY,
        d => d.int_range().map_or(0.0, |r| r.0 as f64),
    };
    let mut pads = vec![[0_i64; 2]; 2];
    let (mut before, mut out) = (Vec::new(), Vec::new());
    for i in 0..axes {
        let [start, end] = window.resolved(i, shape[i + 2])?;
        let span = (window.kernel[i] - 1).saturating_mul(window.dilation[i]).saturating_add(1);
        let padded = shape[i + 2].saturating_add(start).saturating_add(end);
        let room = padded
            .checked_sub(span)
            .ok_or_else(|| Reject::malformed("the window is larger than the input"))?;
        let step = window.stride[i];
        let mut count = room / step + 1;
        if ceil && room % step != 0 && count * step < shape[i + 2] + start {
            count += 1;
        }
        let needed = (count - 1).saturating_mul(step).saturating_add(span);
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        pads.push([number(start), number(needed.saturating_sub(shape[i + 2] + start).max(end))]);
        before.push(start);
        out.push(count);
    }
    let x = cx.input(0)?;
    let x = cx.aux(Pad { pads, mode: PadMode::Constant(lowest) }, &[x])?;
    let planes = shape[0] * shape[1];
    let places: usize = out.iter().product();
    let taps: usize = window.kernel.iter().product();
    let mut pooled = vec![shape[0], shape[1]];
    pooled.extend(&out);
    let mut column = pooled.clone();
    column.push(1);
    let mut slices = Vec::new();
    let mut table = vec![0_i64; places.saturating_mul(taps)];
    cx.charge(planes.saturating_mul(places).saturating_mul(taps).saturating_mul(16))?;
    let area: usize = shape[2..].iter().product();
    for tap in 0..taps {
        let at = coordinates(tap, &window.kernel);
        let offset: Vec<usize> = (0..axes).map(|i| at[i] * window.dilation[i]).collect();
        let mut start = vec![0, 0];
        start.extend(&offset);
        let mut step = vec![1, 1];
        step.extend(window.stride.iter().map(|s| i64::try_from(*s).unwrap_or(i64::MAX)));
        let slice = cx.aux(Slice { start, len: pooled.clone(), step }, &[x])?;
        slices.push(cx.reshape(slice, &column)?);
        for place in 0..places {
            let position = coordinates(place, &out);
            let axis = |i: usize| {
                let p = position[i] * window.stride[i] + offset[i];
                p.saturating_sub(before[i]).min(shape[i + 2] - 1)
            };
            let flat = if by_column {
                (0..axes).rev().fold(0, |acc, i| acc * shape[i + 2] + axis(i))
            } else {
                (0..axes).fold(0, |acc, i| acc * shape[i + 2] + axis(i))
            };
            table[place * taps + tap] = flat as i64;
        }
    }
    let mut whole = Vec::with_capacity(planes * table.len());
    for plane in 0..planes {
        whole.extend(table.iter().map(|i| i + (plane * area) as i64));
    }
    let mut full = pooled.clone();
    full.push(taps);
    let table = cx.konst("places", Tensor::from_vec(full, whole)?)?;
    let last = pooled.len();
    let stacked = cx.aux(Concat { axis: last }, &slices)?;
    let best =
        Arg { f: ArgFn::Max, axis: last, keep_dims: true, select_last: false, to: DType::I64 };
    let best = cx.aux(best, &[stacked])?;
    let found = cx.aux(GatherElements { axis: last }, &[table, best])?;
    let found = cx.reshape(found, &pooled)?;
    cx.set(1, found);
    Ok(())
}

/// The coordinates of a row-major index.
fn coordinates(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for i in (0..shape.len()).rev() {
        at[i] = index % shape[i];
        index /= shape[i];
    }
    at
}

/// Puts elements back to where `MaxPool` found them.
fn unpool(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = cx.input_shape(0)?;
    let window = Window::read(cx, shape.len().saturating_sub(2), None)?;
    let out: Vec<usize> = match cx.need_const(2, "output shape")? {
        Some(t) => t.to_i64().iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect(),
        None => {
            let mut out = shape[..2].to_vec();
            for i in 0..shape.len() - 2 {
                let [before, after] = window.resolved(i, shape[i + 2])?;
                let full = (shape[i + 2].saturating_sub(1))
                    .saturating_mul(window.stride[i])
                    .saturating_add(window.kernel[i]);
                out.push(full.saturating_sub(before + after));
            }
            out
        }
    };
    let (x, at) = (cx.input(0)?, cx.input(1)?);
    let dtype = cx.dtype(x);
    let total = out.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    let total = total.ok_or_else(|| Reject::malformed("the output is too large"))?;
    let empty = filled(cx, &[total], &Tensor::scalar(0_u8).cast(dtype))?;
    let empty: ValueId = cx.konst("zeros", empty)?;
    let count: usize = shape.iter().product();
    let (x, at) = (cx.reshape(x, &[count])?, cx.reshape(at, &[count])?);
    let op = ScatterElements { axis: 0, reduction: ScatterFn::Replace };
    let y = cx.emit(op, &[empty, at, x])?;
    let y = cx.reshape(y, &out)?;
    cx.set(0, y);
    Ok(())
}

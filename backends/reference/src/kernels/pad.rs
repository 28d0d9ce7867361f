use crate::kernel::{Call, Done, Types, room};
use crate::register_kernel;
use crate::walk::{bits_of, by_size};
use paring_ir::ops::{Pad, PadMode};
use paring_tensor::{Quant, Tensor};

register_kernel!(Pad, support, run);

fn support(_: &Pad, types: Types<'_>) -> Result<(), String> {
    match &types.inputs[0].quant {
        Some(q) if q.as_per_tensor().is_none() => {
            Err("padding of a value with many scales".to_owned())
        }
        _ => Ok(()),
    }
}

fn run(op: &Pad, call: &Call<'_>) -> Done {
    let x = &call.inputs[0];
    let (shape, out) = (call.shape(0), call.out_shape(0)?);
    // For each axis and output index, the input index; none where the constant goes.
    let sources: Vec<Vec<Option<usize>>> = (0..shape.len())
        .map(|axis| {
            (0..out[axis])
                .map(|i| source(op.mode, i as i64 - op.pads[axis][0], shape[axis] as i64))
                .collect()
        })
        .collect();
    let fill = match op.mode {
        PadMode::Constant(real) => match call.types.inputs[0].quant.as_ref() {
            Some(q) => stored_fill(q, real, x),
            None => Tensor::scalar(real).cast(x.dtype()),
        },
        _ => Tensor::scalar(0.0_f64).cast(x.dtype()),
    };
    let raw = x.reinterpret(bits_of(x.dtype()))?;
    let raw_fill = fill.reinterpret(bits_of(x.dtype()))?;
    let total: usize = out.iter().product();
    by_size!(x.dtype(), T => {
        let from = raw.view::<T>()?;
        let fill = raw_fill.view::<T>()?[0];
        let mut y: Vec<T> = room(total)?;
        place(shape, &sources, &mut Vec::new(), &from, fill, &mut y);
        Ok(vec![Tensor::from_vec(out, y)?.reinterpret(x.dtype())?])
    })
}

/// The stored number of a real one, a scalar.
fn stored_fill(q: &Quant, real: f64, like: &Tensor) -> Tensor {
    let (scale, zero) = q.as_per_tensor().unwrap_or((1.0, 0));
    let (low, high) = like.dtype().int_range().unwrap_or((i64::MIN, i64::MAX));
    let q = ((real / f64::from(scale)).round() as i64).saturating_add(i64::from(zero));
    Tensor::scalar(q.clamp(low, high)).cast(like.dtype())
}

/// The input index that an output index (counted from the input's first) shows.
fn source(mode: PadMode, i: i64, n: i64) -> Option<usize> {
    let inside = |i: i64| usize::try_from(i).ok().filter(|i| (*i as i64) < n);
    if let Some(i) = inside(i) {
        return Some(i);
    }
    match mode {
        PadMode::Constant(_) => None,
        PadMode::Reflect => inside(if i < 0 { -i } else { 2 * (n - 1) - i }),
        PadMode::Symmetric => inside(if i < 0 { -1 - i } else { 2 * n - 1 - i }),
        PadMode::Edge => inside(i.clamp(0, n - 1)),
        PadMode::Wrap => inside(i.rem_euclid(n)),
    }
}

/// Appends all elements of the axes after those in `at`.
fn place<T: Copy>(
    shape: &[usize],
    sources: &[Vec<Option<usize>>],
    at: &mut Vec<usize>,
    from: &[T],
    fill: T,
    y: &mut Vec<T>,
) {
    let axis = at.len();
    let inner: usize = sources[axis.min(sources.len())..].iter().skip(1).map(Vec::len).product();
    if axis == sources.len() {
        let offset = at.iter().zip(shape).fold(0, |o, (i, n)| o * n + i);
        y.push(from[offset]);
        return;
    }
    if axis + 1 == sources.len() {
        let base = at.iter().zip(shape).fold(0, |o, (i, n)| o * n + i) * shape[axis];
        y.extend(sources[axis].iter().map(|s| s.map_or(fill, |s| from[base + s])));
        return;
    }
    for s in &sources[axis] {
        match s {
            Some(s) => {
                at.push(*s);
                place(shape, sources, at, from, fill, y);
                at.pop();
            }
            None => y.extend(std::iter::repeat_n(fill, inner)),
        }
    }
}

use crate::kernel::{Call, Done, Types, filled};
use crate::quantized::{Affine, ints, is_quantized, stored};
use crate::register_kernel;
use crate::walk::{around, pick, strides};
use paring_ir::ops::{Resize, ResizeCoordinates, ResizeMethod, ResizeNearest};
use paring_tensor::{DType, Tensor};

register_kernel!(Resize, support, run);

fn support(op: &Resize, types: Types<'_>) -> Result<(), String> {
    let (x, y) = (types.inputs[0], types.outputs[0]);
    if super::any_quantized(types) {
        let same = x.quant.as_ref().and_then(|q| q.as_per_tensor())
            == y.quant.as_ref().and_then(|q| q.as_per_tensor());
        if op.method == ResizeMethod::Nearest && !same {
            return Err("input and output differ in quantization".to_owned());
        }
        return super::through_real_support(types);
    }
    if op.method == ResizeMethod::Nearest || x.dtype.is_float() || x.dtype.is_integer() {
        return Ok(());
    }
    Err(format!("interpolation of {} elements", x.dtype))
}

fn run(op: &Resize, call: &Call<'_>) -> Done {
    let crop = op.coordinates == ResizeCoordinates::TfCropAndResize;
    if op.method == ResizeMethod::Nearest && !crop {
        return nearest(op, call);
    }
    if super::any_quantized(call.types) {
        let (x, y) = (call.types.inputs[0], call.types.outputs[0]);
        if is_quantized(x) && is_quantized(y) && x.quant == y.quant && is_tflite_bilinear(op) {
            return bilinear(op, call);
        }
        return super::through_real(call, |call| interpolate(op, call));
    }
    interpolate(op, call)
}

/// The position in the input that an output position shows, along one of the op's axes.
fn position(op: &Resize, k: usize, i: usize, n: usize) -> f64 {
    use ResizeCoordinates::{
        AlignCorners, Asymmetric, HalfPixel, HalfPixelSymmetric, PytorchHalfPixel, TfCropAndResize,
        TfHalfPixelForNn,
    };
    let out = op.size[k];
    if op.scale.is_empty()
        && matches!(op.coordinates, HalfPixel | AlignCorners | Asymmetric | TfHalfPixelForNn)
    {
        return f64::from(op.coordinates.tflite_position(i, n, out));
    }
    // In single precision too: where a position falls on a border between elements, the rounding
    // decides, and ONNX Runtime's is the one that models were made with.
    let scale = op.scale.get(k).copied().unwrap_or(out as f32 / n as f32);
    let (n, i, whole) = (n as f32, i as f32, out as f32);
    f64::from(match op.coordinates {
        HalfPixel => (i + 0.5) / scale - 0.5,
        HalfPixelSymmetric => {
            // The factor gives an extent that is cut to a whole number.
            let adjusted = whole / (n * scale);
            n / 2.0 * (1.0 - adjusted) + (i + 0.5) / scale - 0.5
        }
        PytorchHalfPixel if out > 1 => (i + 0.5) / scale - 0.5,
        PytorchHalfPixel => 0.0,
        AlignCorners if out > 1 => i * (n - 1.0) / (whole - 1.0),
        AlignCorners => 0.0,
        Asymmetric => i / scale,
        TfHalfPixelForNn => (i + 0.5) / scale,
        TfCropAndResize => {
            let [start, end] = op.roi[k];
            if out > 1 {
                start * (n - 1.0) + i * (end - start) * (n - 1.0) / (whole - 1.0)
            } else {
                0.5 * (start + end) * (n - 1.0)
            }
        }
    })
}

fn nearest_index(op: &Resize, x: f64, n: usize) -> usize {
    let rounded = match op.nearest {
        ResizeNearest::RoundPreferFloor => (x - 0.5).ceil(),
        ResizeNearest::RoundPreferCeil => (x + 0.5).floor(),
        ResizeNearest::Floor => x.floor(),
        ResizeNearest::Ceil => x.ceil(),
    };
    rounded.clamp(0.0, n.saturating_sub(1) as f64) as usize
}

fn nearest(op: &Resize, call: &Call<'_>) -> Done {
    let shape = call.shape(0);
    let own = strides(shape);
    let mut offsets = vec![0_usize];
    for (axis, n) in shape.iter().enumerate() {
        let step = own[axis] as usize;
        let table: Vec<usize> = match op.axes.iter().position(|a| *a == axis) {
            Some(k) => (0..op.size[k])
                .map(|i| nearest_index(op, position(op, k, i, *n), *n) * step)
                .collect(),
            None => (0..*n).map(|i| i * step).collect(),
        };
        offsets = offsets.iter().flat_map(|o| table.iter().map(move |t| o + t)).collect();
    }
    Ok(vec![pick(&call.inputs[0], &call.out_shape(0)?, offsets.into_iter())?])
}

/// Elements of the input and their weights that make up an output position; none outside the part that
/// is cropped.
type Taps = Option<Vec<(usize, f64)>>;

fn taps(op: &Resize, k: usize, i: usize, n: usize) -> Taps {
    let x = position(op, k, i, n);
    let last = n as f64 - 1.0;
    if op.coordinates == ResizeCoordinates::TfCropAndResize && !(0.0..=last).contains(&x) {
        return None;
    }
    if op.method == ResizeMethod::Nearest {
        return Some(vec![(nearest_index(op, x, n), 1.0)]);
    }
    let scale = op.scale.get(k).map_or(op.size[k] as f64 / n as f64, |s| f64::from(*s));
    let stretch = if op.antialias { scale.min(1.0) } else { 1.0 };
    // The kernel reaches `radius` to both sides of a position.
    let radius = if op.method == ResizeMethod::Linear { 1.0 } else { 2.0 };
    let first = (-radius / stretch).floor() as i64 + 1;
    // A whole position counts as the end of the interval to its left.
    let base = x.ceil() - 1.0;
    let ratio = x - base;
    let mut taps: Vec<(i64, f64)> = (first..=1 - first)
        .map(|d| (base as i64 + d, kernel(op, (d as f64 - ratio) * stretch)))
        .collect();
    let inside = |at: i64| (0..n as i64).contains(&at);
    if op.exclude_outside {
        taps.retain(|(at, _)| inside(*at));
    }
    if op.antialias || op.exclude_outside {
        let sum: f64 = taps.iter().map(|t| t.1).sum();
        taps.iter_mut().for_each(|t| t.1 /= sum);
    }
    let edge = |at: i64| at.clamp(0, n as i64 - 1) as usize;
    Some(taps.into_iter().map(|(at, weight)| (edge(at), weight)).collect())
}

/// The weight at a distance.
fn kernel(op: &Resize, x: f64) -> f64 {
    let x = x.abs();
    if op.method == ResizeMethod::Linear {
        return (1.0 - x).max(0.0);
    }
    let a = f64::from(op.cubic_a);
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((x - 5.0) * x + 8.0) * x * a - 4.0 * a
    } else {
        0.0
    }
}

fn interpolate(op: &Resize, call: &Call<'_>) -> Done {
    let mut shape = call.shape(0).to_vec();
    let mut data = call.inputs[0].to_f64();
    // Where any axis left the cropped part.
    let mut outside = Vec::new();
    for (k, &axis) in op.axes.iter().enumerate() {
        let (outer, n, inner) = around(&shape, axis);
        let out = op.size[k];
        let mut next = filled(outer * out * inner, 0.0)?;
        for i in 0..out {
            let Some(taps) = taps(op, k, i, n) else {
                outside.push((axis, i));
                continue;
            };
            for o in 0..outer {
                let to = (o * out + i) * inner;
                for (at, weight) in &taps {
                    let from = (o * n + at) * inner;
                    for c in 0..inner {
                        next[to + c] += weight * data[from + c];
                    }
                }
            }
        }
        data = next;
        shape[axis] = out;
    }
    for (axis, i) in outside {
        let (outer, n, inner) = around(&shape, axis);
        for o in 0..outer {
            let at = (o * n + i) * inner;
            data[at..at + inner].fill(f64::from(op.extrapolation));
        }
    }
    if call.dtype(0).is_integer() {
        data.iter_mut().for_each(|x| *x = x.round_ties_even());
    }
    Ok(vec![Tensor::from_vec(shape, data)?.cast(call.dtype(0))])
}

/// Whether TFLite's kernel of images applies.
fn is_tflite_bilinear(op: &Resize) -> bool {
    use ResizeCoordinates::{AlignCorners, Asymmetric, HalfPixel};
    op.method == ResizeMethod::Linear
        && op.axes == [1, 2]
        && op.scale.is_empty()
        && !op.antialias
        && !op.exclude_outside
        && matches!(op.coordinates, AlignCorners | Asymmetric | HalfPixel)
}

/// Along one axis, for each output position: the two input positions, and how far it is from the first.
fn fixed_taps(op: &Resize, k: usize, n: usize) -> Vec<(usize, usize, i64)> {
    let (n, out) = (n as i64, op.size[k] as i64);
    let scale = if op.coordinates == ResizeCoordinates::AlignCorners && out > 1 {
        ((n - 1) * 1024 + (out - 1) / 2) / (out - 1)
    } else {
        (n * 1024 + out / 2) / out.max(1)
    };
    (0..out)
        .map(|i| {
            let half = op.coordinates == ResizeCoordinates::HalfPixel;
            let x = if half { i * scale + scale / 2 - 512 } else { i * scale };
            let low = (x / 1024).max(0);
            let high = ((x + 1023) / 1024).min(n - 1);
            (low as usize, high as usize, x - 1024 * low)
        })
        .collect()
}

/// As [`fixed_taps`] in single precision.
fn float_taps(op: &Resize, k: usize, n: usize) -> Vec<(usize, usize, f32)> {
    (0..op.size[k])
        .map(|i| {
            let x = position(op, k, i, n) as f32;
            let low = (x.floor() as i64).max(0);
            let high = (x.ceil() as i64).min(n as i64 - 1);
            (low as usize, high as usize, x - low as f32)
        })
        .collect()
}

/// TFLite's quantized `RESIZE_BILINEAR`: positions with ten fraction bits, sums rounded away from zero;
/// unsigned numbers are interpolated in single precision.
fn bilinear(op: &Resize, call: &Call<'_>) -> Done {
    let &[batch, h, w, c] = call.shape(0) else { return Err("no image".to_owned().into()) };
    let out = call.out_shape(0)?;
    let q = Affine::of("the input", call.types.inputs[0])?;
    let x = ints(&call.inputs[0])?;
    let mut y = crate::kernel::room(out.iter().product())?;
    let at =
        |n: usize, row: usize, column: usize, c0: usize| x[((n * h + row) * w + column) * c + c0];
    if q.dtype == DType::U8 {
        let (rows, columns) = (float_taps(op, 0, h), float_taps(op, 1, w));
        for n in 0..batch {
            for (y0, y1, dy) in &rows {
                for (x0, x1, dx) in &columns {
                    for i in 0..c {
                        let corner = |row: &usize, column: &usize| at(n, *row, *column, i) as f32;
                        let sum = corner(y0, x0) * (1.0 - dy) * (1.0 - dx)
                            + corner(y1, x0) * dy * (1.0 - dx)
                            + corner(y0, x1) * (1.0 - dy) * dx
                            + corner(y1, x1) * dy * dx
                            + 0.5;
                        y.push(sum as i32);
                    }
                }
            }
        }
        return Ok(vec![stored(q.dtype, &out, y)?]);
    }
    let (rows, columns) = (fixed_taps(op, 0, h), fixed_taps(op, 1, w));
    for n in 0..batch {
        for (y0, y1, dy) in &rows {
            for (x0, x1, dx) in &columns {
                for i in 0..c {
                    let corner = |row: &usize, column: &usize| i64::from(at(n, *row, *column, i));
                    let sum = corner(y0, x0) * (1024 - dy) * (1024 - dx)
                        + corner(y1, x0) * dy * (1024 - dx)
                        + corner(y0, x1) * (1024 - dy) * dx
                        + corner(y1, x1) * dy * dx;
                    let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
                    y.push(((sum + half) / (1 << 20)) as i32);
                }
            }
        }
    }
    Ok(vec![stored(q.dtype, &out, y)?])
}

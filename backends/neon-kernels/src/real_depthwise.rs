//! Depthwise convolutions of `f32` and of half precision: windows of 3x3 in assembly, others by groups of columns that
//! share what they load, or, at the borders, tap by tap.

use crate::{depthwise3, f16};
use core::arch::aarch64::*;
use core::ops::Range;
use paring_kernels::{Window, from_half, to_half};

/// Taps that a window may have.
const MAX_TAPS: usize = 64;

/// Columns of a group.
const COLUMNS: usize = 4;

/// What numbers are computed with in vectors.
///
/// # Safety
/// Loading and storing move [`LANES`](Self::LANES) numbers.
pub(crate) unsafe trait Real: Copy {
    /// A vector.
    type Vector: Copy;

    /// Numbers of a vector.
    const LANES: usize;

    /// All of the same number.
    unsafe fn splat(self) -> Self::Vector;
    unsafe fn load(from: *const Self) -> Self::Vector;
    unsafe fn store(to: *mut Self, x: Self::Vector);
    /// `sum + a * b`
    unsafe fn fma(sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn clamp(x: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector;
    /// The same in single precision, and back.
    fn single(self) -> f32;
    fn of(x: f32) -> Self;
    /// A row of windows of 3x3; see [`depthwise3::real_row`].
    unsafe fn three(
        w: &Window,
        x: &[Self],
        weights: &[Self],
        bias: &[Self],
        clamp: (f32, f32),
        y: usize,
        out: &mut [Self],
    );
}

macro_rules! real {
    ($t:ty, $vector:ty, $lanes:literal, $splat:expr, $load:ident, $store:ident, $fma:expr, $max:expr, $min:expr,
     $single:expr, $of:expr, $clamp:expr, $functions:expr) => {
        // SAFETY: a vector has as many numbers as are moved.
        #[allow(clippy::redundant_closure_call)]
        unsafe impl Real for $t {
            type Vector = $vector;

            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(self) -> $vector {
                // SAFETY: every aarch64 processor has NEON.
                unsafe { $splat(self) }
            }

            #[inline(always)]
            unsafe fn load(from: *const Self) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(to: *mut Self, x: $vector) {
                // SAFETY: the caller's promise.
                unsafe { $store(to, x) }
            }

            #[inline(always)]
            unsafe fn fma(sum: $vector, a: $vector, b: $vector) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $fma(sum, a, b) }
            }

            #[inline(always)]
            unsafe fn clamp(x: $vector, low: $vector, high: $vector) -> $vector {
                // SAFETY: the caller's promise.
                unsafe { $min($max(x, low), high) }
            }

            #[inline(always)]
            fn single(self) -> f32 {
                $single(self)
            }

            #[inline(always)]
            fn of(x: f32) -> Self {
                $of(x)
            }

            unsafe fn three(
                w: &Window,
                x: &[Self],
                weights: &[Self],
                bias: &[Self],
                clamp: (f32, f32),
                y: usize,
                out: &mut [Self],
            ) {
                // SAFETY: the caller's promise.
                unsafe {
                    let zeros = [Self::of(0.0); 8];
                    depthwise3::real_row(
                        $functions,
                        w,
                        x,
                        &zeros,
                        weights,
                        bias,
                        $clamp(clamp),
                        y,
                        out,
                    );
                }
            }
        }
    };
}
real!(
    f32,
    float32x4_t,
    4,
    vdupq_n_f32,
    vld1q_f32,
    vst1q_f32,
    vfmaq_f32,
    vmaxq_f32,
    vminq_f32,
    (|x| x),
    (|x| x),
    (|(low, high): (f32, f32)| [low, high]),
    depthwise3::F32
);
// The processor computes in half precision wherever these are called.
real!(
    u16,
    f16::Halves,
    8,
    vdupq_n_u16,
    vld1q_u16,
    vst1q_u16,
    f16::fma,
    f16::max,
    f16::min,
    from_half,
    to_half,
    (|clamp| {
        let [low, high] = f16::bounds(clamp);
        [f32::from_bits(u32::from(low) | u32::from(high) << 16), 0.0]
    }),
    depthwise3::F16
);

/// Adds the products of some rows of a window to the sums of a group of columns, for a vector of channels: `pitch` elements
/// between rows of `x`, `c` between columns of it and between taps of `weights`.
type Group<T> = unsafe fn(
    [<T as Real>::Vector; COLUMNS],
    *const T,
    *const T,
    usize,
    usize,
    usize,
) -> [<T as Real>::Vector; COLUMNS];

/// # Safety
/// `x` and `weights` have what `rows` rows of windows `KERNEL` wide, `STRIDE` apart, read.
unsafe fn group<T: Real, const KERNEL: usize, const STRIDE: usize>(
    mut sums: [T::Vector; COLUMNS],
    x: *const T,
    weights: *const T,
    rows: usize,
    pitch: usize,
    c: usize,
) -> [T::Vector; COLUMNS] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut seen = [T::of(0.0).splat(); 16];
        for row in 0..rows {
            let (x, weights) = (x.add(row * pitch), weights.add(row * KERNEL * c));
            for (i, seen) in seen[..KERNEL + (COLUMNS - 1) * STRIDE].iter_mut().enumerate() {
                *seen = T::load(x.add(i * c));
            }
            for k in 0..KERNEL {
                let w = T::load(weights.add(k * c));
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = T::fma(*sum, seen[j * STRIDE + k], w);
                }
            }
        }
        sums
    }
}

/// The function for a window, if there is one.
fn grouped<T: Real>(w: &Window) -> Option<Group<T>> {
    let wide = w.channels >= T::LANES && w.dilation[1] == 1;
    let group = match (w.kernel[1], w.stride[1]) {
        (3, 1) => group::<T, 3, 1>,
        (3, 2) => group::<T, 3, 2>,
        (5, 1) => group::<T, 5, 1>,
        (5, 2) => group::<T, 5, 2>,
        (7, 1) => group::<T, 7, 1>,
        (7, 2) => group::<T, 7, 2>,
        _ => return None,
    };
    wide.then_some(group as Group<T>)
}

/// Some rows of the output.
pub(crate) fn rows<T: Real>(
    w: &Window,
    x: &[T],
    weights: &[T],
    bias: &[T],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [T],
) {
    assert!(w.stride[0] > 0 && w.stride[1] > 0);
    assert!(w.taps() <= MAX_TAPS && x.len() == w.input[0] * w.input[1] * w.channels);
    assert!(weights.len() == w.taps() * w.channels && bias.len() == w.channels);
    assert_eq!(out.len(), rows.len() * w.out_width * w.channels);
    if out.is_empty() {
        return;
    }
    let three = depthwise3::serves(w) && w.channels >= T::LANES;
    for (y, out) in rows.zip(out.chunks_exact_mut(w.out_width * w.channels)) {
        if three {
            // SAFETY: the lengths are checked above.
            unsafe { T::three(w, x, weights, bias, clamp, y, out) };
        } else {
            any(w, x, weights, bias, clamp, y, out);
        }
    }
}

/// A row of the output.
fn any<T: Real>(
    w: &Window,
    x: &[T],
    weights: &[T],
    bias: &[T],
    clamp: (f32, f32),
    y: usize,
    out: &mut [T],
) {
    let Range { start, end } = w.inner_columns();
    let group = grouped::<T>(w).filter(|_| start + COLUMNS <= end);
    let mut column = 0;
    while column < w.out_width {
        match group {
            Some(group) if (start..end).contains(&column) => {
                // The last group ends with the last column.
                let first = column.min(end - COLUMNS);
                columns(group, w, x, weights, bias, clamp, y, first, out);
                column = first + COLUMNS;
            }
            _ => {
                one(w, x, weights, bias, clamp, y, column, out);
                column += 1;
            }
        }
    }
}

/// A group of columns whose windows are inside the input, a vector of channels at a time; the last one may overlap those
/// before.
fn columns<T: Real>(
    group: Group<T>,
    w: &Window,
    x: &[T],
    weights: &[T],
    bias: &[T],
    (low, high): (f32, f32),
    y: usize,
    column: usize,
    out: &mut [T],
) {
    let c = w.channels;
    let rows = taps_inside(w, 0, y);
    let line = w.at(0, y, rows.start).unwrap_or(0);
    let x = &x[(line * w.input[1] + column * w.stride[1] - w.pad[1]) * c..];
    let (pitch, weights) =
        (w.dilation[0] * w.input[1] * c, &weights[rows.start * w.kernel[1] * c..]);
    for first in (0..c).step_by(T::LANES) {
        let first = first.min(c - T::LANES);
        // SAFETY: the windows of the columns are inside the input, and there is a vector of channels.
        unsafe {
            let sums = [T::load(bias[first..].as_ptr()); COLUMNS];
            let (x, weights) = (x[first..].as_ptr(), weights[first..].as_ptr());
            for (j, sum) in group(sums, x, weights, rows.len(), pitch, c).into_iter().enumerate() {
                let y = T::clamp(sum, T::of(low).splat(), T::of(high).splat());
                T::store(out[(column + j) * c + first..].as_mut_ptr(), y);
            }
        }
    }
}

/// A column, tap by tap.
fn one<T: Real>(
    w: &Window,
    x: &[T],
    weights: &[T],
    bias: &[T],
    (low, high): (f32, f32),
    y: usize,
    column: usize,
    out: &mut [T],
) {
    let c = w.channels;
    let out = &mut out[column * c..][..c];
    let rows = taps_inside(w, 0, y);
    let cols = taps_inside(w, 1, column);
    let at = |row: usize, col: usize| match (w.at(0, y, row), w.at(1, column, col)) {
        (Some(r), Some(col)) => (r * w.input[1] + col) * c,
        _ => 0,
    };
    let (from, tap) = (at(rows.start, cols.start), (rows.start * w.kernel[1] + cols.start) * c);
    let [down, right] = [w.dilation[0] * w.input[1] * c, w.dilation[1] * c];
    let vectors = if c < T::LANES { 0 } else { c.div_ceil(T::LANES) };
    for vector in 0..vectors {
        let first = (vector * T::LANES).min(c - T::LANES);
        // SAFETY: the taps are inside the input and the weights, whose lengths the caller checked.
        unsafe {
            let mut sum = T::load(bias[first..].as_ptr());
            for row in 0..rows.len() {
                let x = x.as_ptr().add(from + row * down + first);
                let weights = weights.as_ptr().add(tap + row * w.kernel[1] * c + first);
                for col in 0..cols.len() {
                    let x = T::load(x.add(col * right));
                    sum = T::fma(sum, x, T::load(weights.add(col * c)));
                }
            }
            let y = T::clamp(sum, T::of(low).splat(), T::of(high).splat());
            T::store(out[first..].as_mut_ptr(), y);
        }
    }
    if vectors > 0 {
        return;
    }
    for channel in 0..c {
        let mut sum = bias[channel].single();
        for row in 0..rows.len() {
            for col in 0..cols.len() {
                let x = x[from + row * down + col * right + channel];
                sum += x.single() * weights[tap + (row * w.kernel[1] + col) * c + channel].single();
            }
        }
        out[channel] = T::of(if sum < low {
            low
        } else if sum > high {
            high
        } else {
            sum
        });
    }
}

/// The taps along an axis that are inside the input.
fn taps_inside(w: &Window, axis: usize, out: usize) -> Range<usize> {
    let inside = |tap: &usize| w.at(axis, out, *tap).is_some();
    let first = (0..w.kernel[axis]).find(inside).unwrap_or(0);
    first..first + (first..w.kernel[axis]).take_while(inside).count()
}

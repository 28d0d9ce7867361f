//! Depthwise convolutions of `f32`: windows of 3x3 in assembly, others by groups of columns that share what they load,
//! or, at the borders, tap by tap.

use crate::depthwise3;
use core::arch::aarch64::*;
use core::ops::Range;
use paring_kernels::Window;

/// Taps that a window may have.
const MAX_TAPS: usize = 64;

/// Columns of a group.
const COLUMNS: usize = 4;

/// Adds the products of some rows of a window to the sums of a group of columns, for four channels: `pitch` elements
/// between rows of `x`, `c` between columns of it and between taps of `weights`.
type Group = unsafe fn(
    [float32x4_t; COLUMNS],
    *const f32,
    *const f32,
    usize,
    usize,
    usize,
) -> [float32x4_t; COLUMNS];

/// # Safety
/// `x` and `weights` have what `rows` rows of windows `KERNEL` wide, `STRIDE` apart, read.
unsafe fn group<const KERNEL: usize, const STRIDE: usize>(
    mut sums: [float32x4_t; COLUMNS],
    x: *const f32,
    weights: *const f32,
    rows: usize,
    pitch: usize,
    c: usize,
) -> [float32x4_t; COLUMNS] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut seen = [vdupq_n_f32(0.0); 16];
        for row in 0..rows {
            let (x, weights) = (x.add(row * pitch), weights.add(row * KERNEL * c));
            for (i, seen) in seen[..KERNEL + (COLUMNS - 1) * STRIDE].iter_mut().enumerate() {
                *seen = vld1q_f32(x.add(i * c));
            }
            for k in 0..KERNEL {
                let w = vld1q_f32(weights.add(k * c));
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = vfmaq_f32(*sum, seen[j * STRIDE + k], w);
                }
            }
        }
        sums
    }
}

/// The function for a window, if there is one.
fn grouped(w: &Window) -> Option<Group> {
    let wide = w.channels >= 4 && w.dilation[1] == 1;
    let group = match (w.kernel[1], w.stride[1]) {
        (3, 1) => group::<3, 1>,
        (3, 2) => group::<3, 2>,
        (5, 1) => group::<5, 1>,
        (5, 2) => group::<5, 2>,
        (7, 1) => group::<7, 1>,
        (7, 2) => group::<7, 2>,
        _ => return None,
    };
    wide.then_some(group as Group)
}

#[inline(always)]
fn clamp4(x: float32x4_t, low: float32x4_t, high: float32x4_t) -> float32x4_t {
    // SAFETY: every aarch64 processor has NEON.
    unsafe { vminq_f32(vmaxq_f32(x, low), high) }
}

/// Some rows of the output.
pub(crate) fn rows(
    w: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [f32],
) {
    assert!(w.stride[0] > 0 && w.stride[1] > 0);
    assert!(w.taps() <= MAX_TAPS && x.len() == w.input[0] * w.input[1] * w.channels);
    assert!(weights.len() == w.taps() * w.channels && bias.len() == w.channels);
    assert_eq!(out.len(), rows.len() * w.out_width * w.channels);
    if out.is_empty() {
        return;
    }
    let three = depthwise3::serves(w) && w.channels >= 4;
    for (y, out) in rows.zip(out.chunks_exact_mut(w.out_width * w.channels)) {
        if three {
            // SAFETY: the lengths are checked above.
            unsafe { depthwise3::f32_row(w, x, weights, bias, clamp, y, out) };
        } else {
            any(w, x, weights, bias, clamp, y, out);
        }
    }
}

/// A row of the output.
fn any(
    w: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    y: usize,
    out: &mut [f32],
) {
    let Range { start, end } = w.inner_columns();
    let group = grouped(w).filter(|_| start + COLUMNS <= end);
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

/// A group of columns whose windows are inside the input, four channels at a time; the last four may overlap those
/// before.
fn columns(
    group: Group,
    w: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    (low, high): (f32, f32),
    y: usize,
    column: usize,
    out: &mut [f32],
) {
    let c = w.channels;
    let rows = taps_inside(w, 0, y);
    let line = w.at(0, y, rows.start).unwrap_or(0);
    let x = &x[(line * w.input[1] + column * w.stride[1] - w.pad[1]) * c..];
    let (pitch, weights) =
        (w.dilation[0] * w.input[1] * c, &weights[rows.start * w.kernel[1] * c..]);
    for first in (0..c).step_by(4) {
        let first = first.min(c - 4);
        // SAFETY: the windows of the columns are inside the input, and there are four channels.
        unsafe {
            let sums = [vld1q_f32(bias[first..].as_ptr()); COLUMNS];
            let (x, weights) = (x[first..].as_ptr(), weights[first..].as_ptr());
            for (j, sum) in group(sums, x, weights, rows.len(), pitch, c).into_iter().enumerate() {
                let y = clamp4(sum, vdupq_n_f32(low), vdupq_n_f32(high));
                vst1q_f32(out[(column + j) * c + first..].as_mut_ptr(), y);
            }
        }
    }
}

/// A column, tap by tap.
fn one(
    w: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    (low, high): (f32, f32),
    y: usize,
    column: usize,
    out: &mut [f32],
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
    let mut first = 0;
    while first + 4 <= c {
        // SAFETY: the taps are inside the input and the weights, whose lengths the caller checked.
        unsafe {
            let mut sum = vld1q_f32(bias[first..].as_ptr());
            for row in 0..rows.len() {
                let x = x.as_ptr().add(from + row * down + first);
                let weights = weights.as_ptr().add(tap + row * w.kernel[1] * c + first);
                for col in 0..cols.len() {
                    let x = vld1q_f32(x.add(col * right));
                    sum = vfmaq_f32(sum, x, vld1q_f32(weights.add(col * c)));
                }
            }
            let y = clamp4(sum, vdupq_n_f32(low), vdupq_n_f32(high));
            vst1q_f32(out[first..].as_mut_ptr(), y);
        }
        first += 4;
    }
    for channel in first..c {
        let mut sum = bias[channel];
        for row in 0..rows.len() {
            for col in 0..cols.len() {
                let x = x[from + row * down + col * right + channel];
                sum += x * weights[tap + (row * w.kernel[1] + col) * c + channel];
            }
        }
        out[channel] = if sum < low {
            low
        } else if sum > high {
            high
        } else {
            sum
        };
    }
}

/// The taps along an axis that are inside the input.
fn taps_inside(w: &Window, axis: usize, out: usize) -> Range<usize> {
    let inside = |tap: &usize| w.at(axis, out, *tap).is_some();
    let first = (0..w.kernel[axis]).find(inside).unwrap_or(0);
    first..first + (first..w.kernel[axis]).take_while(inside).count()
}

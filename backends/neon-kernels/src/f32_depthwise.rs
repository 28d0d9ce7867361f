//! Depthwise convolutions of `f32`: windows of 3x3 in assembly, others tap by tap.

use crate::depthwise3;
use core::arch::aarch64::*;
use core::ops::Range;
use paring_kernels::Window;

/// Taps that a window may have.
const MAX_TAPS: usize = 64;

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

/// A row of the output, tap by tap.
fn any(
    w: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    (low, high): (f32, f32),
    y: usize,
    out: &mut [f32],
) {
    let c = w.channels;
    for (column, out) in out.chunks_exact_mut(c).enumerate() {
        let mut taps = [(0, 0); MAX_TAPS];
        let mut n = 0;
        for tap in 0..w.taps() {
            let (row, col) = (tap / w.kernel[1], tap % w.kernel[1]);
            if let (Some(r), Some(at)) = (w.at(0, y, row), w.at(1, column, col)) {
                taps[n] = ((r * w.input[1] + at) * c, tap * c);
                n += 1;
            }
        }
        let taps = &taps[..n];
        let mut first = 0;
        // SAFETY: the taps are inside the input and the weights, whose lengths the caller checked.
        unsafe {
            while first + 4 <= c {
                let mut sum = vld1q_f32(bias.as_ptr().add(first));
                for (at, tap) in taps {
                    let x = vld1q_f32(x.as_ptr().add(at + first));
                    sum = vfmaq_f32(sum, x, vld1q_f32(weights.as_ptr().add(tap + first)));
                }
                let y = clamp4(sum, vdupq_n_f32(low), vdupq_n_f32(high));
                vst1q_f32(out.as_mut_ptr().add(first), y);
                first += 4;
            }
        }
        for channel in first..c {
            let mut sum = bias[channel];
            for (at, tap) in taps {
                sum += x[at + channel] * weights[tap + channel];
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
}

//! Depthwise convolutions of `i16`, eight channels and four pixels at a time.

use crate::i16::{Scale, Sums};
use core::arch::aarch64::*;
use core::ops::Range;
use paring_kernels::{I16Panel, Window, i16_depthwise};

/// Channels that are done together.
const LANES: usize = 8;
/// Pixels that are done together.
const PIXELS: usize = 4;

/// See [`paring_kernels::Kernels::i16_depthwise`].
pub(crate) fn rows(window: &Window, x: &[i16], packed: &[u8], rows: Range<usize>, out: &mut [i16]) {
    let channels = window.channels;
    if channels < LANES {
        return i16_depthwise(window, x, packed, rows, 0..channels, out);
    }
    let row = window.out_width * channels;
    assert!(window.stride[0] > 0 && window.stride[1] > 0 && window.kernel[1] > 0);
    assert_eq!(x.len(), window.input[0] * window.input[1] * channels);
    assert_eq!(out.len(), rows.len() * row);
    assert_eq!(packed.len(), I16Panel::lanes_len(channels) + window.taps() * channels);
    let first = rows.start;
    for c in (0..channels).step_by(LANES) {
        // The last vector may overlap the one before.
        let c = c.min(channels - LANES);
        for y in rows.clone() {
            // SAFETY: lengths are checked above.
            unsafe { line(window, x, packed, y, c, &mut out[(y - first) * row..][..row]) };
        }
    }
}

/// A row of eight channels.
unsafe fn line(w: &Window, x: &[i16], packed: &[u8], y: usize, c: usize, out: &mut [i16]) {
    let inner = w.inner_columns();
    let step = w.stride[1] * w.channels;
    // SAFETY: only pixels that are inside are read.
    unsafe {
        let scale = Scale::at(packed.as_ptr(), w.channels, c);
        let weights: *const i8 = packed.as_ptr().add(I16Panel::lanes_len(w.channels) + c).cast();
        let out = out.as_mut_ptr().add(c);
        let mut column = 0;
        while column < w.out_width {
            let whole = inner.start <= column && column + PIXELS <= inner.end;
            let n = if whole { PIXELS } else { 1 };
            let mut acc: [Sums; PIXELS] = [scale.start; PIXELS];
            for ky in 0..w.kernel[0] {
                let Some(row) = w.at(0, y, ky) else { continue };
                for kx in 0..w.kernel[1] {
                    let Some(at) = w.at(1, column, kx) else { continue };
                    let at = (row * w.input[1] + at) * w.channels + c;
                    let tap = (ky * w.kernel[1] + kx) * w.channels;
                    let k = vmovl_s8(vld1_s8(weights.add(tap)));
                    if whole {
                        for (p, acc) in acc.iter_mut().enumerate() {
                            *acc = add(*acc, vld1q_s16(x.as_ptr().add(at + p * step)), k);
                        }
                    } else {
                        acc[0] = add(acc[0], vld1q_s16(x.as_ptr().add(at)), k);
                    }
                }
            }
            for (p, acc) in acc.into_iter().take(n).enumerate() {
                vst1q_s16(out.add((column + p) * w.channels), scale.apply(acc));
            }
            column += n;
        }
    }
}

#[inline(always)]
fn add([low, high]: Sums, x: int16x8_t, w: int16x8_t) -> Sums {
    // SAFETY: every processor of this kind has NEON.
    unsafe { [vmlal_s16(low, vget_low_s16(x), vget_low_s16(w)), vmlal_high_s16(high, x, w)] }
}

//! Depthwise 3x3 `f32` convolution with AVX-512: two rows of the output at a time.
//!
//! The columns of the input that the next pixel sees too stay in registers, so that each element is
//! read once for two rows of the output. What lies outside the input is a zero.

use core::arch::x86_64::*;
use paring_kernels::Window;
use std::ops::Range;

/// Rows of the input that two rows of the output see, with steps of two.
const SEEN: usize = 5;

/// Whether the window is one of these.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) fn serves(window: &Window, weights: &[f32]) -> bool {
    window.kernel == [3, 3]
        && window.dilation == [1, 1]
        && (window.stride == [1, 1] || window.stride == [2, 2])
        && window.input[1] > 0
        // A zero times a weight that is not finite is no zero.
        && largest(weights) < f32::INFINITY.to_bits()
}

/// The largest of the magnitudes as bits, where what is not finite comes after all that is. It is looked for with
/// each call, so it has to take little of the time that a row takes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn largest(weights: &[f32]) -> u32 {
    const LANES: usize = 32;
    const MAGNITUDE: u32 = u32::MAX >> 1;
    let mut most = [0_u32; LANES];
    let (blocks, rest) = weights.as_chunks::<LANES>();
    for block in blocks {
        for i in 0..LANES {
            most[i] = most[i].max(block[i].to_bits() & MAGNITUDE);
        }
    }
    let rest = rest.iter().map(|w| w.to_bits() & MAGNITUDE);
    most.into_iter().chain(rest).max().unwrap_or(0)
}

/// A row of pixels, or two, of one vector of channels.
struct Line {
    rows: [*const f32; SEEN],
    /// The channels that are there, of rows that are there.
    live: [__mmask16; SEEN],
    mask: __mmask16,
    channels: usize,
    width: usize,
    pad: usize,
    out_width: usize,
    clamp: (f32, f32),
    out: [*mut f32; 2],
}

/// See [`crate::depthwise::f32_depthwise`], which checks the lengths; the window is one that
/// [`serves`] names.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) unsafe fn rows(
    window: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [f32],
) {
    let (channels, pitch) = (window.channels, window.input[1] * window.channels);
    let row = window.out_width * channels;
    let mut y = rows.start;
    while y < rows.end {
        let two = y + 1 < rows.end;
        for c in (0..channels).step_by(16) {
            let mask = ((1_u32 << (channels - c).min(16)) - 1) as __mmask16;
            let mut line = Line {
                rows: [x.as_ptr(); SEEN],
                live: [0; SEEN],
                mask,
                channels,
                width: window.input[1],
                pad: window.pad[1],
                out_width: window.out_width,
                clamp,
                out: [out.as_mut_ptr(); 2],
            };
            // SAFETY: rows that are not there are not read; those of the output are in the slice.
            unsafe {
                for i in 0..SEEN {
                    let at = (y * window.stride[0] + i).wrapping_sub(window.pad[0]);
                    if at < window.input[0] {
                        line.rows[i] = x.as_ptr().add(at * pitch + c);
                        line.live[i] = mask;
                    }
                }
                let to = out.as_mut_ptr().add((y - rows.start) * row + c);
                line.out = [to, if two { to.add(row) } else { to }];
                let (w, b) = (weights.as_ptr().add(c), bias.as_ptr().add(c));
                match (window.stride[0], two) {
                    (1, true) => line.run::<1, 2>(w, b),
                    (1, false) => line.run::<1, 1>(w, b),
                    (_, true) => line.run::<2, 2>(w, b),
                    (_, false) => line.run::<2, 1>(w, b),
                }
            }
        }
        y += 2;
    }
}

impl Line {
    /// A column of the input, zeros where it is outside.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn column<const S: usize, const R: usize>(&self, at: usize) -> [__m512; SEEN] {
        let mut column = [_mm512_setzero_ps(); SEEN];
        if at < self.width {
            for i in 0..(R - 1) * S + 3 {
                // SAFETY: the column is inside, and only rows that are there are read.
                column[i] = unsafe {
                    _mm512_maskz_loadu_ps(self.live[i], self.rows[i].add(at * self.channels))
                };
            }
        }
        column
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn run<const S: usize, const R: usize>(&self, weights: *const f32, bias: *const f32) {
        // SAFETY: the caller's pointers are inside their slices for all channels of the mask.
        unsafe {
            let load = |at: *const f32| _mm512_maskz_loadu_ps(self.mask, at);
            let mut k = [[_mm512_setzero_ps(); 3]; 3];
            for ky in 0..3 {
                for kx in 0..3 {
                    k[ky][kx] = load(weights.add((3 * ky + kx) * self.channels));
                }
            }
            let bias = load(bias);
            let (low, high) = (_mm512_set1_ps(self.clamp.0), _mm512_set1_ps(self.clamp.1));
            let mut out = self.out;
            let mut next = 0_usize.wrapping_sub(self.pad);
            let mut take = || {
                let column = self.column::<S, R>(next);
                next = next.wrapping_add(1);
                column
            };
            let mut a = take();
            let mut b = if S == 1 { take() } else { a };
            for _ in 0..self.out_width {
                if S == 2 {
                    b = take();
                }
                let c = take();
                for r in 0..R {
                    let mut acc = bias;
                    for ky in 0..3 {
                        acc = _mm512_fmadd_ps(a[r * S + ky], k[ky][0], acc);
                        acc = _mm512_fmadd_ps(b[r * S + ky], k[ky][1], acc);
                        acc = _mm512_fmadd_ps(c[r * S + ky], k[ky][2], acc);
                    }
                    // The second operand is the result where one is not a number.
                    let y = _mm512_min_ps(high, _mm512_max_ps(low, acc));
                    _mm512_mask_storeu_ps(out[r], self.mask, y);
                    out[r] = out[r].add(self.channels);
                }
                if S == 1 {
                    a = b;
                    b = c;
                } else {
                    a = c;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn weights_that_are_not_finite_are_found() {
        if !Level::Avx512.is_available() {
            return;
        }
        for n in [1, 31, 32, 33, 100] {
            for at in [0, n / 2, n - 1] {
                let finite = |w: f32| {
                    let mut weights = vec![-f32::MAX; n];
                    weights[at] = w;
                    // SAFETY: the processor has the features.
                    unsafe { largest(&weights) < f32::INFINITY.to_bits() }
                };
                assert!([-0.0, 1.0, f32::MIN_POSITIVE, f32::MAX].into_iter().all(finite));
                assert!(![f32::INFINITY, f32::NEG_INFINITY, f32::NAN].into_iter().any(finite));
            }
        }
    }
}

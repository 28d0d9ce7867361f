//! Depthwise convolutions of `f32`: windows of 3x3 column by column with the columns before kept in
//! registers, other windows tap by tap.

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
    for (y, out) in rows.zip(out.chunks_exact_mut(w.out_width * w.channels)) {
        let inside = (0..w.kernel[0]).filter_map(|k| Some((k, w.at(0, y, k)?)));
        let (mut first, mut count, mut at) = (0, 0, 0);
        for (k, row) in inside {
            if count == 0 {
                (first, at) = (k, row);
            }
            count += 1;
        }
        let columns = w.input[1];
        let three = w.kernel == [3, 3] && w.dilation == [1, 1] && w.pad[1] <= 1;
        let reach = (w.out_width - 1) * w.stride[1] + 3 <= columns + w.pad[1] + 1;
        let x_row = &x[at * columns * w.channels..];
        let w_row = &weights[first * w.kernel[1] * w.channels..];
        if three && reach && columns >= 2 && count > 0 {
            let call = Three { w, x: x_row, weights: w_row, bias, clamp };
            match (count, w.stride[1]) {
                (3, 1) => call.row::<3, 1>(out),
                (2, 1) => call.row::<2, 1>(out),
                (1, 1) => call.row::<1, 1>(out),
                (3, 2) => call.row::<3, 2>(out),
                (2, 2) => call.row::<2, 2>(out),
                (1, 2) => call.row::<1, 2>(out),
                _ => any(w, x, weights, bias, clamp, y, 0, out),
            }
            any(w, x, weights, bias, clamp, y, w.channels & !3, out);
        } else {
            any(w, x, weights, bias, clamp, y, 0, out);
        }
    }
}

struct Three<'a> {
    w: &'a Window,
    /// From the first row of the input that counts.
    x: &'a [f32],
    /// From the first row of the window that counts.
    weights: &'a [f32],
    bias: &'a [f32],
    clamp: (f32, f32),
}

impl Three<'_> {
    /// A row of the output from `ROWS` rows of the input, the window `STRIDE` columns wide apart; four
    /// channels at a time.
    fn row<const ROWS: usize, const STRIDE: usize>(&self, out: &mut [f32]) {
        let w = self.w;
        let (c, columns, n) = (w.channels, w.input[1], w.out_width);
        assert!(self.x.len() >= ROWS * columns * c && self.weights.len() >= ROWS * 3 * c);
        assert!(out.len() == n * c && self.bias.len() == c);
        // The columns of the input of which all but the first window's first and the last one's last
        // are inside.
        let skip = w.pad[1];
        assert!(n > 0 && (n - 1) * STRIDE + 3 <= columns + skip + 1 && columns >= 2);
        let cut = (n - 1) * STRIDE + 3 > columns + skip;
        let whole = n - usize::from(cut);
        // SAFETY: the asserts above keep every column that is read inside a row, and every channel
        // inside a pixel.
        unsafe {
            let (low, high) = (vdupq_n_f32(self.clamp.0), vdupq_n_f32(self.clamp.1));
            let zero = vdupq_n_f32(0.0);
            for first in (0..c & !3).step_by(4) {
                let weights: [[float32x4_t; 3]; ROWS] = core::array::from_fn(|r| {
                    core::array::from_fn(|k| {
                        vld1q_f32(self.weights.as_ptr().add((3 * r + k) * c + first))
                    })
                });
                let bias = vld1q_f32(self.bias.as_ptr().add(first));
                let mut x: [*const f32; ROWS] =
                    core::array::from_fn(|r| self.x.as_ptr().add(r * columns * c + first));
                let mut y = out.as_mut_ptr().add(first);
                type Column<const ROWS: usize> = [float32x4_t; ROWS];
                let load = |x: &mut [*const f32; ROWS]| -> Column<ROWS> {
                    core::array::from_fn(|r| {
                        let v = vld1q_f32(x[r]);
                        x[r] = x[r].wrapping_add(c);
                        v
                    })
                };
                let pixel = |a: &Column<ROWS>, b: &Column<ROWS>, d: &Column<ROWS>| {
                    let mut sum = bias;
                    for r in 0..ROWS {
                        sum = vfmaq_f32(sum, a[r], weights[r][0]);
                        sum = vfmaq_f32(sum, b[r], weights[r][1]);
                        sum = vfmaq_f32(sum, d[r], weights[r][2]);
                    }
                    clamp4(sum, low, high)
                };
                let mut a = if skip == 1 { [zero; ROWS] } else { load(&mut x) };
                let mut done = 0;
                if STRIDE == 1 {
                    // A last window of which the last column is padding may be the first one.
                    let mut b = load(&mut x);
                    while done + 3 <= whole {
                        let d = load(&mut x);
                        vst1q_f32(y, pixel(&a, &b, &d));
                        a = load(&mut x);
                        vst1q_f32(y.wrapping_add(c), pixel(&b, &d, &a));
                        b = load(&mut x);
                        vst1q_f32(y.wrapping_add(2 * c), pixel(&d, &a, &b));
                        y = y.wrapping_add(3 * c);
                        done += 3;
                    }
                    while done < whole {
                        let d = load(&mut x);
                        vst1q_f32(y, pixel(&a, &b, &d));
                        y = y.wrapping_add(c);
                        (a, b) = (b, d);
                        done += 1;
                    }
                    if cut {
                        vst1q_f32(y, pixel(&a, &b, &[zero; ROWS]));
                    }
                } else {
                    while done + 2 <= whole {
                        let b = load(&mut x);
                        let d = load(&mut x);
                        vst1q_f32(y, pixel(&a, &b, &d));
                        let b = load(&mut x);
                        a = load(&mut x);
                        vst1q_f32(y.wrapping_add(c), pixel(&d, &b, &a));
                        y = y.wrapping_add(2 * c);
                        done += 2;
                    }
                    while done < whole {
                        let b = load(&mut x);
                        let d = load(&mut x);
                        vst1q_f32(y, pixel(&a, &b, &d));
                        y = y.wrapping_add(c);
                        a = d;
                        done += 1;
                    }
                    if cut {
                        let b = load(&mut x);
                        vst1q_f32(y, pixel(&a, &b, &[zero; ROWS]));
                    }
                }
            }
        }
    }
}

/// A row of the output from the channel `from` on, tap by tap.
fn any(
    w: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    (low, high): (f32, f32),
    y: usize,
    from: usize,
    out: &mut [f32],
) {
    let c = w.channels;
    if from == c {
        return;
    }
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
        let mut first = from;
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

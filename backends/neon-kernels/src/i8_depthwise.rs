//! Depthwise convolutions of `i8`, sixteen channels at a time.

use crate::pack::{ANY_SHIFT, BLOCK, CONSTANTS, LARGE, block_len, depthwise_len, get};
use core::arch::aarch64::*;
use core::ops::Range;
use paring_kernels::Window;

/// Taps that a window may have.
const MAX_TAPS: usize = 64;

/// Sums of sixteen channels.
type Sums = [int32x4_t; 4];

/// What follows the sums of sixteen channels.
#[derive(Clone, Copy)]
struct Finish {
    /// The block: sums to begin with, mantissas, shifts.
    block: *const u8,
    zero: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
}

impl Finish {
    #[inline(always)]
    unsafe fn start(&self) -> Sums {
        // SAFETY: a block begins with sixteen sums.
        unsafe { core::array::from_fn(|i| vld1q_s32(self.block.cast::<i32>().add(4 * i))) }
    }

    /// Requantizes; `ANY` where a factor may not shift right.
    #[inline(always)]
    unsafe fn apply<const ANY: bool>(&self, sums: Sums) -> int8x16_t {
        // SAFETY: mantissas and shifts follow the sums.
        unsafe {
            let factors = self.block.cast::<i32>().add(BLOCK);
            let y: Sums = core::array::from_fn(|i| {
                let m = vld1q_s32(factors.add(4 * i));
                let s = vld1q_s32(factors.add(BLOCK + 4 * i));
                if ANY {
                    let zero = vdupq_n_s32(0);
                    let x = vqshlq_s32(sums[i], vmaxq_s32(s, zero));
                    let s = vminq_s32(s, zero);
                    let h = vqrdmulhq_s32(x, m);
                    let fix = vshrq_n_s32::<31>(vandq_s32(h, s));
                    vrshlq_s32(vqaddq_s32(h, fix), s)
                } else {
                    let h = vqrdmulhq_s32(sums[i], m);
                    vrshlq_s32(vsraq_n_s32::<31>(h, h), s)
                }
            });
            let half = |a, b| vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero);
            let y = vqmovn_high_s16(vqmovn_s16(half(y[0], y[1])), half(y[2], y[3]));
            vminq_s8(vmaxq_s8(y, self.low), self.high)
        }
    }
}

/// Adds the products of two taps, summed in 16 bits.
#[inline(always)]
fn two(sums: Sums, x: [int8x16_t; 2], w: [int8x16_t; 2]) -> Sums {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        let low = vmull_s8(vget_low_s8(x[0]), vget_low_s8(w[0]));
        let low = vmlal_s8(low, vget_low_s8(x[1]), vget_low_s8(w[1]));
        let high = vmull_high_s8(x[0], w[0]);
        let high = vmlal_high_s8(high, x[1], w[1]);
        widen(sums, low, high)
    }
}

/// Adds the products of a tap.
#[inline(always)]
fn one(sums: Sums, x: int8x16_t, w: int8x16_t) -> Sums {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        let low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
        widen(sums, low, vmull_high_s8(x, w))
    }
}

#[inline(always)]
fn widen(sums: Sums, low: int16x8_t, high: int16x8_t) -> Sums {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        [
            vaddw_s16(sums[0], vget_low_s16(low)),
            vaddw_high_s16(sums[1], low),
            vaddw_s16(sums[2], vget_low_s16(high)),
            vaddw_high_s16(sums[3], high),
        ]
    }
}

/// Some rows of the output, of the channels that fill blocks; says how many channels that are.
pub(crate) fn rows(
    w: &Window,
    x: &[i8],
    pad: i8,
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) -> usize {
    assert!(w.stride[0] > 0 && w.stride[1] > 0 && w.kernel[0] > 0 && w.kernel[1] > 0);
    assert!(w.taps() <= MAX_TAPS && x.len() == w.input[0] * w.input[1] * w.channels);
    assert_eq!(packed.len(), depthwise_len(w.taps(), w.channels));
    assert_eq!(out.len(), rows.len() * w.out_width * w.channels);
    let blocks = w.channels / BLOCK;
    let (constants, packed) = packed.split_at(CONSTANTS);
    let flags = get(constants, 48) as u32;
    let columns = w.input[1];
    let three = w.kernel == [3, 3] && w.dilation == [1, 1] && w.pad[1] <= 1 && columns >= 2;
    let reach = w.out_width > 0 && (w.out_width - 1) * w.stride[1] + 3 <= columns + w.pad[1] + 1;
    let plain = flags & (ANY_SHIFT | LARGE) == 0 && three && reach && w.stride[1] <= 2;
    let row_len = w.out_width * w.channels;
    if row_len == 0 {
        return blocks * BLOCK;
    }
    for (y, out) in rows.zip(out.chunks_exact_mut(row_len)) {
        for (i, block) in packed.chunks_exact(block_len(w.taps())).take(blocks).enumerate() {
            // SAFETY: the constants have 64 bytes.
            let finish = unsafe {
                Finish {
                    block: block.as_ptr(),
                    zero: vld1q_s16(constants.as_ptr().cast()),
                    low: vld1q_s8(constants.as_ptr().add(16).cast()),
                    high: vld1q_s8(constants.as_ptr().add(32).cast()),
                }
            };
            let first = i * BLOCK;
            // SAFETY: the lengths are checked above, the geometry by `three` and `reach`.
            unsafe {
                match (plain, w.stride[1]) {
                    (true, 1) => three_row::<1>(w, x, pad, finish, y, first, out),
                    (true, _) => three_row::<2>(w, x, pad, finish, y, first, out),
                    _ => any_row(w, x, pad, finish, y, first, out),
                }
            }
        }
    }
    blocks * BLOCK
}

/// Columns of an input row: where it begins, and the distance of neighbours; a row of padding has none.
#[derive(Clone, Copy)]
struct Line {
    at: *const i8,
    step: usize,
}

type Column = [int8x16_t; 3];

/// A row of sixteen channels of a window of 3x3.
///
/// # Safety
/// The geometry is that of [`rows`], all lengths are checked, and no product overflows.
#[inline(never)]
unsafe fn three_row<const STRIDE: usize>(
    w: &Window,
    x: &[i8],
    pad: i8,
    finish: Finish,
    y: usize,
    first: usize,
    out: &mut [i8],
) {
    let (c, columns, n) = (w.channels, w.input[1], w.out_width);
    let padding = [pad; BLOCK];
    let cut = (n - 1) * STRIDE + 3 > columns + w.pad[1];
    let whole = n - usize::from(cut);
    // SAFETY: rows and columns are inside by the caller's promise; padding is one vector.
    unsafe {
        let zero = vld1q_s8(padding.as_ptr());
        let mut lines: [Line; 3] = core::array::from_fn(|k| match w.at(0, y, k) {
            Some(r) => Line { at: x.as_ptr().add(r * columns * c + first), step: c },
            None => Line { at: padding.as_ptr(), step: 0 },
        });
        let weights = finish.block.add(12 * BLOCK).cast::<i8>();
        let weights: [int8x16_t; 9] = core::array::from_fn(|k| vld1q_s8(weights.add(16 * k)));
        let start = finish.start();
        let load = |lines: &mut [Line; 3]| -> Column {
            core::array::from_fn(|r| {
                let v = vld1q_s8(lines[r].at);
                lines[r].at = lines[r].at.wrapping_add(lines[r].step);
                v
            })
        };
        let pixel = |a: &Column, b: &Column, d: &Column| {
            let w = &weights;
            let s = two(start, [a[0], b[0]], [w[0], w[1]]);
            let s = two(s, [a[1], b[1]], [w[3], w[4]]);
            let s = two(s, [a[2], b[2]], [w[6], w[7]]);
            let s = two(s, [d[0], d[1]], [w[2], w[5]]);
            finish.apply::<false>(one(s, d[2], w[8]))
        };
        let mut to = out.as_mut_ptr().add(first);
        let mut a = if w.pad[1] == 1 { [zero; 3] } else { load(&mut lines) };
        let mut done = 0;
        if STRIDE == 1 {
            let mut b = load(&mut lines);
            while done + 3 <= whole {
                let d = load(&mut lines);
                vst1q_s8(to, pixel(&a, &b, &d));
                a = load(&mut lines);
                vst1q_s8(to.wrapping_add(c), pixel(&b, &d, &a));
                b = load(&mut lines);
                vst1q_s8(to.wrapping_add(2 * c), pixel(&d, &a, &b));
                to = to.wrapping_add(3 * c);
                done += 3;
            }
            while done < whole {
                let d = load(&mut lines);
                vst1q_s8(to, pixel(&a, &b, &d));
                to = to.wrapping_add(c);
                (a, b) = (b, d);
                done += 1;
            }
            if cut {
                vst1q_s8(to, pixel(&a, &b, &[zero; 3]));
            }
        } else {
            while done < whole {
                let b = load(&mut lines);
                let d = load(&mut lines);
                vst1q_s8(to, pixel(&a, &b, &d));
                to = to.wrapping_add(c);
                a = d;
                done += 1;
            }
            if cut {
                let b = load(&mut lines);
                vst1q_s8(to, pixel(&a, &b, &[zero; 3]));
            }
        }
    }
}

/// A row of sixteen channels, tap by tap.
///
/// # Safety
/// All lengths are checked.
unsafe fn any_row(
    w: &Window,
    x: &[i8],
    pad: i8,
    finish: Finish,
    y: usize,
    first: usize,
    out: &mut [i8],
) {
    let padding = [pad; BLOCK];
    // SAFETY: taps are inside the input, or padding of one vector.
    unsafe {
        for (column, out) in out.chunks_exact_mut(w.channels).enumerate() {
            let mut sums = finish.start();
            for tap in 0..w.taps() {
                let (row, col) = (tap / w.kernel[1], tap % w.kernel[1]);
                let x = match (w.at(0, y, row), w.at(1, column, col)) {
                    (Some(r), Some(at)) => {
                        x.as_ptr().add((r * w.input[1] + at) * w.channels + first)
                    }
                    _ => padding.as_ptr(),
                };
                let w = vld1q_s8(finish.block.add((12 + tap) * BLOCK).cast());
                sums = one(sums, vld1q_s8(x), w);
            }
            vst1q_s8(out.as_mut_ptr().add(first), finish.apply::<true>(sums));
        }
    }
}

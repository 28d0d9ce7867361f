//! Depthwise convolutions of `i8`, sixteen or eight channels at a time: windows of 3x3 in assembly, others tap by tap.

use crate::Level;
use crate::depthwise3::{self, Finish as Short, Products};
use crate::pack::{
    ANY_SHIFT, BLOCK, BOUNDED, CONSTANTS, LARGE, NARROW, ONE_SIDED, TAPS, block_len, block_start,
    depthwise_len, flags_at, get, lanes,
};
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

    /// Requantizes, whatever the factors.
    #[inline(always)]
    unsafe fn apply(&self, sums: Sums) -> int8x16_t {
        // SAFETY: mantissas and shifts follow the sums.
        unsafe {
            let factors = self.block.cast::<i32>().add(BLOCK);
            let y: Sums = core::array::from_fn(|i| {
                let m = vld1q_s32(factors.add(4 * i));
                let s = vld1q_s32(factors.add(BLOCK + 4 * i));
                let zero = vdupq_n_s32(0);
                let x = vqshlq_s32(sums[i], vmaxq_s32(s, zero));
                let s = vminq_s32(s, zero);
                let h = vqrdmulhq_s32(x, m);
                let fix = vshrq_n_s32::<31>(vandq_s32(h, s));
                vrshlq_s32(vqaddq_s32(h, fix), s)
            });
            let half = |a, b| vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero);
            let y = vqmovn_high_s16(vqmovn_s16(half(y[0], y[1])), half(y[2], y[3]));
            vminq_s8(vmaxq_s8(y, self.low), self.high)
        }
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

/// Some rows of the output, if there are channels enough; says how many channels are done.
pub(crate) fn rows(
    level: Level,
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
    let lanes = lanes(w.channels);
    if w.channels < lanes {
        return 0;
    }
    let (constants, packed) = packed.split_at(CONSTANTS);
    assert!(level <= Level::detect());
    let three = depthwise3::serves(w);
    let bounds = get(constants, 48) as u32;
    let padding = [pad; BLOCK];
    let row_len = w.out_width * w.channels;
    if row_len == 0 {
        return w.channels;
    }
    for (y, out) in rows.zip(out.chunks_exact_mut(row_len)) {
        for (i, block) in packed.chunks_exact(block_len(w.taps())).enumerate() {
            // SAFETY: the constants have 64 bytes.
            let finish = unsafe {
                Finish {
                    block: block.as_ptr(),
                    zero: vld1q_s16(constants.as_ptr().cast()),
                    low: vld1q_s8(constants.as_ptr().add(16).cast()),
                    high: vld1q_s8(constants.as_ptr().add(32).cast()),
                }
            };
            let first = block_start(w.channels, i);
            let flags = get(block, flags_at(w.taps())) as u32;
            let narrow = flags & NARROW != 0;
            let short = match bounds {
                _ if !narrow || bounds & ONE_SIDED == 0 => Short::Signed,
                _ if bounds & BOUNDED != 0 => Short::Bounded,
                _ => Short::Open,
            };
            let products = match (lanes, level, flags & LARGE) {
                (8, ..) => Products::Half,
                (_, Level::Dot | Level::Matrix, _) => Products::Dot(short),
                (_, Level::Baseline, 0) if narrow => Products::Pairs(short),
                (_, Level::Baseline, _) => Products::Single,
            };
            // SAFETY: the lengths and the level are checked above, the geometry by `serves`.
            unsafe {
                if three && flags & ANY_SHIFT == 0 {
                    depthwise3::i8_row(products, w, x, &padding, block, constants, y, first, out);
                } else {
                    any_row(w, x, pad, finish, y, first, lanes, out);
                }
            }
        }
    }
    w.channels
}

/// A row of sixteen or eight channels, tap by tap.
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
    lanes: usize,
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
                let w = vld1q_s8(finish.block.add(TAPS + tap * BLOCK).cast());
                let x = match lanes {
                    8 => vcombine_s8(vld1_s8(x), vdup_n_s8(0)),
                    _ => vld1q_s8(x),
                };
                sums = one(sums, x, w);
            }
            let (y, to) = (finish.apply(sums), out.as_mut_ptr().add(first));
            match lanes {
                8 => vst1_s8(to, vget_low_s8(y)),
                _ => vst1q_s8(to, y),
            }
        }
    }
}

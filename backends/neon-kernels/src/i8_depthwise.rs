//! Depthwise convolutions of `i8`, sixteen or eight channels at a time: windows of 3x3 in assembly, others by groups
//! of columns that share what they load of the weights.

use crate::Level;
use crate::depthwise3::{self, Finish as Short, Products};
use crate::pack::{
    ANY_SHIFT, BLOCK, BOUNDED, CONSTANTS, DOUBLED, LARGE, LARGE_NEXT, NARROW, ONE_SIDED, TAPS,
    block_len, block_start, depthwise_len, flags_at, get, lanes,
};
use core::arch::aarch64::*;
use core::ops::Range;
use paring_kernels::Window;

/// Taps that a window may have.
const MAX_TAPS: usize = 64;

/// Columns of a group.
const COLUMNS: usize = 4;

/// Bytes that what a group sees may have where it is copied.
const SEEN: usize = 4096;

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

    /// Requantizes; `left` where a factor may shift left.
    #[inline(always)]
    unsafe fn apply(&self, sums: Sums, left: bool) -> int8x16_t {
        // SAFETY: mantissas and shifts follow the sums.
        unsafe {
            let factors = self.block.cast::<i32>().add(BLOCK);
            let y: Sums = core::array::from_fn(|i| {
                let m = vld1q_s32(factors.add(4 * i));
                let mut s = vld1q_s32(factors.add(BLOCK + 4 * i));
                let mut x = sums[i];
                if left {
                    let zero = vdupq_n_s32(0);
                    x = vqshlq_s32(x, vmaxq_s32(s, zero));
                    s = vminq_s32(s, zero);
                }
                let h = vqrdmulhq_s32(x, m);
                let fix = vshrq_n_s32::<31>(vandq_s32(h, s));
                vrshlq_s32(vqaddq_s32(h, fix), s)
            });
            let half = |a, b| vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero);
            let y = vqmovn_high_s16(vqmovn_s16(half(y[0], y[1])), half(y[2], y[3]));
            vminq_s8(vmaxq_s8(y, self.low), self.high)
        }
    }

    #[inline(always)]
    unsafe fn weights(&self, tap: usize) -> int8x16_t {
        // SAFETY: sixteen weights a tap follow the shifts.
        unsafe { vld1q_s8(self.block.add(TAPS + tap * BLOCK).cast()) }
    }
}

/// Adds the products of a tap; of the first eight channels only if `HALF`.
#[inline(always)]
fn one<const HALF: bool>(sums: Sums, x: int8x16_t, w: int8x16_t) -> Sums {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        let low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
        let high = if HALF { vdupq_n_s16(0) } else { vmull_high_s8(x, w) };
        widen::<HALF>(sums, low, high)
    }
}

#[inline(always)]
fn widen<const HALF: bool>(sums: Sums, low: int16x8_t, high: int16x8_t) -> Sums {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        let [a, b, c, d] = sums;
        let (a, b) = (vaddw_s16(a, vget_low_s16(low)), vaddw_high_s16(b, low));
        match HALF {
            true => [a, b, c, d],
            false => [a, b, vaddw_s16(c, vget_low_s16(high)), vaddw_high_s16(d, high)],
        }
    }
}

/// Adds the products of two taps, which 16 bits hold together.
#[inline(always)]
fn two<const HALF: bool>(sums: Sums, x: [int8x16_t; 2], w: [int8x16_t; 2]) -> Sums {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        let low = vmull_s8(vget_low_s8(x[0]), vget_low_s8(w[0]));
        let low = vmlal_s8(low, vget_low_s8(x[1]), vget_low_s8(w[1]));
        let high = match HALF {
            true => vdupq_n_s16(0),
            false => vmlal_high_s8(vmull_high_s8(x[0], w[0]), x[1], w[1]),
        };
        widen::<HALF>(sums, low, high)
    }
}

/// Some rows of the output.
pub(crate) fn rows(
    level: Level,
    w: &Window,
    x: &[i8],
    pad: i8,
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    assert!(w.stride[0] > 0 && w.stride[1] > 0 && w.kernel[0] > 0 && w.kernel[1] > 0);
    assert!(w.taps() <= MAX_TAPS && x.len() == w.input[0] * w.input[1] * w.channels);
    let bounds = get(packed, 48) as u32;
    let per = if bounds & DOUBLED == 0 { 1 } else { 2 };
    let taps = w.taps() * per;
    assert_eq!(packed.len(), depthwise_len(taps, w.channels));
    assert_eq!(out.len(), rows.len() * w.out_width * w.channels);
    let lanes = lanes(w.channels).min(w.channels);
    let (constants, packed) = packed.split_at(CONSTANTS);
    // Levels come from `NeonKernels::new`, which asks the processor.
    debug_assert!(level <= Level::detect());
    let three = depthwise3::serves(w) && lanes >= 8 && per == 1;
    let padding = [pad; BLOCK];
    let groups = if three { None } else { Groups::new(w, per) };
    let mut seen = [0; SEEN];
    let row_len = w.out_width * w.channels;
    if row_len == 0 {
        return;
    }
    for (y, out) in rows.zip(out.chunks_exact_mut(row_len)) {
        for (i, block) in packed.chunks_exact(block_len(taps)).enumerate() {
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
            let flags = get(block, flags_at(taps)) as u32;
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
            let left = flags & ANY_SHIFT != 0;
            // SAFETY: the lengths are checked above, the geometry by `serves`, and the processor has the level.
            unsafe {
                match &groups {
                    _ if three && !left => {
                        depthwise3::i8_row(
                            products, w, x, &padding, block, constants, y, first, out,
                        );
                    }
                    Some(groups) => {
                        let row = match (lanes < BLOCK, flags & LARGE_NEXT != 0) {
                            (false, false) => Groups::row::<false, true>,
                            (false, true) => Groups::row::<false, false>,
                            (true, false) => Groups::row::<true, true>,
                            (true, true) => Groups::row::<true, false>,
                        };
                        row(groups, w, x, pad, finish, left, y, first, lanes, &mut seen, out);
                    }
                    None => any_row(w, per, x, &padding, finish, y, first, lanes, out),
                }
            }
        }
    }
}

/// Where the weights of a window are multiplied beside its first, for groups of columns.
struct Groups {
    /// Elements from the first tap, in the input.
    there: [usize; 2 * MAX_TAPS],
    /// In a copy of what a group sees.
    copied: [usize; 2 * MAX_TAPS],
    /// Columns that a group sees.
    span: usize,
    /// Weights of each tap.
    per: usize,
}

impl Groups {
    /// Nothing for windows that see too much.
    fn new(w: &Window, per: usize) -> Option<Self> {
        let span = (COLUMNS - 1)
            .saturating_mul(w.stride[1])
            .saturating_add((w.kernel[1] - 1).saturating_mul(w.dilation[1]))
            .saturating_add(1);
        let size = span.saturating_mul(w.kernel[0]).saturating_mul(BLOCK);
        if size > SEEN {
            return None;
        }
        let [mut there, mut copied] = [[0; 2 * MAX_TAPS]; 2];
        for row in 0..w.kernel[0] {
            for col in 0..w.kernel[1] {
                let (tap, at) = ((row * w.kernel[1] + col) * per, col * w.dilation[1]);
                there[tap..tap + per].fill((row * w.dilation[0] * w.input[1] + at) * w.channels);
                copied[tap..tap + per].fill((row * span + at) * BLOCK);
            }
        }
        Some(Self { there, copied, span, per })
    }

    /// A row of the output for the channels of a block. With `PAIRS` the products of two neighbouring taps fit
    /// 16 bits together.
    ///
    /// # Safety
    /// `finish` has a block for as many taps, `x` and `out` (a row) have the lengths that the window asks for, and
    /// with eight or more lanes there are as many channels from `first` on.
    unsafe fn row<const HALF: bool, const PAIRS: bool>(
        &self,
        w: &Window,
        x: &[i8],
        pad: i8,
        finish: Finish,
        left: bool,
        y: usize,
        first: usize,
        lanes: usize,
        seen: &mut [i8; SEEN],
        out: &mut [i8],
    ) {
        // Rows of padding add the same to every column.
        // SAFETY: a block begins with sums.
        let mut start = unsafe { finish.start() };
        let line = w.kernel[1] * self.per;
        let (mut from, mut to) = (w.kernel[0], 0);
        for row in 0..w.kernel[0] {
            if w.at(0, y, row).is_some() {
                (from, to) = (from.min(row), row + 1);
                continue;
            }
            for tap in row * line..(row + 1) * line {
                // SAFETY: the block has the weights of all taps.
                start = unsafe { one::<HALF>(start, vdupq_n_s8(pad), finish.weights(tap)) };
            }
        }
        let taps = from * line..to.max(from) * line;
        let above = w.at(0, y, from).map_or(0, |r| r * w.input[1] * w.channels);
        let mut column = 0;
        while column < w.out_width {
            // The last group ends with the last column.
            column = column.min(w.out_width.saturating_sub(COLUMNS));
            let at = (column * w.stride[1]).checked_sub(w.pad[1]);
            let inside = at.is_some_and(|at| at + self.span <= w.input[1]);
            let inside = inside && lanes >= 8 && w.out_width >= COLUMNS;
            let (offsets, base, step) = match at {
                Some(at) if inside => {
                    (&self.there, x[above + at * w.channels + first..].as_ptr(), w.channels)
                }
                _ => {
                    let rows = from..to.max(from);
                    self.copy(w, x, pad, y, rows, column, first, lanes, seen);
                    (&self.copied, seen.as_ptr(), BLOCK)
                }
            };
            let mut sums = [start; COLUMNS];
            let columns: [*const i8; COLUMNS] =
                core::array::from_fn(|j| base.wrapping_add(j * w.stride[1] * step));
            // SAFETY: the taps of all columns are inside the input or what is seen.
            unsafe {
                let at = |j: usize, tap: usize| match HALF {
                    true => {
                        let x = vld1_s8(columns[j].add(offsets[tap - taps.start]));
                        vcombine_s8(x, vdup_n_s8(0))
                    }
                    false => vld1q_s8(columns[j].add(offsets[tap - taps.start])),
                };
                let mut tap = taps.start;
                while PAIRS && tap + 2 <= taps.end {
                    let weights = [finish.weights(tap), finish.weights(tap + 1)];
                    for (j, sums) in sums.iter_mut().enumerate() {
                        *sums = two::<HALF>(*sums, [at(j, tap), at(j, tap + 1)], weights);
                    }
                    tap += 2;
                }
                while tap < taps.end {
                    let weights = finish.weights(tap);
                    for (j, sums) in sums.iter_mut().enumerate() {
                        *sums = one::<HALF>(*sums, at(j, tap), weights);
                    }
                    tap += 1;
                }
                for (j, sums) in sums.into_iter().enumerate().take(w.out_width - column) {
                    let y = finish.apply(sums, left);
                    store(y, lanes, &mut out[(column + j) * w.channels + first..]);
                }
            }
            column += COLUMNS;
        }
    }

    /// Copies what a group of columns sees of some rows of the window; what is outside the input is padding.
    fn copy(
        &self,
        w: &Window,
        x: &[i8],
        pad: i8,
        y: usize,
        rows: Range<usize>,
        column: usize,
        first: usize,
        lanes: usize,
        seen: &mut [i8; SEEN],
    ) {
        let left = column * w.stride[1];
        let lines = seen.chunks_exact_mut(self.span * BLOCK);
        for (row, line) in rows.zip(lines) {
            let Some(r) = w.at(0, y, row) else { continue };
            for (i, to) in line.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
                let from = (left + i).checked_sub(w.pad[1]).filter(|at| *at < w.input[1]);
                let Some(at) = from else {
                    *to = [pad; BLOCK];
                    continue;
                };
                let x = &x[(r * w.input[1] + at) * w.channels + first..];
                match (lanes, x.first_chunk::<8>()) {
                    (BLOCK, _) => to.copy_from_slice(&x[..BLOCK]),
                    (_, Some(x)) => to[..8].copy_from_slice(x),
                    (_, None) => to[..x.len()].copy_from_slice(x),
                }
            }
        }
    }
}

/// Eight elements, or sixteen if there are as many `lanes`; those after the last of `x` are zero.
#[inline(always)]
fn load(x: &[i8], lanes: usize) -> int8x16_t {
    // SAFETY: what is read is inside `x`.
    unsafe {
        match (lanes, x.first_chunk::<8>()) {
            (BLOCK, _) => vld1q_s8(x[..BLOCK].as_ptr()),
            (_, Some(x)) => vcombine_s8(vld1_s8(x.as_ptr()), vdup_n_s8(0)),
            (_, None) => {
                let mut all = [0; BLOCK];
                all[..x.len()].copy_from_slice(x);
                vld1q_s8(all.as_ptr())
            }
        }
    }
}

/// Stores eight elements, or sixteen if there are as many `lanes`, or as many as `out` has.
#[inline(always)]
fn store(y: int8x16_t, lanes: usize, out: &mut [i8]) {
    // SAFETY: what is written is inside `out`.
    unsafe {
        match (lanes, out.first_chunk_mut::<8>()) {
            (BLOCK, _) => vst1q_s8(out[..BLOCK].as_mut_ptr(), y),
            (_, Some(out)) => vst1_s8(out.as_mut_ptr(), vget_low_s8(y)),
            (_, None) => {
                let mut all = [0; BLOCK];
                vst1q_s8(all.as_mut_ptr(), y);
                out.copy_from_slice(&all[..out.len()]);
            }
        }
    }
}

/// A row of sixteen, eight or fewer channels, tap by tap. Of fewer, the columns are stored from left to right
/// with what comes before the next.
///
/// # Safety
/// The block that `finish` has is one of packed weights for as many taps.
unsafe fn any_row(
    w: &Window,
    per: usize,
    x: &[i8],
    padding: &[i8; BLOCK],
    finish: Finish,
    y: usize,
    first: usize,
    lanes: usize,
    out: &mut [i8],
) {
    for column in 0..w.out_width {
        // SAFETY: a block begins with sums and goes on with the weights of all taps.
        let mut sums = unsafe { finish.start() };
        for tap in 0..w.taps() {
            let (row, col) = (tap / w.kernel[1], tap % w.kernel[1]);
            let x = match (w.at(0, y, row), w.at(1, column, col)) {
                (Some(r), Some(at)) => &x[(r * w.input[1] + at) * w.channels + first..],
                _ => &padding[..],
            };
            for weights in tap * per..(tap + 1) * per {
                // SAFETY: as above.
                sums = one::<false>(sums, load(x, lanes), unsafe { finish.weights(weights) });
            }
        }
        // SAFETY: mantissas and shifts follow the sums.
        let y = unsafe { finish.apply(sums, true) };
        store(y, lanes, &mut out[column * w.channels + first..]);
    }
}

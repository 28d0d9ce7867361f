//! Depthwise `i8` convolution with VNNI, 64 bytes at a time.
//!
//! The bytes of up to four taps of a column of the window are interleaved so that each 32-bit lane
//! holds the taps of one channel; `VPDPBUSD` then adds all their products. The interleaving leaves
//! channels in an order that packing the results to bytes restores. In windows of three rows, a column
//! that the next pixel sees too is interleaved once.
//!
//! Where 64 is a multiple of the channels and pixels lie side by side, one vector holds several pixels.

use crate::depthwise::{inner_columns, lane as channel_lane};
use crate::gemm::Lane;
use crate::i8_avx512::{VECTOR, requantize, requantize_short, write_vectors};
use core::arch::x86_64::*;
use paring_kernels::{I8Depthwise, Window};
use std::ops::Range;

/// Bytes of the bounds that lead the packed weights.
const HEAD: usize = 64;
/// Where a block says that its constants are of the short form; zero in the other form.
const FORM: usize = VECTOR - 1;

/// Vectors of weights: four for each column and each four of its rows.
fn groups(kernel: [usize; 2]) -> usize {
    kernel[1] * kernel[0].div_ceil(4)
}

fn block_len(kernel: [usize; 2]) -> usize {
    4 * VECTOR + groups(kernel) * 256
}

pub(crate) fn len(kernel: [usize; 2], channels: usize) -> usize {
    HEAD + channels.div_ceil(64) * block_len(kernel)
}

/// How many pixels a vector holds.
fn pixels(channels: usize) -> usize {
    if channels < 64 && 64 % channels == 0 { 64 / channels } else { 1 }
}

pub(crate) fn pack(p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
    let [kh, kw] = p.kernel;
    let (quads, repeat) = (kh.div_ceil(4), pixels(p.channels) > 1);
    packed.fill(0);
    packed[0] = p.bounds.0 as u8;
    packed[1] = p.bounds.1 as u8;
    for block in 0..p.channels.div_ceil(64) {
        let len = block_len(p.kernel);
        let to = &mut packed[HEAD + block * len..][..len];
        let (constants, weights) = to.split_at_mut(4 * VECTOR);
        let mut lanes = [[Lane::UNUSED; 16]; 4];
        for (v, lanes) in lanes.iter_mut().enumerate() {
            for (lane, slot) in lanes.iter_mut().enumerate() {
                let at = block * 64 + 16 * (lane / 4) + 4 * v + lane % 4;
                let c = if repeat { at % p.channels } else { at };
                if c >= p.channels {
                    continue;
                }
                let Some(entry) = channel_lane(p, c, kh * kw, &[]) else { return false };
                *slot = entry;
                for ky in 0..kh {
                    for kx in 0..kw {
                        let group = kx * quads + ky / 4;
                        weights[(group * 4 + v) * 64 + 4 * lane + ky % 4] =
                            p.weights[(ky * kw + kx) * p.channels + c] as u8;
                    }
                }
            }
        }
        let short = write_vectors(constants, &lanes);
        constants[FORM] = u8::from(short);
    }
    true
}

/// What all pixels of a block of channels share.
struct Block<'a> {
    window: &'a Window,
    /// The block's first channel in the input.
    x: *const i8,
    /// 64 bytes of padding.
    pad: *const i8,
    packed: *const u8,
    bounds: (__m512i, __m512i),
    /// Bytes of a column.
    hop: usize,
    /// Bytes of a row.
    pitch: usize,
}

/// See [`crate::depthwise::i8_depthwise`], which checks the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) unsafe fn rows(
    window: &Window,
    x: &[i8],
    pad: i8,
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    let channels = window.channels;
    let padding = [pad; 64];
    let bounds = (_mm512_set1_epi8(packed[0] as i8), _mm512_set1_epi8(packed[1] as i8));
    let first = rows.start;
    for y in rows {
        let out = out[(y - first) * window.out_width * channels..].as_mut_ptr();
        for (i, packed) in packed[HEAD..].chunks_exact(block_len(window.kernel)).enumerate() {
            let c = 64 * i;
            // SAFETY: the block's channels are there.
            unsafe {
                let block = Block {
                    window,
                    x: x.as_ptr().add(c),
                    pad: padding.as_ptr(),
                    packed: packed.as_ptr(),
                    bounds,
                    hop: channels,
                    pitch: window.input[1] * channels,
                };
                let live = (channels - c).min(64);
                let mask = if live == 64 { !0 } else { (1 << live) - 1 };
                if packed[FORM] == 1 {
                    line::<true>(&block, y, mask, out.add(c));
                } else {
                    line::<false>(&block, y, mask, out.add(c));
                }
            }
        }
    }
}

/// A row of pixels of one block.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn line<const SHORT: bool>(b: &Block<'_>, y: usize, mask: u64, mut out: *mut i8) {
    let w = b.window;
    let [kh, kw] = w.kernel;
    // SAFETY: only taps that are inside are read from the input.
    unsafe {
        // Rows of the window, and whether to move along them.
        let mut rows = [(b.pad, 0_usize); MAX_SIDE];
        for (ky, row) in rows[..kh].iter_mut().enumerate() {
            if let Some(at) = w.at(0, y, ky) {
                *row = (b.x.add(at * b.pitch), !0);
            }
        }
        let inner = inner_columns(w);
        let together = pixels(w.channels);
        // One vector of several pixels needs neighbours that lie side by side.
        let several = together > 1 && w.stride[1] == 1;
        let simple = w.kernel == [3, 3] && w.dilation[1] == 1;
        let mut column = 0;
        while column < w.out_width {
            if simple && column == inner.start {
                let per = if several { together } else { 1 };
                let n = inner.len() / per;
                if n > 0 {
                    let left = w.at(1, column, 0).unwrap_or(0) * b.hop;
                    let at = [0, 1, 2].map(|ky: usize| rows[ky].0.wrapping_add(left & rows[ky].1));
                    let live = [0, 1, 2].map(|ky: usize| rows[ky].1);
                    let mask = if several { !0 } else { mask };
                    match (per * w.stride[1], mask == !0) {
                        (1, true) => three::<1, SHORT, true>(b, at, live, n, mask, per, out),
                        (2, true) => three::<2, SHORT, true>(b, at, live, n, mask, per, out),
                        (_, true) => three::<3, SHORT, true>(b, at, live, n, mask, per, out),
                        (1, false) => three::<1, SHORT, false>(b, at, live, n, mask, per, out),
                        (2, false) => three::<2, SHORT, false>(b, at, live, n, mask, per, out),
                        (_, false) => three::<3, SHORT, false>(b, at, live, n, mask, per, out),
                    }
                    out = out.wrapping_add(n * per * w.channels);
                    column += n * per;
                    if column == w.out_width {
                        break;
                    }
                    // What remains of the inner columns goes one by one.
                }
            }
            let mut acc = [_mm512_setzero_si512(); 4];
            for (v, acc) in acc.iter_mut().enumerate() {
                *acc = _mm512_loadu_si512(b.packed.add(v * VECTOR).cast());
            }
            let mut weights = b.packed.add(4 * VECTOR);
            for kx in 0..kw {
                let col = w.at(1, column, kx);
                for first in (0..kh).step_by(4) {
                    let mut taps = [_mm512_setzero_si512(); 4];
                    for (i, tap) in taps.iter_mut().enumerate().take(kh - first) {
                        let (row, moves) = rows[first + i];
                        let at = match col {
                            Some(col) => row.add((col * b.hop) & moves),
                            None => b.pad,
                        };
                        *tap = _mm512_maskz_loadu_epi8(mask, at);
                    }
                    let quads = interleave(taps);
                    for v in 0..4 {
                        let w = _mm512_loadu_si512(weights.add(64 * v).cast());
                        acc[v] = _mm512_dpbusd_epi32(acc[v], quads[v], w);
                    }
                    weights = weights.add(256);
                }
            }
            _mm512_mask_storeu_epi8(out, mask, finish::<SHORT>(b, &acc));
            out = out.wrapping_add(w.channels);
            column += 1;
        }
    }
}

/// Rows that a window may have.
pub(crate) const MAX_SIDE: usize = 64;

/// Four taps side by side, with 128 added: each lane holds those of one channel.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn interleave(taps: [__m512i; 4]) -> [__m512i; 4] {
    let t = taps.map(|t| _mm512_xor_si512(t, _mm512_set1_epi8(-128)));
    let a = _mm512_unpacklo_epi8(t[0], t[1]);
    let b = _mm512_unpackhi_epi8(t[0], t[1]);
    let c = _mm512_unpacklo_epi8(t[2], t[3]);
    let d = _mm512_unpackhi_epi8(t[2], t[3]);
    [
        _mm512_unpacklo_epi16(a, c),
        _mm512_unpackhi_epi16(a, c),
        _mm512_unpacklo_epi16(b, d),
        _mm512_unpackhi_epi16(b, d),
    ]
}

/// Sums to bytes in the order of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn finish<const SHORT: bool>(b: &Block<'_>, acc: &[__m512i; 4]) -> __m512i {
    let mut y = *acc;
    for (v, y) in y.iter_mut().enumerate() {
        // SAFETY: a block begins with four vectors of constants.
        unsafe {
            let vector = b.packed.add(v * VECTOR);
            *y = if SHORT { requantize_short(*y, vector) } else { requantize(*y, vector) };
        }
    }
    let y = _mm512_packs_epi16(_mm512_packs_epi32(y[0], y[1]), _mm512_packs_epi32(y[2], y[3]));
    _mm512_min_epi8(_mm512_max_epi8(y, b.bounds.0), b.bounds.1)
}

/// `n` vectors of pixels of a 3x3 window that is inside from left to right; `S` is how many columns
/// each begins after the one before, 3 standing for 3 and more. `FULL` where all bytes of the mask are
/// there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn three<const S: usize, const SHORT: bool, const FULL: bool>(
    b: &Block<'_>,
    mut at: [*const i8; 3],
    moves: [usize; 3],
    n: usize,
    mask: u64,
    per: usize,
    mut out: *mut i8,
) {
    // SAFETY: as the caller's.
    unsafe {
        let step = b.window.stride[1] * per * b.hop;
        let column = |at: &[*const i8; 3], kx: usize| {
            let tap = |ky: usize| {
                let at = at[ky].wrapping_add((kx * b.hop) & moves[ky]);
                if FULL { _mm512_loadu_si512(at.cast()) } else { _mm512_maskz_loadu_epi8(mask, at) }
            };
            let last = tap(2);
            interleave([tap(0), tap(1), last, last])
        };
        let weights = b.packed.add(4 * VECTOR);
        let mut q = [column(&at, 0), column(&at, 1), column(&at, 2)];
        for i in 0..n {
            let mut acc = [_mm512_setzero_si512(); 4];
            for v in 0..4 {
                acc[v] = _mm512_loadu_si512(b.packed.add(v * VECTOR).cast());
                for kx in 0..3 {
                    let w = _mm512_loadu_si512(weights.add((kx * 4 + v) * 64).cast());
                    acc[v] = _mm512_dpbusd_epi32(acc[v], q[kx][v], w);
                }
            }
            let y = finish::<SHORT>(b, &acc);
            if FULL {
                _mm512_storeu_si512(out.cast(), y);
            } else {
                _mm512_mask_storeu_epi8(out, mask, y);
            }
            out = out.wrapping_add(per * b.hop);
            if i + 1 == n {
                break;
            }
            for ky in 0..3 {
                at[ky] = at[ky].wrapping_add(step & moves[ky]);
            }
            q = match S {
                1 => [q[1], q[2], column(&at, 2)],
                2 => [q[2], column(&at, 1), column(&at, 2)],
                _ => [column(&at, 0), column(&at, 1), column(&at, 2)],
            };
        }
    }
}

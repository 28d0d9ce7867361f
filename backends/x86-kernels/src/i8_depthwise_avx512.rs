//! Depthwise `i8` convolution with VNNI, 64 channels at a time.
//!
//! The bytes of four taps are interleaved so that each 32-bit lane holds the four taps of one
//! channel; `VPDPBUSD` then adds all four products. The interleaving leaves channels in an order that
//! packing the results to bytes restores.

use crate::depthwise::{I8Depthwise, MAX_TAPS, Window};
use crate::i8_avx512::{VECTOR, requantize, write_vector};
use crate::requant::Affine;
use core::arch::x86_64::*;
use std::ops::Range;

/// Bytes of the bounds that lead the packed weights.
const HEAD: usize = 64;

fn block_len(taps: usize) -> usize {
    4 * VECTOR + taps.div_ceil(4) * 256
}

pub(crate) fn len(taps: usize, channels: usize) -> usize {
    HEAD + channels.div_ceil(64) * block_len(taps)
}

pub(crate) fn pack(p: &I8Depthwise<'_>, taps: usize, packed: &mut [u8]) -> bool {
    packed.fill(0);
    packed[0] = p.bounds.0 as u8;
    packed[1] = p.bounds.1 as u8;
    for (block, to) in packed[HEAD..].chunks_exact_mut(block_len(taps)).enumerate() {
        let (constants, weights) = to.split_at_mut(4 * VECTOR);
        for v in 0..4 {
            let unused = Affine { m: 0, k: 0, t: 31, sign: 0 };
            let mut lanes = [(0, unused); 16];
            for (lane, slot) in lanes.iter_mut().enumerate() {
                let c = block * 64 + 16 * (lane / 4) + 4 * v + lane % 4;
                if c >= p.channels {
                    continue;
                }
                let Some(entry) = p.lane(c, taps) else { return false };
                *slot = entry;
                for tap in 0..taps {
                    weights[(tap / 4 * 4 + v) * 64 + 4 * lane + tap % 4] =
                        p.weights[tap * p.channels + c] as u8;
                }
            }
            write_vector(&mut constants[v * VECTOR..][..VECTOR], &lanes);
        }
    }
    true
}

/// See [`crate::depthwise::i8_depthwise`], which checks the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) unsafe fn rows(
    window: &Window,
    x: &[i8],
    pad: &[i8],
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    let taps = window.taps();
    let groups = taps.div_ceil(4);
    let inner = window.inner_columns();
    let first = rows.start;
    let channels = window.channels;
    let bounds = (packed[0] as i8, packed[1] as i8);
    for y in rows {
        let out = out[(y - first) * window.out_width * channels..].as_mut_ptr();
        // SAFETY: every pointer is to the channels of a pixel or of the padding.
        unsafe {
            for (block, packed) in packed[HEAD..].chunks_exact(block_len(taps)).enumerate() {
                let c = 64 * block;
                let live = (channels - c).min(64);
                let mut at = [pad.as_ptr().add(c); MAX_TAPS];
                let mut step = [0; MAX_TAPS];
                for column in 0..window.out_width {
                    let moves = inner.contains(&column) && column > inner.start;
                    if moves {
                        for (at, step) in at[..taps].iter_mut().zip(&step) {
                            *at = at.add(*step);
                        }
                    } else {
                        for tap in 0..taps {
                            let row = window.at(0, y, tap / window.kernel[1]);
                            let col = window.at(1, column, tap % window.kernel[1]);
                            (at[tap], step[tap]) = match row.zip(col) {
                                Some((row, col)) => (
                                    x.as_ptr().add((row * window.input[1] + col) * channels + c),
                                    window.stride[1] * channels,
                                ),
                                None => (pad.as_ptr().add(c), 0),
                            };
                        }
                    }
                    let to = out.add(column * channels + c);
                    if live == 64 {
                        pixel::<true>(&at, groups, packed.as_ptr(), bounds, !0, to);
                    } else {
                        pixel::<false>(&at, groups, packed.as_ptr(), bounds, (1 << live) - 1, to);
                    }
                }
            }
        }
    }
}

/// One pixel of up to 64 channels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn pixel<const FULL: bool>(
    at: &[*const i8; MAX_TAPS],
    groups: usize,
    packed: *const u8,
    bounds: (i8, i8),
    mask: u64,
    to: *mut i8,
) {
    // SAFETY: the caller gives pointers to as many channels as the mask has bits, and constants and
    // weights of a block.
    unsafe {
        let flip = _mm512_set1_epi8(-128);
        let load = |tap: usize| {
            let x = if FULL {
                _mm512_loadu_si512(at[tap].cast())
            } else {
                _mm512_maskz_loadu_epi8(mask, at[tap])
            };
            _mm512_xor_si512(x, flip)
        };
        let mut acc = [_mm512_setzero_si512(); 4];
        for (v, acc) in acc.iter_mut().enumerate() {
            *acc = _mm512_loadu_si512(packed.add(v * VECTOR).cast());
        }
        let mut w = packed.add(4 * VECTOR);
        for g in 0..groups {
            let t = [load(4 * g), load(4 * g + 1), load(4 * g + 2), load(4 * g + 3)];
            let a = _mm512_unpacklo_epi8(t[0], t[1]);
            let b = _mm512_unpackhi_epi8(t[0], t[1]);
            let c = _mm512_unpacklo_epi8(t[2], t[3]);
            let d = _mm512_unpackhi_epi8(t[2], t[3]);
            let quads = [
                _mm512_unpacklo_epi16(a, c),
                _mm512_unpackhi_epi16(a, c),
                _mm512_unpacklo_epi16(b, d),
                _mm512_unpackhi_epi16(b, d),
            ];
            for v in 0..4 {
                let w = _mm512_loadu_si512(w.add(64 * v).cast());
                acc[v] = _mm512_dpbusd_epi32(acc[v], quads[v], w);
            }
            w = w.add(256);
        }
        let mut y = [_mm512_setzero_si512(); 4];
        for v in 0..4 {
            y[v] = requantize(acc[v], packed.add(v * VECTOR));
        }
        let y = _mm512_packs_epi16(_mm512_packs_epi32(y[0], y[1]), _mm512_packs_epi32(y[2], y[3]));
        let y = _mm512_max_epi8(y, _mm512_set1_epi8(bounds.0));
        let y = _mm512_min_epi8(y, _mm512_set1_epi8(bounds.1));
        if FULL {
            _mm512_storeu_si512(to.cast(), y);
        } else {
            _mm512_mask_storeu_epi8(to, mask, y);
        }
    }
}

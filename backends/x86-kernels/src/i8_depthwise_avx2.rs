//! Depthwise `i8` convolution with AVX2, 16 channels at a time: taps in pairs, widened to 16 bits.

use crate::depthwise::{MAX_TAPS, lane as channel_lane};
use crate::gemm::Lane;
use crate::i8_avx2::{VECTOR, channel, requantize, store, to_bytes, write_vectors};
use core::arch::x86_64::*;
use paring_kernels::{I8Depthwise, Window};
use std::ops::Range;

/// Bytes of the bounds that lead the packed weights.
const HEAD: usize = 32;
/// Bytes after a block's constants; the first says whether they are of the short form.
const FORM: usize = 32;

fn block_len(kernel: [usize; 2]) -> usize {
    2 * VECTOR + FORM + (kernel[0] * kernel[1]).div_ceil(2) * 64
}

pub(crate) fn len(kernel: [usize; 2], channels: usize) -> usize {
    HEAD + channels.div_ceil(16) * block_len(kernel)
}

/// `more` is added to the weights where it is not empty.
pub(crate) fn pack(p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
    let taps = p.kernel[0] * p.kernel[1];
    packed.fill(0);
    packed[0] = p.bounds.0 as u8;
    packed[1] = p.bounds.1 as u8;
    let len = block_len(p.kernel);
    for (block, to) in packed[HEAD..].chunks_exact_mut(len).enumerate() {
        let (constants, rest) = to.split_at_mut(2 * VECTOR);
        let (form, weights) = rest.split_at_mut(FORM);
        let mut lanes = [[(0, Lane::UNUSED); 8]; 2];
        for (v, lanes) in lanes.iter_mut().enumerate() {
            for (lane, slot) in lanes.iter_mut().enumerate() {
                let c = 16 * block + channel(16, v, lane);
                if c >= p.channels {
                    continue;
                }
                let Some(entry) = channel_lane(p, c, taps, more) else { return false };
                *slot = (p.bias[c], entry);
                for tap in 0..taps {
                    let one = i16::from(p.weights[tap * p.channels + c]);
                    let two = more.get(tap * p.channels + c).map_or(0, |w| i16::from(*w));
                    let w = (one + two).to_le_bytes();
                    let at = (tap / 2 * 2 + v) * 32 + 4 * lane + 2 * (tap % 2);
                    weights[at..at + 2].copy_from_slice(&w);
                }
            }
        }
        form[0] = u8::from(write_vectors(constants, &lanes));
    }
    true
}

/// See [`crate::depthwise::i8_depthwise`], which checks the lengths.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn rows(
    window: &Window,
    x: &[i8],
    pad: i8,
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    let channels = window.channels;
    let first = rows.start;
    for y in rows {
        let out = &mut out[(y - first) * window.out_width * channels..];
        for (i, block) in packed[HEAD..].chunks_exact(block_len(window.kernel)).enumerate() {
            let c = 16 * i;
            let bounds = (packed[0] as i8, packed[1] as i8);
            // SAFETY: the block's channels are there.
            unsafe {
                if block[2 * VECTOR] == 1 {
                    line::<true>(window, x, pad, block, bounds, c, y, out);
                } else {
                    line::<false>(window, x, pad, block, bounds, c, y, out);
                }
            }
        }
    }
}

/// A row of pixels of up to 16 channels from `c` on.
#[target_feature(enable = "avx2")]
unsafe fn line<const SHORT: bool>(
    window: &Window,
    x: &[i8],
    pad: i8,
    block: &[u8],
    bounds: (i8, i8),
    c: usize,
    y: usize,
    out: &mut [i8],
) {
    let (channels, [kh, kw]) = (window.channels, window.kernel);
    let live = (channels - c).min(16);
    let padding = [pad; 16];
    // Where each tap is, and by how many bytes it moves from a pixel to the next.
    let mut at = [padding.as_ptr(); MAX_TAPS + 1];
    let mut moves = [0_usize; MAX_TAPS + 1];
    let inner = window.inner_columns();
    let taps = kh * kw;
    let end = x.as_ptr_range().end as usize;
    // SAFETY: taps are inside the input or at the padding. Bytes beyond the block's channels are read
    // only where the input goes on.
    unsafe {
        let constants = block.as_ptr();
        let weights = constants.add(2 * VECTOR + FORM);
        let start = [0, 1].map(|v| _mm256_loadu_si256(constants.add(v * VECTOR).cast()));
        let (low, high) = (_mm_set1_epi8(bounds.0), _mm_set1_epi8(bounds.1));
        let load = |at: *const i8| {
            if live == 16 || at as usize + 16 <= end || at == padding.as_ptr() {
                return _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast()));
            }
            let mut bytes = [0_i8; 16];
            core::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), live);
            _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes.as_ptr().cast()))
        };
        let mut to = out.as_mut_ptr().add(c);
        for column in 0..window.out_width {
            if inner.contains(&column) && column > inner.start {
                for (at, moves) in at[..taps].iter_mut().zip(&moves) {
                    *at = at.wrapping_add(*moves);
                }
            } else {
                for ky in 0..kh {
                    for kx in 0..kw {
                        let tap = ky * kw + kx;
                        (at[tap], moves[tap]) = (padding.as_ptr(), 0);
                        if let (Some(row), Some(col)) =
                            (window.at(0, y, ky), window.at(1, column, kx))
                        {
                            at[tap] = x.as_ptr().add((row * window.input[1] + col) * channels + c);
                            moves[tap] = window.stride[1] * channels;
                        }
                    }
                }
            }
            let mut acc = start;
            for pair in 0..taps.div_ceil(2) {
                let (a, b) = (load(at[2 * pair]), load(at[2 * pair + 1]));
                let pairs = [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)];
                for v in 0..2 {
                    let w = _mm256_loadu_si256(weights.add((2 * pair + v) * 32).cast());
                    acc[v] = _mm256_add_epi32(acc[v], _mm256_madd_epi16(pairs[v], w));
                }
            }
            let scaled = |v: usize| requantize::<SHORT>(acc[v], constants.add(v * VECTOR));
            let y = to_bytes(scaled(0), scaled(1));
            store(_mm_min_epi8(_mm_max_epi8(y, low), high), to, live);
            to = to.wrapping_add(channels);
        }
    }
}

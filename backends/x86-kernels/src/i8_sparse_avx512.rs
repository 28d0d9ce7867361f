//! Products of `i8` with sparse weights and VNNI: tiles of 64 rows, transposed to bytes.
//!
//! The bytes of four elements that a channel has weights for are interleaved, so that `VPDPBUSD` adds four products
//! to the sums of 16 rows. Bytes become unsigned by flipping their top bit, which adds 128; the same
//! product of 128 with the weights is taken off.

use crate::i8_sparse::ops512::{put, requantized};
use crate::sparse::{BLOCK, transposed};
use core::arch::x86_64::*;
use paring_kernels::{Extents, I8Scale, Sparse};

/// Rows of a tile.
const ROWS: usize = 64;

/// Whether sparse beats dense, by the cycles of both as they were measured.
pub(crate) fn pays(e: &Extents) -> bool {
    let whole = e.rows.next_multiple_of(ROWS);
    // Transposed rows that the first-level cache has no room for take longer.
    let speed = if ROWS * e.depth <= 40 << 10 { 36 } else { 24 };
    let dense = e.rows.saturating_mul(e.depth.saturating_mul(e.channels) / 115 + e.channels / 4);
    let sparse = whole.saturating_mul(e.weights / speed + (e.depth + e.channels) * 11 / 20);
    e.rows >= ROWS / 2 && sparse < dense
}

/// Elements of scratch memory for rows of `depth` elements.
pub(crate) fn scratch(depth: usize) -> usize {
    ROWS / 2 * depth
}

/// `to[k * ROWS + r] = a[r * depth + k] + 128` for `rows` rows, the last of which stands for those up to a whole tile.
///
/// `a` has `rows * depth` elements and `to` has room for `ROWS * depth`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn turn(a: &[i8], rows: usize, depth: usize, to: *mut i8) {
    let flip = _mm_set1_epi8(-128);
    for r in (0..ROWS).step_by(BLOCK) {
        for k in (0..depth).step_by(BLOCK) {
            let live = (depth - k).min(BLOCK);
            let mask = ((1_u32 << live) - 1) as __mmask16;
            let mut square = [_mm_setzero_si128(); BLOCK];
            // SAFETY: only elements that are there are read, and `live` places of the result written.
            unsafe {
                for (i, row) in square.iter_mut().enumerate() {
                    let at = a.as_ptr().add((r + i).min(rows - 1) * depth + k);
                    *row = if live == BLOCK {
                        _mm_loadu_si128(at.cast())
                    } else {
                        _mm_maskz_loadu_epi8(mask, at)
                    };
                }
                for (i, row) in transposed(square).into_iter().enumerate().take(live) {
                    let at = to.add((k + i) * ROWS + r);
                    _mm_storeu_si128(at.cast(), _mm_xor_si128(row, flip));
                }
            }
        }
    }
}

/// See [`crate::sparse::i8_product`], which checks the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) unsafe fn product(
    a: &[i8],
    w: &Sparse<'_, i16>,
    scale: &I8Scale<'_>,
    scratch: &mut [i16],
    out: &mut [i8],
) {
    let (depth, channels) = (w.depth(), w.counts().len());
    let turned = scratch.as_mut_ptr().cast::<i8>();
    let total = a.len() / depth;
    for row in (0..total).step_by(ROWS) {
        let rows = (total - row).min(ROWS);
        let mut done = 0;
        // SAFETY: the scratch memory is for a tile, and elements of a row are inside of it.
        unsafe {
            turn(&a[row * depth..(row + rows) * depth], rows, depth, turned);
            let mut results = [_mm512_setzero_si512(); BLOCK];
            for first in (0..channels).step_by(BLOCK) {
                let live = (channels - first).min(BLOCK);
                for (c, result) in (first..first + live).zip(&mut results) {
                    let n = w.counts()[c] as usize;
                    let (index, weights) =
                        (&w.index()[done..done + n], &w.weights()[done..done + n]);
                    done += n;
                    let sums = channel(turned, index, weights, scale.bias[c]);
                    *result = requantized(sums, scale, c);
                }
                put(&results, rows, live, channels, &mut out[row * channels + first..]);
            }
        }
    }
}

/// The sums of a channel, in the order that interleaving leaves.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn channel(x: *const i8, index: &[u32], weights: &[i16], bias: i32) -> [__m512i; 4] {
    let (mut sums, mut over) = ([_mm512_set1_epi32(bias); 4], _mm512_setzero_si512());
    let top = _mm512_set1_epi8(-128);
    let quads = index.chunks_exact(4).zip(weights.chunks_exact(4));
    let (mut last, mut last_weights) = ([0; 4], [0; 4]);
    let rest = index.len() % 4;
    last[..rest].copy_from_slice(&index[index.len() - rest..]);
    last_weights[..rest].copy_from_slice(&weights[weights.len() - rest..]);
    let last = (rest > 0).then_some((&last[..], &last_weights[..]));
    for (index, weights) in quads.chain(last) {
        // SAFETY: there are four numbers, and rows for the elements.
        unsafe {
            let w = _mm_loadl_epi64(weights.as_ptr().cast());
            let w = _mm512_broadcastd_epi32(_mm_packs_epi16(w, w));
            let row = |i: usize| _mm512_loadu_si512(x.add(index[i] as usize * ROWS).cast());
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let (low_2, high_2) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_unpacklo_epi16(low, low_2), w);
            sums[1] = _mm512_dpbusd_epi32(sums[1], _mm512_unpackhi_epi16(low, low_2), w);
            sums[2] = _mm512_dpbusd_epi32(sums[2], _mm512_unpacklo_epi16(high, high_2), w);
            sums[3] = _mm512_dpbusd_epi32(sums[3], _mm512_unpackhi_epi16(high, high_2), w);
            over = _mm512_dpbusd_epi32(over, top, w);
        }
    }
    for sum in &mut sums {
        *sum = _mm512_sub_epi32(*sum, over);
    }
    sums
}

//! Products of `i8` with sparse weights and AVX2: tiles of 32 rows, transposed and widened to 16 bits.
//!
//! The numbers of two elements that a channel has weights for are interleaved, so that `VPMADDWD` adds two products
//! to the sums of eight rows.

use crate::i8_sparse::ops256::{put, requantized};
use crate::sparse::{BLOCK, transposed};
use core::arch::x86_64::*;
use paring_kernels::{Extents, I8Scale, Sparse};

/// Rows of a tile, and of a vector.
const ROWS: usize = 32;
const LANES: usize = 16;

/// Whether sparse beats dense, by the instructions of both: of 16 products each, a dense product takes about two, a
/// sparse one four; an element that is transposed or brought back takes about one and a half for each 16 rows.
pub(crate) fn pays(e: &Extents) -> bool {
    let whole = e.rows.next_multiple_of(ROWS);
    let dense = e.rows.saturating_mul(2 * e.depth.saturating_mul(e.channels));
    let sparse = whole.saturating_mul(4 * e.weights + 2 * (e.depth + e.channels));
    e.rows >= ROWS / 2 && sparse < dense
}

/// Elements of scratch memory for rows of `depth` elements.
pub(crate) fn scratch(depth: usize) -> usize {
    ROWS * depth
}

/// `to[k * ROWS + r] = a[r * depth + k]` for `rows` rows, the last of which stands for those up to a whole tile.
#[target_feature(enable = "avx2")]
fn turn(a: &[i8], rows: usize, depth: usize, to: &mut [i16]) {
    for r in (0..ROWS).step_by(BLOCK) {
        for k in (0..depth).step_by(BLOCK) {
            let live = (depth - k).min(BLOCK);
            let mut square = [_mm_setzero_si128(); BLOCK];
            for (i, row) in square.iter_mut().enumerate() {
                let at = (r + i).min(rows - 1) * depth + k;
                let mut piece = [0; BLOCK];
                piece[..live].copy_from_slice(&a[at..at + live]);
                // SAFETY: a piece has 16 bytes.
                *row = unsafe { _mm_loadu_si128(piece.as_ptr().cast()) };
            }
            for (i, row) in transposed(square).into_iter().enumerate().take(live) {
                let to = &mut to[(k + i) * ROWS + r..][..LANES];
                // SAFETY: there are 16 places.
                unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_cvtepi8_epi16(row)) };
            }
        }
    }
}

/// See [`crate::sparse::i8_product`], which checks the lengths.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn product(
    a: &[i8],
    w: &Sparse<'_, i16>,
    scale: &I8Scale<'_>,
    scratch: &mut [i16],
    out: &mut [i8],
) {
    let (depth, channels) = (w.depth(), w.counts().len());
    for (a, out) in a.chunks(ROWS * depth).zip(out.chunks_mut(ROWS * channels)) {
        let rows = a.len() / depth;
        turn(a, rows, depth, scratch);
        let mut done = 0;
        for first in (0..channels).step_by(BLOCK) {
            let live = (channels - first).min(BLOCK);
            let mut results = [_mm256_setzero_si256(); BLOCK];
            for (c, result) in (first..first + live).zip(&mut results) {
                let n = w.counts()[c] as usize;
                let (index, weights) = (&w.index()[done..done + n], &w.weights()[done..done + n]);
                done += n;
                // SAFETY: elements of a row have their places among the turned ones.
                *result = unsafe {
                    requantized(channel(scratch, index, weights, scale.bias[c]), scale, c)
                };
            }
            put(&results, rows, live, channels, &mut out[first..]);
        }
    }
}

/// The sums of a channel, in the order that interleaving leaves.
///
/// # Safety
/// `x` has `ROWS` numbers for each of the places in `index`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn channel(x: &[i16], index: &[u32], weights: &[i16], bias: i32) -> [__m256i; 4] {
    let mut sums = [_mm256_set1_epi32(bias); 4];
    let mut add = |at: [u32; 2], w: [i16; 2]| {
        let w = _mm256_set1_epi32(i32::from(w[0]) & 0xFFFF | i32::from(w[1]) << 16);
        for half in 0..2 {
            // SAFETY: the caller's promise.
            let row = |at: u32| unsafe {
                let at = x.as_ptr().add(at as usize * ROWS + half * LANES);
                _mm256_loadu_si256(at.cast())
            };
            let (a, b) = (row(at[0]), row(at[1]));
            let low = _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w);
            let high = _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w);
            sums[2 * half] = _mm256_add_epi32(sums[2 * half], low);
            sums[2 * half + 1] = _mm256_add_epi32(sums[2 * half + 1], high);
        }
    };
    let ((pairs, last), (of, of_last)) = (index.as_chunks::<2>(), weights.as_chunks::<2>());
    for (at, w) in pairs.iter().zip(of) {
        add(*at, *w);
    }
    if let ([at], [w]) = (last, of_last) {
        add([*at; 2], [*w, 0]);
    }
    sums
}

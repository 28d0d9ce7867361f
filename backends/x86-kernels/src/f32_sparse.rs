//! Products of `f32` with sparse weights: tiles of rows, transposed, so that a weight is multiplied with an element
//! of each row at once. The same for both vector lengths.

use core::arch::x86_64::*;
use paring_kernels::{Extents, Sparse};

/// Channels whose results are transposed together.
const BLOCK: usize = 8;
/// Rows of the largest tile.
const MOST: usize = 64;

/// Bytes of transposed rows that a first-level cache has room for.
const NEAR: usize = 40 << 10;

/// Whether sparse beats dense, by the cycles of both as they were measured: `lanes` are those of a vector.
pub(crate) fn pays(lanes: usize, e: &Extents) -> bool {
    let tile = vectors(lanes, e.depth) * lanes;
    let whole = e.rows.next_multiple_of(tile);
    let near = 4 * tile * e.depth <= NEAR;
    let dense = e.depth.saturating_mul(e.channels).saturating_mul(e.rows) / 31;
    let speed = match (near, lanes) {
        (true, 8) => 16,
        (true, _) => 9,
        _ => 7,
    };
    let sparse = whole.saturating_mul(e.weights / speed + (e.depth + e.channels) * 2 / 5);
    e.rows >= 2 * lanes && sparse < dense
}

/// Vectors of a tile, such that the transposed rows stay in the first-level cache where they can.
fn vectors(lanes: usize, depth: usize) -> usize {
    if 16 * lanes * depth <= NEAR { 4 } else { 2 }
}

/// Elements of scratch memory for rows of `depth` elements.
pub(crate) fn scratch(lanes: usize, depth: usize) -> usize {
    vectors(lanes, depth) * lanes * depth
}

/// Transposes 8 rows of 8 numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(r: [__m256; 8]) -> [__m256; 8] {
    let mut a = r;
    for i in 0..4 {
        a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    let mut b = a;
    for i in 0..2 {
        for j in 0..2 {
            let (x, y) = (a[4 * i + j], a[4 * i + 2 + j]);
            b[4 * i + 2 * j] = _mm256_shuffle_ps::<0x44>(x, y);
            b[4 * i + 2 * j + 1] = _mm256_shuffle_ps::<0xEE>(x, y);
        }
    }
    let mut out = b;
    for i in 0..4 {
        out[i] = _mm256_permute2f128_ps::<0x20>(b[i], b[4 + i]);
        out[4 + i] = _mm256_permute2f128_ps::<0x31>(b[i], b[4 + i]);
    }
    out
}

/// `to[k * wide + r] = a[r * depth + k]` for `rows` rows, the last of which stands for those up to `wide`.
///
/// `a` has `rows * depth` elements, `to` `wide * depth`, and `wide` is a multiple of 8.
#[target_feature(enable = "avx2")]
unsafe fn turn(a: &[f32], rows: usize, depth: usize, wide: usize, to: &mut [f32]) {
    for r in (0..wide).step_by(8) {
        let row = |i: usize| (r + i).min(rows - 1) * depth;
        let mut k = 0;
        while k + 8 <= depth {
            // SAFETY: rows and places are inside.
            unsafe {
                let mut block = [_mm256_setzero_ps(); 8];
                for (i, block) in block.iter_mut().enumerate() {
                    *block = _mm256_loadu_ps(a.as_ptr().add(row(i) + k));
                }
                for (i, block) in transposed(block).into_iter().enumerate() {
                    _mm256_storeu_ps(to.as_mut_ptr().add((k + i) * wide + r), block);
                }
            }
            k += 8;
        }
        for k in k..depth {
            for i in 0..8 {
                to[k * wide + r + i] = a[row(i) + k];
            }
        }
    }
}

fn clamped(y: f32, (low, high): (f32, f32)) -> f32 {
    let y = if y < low { low } else { y };
    if y > high { high } else { y }
}

/// Writes the results of up to 8 channels, `sums` of `wide` rows each, to rows of `channels`, from the first of them
/// on.
#[target_feature(enable = "avx2")]
unsafe fn put(
    sums: &[f32; BLOCK * MOST],
    wide: usize,
    rows: usize,
    live: usize,
    channels: usize,
    rest: Option<&[f32]>,
    clamp: (f32, f32),
    out: &mut [f32],
) {
    let mut first = 0;
    if live == BLOCK {
        let (low, high) = (_mm256_set1_ps(clamp.0), _mm256_set1_ps(clamp.1));
        while first + 8 <= rows {
            // SAFETY: the sums are there, and so are the channels of each row.
            unsafe {
                let mut block = [_mm256_setzero_ps(); 8];
                for (i, block) in block.iter_mut().enumerate() {
                    *block = _mm256_loadu_ps(sums.as_ptr().add(i * wide + first));
                }
                for (i, mut y) in transposed(block).into_iter().enumerate() {
                    let at = (first + i) * channels;
                    if let Some(rest) = rest {
                        y = _mm256_add_ps(y, _mm256_loadu_ps(rest[at..at + 8].as_ptr()));
                    }
                    // The second operand is the result where one is not a number.
                    let y = _mm256_min_ps(high, _mm256_max_ps(low, y));
                    _mm256_storeu_ps(out[at..at + 8].as_mut_ptr(), y);
                }
            }
            first += 8;
        }
    }
    for r in first..rows {
        for c in 0..live {
            let at = r * channels + c;
            let y = sums[c * wide + r] + rest.map_or(0.0, |rest| rest[at]);
            out[at] = clamped(y, clamp);
        }
    }
}

macro_rules! sparse {
    ($name:ident, $features:literal, $lanes:literal,
     $load:ident, $store:ident, $set1:ident, $fma:ident, $sum:ident) => {
        pub(crate) mod $name {
            use super::*;

            pub(crate) const LANES: usize = $lanes;

            /// See [`crate::sparse::f32_product`], which checks the lengths.
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn product(
                a: &[f32],
                w: &Sparse<'_, f32>,
                bias: &[f32],
                rest: Option<&[f32]>,
                clamp: (f32, f32),
                scratch: &mut [f32],
                out: &mut [f32],
            ) {
                let (depth, channels) = (w.depth(), w.counts().len());
                let vectors = vectors(LANES, depth);
                let (wide, total) = (vectors * LANES, a.len() / depth);
                for row in (0..total).step_by(wide) {
                    let rows = (total - row).min(wide);
                    let a = &a[row * depth..(row + rows) * depth];
                    let rest = rest.map(|r| &r[row * channels..(row + rows) * channels]);
                    let out = &mut out[row * channels..(row + rows) * channels];
                    // SAFETY: the scratch memory is for tiles of this height.
                    unsafe {
                        turn(a, rows, depth, wide, scratch);
                        if vectors == 4 {
                            tile::<4>(rows, w, bias, rest, clamp, scratch, out);
                        } else {
                            tile::<2>(rows, w, bias, rest, clamp, scratch, out);
                        }
                    }
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn tile<const V: usize>(
                rows: usize,
                w: &Sparse<'_, f32>,
                bias: &[f32],
                rest: Option<&[f32]>,
                clamp: (f32, f32),
                turned: &[f32],
                out: &mut [f32],
            ) {
                let (wide, channels) = (V * LANES, bias.len());
                let mut sums = [0.0_f32; BLOCK * MOST];
                let mut done = 0;
                for first in (0..channels).step_by(BLOCK) {
                    let live = (channels - first).min(BLOCK);
                    for c in 0..live {
                        let n = w.counts()[first + c] as usize;
                        let index = &w.index()[done..done + n];
                        let weights = &w.weights()[done..done + n];
                        done += n;
                        // SAFETY: every element of a row has its place among the turned ones.
                        unsafe {
                            // Two sums, so that one product need not wait for the one before.
                            let mut acc = [[$set1(bias[first + c]); V], [$set1(0.0); V]];
                            let add = |acc: &mut [_; V], k: u32, w: f32| {
                                let (x, w) = (turned.as_ptr().add(k as usize * wide), $set1(w));
                                for v in 0..V {
                                    acc[v] = $fma(w, $load(x.add(v * LANES)), acc[v]);
                                }
                            };
                            let (pairs, last) = index.as_chunks::<2>();
                            let (weights, last_weights) = weights.as_chunks::<2>();
                            for (k, w) in pairs.iter().zip(weights) {
                                add(&mut acc[0], k[0], w[0]);
                                add(&mut acc[1], k[1], w[1]);
                            }
                            for (k, w) in last.iter().zip(last_weights) {
                                add(&mut acc[0], *k, *w);
                            }
                            for v in 0..V {
                                let sum = $sum(acc[0][v], acc[1][v]);
                                $store(sums[c * wide + v * LANES..][..LANES].as_mut_ptr(), sum);
                            }
                        }
                    }
                    let rest = rest.map(|r| &r[first..]);
                    // SAFETY: the sums of all rows are there.
                    unsafe {
                        put(&sums, wide, rows, live, channels, rest, clamp, &mut out[first..]);
                    }
                }
            }
        }
    };
}

sparse!(
    avx2,
    "avx2,fma",
    8,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps
);
sparse!(
    avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma",
    16,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps
);

//! `i8` products with AVX2: tiles of up to 6 rows by two vectors of 8 channels.
//!
//! Both sides are widened to 16 bits: `VPMADDWD` adds two products of those to 32 bits, exactly, where
//! the product of bytes (`VPMADDUBSW`) would saturate. The rows of a tile are widened once for a panel.

use crate::gemm::{Lane, panel_lane};
use core::arch::x86_64::*;
use core::mem::MaybeUninit;
use paring_kernels::{I8Panel, PAD, Rows};

pub(crate) const TILE: usize = 6;
/// Pieces are read in steps of this many elements.
pub(crate) const STEP: usize = 16;
/// Bytes of the constants of a vector of 8 channels.
pub(crate) const VECTOR: usize = 9 * 32;
/// Bytes of the bounds that lead a panel.
const HEAD: usize = 32;
/// Elements of a piece that are widened at a time.
const CHUNK: usize = 256;

pub(crate) fn panel_len(taps: usize, depth: usize, width: usize) -> usize {
    HEAD + width / 8 * VECTOR + taps * depth.div_ceil(2) * 2 * width
}

/// The channel that a lane of a vector holds: such that packing two vectors to 16 bits restores the
/// order.
pub(crate) fn channel(width: usize, v: usize, lane: usize) -> usize {
    if width == 16 { 8 * (lane / 4) + 4 * v + lane % 4 } else { lane }
}

/// Writes the constants of vectors of channels, all in the short form if they all have it; whether
/// they have. A channel comes with what its sum begins with.
pub(crate) fn write_vectors(to: &mut [u8], lanes: &[[(i32, Lane); 8]]) -> bool {
    let short = lanes.iter().flatten().all(|(_, l)| l.short.is_some());
    for (to, lanes) in to.chunks_exact_mut(VECTOR).zip(lanes) {
        let mut put = |block: usize, at: usize, bytes: &[u8]| {
            to[block * 32 + at..][..bytes.len()].copy_from_slice(bytes);
        };
        for (i, (start, lane)) in lanes.iter().enumerate() {
            let (odd, at) = (i % 2, 8 * (i / 2));
            if let Some(s) = lane.short.filter(|_| short) {
                // See [`requantize`].
                put(0, 4 * i, &start.wrapping_add(i32::MIN).to_le_bytes());
                put(1, 4 * i, &(2 * s.m as u32).to_le_bytes());
                put(2, 4 * i, &s.c.wrapping_sub(s.m).wrapping_sub(1).to_le_bytes());
                put(3, 4 * i, &s.e.to_le_bytes());
            } else {
                let a = lane.affine;
                put(0, 4 * i, &start.to_le_bytes());
                put(1, 4 * i, &a.m.to_le_bytes());
                put(2 + odd, at, &a.k.wrapping_add(i64::MIN).to_le_bytes());
                put(4 + odd, at, &i64::from(a.t).to_le_bytes());
                put(6 + odd, at, &i64::from(a.sign).to_le_bytes());
                put(8, 4 * i, &((1_u64 << (63 - a.t)) as u32).to_le_bytes());
            }
        }
    }
    short
}

/// Packs a panel; `false` where the requantization of a channel has no form here.
pub(crate) fn pack(p: &I8Panel<'_>, panel: &mut [u8]) -> bool {
    let (taps, depth, width) = (p.taps, p.depth, p.width);
    let (pairs, vectors, len) = (depth.div_ceil(2), width / 8, taps * depth);
    panel.fill(0);
    panel[0] = p.bounds.0 as u8;
    panel[1] = p.bounds.1 as u8;
    let base = HEAD + vectors * VECTOR;
    let mut lanes = [[(0, Lane::UNUSED); 8]; 2];
    for (v, lanes) in lanes[..vectors].iter_mut().enumerate() {
        for (lane, slot) in lanes.iter_mut().enumerate() {
            let c = channel(width, v, lane);
            if c >= p.bias.len() {
                continue;
            }
            let w = &p.weights[c * len..(c + 1) * len];
            let Some(entry) = panel_lane(p, c, w) else { return false };
            *slot = (p.bias[c], entry);
            for tap in 0..taps {
                for k in 0..depth {
                    let pair = (tap * pairs + k / 2) * vectors + v;
                    panel[base + pair * 16 + 2 * lane + k % 2] = w[tap * depth + k] as u8;
                }
            }
        }
    }
    let constants = &mut panel[HEAD..][..vectors * VECTOR];
    panel[2] = u8::from(write_vectors(constants, &lanes[..vectors]));
    true
}

/// Eight accumulators to numbers in the output's quantization, not yet cut to its range.
///
/// In the short form, accumulators come with 2^31 added: without a sign, times twice the mantissa,
/// they leave `(acc * m + 2^30) >> 31`, plus the mantissa, in the upper half of each product.
/// In the other form, 2^63 is added so that the shift may bring in zeros, and taken off afterwards.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn requantize<const SHORT: bool>(acc: __m256i, vector: *const u8) -> __m256i {
    // SAFETY: the caller gives constants of `VECTOR` bytes.
    unsafe {
        let get = |block: usize| _mm256_loadu_si256(vector.add(32 * block).cast());
        let m = get(1);
        let (high, high_m) = (_mm256_srli_epi64::<32>(acc), _mm256_srli_epi64::<32>(m));
        if SHORT {
            let nudge = _mm256_set1_epi64x(1 << 31);
            let even = _mm256_add_epi64(_mm256_mul_epu32(acc, m), nudge);
            let odd = _mm256_add_epi64(_mm256_mul_epu32(high, high_m), nudge);
            let h = _mm256_blend_epi32::<0xAA>(_mm256_srli_epi64::<32>(even), odd);
            // The top bit is set where the sum is not negative.
            let c = _mm256_sub_epi32(get(2), _mm256_srai_epi32::<31>(acc));
            return _mm256_srav_epi32(_mm256_add_epi32(h, c), get(3));
        }
        let negative = _mm256_srai_epi32::<31>(acc);
        let even = _mm256_add_epi64(_mm256_mul_epi32(acc, m), get(2));
        let odd = _mm256_add_epi64(_mm256_mul_epi32(high, high_m), get(3));
        let even = _mm256_sub_epi64(even, _mm256_and_si256(negative, get(6)));
        let odd =
            _mm256_sub_epi64(odd, _mm256_and_si256(_mm256_srli_epi64::<32>(negative), get(7)));
        let even = _mm256_srlv_epi64(even, get(4));
        let odd = _mm256_slli_epi64::<32>(_mm256_srlv_epi64(odd, get(5)));
        _mm256_sub_epi32(_mm256_blend_epi32::<0xAA>(even, odd), get(8))
    }
}

/// Sixteen numbers of two vectors as bytes in the order of their channels.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn to_bytes(a: __m256i, b: __m256i) -> __m128i {
    let short = _mm256_packs_epi32(a, b);
    _mm_packs_epi16(_mm256_castsi256_si128(short), _mm256_extracti128_si256::<1>(short))
}

struct Tile {
    a: *const i8,
    pad: *const i8,
    taps: usize,
    depth: usize,
    panel: *const u8,
    cols: usize,
    stride: usize,
}

/// See [`crate::gemm::i8_gemm`], which checks the lengths.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn gemm(
    rows: &Rows<'_, i8>,
    panel: &[u8],
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i8],
) {
    let tile = Tile {
        a: rows.a().as_ptr(),
        pad: rows.pad().as_ptr(),
        taps: rows.taps(),
        depth: rows.depth(),
        panel: panel.as_ptr(),
        cols,
        stride,
    };
    let mut done = 0;
    let mut at = rows.at().as_ptr();
    while done < rows.rows() {
        let m = (rows.rows() - done).min(TILE);
        // SAFETY: the caller checked that the rows are inside their slices.
        unsafe {
            let out = out.as_mut_ptr().add(done * stride);
            if width == 16 {
                by_rows::<2>(&tile, m, at, out)
            } else {
                by_rows::<1>(&tile, m, at, out)
            }
            at = at.add(rows.taps() * TILE);
        }
        done += m;
    }
}

#[target_feature(enable = "avx2")]
unsafe fn by_rows<const V: usize>(t: &Tile, m: usize, at: *const u32, out: *mut i8) {
    macro_rules! of {
        ($($m:literal)*) => {
            match m {
                // SAFETY: as the caller's.
                $($m => unsafe { tile::<$m, V>(t, at, out) },)*
                _ => unreachable!("tiles have 1 to 6 rows"),
            }
        };
    }
    of!(1 2 3 4 5 6);
}

#[target_feature(enable = "avx2")]
unsafe fn tile<const M: usize, const V: usize>(t: &Tile, at: *const u32, out: *mut i8) {
    // SAFETY: the caller checked every piece, the panel and the rows of the output.
    unsafe {
        let mut acc = [[_mm256_setzero_si256(); V]; M];
        for v in 0..V {
            let start = _mm256_loadu_si256(t.panel.add(HEAD + v * VECTOR).cast());
            for row in &mut acc {
                row[v] = start;
            }
        }
        // Every part that is read is written before.
        let mut wide = MaybeUninit::<[[i16; CHUNK]; M]>::uninit();
        let wide = wide.as_mut_ptr().cast::<i16>();
        let mut w = t.panel.add(HEAD + V * VECTOR);
        for tap in 0..t.taps {
            let mut p = [t.pad; M];
            for (m, p) in p.iter_mut().enumerate() {
                let offset = *at.add(tap * TILE + m);
                if offset != PAD {
                    *p = t.a.add(offset as usize);
                }
            }
            let mut from = 0;
            while from < t.depth {
                let n = (t.depth - from).min(CHUNK);
                for m in 0..M {
                    for k in (0..n).step_by(STEP) {
                        let x = _mm_loadu_si128(p[m].add(from + k).cast());
                        let to = wide.add(m * CHUNK + k);
                        _mm256_storeu_si256(to.cast(), _mm256_cvtepi8_epi16(x));
                    }
                }
                for pair in 0..n.div_ceil(2) {
                    let mut b = [_mm256_setzero_si256(); V];
                    for (v, b) in b.iter_mut().enumerate() {
                        *b = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.add(16 * v).cast()));
                    }
                    for m in 0..M {
                        let x = wide.add(m * CHUNK + 2 * pair).cast::<i32>().read_unaligned();
                        let x = _mm256_set1_epi32(x);
                        for v in 0..V {
                            acc[m][v] = _mm256_add_epi32(acc[m][v], _mm256_madd_epi16(x, b[v]));
                        }
                    }
                    w = w.add(16 * V);
                }
                from += n;
            }
        }
        if *t.panel.add(2) == 1 {
            finish::<M, V, true>(t, &acc, out);
        } else {
            finish::<M, V, false>(t, &acc, out);
        }
    }
}

/// Requantizes and writes the sums of a tile.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn finish<const M: usize, const V: usize, const SHORT: bool>(
    t: &Tile,
    acc: &[[__m256i; V]; M],
    out: *mut i8,
) {
    // SAFETY: as the caller's.
    unsafe {
        let low = _mm_set1_epi8(*t.panel as i8);
        let high = _mm_set1_epi8(*t.panel.add(1) as i8);
        let row = |sums: [__m256i; V], m: usize| {
            let scaled = |v: usize| requantize::<SHORT>(sums[v], t.panel.add(HEAD + v * VECTOR));
            let y = if V == 2 {
                to_bytes(scaled(0), scaled(V - 1))
            } else {
                let y = scaled(0);
                let low = _mm256_castsi256_si128(y);
                let short = _mm_packs_epi32(low, _mm256_extracti128_si256::<1>(y));
                _mm_packs_epi16(short, short)
            };
            let y = _mm_min_epi8(_mm_max_epi8(y, low), high);
            store(y, out.add(m * t.stride), t.cols);
        };
        // Row by row without a loop, so that the sums stay in registers.
        macro_rules! rows {
            ($($m:literal)*) => {
                $(if $m < M {
                    row(acc[$m], $m);
                })*
            };
        }
        rows!(0 1 2 3 4 5);
    }
}

/// Writes the first bytes of a vector.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn store(y: __m128i, to: *mut i8, n: usize) {
    // SAFETY: the caller has room for `n` bytes, at most 16.
    unsafe {
        if n == 16 {
            _mm_storeu_si128(to.cast(), y);
        } else {
            let mut bytes = [0_i8; 16];
            _mm_storeu_si128(bytes.as_mut_ptr().cast(), y);
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, n);
        }
    }
}

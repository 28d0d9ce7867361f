//! `i8` products with VNNI: tiles of up to 14 rows by two vectors of 16 channels.
//!
//! `VPDPBUSD` multiplies unsigned by signed bytes. The left side becomes unsigned by flipping its top
//! bit, which adds 128; the biases take `128 * sum(w)` off again. All sums are exact.

use crate::gemm::{Lane, panel_lane};
use core::arch::asm;
use core::arch::x86_64::*;
use paring_kernels::{I8Panel, PAD, Rows};

const TILE: usize = 14;
/// Bytes of the constants of a vector of channels.
pub(crate) const VECTOR: usize = 5 * 64;
/// Bytes of the bounds that lead a panel.
const HEAD: usize = 64;

/// Pieces are read in steps of this many elements.
pub(crate) const STEP: usize = 8;

/// Elements of a piece with those that are multiplied with zeros.
fn padded(depth: usize, width: usize) -> usize {
    depth.next_multiple_of(if width == 16 { STEP } else { 4 })
}

pub(crate) fn panel_len(taps: usize, depth: usize, width: usize) -> usize {
    HEAD + width / 16 * VECTOR + taps * padded(depth, width) * width
}

/// The channel that a lane of a vector holds: such that packing two vectors to 16 bits restores the
/// order.
fn channel(width: usize, v: usize, lane: usize) -> usize {
    if width == 32 { 8 * (lane / 4) + 4 * v + lane % 4 } else { lane }
}

/// Where the weight of an element of a padded row belongs among those of a panel.
///
/// In wide panels, a lane holds four elements of a channel. In narrow ones two lanes hold eight, so that one
/// read of the left side serves two products: the first vector has those of the channels `4 i` and `4 i + 1`,
/// the second those of the others, and adding neighbours restores the order.
fn place(width: usize, v: usize, lane: usize, k: usize) -> usize {
    if width == 32 {
        return (k / 4 * 2 + v) * 64 + 4 * lane + k % 4;
    }
    let (quarter, pair, slot) = (lane / 4, lane % 4 / 2, lane % 2);
    (k / 8 * 2 + pair) * 64 + 16 * quarter + 8 * slot + k % 8
}

/// The forms of the constants of channels; the head of packed weights says which one all of them have.
pub(crate) const LONG: u8 = 0;
/// See [`requantize_short`].
pub(crate) const SHORT: u8 = 1;
/// See [`requantize_raised`].
pub(crate) const RAISED: u8 = 2;

/// The best form that all channels have.
pub(crate) fn form_of<'a>(lanes: impl Iterator<Item = &'a Lane> + Clone) -> u8 {
    if lanes.clone().all(|l| l.raised.is_some()) {
        RAISED
    } else if lanes.clone().all(|l| l.short.is_some()) {
        SHORT
    } else {
        LONG
    }
}

/// Writes the constants of vectors of channels in a form that all of them have.
pub(crate) fn write_vectors(to: &mut [u8], lanes: &[[Lane; 16]], form: u8) {
    for (to, lanes) in to.chunks_exact_mut(VECTOR).zip(lanes) {
        let mut put = |block: usize, at: usize, bytes: &[u8]| {
            to[block * 64 + at..][..bytes.len()].copy_from_slice(bytes);
        };
        for (i, lane) in lanes.iter().enumerate() {
            let (odd, at) = (i % 2, 8 * (i / 2));
            // The last two forms want 2^31 added to accumulators. The product of odd lanes takes the factors
            // from even places.
            let top = lane.start.wrapping_add(i32::MIN);
            match (form, lane.short, lane.raised) {
                (RAISED, _, Some(r)) => {
                    put(0, 4 * i, &top.wrapping_add(r.start).to_le_bytes());
                    put(1 + odd, at, &r.m.to_le_bytes());
                    put(3, 4 * i, &r.c.wrapping_sub((r.m / 2) as i32).to_le_bytes());
                    put(4, 4 * i, &r.e.to_le_bytes());
                }
                (SHORT, Some(s), _) => {
                    put(0, 4 * i, &top.to_le_bytes());
                    put(1 + odd, at, &(2 * s.m as u32).to_le_bytes());
                    put(3, 4 * i, &s.c.wrapping_sub(s.m).wrapping_sub(1).to_le_bytes());
                    put(4, 4 * i, &s.e.to_le_bytes());
                }
                _ => {
                    // See [`requantize`].
                    let a = lane.affine;
                    put(0, 4 * i, &lane.start.to_le_bytes());
                    put(1, 4 * i, &a.m.to_le_bytes());
                    put(2 + odd, at, &a.k.to_le_bytes());
                    put(4, 4 * i, &(a.t | a.sign).to_le_bytes());
                }
            }
        }
    }
}

/// Packs a panel; `false` where the requantization of a channel has no form here.
pub(crate) fn pack(p: &I8Panel<'_>, panel: &mut [u8]) -> bool {
    let (taps, depth, width) = (p.taps, p.depth, p.width);
    let (row, vectors, len) = (padded(depth, width), width / 16, taps * depth);
    panel.fill(0);
    panel[0] = p.bounds.0 as u8;
    panel[1] = p.bounds.1 as u8;
    let base = HEAD + vectors * VECTOR;
    let mut lanes = [[Lane::UNUSED; 16]; 2];
    for (v, lanes) in lanes[..vectors].iter_mut().enumerate() {
        for (lane, slot) in lanes.iter_mut().enumerate() {
            let c = channel(width, v, lane);
            if c >= p.bias.len() {
                continue;
            }
            let w = &p.weights[c * len..(c + 1) * len];
            let Some(entry) = panel_lane(p, c, w) else { return false };
            *slot = entry;
            for tap in 0..taps {
                for k in 0..depth {
                    let at = place(width, v, lane, tap * row + k);
                    panel[base + at] = w[tap * depth + k] as u8;
                }
            }
        }
    }
    let constants = &mut panel[HEAD..][..vectors * VECTOR];
    let form = form_of(lanes[..vectors].iter().flatten());
    write_vectors(constants, &lanes[..vectors], form);
    panel[2] = form;
    true
}

struct Tile {
    a: *const i8,
    pad: *const i8,
    taps: usize,
    groups: usize,
    panel: *const u8,
    cols: usize,
    stride: usize,
}

/// See [`crate::gemm::i8_gemm`], which checks the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
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
        groups: padded(rows.depth(), width) / 4,
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
            if width == 32 {
                by_rows::<2>(&tile, m, at, out)
            } else {
                by_rows::<1>(&tile, m, at, out)
            }
            at = at.add(rows.taps() * TILE);
        }
        done += m;
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn by_rows<const V: usize>(t: &Tile, m: usize, at: *const u32, out: *mut i8) {
    macro_rules! of {
        ($($m:literal)*) => {
            match m {
                // SAFETY: as the caller's.
                $($m => unsafe {
                    if V == 2 { tile::<$m>(t, at, out) } else { narrow::<$m>(t, at, out) }
                },)*
                _ => unreachable!("tiles have 1 to 14 rows"),
            }
        };
    }
    of!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// Sixteen accumulators to numbers in the output's quantization, not yet cut to its range.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn requantize(acc: __m512i, vector: *const u8) -> __m512i {
    // SAFETY: the caller gives constants of `VECTOR` bytes.
    unsafe {
        let get = |block: usize| _mm512_loadu_si512(vector.add(64 * block).cast());
        // The top bit of a shift says whether ties round away from zero.
        let (m, t) = (get(1), get(4));
        let (high, high_t) = (_mm512_srli_epi64::<32>(acc), _mm512_srli_epi64::<32>(t));
        let top = _mm512_set1_epi64(1 << 31);
        let even = _mm512_add_epi64(_mm512_mul_epi32(acc, m), get(2));
        let odd = _mm512_mul_epi32(high, _mm512_srli_epi64::<32>(m));
        let odd = _mm512_add_epi64(odd, get(3));
        let even = _mm512_sub_epi64(even, _mm512_and_si512(_mm512_and_si512(acc, t), top));
        let odd = _mm512_sub_epi64(odd, _mm512_and_si512(_mm512_and_si512(high, high_t), top));
        let count = |t: __m512i| _mm512_and_si512(t, _mm512_set1_epi64(63));
        let even = _mm512_srav_epi64(even, count(t));
        let odd = _mm512_srav_epi64(odd, count(high_t));
        _mm512_castps_si512(_mm512_mask_moveldup_ps(
            _mm512_castsi512_ps(even),
            0xAAAA,
            _mm512_castsi512_ps(odd),
        ))
    }
}

/// As [`requantize`] with constants of the short form, for accumulators with 2^31 added.
///
/// Accumulators without a sign times twice the mantissa leave `(acc * m + 2^30) >> 31`, plus the
/// mantissa, in the upper half of each product.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn requantize_short(acc: __m512i, vector: *const u8) -> __m512i {
    // SAFETY: the caller gives constants of `VECTOR` bytes.
    unsafe {
        let get = |block: usize| _mm512_loadu_si512(vector.add(64 * block).cast());
        let nudge = _mm512_set1_epi64(1 << 31);
        let even = _mm512_add_epi64(_mm512_mul_epu32(acc, get(1)), nudge);
        let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(acc), get(2));
        let odd = _mm512_add_epi64(odd, nudge);
        let h = _mm512_castps_si512(_mm512_mask_movehdup_ps(
            _mm512_castsi512_ps(odd),
            0x5555,
            _mm512_castsi512_ps(even),
        ));
        // The top bit is set where the sum is not negative.
        let c = _mm512_sub_epi32(get(3), _mm512_srai_epi32::<31>(acc));
        _mm512_srav_epi32(_mm512_add_epi32(h, c), get(4))
    }
}

/// As [`requantize`] with constants of the raised form, for accumulators with 2^31 added.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn requantize_raised(acc: __m512i, vector: *const u8) -> __m512i {
    // SAFETY: the caller gives constants of `VECTOR` bytes.
    unsafe {
        let get = |block: usize| _mm512_loadu_si512(vector.add(64 * block).cast());
        let even = _mm512_mul_epu32(acc, get(1));
        let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(acc), get(2));
        let h = _mm512_castps_si512(_mm512_mask_movehdup_ps(
            _mm512_castsi512_ps(odd),
            0x5555,
            _mm512_castsi512_ps(even),
        ));
        _mm512_srav_epi32(_mm512_add_epi32(h, get(3)), get(4))
    }
}

/// By the form of the constants.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) unsafe fn scaled<const FORM: u8>(acc: __m512i, vector: *const u8) -> __m512i {
    // SAFETY: as the caller's.
    unsafe {
        match FORM {
            RAISED => requantize_raised(acc, vector),
            SHORT => requantize_short(acc, vector),
            _ => requantize(acc, vector),
        }
    }
}

/// Where the pieces of a tap begin.
#[inline(always)]
unsafe fn pieces<const M: usize>(t: &Tile, at: *const u32, tap: usize) -> [*const i8; M] {
    let mut p = [t.pad; M];
    for (m, p) in p.iter_mut().enumerate() {
        // SAFETY: the caller checked the table and every piece.
        unsafe {
            let offset = *at.add(tap * TILE + m);
            if offset != PAD {
                *p = t.a.add(offset as usize);
            }
        }
    }
    p
}

/// The top bit of each byte.
///
/// The compiler does not learn what it is: it would flip an element first and then spread it over a vector, in three
/// instructions, where one flips what it loads and spreads.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn top_bits() -> __m512i {
    let mut bits = _mm512_set1_epi8(-128);
    // SAFETY: no instruction.
    unsafe {
        asm!("/* {0} */", inout(zmm_reg) bits, options(pure, nomem, nostack, preserves_flags));
    }
    bits
}

/// A tile of a panel of two vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn tile<const M: usize>(t: &Tile, at: *const u32, out: *mut i8) {
    // SAFETY: the caller checked every piece, the panel and the rows of the output.
    unsafe {
        let mut acc = [[_mm512_setzero_si512(); 2]; M];
        for v in 0..2 {
            let bias = _mm512_loadu_si512(t.panel.add(HEAD + v * VECTOR).cast());
            for row in &mut acc {
                row[v] = bias;
            }
        }
        let flip = top_bits();
        let mut w = t.panel.add(HEAD + 2 * VECTOR);
        for tap in 0..t.taps {
            let p = pieces::<M>(t, at, tap);
            for g in 0..t.groups {
                let b = [0, 1].map(|v: usize| _mm512_loadu_si512(w.add(64 * v).cast()));
                for m in 0..M {
                    let x = p[m].add(4 * g).cast::<i32>().read_unaligned();
                    let x = _mm512_xor_si512(_mm512_set1_epi32(x), flip);
                    for v in 0..2 {
                        acc[m][v] = _mm512_dpbusd_epi32(acc[m][v], x, b[v]);
                    }
                }
                w = w.add(128);
            }
        }
        match *t.panel.add(2) {
            RAISED => finish::<M, 2, RAISED>(t, &acc, out),
            SHORT => finish::<M, 2, SHORT>(t, &acc, out),
            _ => finish::<M, 2, LONG>(t, &acc, out),
        }
    }
}

/// A tile of a panel of one vector; see [`place`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn narrow<const M: usize>(t: &Tile, at: *const u32, out: *mut i8) {
    // SAFETY: the caller checked every piece, the panel and the rows of the output.
    unsafe {
        let mut acc = [[_mm512_setzero_si512(); 2]; M];
        let flip = top_bits();
        let mut w = t.panel.add(HEAD + VECTOR);
        for tap in 0..t.taps {
            let p = pieces::<M>(t, at, tap);
            for g in 0..t.groups / 2 {
                let b = [0, 1].map(|v: usize| _mm512_loadu_si512(w.add(64 * v).cast()));
                for m in 0..M {
                    let x = p[m].add(STEP * g).cast::<i64>().read_unaligned();
                    let x = _mm512_xor_si512(_mm512_set1_epi64(x), flip);
                    for v in 0..2 {
                        acc[m][v] = _mm512_dpbusd_epi32(acc[m][v], x, b[v]);
                    }
                }
                w = w.add(128);
            }
        }
        let bias = _mm512_loadu_si512(t.panel.add(HEAD).cast());
        let mut sums = [[bias; 1]; M];
        // Without a loop, so that the sums stay in registers.
        macro_rules! rows {
            ($($m:literal)*) => {
                $(if $m < M {
                    let [a, b] = acc[$m].map(|v| _mm512_castsi512_ps(v));
                    let even = _mm512_castps_si512(_mm512_shuffle_ps::<0x88>(a, b));
                    let odd = _mm512_castps_si512(_mm512_shuffle_ps::<0xDD>(a, b));
                    sums[$m][0] = _mm512_add_epi32(_mm512_add_epi32(even, odd), bias);
                })*
            };
        }
        rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
        match *t.panel.add(2) {
            RAISED => finish::<M, 1, RAISED>(t, &sums, out),
            SHORT => finish::<M, 1, SHORT>(t, &sums, out),
            _ => finish::<M, 1, LONG>(t, &sums, out),
        }
    }
}

/// Writes the first bytes of a vector. Masks are for counts that no plain stores make up, since some
/// processors take long for them.
#[inline(always)]
unsafe fn store(y: __m256i, to: *mut i8, n: usize, mask: __mmask32) {
    // SAFETY: the caller has room for `n` bytes, which the mask stands for, too, and the features.
    unsafe {
        let low = _mm256_castsi256_si128(y);
        match n {
            32 => _mm256_storeu_si256(to.cast(), y),
            24 => {
                _mm_storeu_si128(to.cast(), low);
                _mm_storel_epi64(to.add(16).cast(), _mm256_extracti128_si256::<1>(y));
            }
            16 => _mm_storeu_si128(to.cast(), low),
            8 => _mm_storel_epi64(to.cast(), low),
            _ => _mm256_mask_storeu_epi8(to, mask, y),
        }
    }
}

/// Requantizes and writes the sums of a tile.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn finish<const M: usize, const V: usize, const FORM: u8>(
    t: &Tile,
    acc: &[[__m512i; V]; M],
    out: *mut i8,
) {
    // SAFETY: as the caller's.
    unsafe {
        let vector = t.panel.add(HEAD);
        let low = _mm256_set1_epi8(*t.panel as i8);
        let high = _mm256_set1_epi8(*t.panel.add(1) as i8);
        let mask = ((1_u64 << t.cols) - 1) as __mmask32;
        let scaled = |sum: __m512i, v: usize| scaled::<FORM>(sum, vector.add(v * VECTOR));
        let row = |sums: [__m512i; V], m: usize| {
            let y = if V == 2 {
                _mm512_cvtsepi16_epi8(_mm512_packs_epi32(
                    scaled(sums[0], 0),
                    scaled(sums[V - 1], 1),
                ))
            } else {
                _mm256_castsi128_si256(_mm512_cvtsepi32_epi8(scaled(sums[0], 0)))
            };
            let y = _mm256_min_epi8(_mm256_max_epi8(y, low), high);
            store(y, out.add(m * t.stride), t.cols, mask);
        };
        // Row by row without a loop, so that the sums stay in registers.
        macro_rules! rows {
            ($($m:literal)*) => {
                $(if $m < M {
                    row(acc[$m], $m);
                })*
            };
        }
        rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
    }
}

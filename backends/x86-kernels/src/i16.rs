//! Products and depthwise convolutions of `i16` with weights of `i8` whose sums fit 32 bits; the same for both vector
//! lengths.
//!
//! A packed panel begins as [`I16Panel::put_lanes`] says; then for each two elements of a row two weights of each
//! channel side by side. Depthwise weights are packed as in plain Rust.

use core::ops::Range;
use paring_kernels::{I16Panel, PAD, Rows, Window};

/// Elements that are multiplied and added at once.
pub(crate) const STEP: usize = 2;
/// What sums are offset by before they are shifted, so that they are not negative.
const OFFSET: i64 = 1 << 47;
/// Pixels of a depthwise convolution that are done together.
const PIXELS: usize = 8;

pub(crate) fn panel_len(taps: usize, depth: usize, width: usize) -> usize {
    I16Panel::lanes_len(width) + taps * depth.next_multiple_of(STEP) * width
}

pub(crate) fn pack(p: &I16Panel<'_>, packed: &mut [u8]) -> bool {
    let (lanes, pairs) = packed.split_at_mut(I16Panel::lanes_len(p.width));
    let per_tap = p.depth.next_multiple_of(STEP);
    for (c, channel) in p.weights.chunks_exact((p.taps * p.depth).max(1)).enumerate() {
        for (tap, piece) in channel.chunks_exact(p.depth).enumerate() {
            for (k, w) in piece.iter().enumerate() {
                let k = tap * per_tap + k;
                pairs[(k / STEP * p.width + c) * STEP + k % STEP] = *w as u8;
            }
        }
    }
    p.put_lanes(lanes)
}

/// Where a product finds its operands.
struct Call {
    a: *const i16,
    pad: *const i16,
    packed: *const u8,
    taps: usize,
    depth: usize,
    width: usize,
    cols: usize,
    stride: usize,
}

/// What both vector lengths have, by one name.
macro_rules! operations {
    ($name:ident, $features:literal, $vector:ty {
        $($f:ident($($x:ident: $t:ty),*) -> $r:ty $body:block)*
    }) => {
        #[allow(unused_unsafe)]
        mod $name {
            use core::arch::x86_64::*;

            pub(super) type Vector = $vector;

            $(
                #[inline]
                #[target_feature(enable = $features)]
                pub(super) unsafe fn $f($($x: $t),*) -> $r {
                    // SAFETY: the caller's promise.
                    unsafe { $body }
                }
            )*
        }
    };
}

operations!(ops512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni", __m512i {
    zero() -> __m512i { _mm512_setzero_si512() }
    splat(x: i32) -> __m512i { _mm512_set1_epi32(x) }
    splat64(x: i64) -> __m512i { _mm512_set1_epi64(x) }
    load(at: *const u8) -> __m512i { _mm512_loadu_si512(at.cast()) }
    pairs(at: *const u8) -> __m512i { _mm512_cvtepi8_epi16(_mm256_loadu_si256(at.cast())) }
    bytes(at: *const u8) -> __m512i { _mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast())) }
    words(at: *const i16) -> __m512i { _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast())) }
    dots(acc: __m512i, x: __m512i, w: __m512i) -> __m512i { _mm512_dpwssd_epi32(acc, x, w) }
    mul(a: __m512i, b: __m512i) -> __m512i { _mm512_mul_epi32(a, b) }
    add64(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi64(a, b) }
    up(a: __m512i, by: __m512i) -> __m512i { _mm512_sllv_epi64(a, by) }
    down(a: __m512i, by: __m512i) -> __m512i { _mm512_srlv_epi64(a, by) }
    even(a: __m512i) -> __m512i { _mm512_maskz_mov_epi32(0x5555, a) }
    odd(a: __m512i) -> __m512i { _mm512_srli_epi64::<32>(a) }
    join(even: __m512i, odd: __m512i) -> __m512i {
        _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_slli_epi64::<32>(odd))
    }
    sub(a: __m512i, b: __m512i) -> __m512i { _mm512_sub_epi32(a, b) }
    clamp(a: __m512i, low: __m512i, high: __m512i) -> __m512i {
        _mm512_min_epi32(_mm512_max_epi32(a, low), high)
    }
    store(to: *mut i16, n: usize, y: __m512i) -> () {
        let mask = ((1_u32 << n) - 1) as __mmask16;
        _mm256_mask_storeu_epi16(to, mask, _mm512_cvtepi32_epi16(y));
    }
});
operations!(ops256, "avx2", __m256i {
    zero() -> __m256i { _mm256_setzero_si256() }
    splat(x: i32) -> __m256i { _mm256_set1_epi32(x) }
    splat64(x: i64) -> __m256i { _mm256_set1_epi64x(x) }
    load(at: *const u8) -> __m256i { _mm256_loadu_si256(at.cast()) }
    pairs(at: *const u8) -> __m256i { _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast())) }
    bytes(at: *const u8) -> __m256i { _mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast())) }
    words(at: *const i16) -> __m256i { _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast())) }
    dots(acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
        _mm256_add_epi32(acc, _mm256_madd_epi16(x, w))
    }
    mul(a: __m256i, b: __m256i) -> __m256i { _mm256_mul_epi32(a, b) }
    add64(a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi64(a, b) }
    up(a: __m256i, by: __m256i) -> __m256i { _mm256_sllv_epi64(a, by) }
    down(a: __m256i, by: __m256i) -> __m256i { _mm256_srlv_epi64(a, by) }
    even(a: __m256i) -> __m256i { _mm256_blend_epi32::<0xAA>(a, _mm256_setzero_si256()) }
    odd(a: __m256i) -> __m256i { _mm256_srli_epi64::<32>(a) }
    join(even: __m256i, odd: __m256i) -> __m256i {
        _mm256_blend_epi32::<0xAA>(even, _mm256_slli_epi64::<32>(odd))
    }
    sub(a: __m256i, b: __m256i) -> __m256i { _mm256_sub_epi32(a, b) }
    clamp(a: __m256i, low: __m256i, high: __m256i) -> __m256i {
        _mm256_min_epi32(_mm256_max_epi32(a, low), high)
    }
    store(to: *mut i16, n: usize, y: __m256i) -> () {
        let y = _mm_packs_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y));
        if n == 8 {
            _mm_storeu_si128(to.cast(), y);
        } else {
            let mut all = [0_i16; 8];
            _mm_storeu_si128(all.as_mut_ptr().cast(), y);
            core::ptr::copy_nonoverlapping(all.as_ptr(), to, n);
        }
    }
});

macro_rules! kernels {
    ($name:ident, $ops:ident, $features:literal, $lanes:literal, $tile:literal, [$($m:literal)*]) => {
        pub(crate) mod $name {
            use super::$ops::*;
            use super::*;

            const LANES: usize = $lanes;

            /// The arithmetic of a vector of channels, that of even ones and of odd ones.
            #[derive(Clone, Copy)]
            struct Scale {
                factors: [Vector; 2],
                shifts: [Vector; 2],
                /// What products are offset by to be rounded and not negative.
                before: [Vector; 2],
                /// What is left of the offset.
                after: Vector,
                low: Vector,
                high: Vector,
            }

            impl Scale {
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn at(packed: *const u8, width: usize, channel: usize) -> Self {
                    // SAFETY: the packed weights are those of so many channels.
                    unsafe {
                        let shifts = numbers(packed, width, channel, 2);
                        let factors = numbers(packed, width, channel, 1);
                        let even = even(shifts);
                        let shifts = [even, odd(shifts)];
                        let (one, offset) = (splat64(1), splat64(OFFSET));
                        let before =
                            shifts.map(|s| add64(offset, up(one, add64(s, splat64(-1)))));
                        let [first, second] = shifts.map(|s| down(offset, s));
                        let bound = |i: usize| splat(packed.cast::<i32>().add(i).read_unaligned());
                        Self {
                            factors: [factors, odd(factors)],
                            shifts,
                            before,
                            after: join(first, second),
                            low: bound(0),
                            high: bound(1),
                        }
                    }
                }

                /// The results for sums.
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn apply(&self, sums: Vector) -> Vector {
                    // SAFETY: there are the features.
                    unsafe {
                        let x = [sums, odd(sums)];
                        let half = |i: usize| {
                            down(add64(mul(x[i], self.factors[i]), self.before[i]), self.shifts[i])
                        };
                        // Results fit 32 bits.
                        let y = sub(join(half(0), half(1)), self.after);
                        clamp(y, self.low, self.high)
                    }
                }
            }

            /// Numbers of a kind of a vector of channels.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn numbers(packed: *const u8, width: usize, channel: usize, kind: usize) -> Vector {
                let at = I16Panel::lanes_len(0) + 4 * (kind * width + channel);
                // SAFETY: the packed weights are those of so many channels.
                unsafe { load(packed.add(at).cast()) }
            }

            /// See [`paring_kernels::Kernels::i16_gemm`]; the lengths are checked.
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn gemm(
                rows: &Rows<'_, i16>,
                packed: &[u8],
                width: usize,
                cols: usize,
                stride: usize,
                out: &mut [i16],
            ) {
                let call = Call {
                    a: rows.a().as_ptr(),
                    pad: rows.pad().as_ptr(),
                    packed: packed.as_ptr(),
                    taps: rows.taps(),
                    depth: rows.depth(),
                    width,
                    cols,
                    stride,
                };
                for (tile, first) in (0..rows.rows()).step_by($tile).enumerate() {
                    let m = (rows.rows() - first).min($tile);
                    // SAFETY: the caller checked that the rows are inside their slices.
                    unsafe {
                        let at = rows.at().as_ptr().add(tile * rows.taps() * $tile);
                        let out = out.as_mut_ptr().add(first * stride);
                        if width == 2 * LANES {
                            by_rows::<2>(&call, m, at, out)
                        } else {
                            by_rows::<1>(&call, m, at, out)
                        }
                    }
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn by_rows<const V: usize>(call: &Call, m: usize, at: *const u32, out: *mut i16) {
                match m {
                    // SAFETY: as the caller's.
                    $($m => unsafe { tile::<$m, V>(call, at, out) },)*
                    _ => unreachable!("tiles have no more rows"),
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn tile<const M: usize, const V: usize>(
                call: &Call,
                at: *const u32,
                out: *mut i16,
            ) {
                // SAFETY: the caller checked every piece, the panel and the rows of the output.
                unsafe {
                    let mut acc = [[zero(); V]; M];
                    for v in 0..V {
                        let start = numbers(call.packed, call.width, LANES * v, 0);
                        for row in &mut acc {
                            row[v] = start;
                        }
                    }
                    let mut w = call.packed.add(I16Panel::lanes_len(call.width));
                    for tap in 0..call.taps {
                        let mut p = [call.pad; M];
                        for (m, p) in p.iter_mut().enumerate() {
                            let offset = *at.add(tap * $tile + m);
                            if offset != PAD {
                                *p = call.a.add(offset as usize);
                            }
                        }
                        for k in (0..call.depth).step_by(STEP) {
                            let mut b = [zero(); V];
                            for (v, b) in b.iter_mut().enumerate() {
                                *b = pairs(w.add(STEP * LANES * v));
                            }
                            for m in 0..M {
                                let x = splat(p[m].add(k).cast::<i32>().read_unaligned());
                                for v in 0..V {
                                    acc[m][v] = dots(acc[m][v], x, b[v]);
                                }
                            }
                            w = w.add(STEP * LANES * V);
                        }
                    }
                    for v in 0..V {
                        let scale = Scale::at(call.packed, call.width, LANES * v);
                        let n = call.cols.saturating_sub(LANES * v).min(LANES);
                        for m in 0..M {
                            store(out.add(m * call.stride + LANES * v), n, scale.apply(acc[m][v]));
                        }
                    }
                }
            }

            /// See [`paring_kernels::Kernels::i16_depthwise`]; the lengths are checked, and there is a vector of
            /// channels.
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn depthwise(
                window: &Window,
                x: &[i16],
                packed: &[u8],
                rows: Range<usize>,
                out: &mut [i16],
            ) {
                let (channels, first) = (window.channels, rows.start);
                let row = window.out_width * channels;
                for c in (0..channels).step_by(LANES) {
                    // The last vector may overlap the one before.
                    let c = c.min(channels - LANES);
                    for y in rows.clone() {
                        let out = &mut out[(y - first) * row..][..row];
                        // SAFETY: the caller's promise.
                        unsafe { line(window, x, packed, y, c, out) };
                    }
                }
            }

            /// A row of pixels of one vector of channels.
            #[target_feature(enable = $features)]
            unsafe fn line(
                window: &Window,
                x: &[i16],
                packed: &[u8],
                y: usize,
                c: usize,
                out: &mut [i16],
            ) {
                let channels = window.channels;
                let inner = window.inner_columns();
                let step = window.stride[1] * channels;
                // SAFETY: only pixels that are inside are read.
                unsafe {
                    let scale = Scale::at(packed.as_ptr(), channels, c);
                    let start = numbers(packed.as_ptr(), channels, c, 0);
                    let weights = packed.as_ptr().add(I16Panel::lanes_len(channels) + c);
                    let out = out.as_mut_ptr().add(c);
                    // Beside a zero, which is multiplied with what is beside a weight.
                    let element = |at: usize| words(x.as_ptr().add(at + c));
                    let mut column = 0;
                    while column < window.out_width {
                        let whole = inner.start <= column && column + PIXELS <= inner.end;
                        let n = if whole { PIXELS } else { 1 };
                        let mut acc = [start; PIXELS];
                        for ky in 0..window.kernel[0] {
                            let Some(row) = window.at(0, y, ky) else { continue };
                            for kx in 0..window.kernel[1] {
                                let Some(at) = window.at(1, column, kx) else { continue };
                                let at = (row * window.input[1] + at) * channels;
                                let tap = (ky * window.kernel[1] + kx) * channels;
                                let k = bytes(weights.add(tap));
                                if whole {
                                    for (p, acc) in acc.iter_mut().enumerate() {
                                        *acc = dots(*acc, element(at + p * step), k);
                                    }
                                } else {
                                    acc[0] = dots(acc[0], element(at), k);
                                }
                            }
                        }
                        for (p, acc) in acc.into_iter().take(n).enumerate() {
                            store(out.add((column + p) * channels), LANES, scale.apply(acc));
                        }
                        column += n;
                    }
                }
            }
        }
    };
}

kernels!(
    avx512,
    ops512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    16,
    14,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14]
);
kernels!(avx2, ops256, "avx2", 8, 6, [1 2 3 4 5 6]);

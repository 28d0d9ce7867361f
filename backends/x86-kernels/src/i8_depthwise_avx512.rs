//! Depthwise `i8` convolution with VNNI, 64 bytes at a time.
//!
//! The bytes of up to four taps of a column of the window are interleaved so that each 32-bit lane
//! holds the taps of one channel; `VPDPBUSD` then adds all their products. The interleaving leaves
//! channels in an order that packing the results to bytes restores. In windows of three rows, a column
//! that the next pixel sees too is interleaved once.
//!
//! Other windows interleave the columns of some pixels into a buffer first.
//!
//! Where 64 is a multiple of the channels and pixels lie side by side, one vector holds several pixels.

use crate::depthwise::lane as channel_lane;
use crate::gemm::Lane;
use crate::i8_avx512::{LONG, RAISED, SHORT, VECTOR, form_of, scaled, write_vectors};
use core::arch::x86_64::*;
use core::mem::MaybeUninit;
use paring_kernels::{I8Depthwise, Window};
use std::ops::Range;

/// Bytes that lead the packed weights: the bounds, the form of the constants, and whether weights are sums.
const HEAD: usize = 64;
/// Where the head says of which form all constants are.
const FORM_AT: usize = 2;
/// Where the head says how many bytes are added to a weight.
const SETS_AT: usize = 3;

/// Vectors of weights: four for each column and each four of its rows.
fn groups(kernel: [usize; 2]) -> usize {
    kernel[1] * kernel[0].div_ceil(4)
}

fn block_len(kernel: [usize; 2], sets: usize) -> usize {
    4 * VECTOR + sets * groups(kernel) * 256
}

/// Bytes of the packed weights; `sets` is 2 for those that are sums.
pub(crate) fn len(kernel: [usize; 2], channels: usize, sets: usize) -> usize {
    HEAD + channels.div_ceil(64) * block_len(kernel, sets)
}

/// Whether packed weights are sums of two bytes.
pub(crate) fn is_sum(packed: &[u8]) -> bool {
    packed.get(SETS_AT) == Some(&2)
}

/// How many pixels a vector holds.
fn pixels(channels: usize) -> usize {
    if channels < 64 && 64 % channels == 0 { 64 / channels } else { 1 }
}

/// `more` is added to the weights where it is not empty.
pub(crate) fn pack(p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
    let [kh, kw] = p.kernel;
    let (quads, repeat) = (kh.div_ceil(4), pixels(p.channels) > 1);
    let sets = if more.is_empty() { 1 } else { 2 };
    packed.fill(0);
    packed[0] = p.bounds.0 as u8;
    packed[1] = p.bounds.1 as u8;
    packed[SETS_AT] = sets as u8;
    let len = block_len(p.kernel, sets);
    let mut all = Vec::new();
    for (block, to) in packed[HEAD..].chunks_exact_mut(len).enumerate() {
        let weights = &mut to[4 * VECTOR..];
        let mut lanes = [[Lane::UNUSED; 16]; 4];
        for (v, lanes) in lanes.iter_mut().enumerate() {
            for (lane, slot) in lanes.iter_mut().enumerate() {
                let at = block * 64 + 16 * (lane / 4) + 4 * v + lane % 4;
                let c = if repeat { at % p.channels } else { at };
                if c >= p.channels {
                    continue;
                }
                let Some(entry) = channel_lane(p, c, kh * kw, more) else { return false };
                *slot = entry;
                for (set, from) in [p.weights, more].into_iter().take(sets).enumerate() {
                    for (tap, w) in from.iter().skip(c).step_by(p.channels).enumerate() {
                        let (ky, kx) = (tap / kw, tap % kw);
                        let group = set * groups(p.kernel) + kx * quads + ky / 4;
                        weights[(group * 4 + v) * 64 + 4 * lane + ky % 4] = *w as u8;
                    }
                }
            }
        }
        all.push(lanes);
    }
    let form = form_of(all.iter().flatten().flatten());
    packed[FORM_AT] = form;
    for (to, lanes) in packed[HEAD..].chunks_exact_mut(len).zip(&all) {
        write_vectors(&mut to[..4 * VECTOR], lanes, form);
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
    let (first, two, form) = (rows.start, is_sum(packed), packed[FORM_AT]);
    let len = block_len(window.kernel, 1 + usize::from(two));
    for y in rows {
        let out = out[(y - first) * window.out_width * channels..].as_mut_ptr();
        for (i, packed) in packed[HEAD..].chunks_exact(len).enumerate() {
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
                let (live, out) = ((channels - c).min(64), out.add(c));
                match (form, two) {
                    (RAISED, false) => line::<RAISED, false>(&block, y, live, out),
                    (RAISED, true) => line::<RAISED, true>(&block, y, live, out),
                    (SHORT, false) => line::<SHORT, false>(&block, y, live, out),
                    (SHORT, true) => line::<SHORT, true>(&block, y, live, out),
                    (_, false) => line::<LONG, false>(&block, y, live, out),
                    (_, true) => line::<LONG, true>(&block, y, live, out),
                }
            }
        }
    }
}

/// A row of pixels of one block.
// Functions of their own, so that what they call is inlined into each.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn line<const FORM: u8, const TWO: bool>(
    b: &Block<'_>,
    y: usize,
    live: usize,
    mut out: *mut i8,
) {
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
        let inner = w.inner_columns();
        let together = pixels(w.channels);
        // One vector of several pixels needs neighbours that lie side by side.
        let several = together > 1 && w.stride[1] == 1;
        let whole = if several { 64 } else { live };
        let near = w.dilation[1] == 1;
        let simple = w.kernel == [3, 3] && near;
        let buffered = kh <= MANY_ROWS && kw <= MANY_COLUMNS && near && inner.len() > 1;
        let mask = mask_of(live);
        // Bytes from a weight to what is added to it.
        let second = groups(w.kernel) * 256;
        let mut column = 0;
        while column < w.out_width {
            if (simple || buffered) && column == inner.start {
                let per = if several { together } else { 1 };
                let n = inner.len() / per;
                if n > 0 {
                    let left = w.at(1, column, 0).unwrap_or(0) * b.hop;
                    let at = |ky: usize| {
                        let (row, moves) = rows[ky];
                        (row.wrapping_add(left & moves), moves)
                    };
                    if simple {
                        let at = [at(0), at(1), at(2)];
                        match (per * w.stride[1], whole == 64) {
                            (1, true) => three::<1, FORM, TWO, true>(b, at, n, whole, per, out),
                            (2, true) => three::<2, FORM, TWO, true>(b, at, n, whole, per, out),
                            (_, true) => three::<3, FORM, TWO, true>(b, at, n, whole, per, out),
                            (1, false) => three::<1, FORM, TWO, false>(b, at, n, whole, per, out),
                            (2, false) => three::<2, FORM, TWO, false>(b, at, n, whole, per, out),
                            (_, false) => three::<3, FORM, TWO, false>(b, at, n, whole, per, out),
                        }
                    } else {
                        let mut all = [(b.pad, 0); MANY_ROWS];
                        for (ky, row) in all[..kh].iter_mut().enumerate() {
                            *row = at(ky);
                        }
                        many::<FORM, TWO>(b, all, n, whole, per, out);
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
                        let w = weights.add(64 * v);
                        acc[v] = product::<TWO>(acc[v], quads[v], w, second);
                    }
                    weights = weights.add(256);
                }
            }
            store(finish::<FORM>(b, &acc), out, live);
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
    let mut t = taps;
    for t in &mut t {
        *t = _mm512_xor_si512(*t, _mm512_set1_epi8(-128));
    }
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
unsafe fn finish<const FORM: u8>(b: &Block<'_>, acc: &[__m512i; 4]) -> __m512i {
    let mut y = *acc;
    for (v, y) in y.iter_mut().enumerate() {
        // SAFETY: a block begins with four vectors of constants.
        unsafe {
            *y = scaled::<FORM>(*y, b.packed.add(v * VECTOR));
        }
    }
    bytes(b, &y)
}

/// Scaled sums to bytes in the order of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn bytes(b: &Block<'_>, y: &[__m512i; 4]) -> __m512i {
    let y = _mm512_packs_epi16(_mm512_packs_epi32(y[0], y[1]), _mm512_packs_epi32(y[2], y[3]));
    _mm512_min_epi8(_mm512_max_epi8(y, b.bounds.0), b.bounds.1)
}

/// The bytes that are there.
fn mask_of(live: usize) -> u64 {
    if live == 64 { !0 } else { (1 << live) - 1 }
}

/// Writes the first bytes of a vector. Masks are for counts that no plain stores make up, since some
/// processors take long for them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn store(y: __m512i, to: *mut i8, live: usize) {
    let low = _mm512_castsi512_si256(y);
    // SAFETY: the caller has room for the bytes that are there.
    unsafe {
        match live {
            64 => _mm512_storeu_si512(to.cast(), y),
            48 => {
                _mm256_storeu_si256(to.cast(), low);
                _mm_storeu_si128(to.add(32).cast(), _mm512_extracti32x4_epi32::<2>(y));
            }
            32 => _mm256_storeu_si256(to.cast(), low),
            24 => {
                _mm_storeu_si128(to.cast(), _mm512_castsi512_si128(y));
                _mm_storel_epi64(to.add(16).cast(), _mm256_extracti128_si256::<1>(low));
            }
            16 => _mm_storeu_si128(to.cast(), _mm512_castsi512_si128(y)),
            8 => _mm_storel_epi64(to.cast(), _mm512_castsi512_si128(y)),
            _ => _mm512_mask_storeu_epi8(to, mask_of(live), y),
        }
    }
}

/// Adds products with the weights at `w`, and with those `second` bytes after them where weights are sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn product<const TWO: bool>(
    acc: __m512i,
    x: __m512i,
    w: *const u8,
    second: usize,
) -> __m512i {
    // SAFETY: the caller's weights are there.
    unsafe {
        let acc = _mm512_dpbusd_epi32(acc, x, _mm512_loadu_si512(w.cast()));
        if TWO {
            return _mm512_dpbusd_epi32(acc, x, _mm512_loadu_si512(w.add(second).cast()));
        }
        acc
    }
}

/// Rows of a window of [`many`].
const MANY_ROWS: usize = 8;
/// Columns of a window of [`many`].
const MANY_COLUMNS: usize = 8;
/// Columns of the input that are interleaved together.
const COLUMNS: usize = 24;

type Column = [__m512i; 4];

/// `n` vectors of pixels of a window that is inside from left to right. Columns are interleaved into a buffer
/// first, so that each is for all pixels that see it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn many<const FORM: u8, const TWO: bool>(
    b: &Block<'_>,
    rows: [(*const i8, usize); MANY_ROWS],
    n: usize,
    live: usize,
    per: usize,
    mut out: *mut i8,
) {
    let ([kh, kw], step, mask) = (b.window.kernel, b.window.stride[1] * per, mask_of(live));
    let quads = kh.div_ceil(4);
    let mut buffer = MaybeUninit::<[Column; COLUMNS * MANY_ROWS / 4]>::uninit();
    let buffer = buffer.as_mut_ptr().cast::<Column>();
    let most = (COLUMNS - kw) / step + 1;
    let mut done = 0;
    // SAFETY: the caller's rows are inside for all columns that `n` vectors see; of the buffer only what was
    // written is read.
    unsafe {
        while done < n {
            let now = (n - done).min(most);
            for c in 0..(now - 1) * step + kw {
                let from = (done * step + c) * b.hop;
                for q in 0..quads {
                    let mut taps = [_mm512_setzero_si512(); 4];
                    for (tap, (row, moves)) in taps.iter_mut().zip(&rows[4 * q..kh.min(4 * q + 4)])
                    {
                        *tap = _mm512_maskz_loadu_epi8(mask, row.wrapping_add(from & moves));
                    }
                    *buffer.add(c * quads + q) = interleave(taps);
                }
            }
            let mut i = 0;
            while i < now {
                let at = buffer.add(i * step * quads);
                let count = match now - i {
                    4.. => buffered::<4, FORM, TWO>(b, at, step, live, per, out),
                    2.. => buffered::<2, FORM, TWO>(b, at, step, live, per, out),
                    _ => buffered::<1, FORM, TWO>(b, at, step, live, per, out),
                };
                out = out.wrapping_add(count * per * b.hop);
                i += count;
            }
            done += now;
        }
    }
}

/// `P` vectors of pixels from the interleaved columns that the first one sees on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn buffered<const P: usize, const FORM: u8, const TWO: bool>(
    b: &Block<'_>,
    columns: *const Column,
    step: usize,
    live: usize,
    per: usize,
    out: *mut i8,
) -> usize {
    let quads = b.window.kernel[0].div_ceil(4);
    let second = groups(b.window.kernel) * 256;
    // SAFETY: as the caller's.
    unsafe {
        let mut acc = [[_mm512_setzero_si512(); 4]; P];
        for v in 0..4 {
            let bias = _mm512_loadu_si512(b.packed.add(v * VECTOR).cast());
            for acc in &mut acc {
                acc[v] = bias;
            }
        }
        let mut weights = b.packed.add(4 * VECTOR);
        for group in 0..groups(b.window.kernel) {
            for v in 0..4 {
                let w = weights.add(64 * v);
                for p in 0..P {
                    let x = (*columns.add(p * step * quads + group))[v];
                    acc[p][v] = product::<TWO>(acc[p][v], x, w, second);
                }
            }
            weights = weights.add(256);
        }
        for (p, acc) in acc.iter().enumerate() {
            store(finish::<FORM>(b, acc), out.wrapping_add(p * per * b.hop), live);
        }
    }
    P
}

/// `n` vectors of pixels of a 3x3 window that is inside from left to right; `S` is how many columns
/// each begins after the one before, 3 standing for 3 and more. `FULL` where all 64 bytes are there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn three<const S: usize, const FORM: u8, const TWO: bool, const FULL: bool>(
    b: &Block<'_>,
    rows: [(*const i8, usize); 3],
    n: usize,
    live: usize,
    per: usize,
    mut out: *mut i8,
) {
    // SAFETY: as the caller's.
    unsafe {
        let (mut at, moves) = (rows.map(|r| r.0), rows.map(|r| r.1));
        let step = b.window.stride[1] * per * b.hop;
        let mask = mask_of(live);
        let column = |at: &[*const i8; 3], kx: usize| {
            let tap = |ky: usize| {
                let at = at[ky].wrapping_add((kx * b.hop) & moves[ky]);
                if FULL { _mm512_loadu_si512(at.cast()) } else { _mm512_maskz_loadu_epi8(mask, at) }
            };
            let last = tap(2);
            interleave([tap(0), tap(1), last, last])
        };
        let put = |y: __m512i, out: *mut i8| {
            if FULL {
                _mm512_storeu_si512(out.cast(), y);
            } else {
                store(y, out, live);
            }
        };
        let hop = per * b.hop;
        let first = [column(&at, 0), column(&at, 1), column(&at, 2)];
        let mut q = [first[0], first[1], first[2], first[2]];
        let mut left = n;
        while left > 0 {
            let now = if S == 1 && left > 1 { 2 } else { 1 };
            if now == 2 {
                q[3] = column(&at, 3);
                let [y, second] = beside::<2, FORM, TWO>(b, &q);
                put(y, out);
                put(second, out.wrapping_add(hop));
            } else {
                let [y] = beside::<1, FORM, TWO>(b, &q);
                put(y, out);
            }
            out = out.wrapping_add(now * hop);
            left -= now;
            if left == 0 {
                break;
            }
            for ky in 0..3 {
                at[ky] = at[ky].wrapping_add((now * step) & moves[ky]);
            }
            // The columns that are seen again.
            q = match (S, now) {
                (1, 2) => [q[2], q[3], column(&at, 2), q[3]],
                (1, _) => [q[1], q[2], column(&at, 2), q[3]],
                (2, _) => [q[2], column(&at, 1), column(&at, 2), q[3]],
                _ => [column(&at, 0), column(&at, 1), column(&at, 2), q[3]],
            };
        }
    }
}

/// The results of `P` vectors of pixels of a 3x3 window, from the interleaved columns that the first sees on: each
/// sees the column after those before it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn beside<const P: usize, const FORM: u8, const TWO: bool>(
    b: &Block<'_>,
    q: &[Column; 4],
) -> [__m512i; P] {
    // SAFETY: as the caller's.
    unsafe {
        let weights = b.packed.add(4 * VECTOR);
        let mut y = [[_mm512_setzero_si512(); 4]; P];
        for v in 0..4 {
            let bias = _mm512_loadu_si512(b.packed.add(v * VECTOR).cast());
            for p in 0..P {
                y[p][v] = bias;
            }
            for kx in 0..3 {
                let w = weights.add((kx * 4 + v) * 64);
                for p in 0..P {
                    y[p][v] = product::<TWO>(y[p][v], q[p + kx][v], w, 3 * 256);
                }
            }
            for p in 0..P {
                y[p][v] = scaled::<FORM>(y[p][v], b.packed.add(v * VECTOR));
            }
        }
        let mut out = [_mm512_setzero_si512(); P];
        for p in 0..P {
            out[p] = bytes(b, &y[p]);
        }
        out
    }
}

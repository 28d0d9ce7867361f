//! `f32` products with tiles of up to 14 rows by two vectors of 16 channels.

use core::arch::x86_64::*;
use paring_kernels::{PAD, Rows};

const TILE: usize = 14;

/// One more than where the farthest piece begins, or 0, and whether there is padding.
#[target_feature(enable = "avx512f")]
pub(crate) fn farthest(at: &[u32]) -> (usize, bool) {
    // PAD wraps to 0.
    let one = _mm512_set1_epi32(1);
    let (mut low, mut high) = (_mm512_set1_epi32(-1), _mm512_setzero_si512());
    let chunks = at.chunks_exact(16);
    let rest = chunks.remainder().iter();
    for chunk in chunks {
        // SAFETY: there are 16 numbers.
        let chunk = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
        let chunk = _mm512_add_epi32(chunk, one);
        low = _mm512_min_epu32(low, chunk);
        high = _mm512_max_epu32(high, chunk);
    }
    let (low, high) = (_mm512_reduce_min_epu32(low), _mm512_reduce_max_epu32(high));
    let (low, high) = rest.fold((low, high), |(low, high), &at| {
        let at = at.wrapping_add(1);
        (low.min(at), high.max(at))
    });
    (high as usize, low == 0)
}

struct Tile<'a> {
    a: *const f32,
    pad: *const f32,
    taps: usize,
    depth: usize,
    panel: *const f32,
    rest: Option<*const f32>,
    clamp: (f32, f32),
    cols: usize,
    stride: usize,
    /// Where to bring the next panel into the cache from, and bytes of it for each element of a row.
    ahead: (*const u8, usize),
    lives: core::marker::PhantomData<&'a f32>,
}

/// See [`crate::gemm::f32_gemm`], which checks the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) unsafe fn gemm(
    rows: &Rows<'_, f32>,
    panel: &[f32],
    width: usize,
    rest: Option<&[f32]>,
    clamp: (f32, f32),
    cols: usize,
    stride: usize,
    out: &mut [f32],
) {
    let mut tile = Tile {
        a: rows.a().as_ptr(),
        pad: rows.pad().as_ptr(),
        taps: rows.taps(),
        depth: rows.depth(),
        panel: panel.as_ptr(),
        rest: None,
        clamp,
        cols,
        stride,
        ahead: (core::ptr::null(), 0),
        lives: core::marker::PhantomData,
    };
    // The tiles together bring in the panel after this one.
    let tiles = rows.rows().div_ceil(TILE);
    let share = size_of_val(panel) / tiles;
    let most = if collide(rows.at()) { TILE / 2 } else { TILE };
    let mut done = 0;
    let mut at = rows.at().as_ptr();
    while done < rows.rows() {
        let m = (rows.rows() - done).min(TILE);
        let next = panel.as_ptr_range().end.cast::<u8>();
        tile.ahead = (next.wrapping_add(done / TILE * share), 4 * width / tiles);
        // SAFETY: the caller checked that the rows are inside their slices.
        unsafe {
            let mut first = 0;
            while first < m {
                let m = (m - first).min(most);
                tile.rest = rest.map(|r| r.as_ptr().add((done + first) * stride));
                let (at, out) = (at.add(first), out.as_mut_ptr().add((done + first) * stride));
                if width == 32 {
                    by_rows::<2>(&tile, m, at, out)
                } else {
                    by_rows::<1>(&tile, m, at, out)
                }
                first += m;
            }
            at = at.add(rows.taps() * TILE);
        }
        done += m;
    }
}

/// Whether pieces are so far apart that those of a whole tile fall into the same places of a first-level cache, which
/// has room for fewer.
fn collide(at: &[u32]) -> bool {
    const PLACES: u32 = 4096 / size_of::<f32>() as u32;
    matches!(at, [a, b, ..] if a != b && a.abs_diff(*b).is_multiple_of(PLACES))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn by_rows<const V: usize>(t: &Tile<'_>, m: usize, at: *const u32, out: *mut f32) {
    macro_rules! of {
        ($($m:literal)*) => {
            match m {
                // SAFETY: as the caller's.
                $($m => unsafe { tile::<$m, V>(t, at, out) },)*
                _ => unreachable!("tiles have 1 to 14 rows"),
            }
        };
    }
    of!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn tile<const M: usize, const V: usize>(t: &Tile<'_>, at: *const u32, out: *mut f32) {
    // SAFETY: the caller checked every piece, the panel and the rows of the output.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); V]; M];
        for v in 0..V {
            let bias = _mm512_loadu_ps(t.panel.add(16 * v));
            for row in &mut acc {
                row[v] = bias;
            }
        }
        let mut w = t.panel.add(16 * V);
        let mut ahead = t.ahead.0;
        for tap in 0..t.taps {
            let mut p = [t.pad; M];
            for (m, p) in p.iter_mut().enumerate() {
                let offset = *at.add(tap * TILE + m);
                if offset != PAD {
                    *p = t.a.add(offset as usize);
                }
            }
            for k in 0..t.depth {
                let mut b = [_mm512_setzero_ps(); V];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = _mm512_loadu_ps(w.add(16 * v));
                }
                _mm_prefetch::<_MM_HINT_T1>(ahead.cast());
                ahead = ahead.wrapping_add(t.ahead.1);
                for m in 0..M {
                    let x = _mm512_set1_ps(*p[m].add(k));
                    for v in 0..V {
                        acc[m][v] = _mm512_fmadd_ps(x, b[v], acc[m][v]);
                    }
                }
                w = w.add(16 * V);
            }
        }
        // Each loop below is short enough to be unrolled, so that the sums stay in registers.
        let mut masks = [0; V];
        for (v, mask) in masks.iter_mut().enumerate() {
            *mask = ((1_u32 << t.cols.saturating_sub(16 * v).min(16)) - 1) as __mmask16;
        }
        if let Some(rest) = t.rest {
            for m in 0..M {
                for v in 0..V {
                    let rest = _mm512_maskz_loadu_ps(masks[v], rest.add(m * t.stride + 16 * v));
                    acc[m][v] = _mm512_add_ps(acc[m][v], rest);
                }
            }
        }
        let (low, high) = (_mm512_set1_ps(t.clamp.0), _mm512_set1_ps(t.clamp.1));
        for m in 0..M {
            for v in 0..V {
                // The second operand is the result where one is not a number.
                acc[m][v] = _mm512_min_ps(high, _mm512_max_ps(low, acc[m][v]));
            }
        }
        if t.cols == 16 * V {
            for m in 0..M {
                for v in 0..V {
                    _mm512_storeu_ps(out.add(m * t.stride + 16 * v), acc[m][v]);
                }
            }
        } else {
            for m in 0..M {
                for v in 0..V {
                    _mm512_mask_storeu_ps(out.add(m * t.stride + 16 * v), masks[v], acc[m][v]);
                }
            }
        }
    }
}

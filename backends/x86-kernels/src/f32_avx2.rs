//! `f32` products with tiles of up to 6 rows by two vectors of 8 channels.

use core::arch::x86_64::*;
use paring_kernels::{PAD, Rows};

const TILE: usize = 6;

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
    lives: core::marker::PhantomData<&'a f32>,
}

/// See [`crate::gemm::f32_gemm`], which checks the lengths.
#[target_feature(enable = "avx2,fma")]
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
        lives: core::marker::PhantomData,
    };
    let mut done = 0;
    let mut at = rows.at().as_ptr();
    while done < rows.rows() {
        let m = (rows.rows() - done).min(TILE);
        tile.rest = rest.map(|r| unsafe { r.as_ptr().add(done * stride) });
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

#[target_feature(enable = "avx2,fma")]
unsafe fn by_rows<const V: usize>(t: &Tile<'_>, m: usize, at: *const u32, out: *mut f32) {
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

#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const M: usize, const V: usize>(t: &Tile<'_>, at: *const u32, out: *mut f32) {
    // SAFETY: the caller checked every piece, the panel and the rows of the output.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); V]; M];
        for v in 0..V {
            let bias = _mm256_loadu_ps(t.panel.add(8 * v));
            for row in &mut acc {
                row[v] = bias;
            }
        }
        let mut w = t.panel.add(8 * V);
        for tap in 0..t.taps {
            let mut p = [t.pad; M];
            for (m, p) in p.iter_mut().enumerate() {
                let offset = *at.add(tap * TILE + m);
                if offset != PAD {
                    *p = t.a.add(offset as usize);
                }
            }
            for k in 0..t.depth {
                let mut b = [_mm256_setzero_ps(); V];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = _mm256_loadu_ps(w.add(8 * v));
                }
                for m in 0..M {
                    let x = _mm256_set1_ps(*p[m].add(k));
                    for v in 0..V {
                        acc[m][v] = _mm256_fmadd_ps(x, b[v], acc[m][v]);
                    }
                }
                w = w.add(8 * V);
            }
        }
        // Each loop below is short enough to be unrolled, so that the sums stay in registers.
        let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let mut masks = [lane; V];
        for (v, mask) in masks.iter_mut().enumerate() {
            let left = t.cols.saturating_sub(8 * v).min(8);
            *mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left as i32), lane);
        }
        if let Some(rest) = t.rest {
            for m in 0..M {
                for v in 0..V {
                    let rest = _mm256_maskload_ps(rest.add(m * t.stride + 8 * v), masks[v]);
                    acc[m][v] = _mm256_add_ps(acc[m][v], rest);
                }
            }
        }
        let (low, high) = (_mm256_set1_ps(t.clamp.0), _mm256_set1_ps(t.clamp.1));
        for m in 0..M {
            for v in 0..V {
                // The second operand is the result where one is not a number.
                acc[m][v] = _mm256_min_ps(high, _mm256_max_ps(low, acc[m][v]));
            }
        }
        if t.cols == 8 * V {
            for m in 0..M {
                for v in 0..V {
                    _mm256_storeu_ps(out.add(m * t.stride + 8 * v), acc[m][v]);
                }
            }
        } else {
            for m in 0..M {
                for v in 0..V {
                    _mm256_maskstore_ps(out.add(m * t.stride + 8 * v), masks[v], acc[m][v]);
                }
            }
        }
    }
}

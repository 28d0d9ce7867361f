//! Products of `i16` with packed panels of `i8`: tiles of four rows and sixteen or eight channels.

use crate::i16::{Scale, Sums};
use core::arch::aarch64::*;
use paring_kernels::{I16Panel, PAD, Rows};

/// Rows of a tile.
const TILE: usize = 4;

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

/// See [`paring_kernels::Kernels::i16_gemm`].
pub(crate) fn gemm(
    rows: &Rows<'_, i16>,
    packed: &[u8],
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i16],
) {
    let (taps, depth) = (rows.taps(), rows.depth());
    assert!(rows.tile() == TILE && rows.is_inside(depth));
    assert!((width == 16 || width == 8) && cols <= width && cols <= stride);
    assert!(rows.rows() > 0 && out.len() >= (rows.rows() - 1) * stride + cols);
    assert_eq!(packed.len(), I16Panel::lanes_len(width) + taps * depth * width);
    let call = Call {
        a: rows.a().as_ptr(),
        pad: rows.pad().as_ptr(),
        packed: packed.as_ptr(),
        taps,
        depth,
        width,
        cols,
        stride,
    };
    let at = rows.at().chunks_exact((taps * TILE).max(1));
    for (first, at) in (0..rows.rows()).step_by(TILE).zip(at) {
        let (left, out) = (rows.rows() - first, &mut out[first * stride..]);
        // SAFETY: lengths are checked above; every processor of this kind has NEON.
        unsafe {
            match (width, left) {
                (16, 1) => tile::<1, 2>(&call, at, out.as_mut_ptr()),
                (16, 2) => tile::<2, 2>(&call, at, out.as_mut_ptr()),
                (16, 3) => tile::<3, 2>(&call, at, out.as_mut_ptr()),
                (16, _) => tile::<4, 2>(&call, at, out.as_mut_ptr()),
                (_, 1) => tile::<1, 1>(&call, at, out.as_mut_ptr()),
                (_, 2) => tile::<2, 1>(&call, at, out.as_mut_ptr()),
                (_, 3) => tile::<3, 1>(&call, at, out.as_mut_ptr()),
                _ => tile::<4, 1>(&call, at, out.as_mut_ptr()),
            }
        }
    }
}

/// `M` rows of `H` times eight channels.
unsafe fn tile<const M: usize, const H: usize>(call: &Call, at: &[u32], mut out: *mut i16) {
    // SAFETY: the caller checked the panel, every piece and the rows of the output.
    unsafe {
        let scales: [Scale; H] =
            core::array::from_fn(|h| Scale::at(call.packed, call.width, 8 * h));
        let mut acc: [[Sums; H]; M] = [scales.map(|s| s.start); M];
        let mut w: *const i8 = call.packed.add(I16Panel::lanes_len(call.width)).cast();
        for tap in 0..call.taps {
            let mut p = [call.pad; M];
            for (m, p) in p.iter_mut().enumerate() {
                let offset = *at.get_unchecked(tap * TILE + m);
                if offset != PAD {
                    *p = call.a.add(offset as usize);
                }
            }
            for _ in 0..call.depth / 8 {
                let mut x = [vdupq_n_s16(0); M];
                for (x, p) in x.iter_mut().zip(&mut p) {
                    *x = vld1q_s16(*p);
                    *p = p.add(8);
                }
                macro_rules! elements {
                    ($($lane:literal)*) => {$(
                        let weights: [int16x8_t; H] = widen(w.add($lane * 8 * H));
                        for m in 0..M {
                            for h in 0..H {
                                let [low, high] = acc[m][h];
                                acc[m][h] = [
                                    vmlal_laneq_s16::<$lane>(low, vget_low_s16(weights[h]), x[m]),
                                    vmlal_high_laneq_s16::<$lane>(high, weights[h], x[m]),
                                ];
                            }
                        }
                    )*};
                }
                elements!(0 1 2 3 4 5 6 7);
                w = w.add(64 * H);
            }
            for _ in 0..call.depth % 8 {
                let weights: [int16x8_t; H] = widen(w);
                for m in 0..M {
                    let x = *p[m];
                    p[m] = p[m].add(1);
                    for h in 0..H {
                        let [low, high] = acc[m][h];
                        acc[m][h] = [
                            vmlal_n_s16(low, vget_low_s16(weights[h]), x),
                            vmlal_high_n_s16(high, weights[h], x),
                        ];
                    }
                }
                w = w.add(8 * H);
            }
        }
        for acc in acc {
            let mut edge = [0_i16; 16];
            let to = if call.cols == 8 * H { out } else { edge.as_mut_ptr() };
            for h in 0..H {
                vst1q_s16(to.add(8 * h), scales[h].apply(acc[h]));
            }
            if call.cols < 8 * H {
                core::ptr::copy_nonoverlapping(edge.as_ptr(), out, call.cols);
            }
            out = out.wrapping_add(call.stride);
        }
    }
}

/// `H` times eight bytes.
#[inline(always)]
unsafe fn widen<const H: usize>(w: *const i8) -> [int16x8_t; H] {
    // SAFETY: the caller's promise.
    unsafe { core::array::from_fn(|h| vmovl_s8(vld1_s8(w.add(8 * h)))) }
}

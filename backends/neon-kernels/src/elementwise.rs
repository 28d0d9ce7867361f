//! Sums of bytes and tables.

use core::arch::aarch64::*;
use paring_kernels::I8Sum;
use paring_qmath::{Multiplier, Rounding};

/// How a term of a sum is scaled.
#[derive(Clone, Copy)]
enum Term {
    /// The factor one half: a shift left by one less than the spare bits.
    Half,
    /// A factor that shifts right.
    Scaled { mantissa: i32, shift: i32 },
}

impl Term {
    fn of(m: Multiplier) -> Option<Self> {
        if m.shift == 0 && m.mantissa == 1 << 30 {
            return Some(Self::Half);
        }
        (-31..0).contains(&m.shift).then_some(Self::Scaled { mantissa: m.mantissa, shift: m.shift })
    }

    /// The scaled values of four centred operands.
    #[inline(always)]
    fn apply(self, x: int32x4_t) -> int32x4_t {
        // SAFETY: every aarch64 processor has NEON.
        unsafe {
            match self {
                Self::Half => vshlq_n_s32::<{ I8Sum::SHIFT as i32 - 1 }>(x),
                Self::Scaled { mantissa, shift } => {
                    scale(vshlq_n_s32::<{ I8Sum::SHIFT as i32 }>(x), mantissa, shift)
                }
            }
        }
    }
}

/// A doubling product, less one where it is negative, shifted right with ties upward.
#[inline(always)]
fn scale(x: int32x4_t, mantissa: i32, shift: i32) -> int32x4_t {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        let h = vqrdmulhq_s32(x, vdupq_n_s32(mantissa));
        vrshlq_s32(vsraq_n_s32::<31>(h, h), vdupq_n_s32(shift))
    }
}

/// Computes as many sums as fill vectors and says how many; none where the factors are unusual.
pub(crate) fn i8_sum(sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) -> usize {
    assert!(a.len() == out.len() && b.len() == out.len());
    let terms = (Term::of(sum.factors[0]), Term::of(sum.factors[1]), Term::of(sum.factor));
    let (Some(first), Some(second), Some(Term::Scaled { mantissa, shift })) = terms else {
        return 0;
    };
    if sum.rounding != Rounding::Double || sum.subtract {
        return 0;
    }
    match (first, second) {
        (Term::Half, Term::Half) => {
            each(sum, |x| Term::Half.apply(x), |x| Term::Half.apply(x), mantissa, shift, a, b, out)
        }
        (Term::Half, _) => {
            each(sum, |x| Term::Half.apply(x), |x| second.apply(x), mantissa, shift, a, b, out)
        }
        (_, Term::Half) => {
            each(sum, |x| first.apply(x), |x| Term::Half.apply(x), mantissa, shift, a, b, out)
        }
        _ => each(sum, |x| first.apply(x), |x| second.apply(x), mantissa, shift, a, b, out),
    }
}

#[inline(always)]
fn each(
    sum: &I8Sum,
    first: impl Fn(int32x4_t) -> int32x4_t,
    second: impl Fn(int32x4_t) -> int32x4_t,
    mantissa: i32,
    shift: i32,
    a: &[i8],
    b: &[i8],
    out: &mut [i8],
) -> usize {
    let blocks = out.len() / 16;
    // SAFETY: every aarch64 processor has NEON, and each block is within the slices.
    unsafe {
        let zeros = sum.zeros.map(|z| vdupq_n_s16(z as i16));
        let zero = vdupq_n_s16(sum.zero_point as i16);
        let (low, high) = (vdupq_n_s8(sum.bounds.0), vdupq_n_s8(sum.bounds.1));
        for i in 0..blocks {
            let (a, b) = (vld1q_s8(a.as_ptr().add(16 * i)), vld1q_s8(b.as_ptr().add(16 * i)));
            let half = |a: int8x8_t, b: int8x8_t| {
                let (a, b) = (vsubq_s16(vmovl_s8(a), zeros[0]), vsubq_s16(vmovl_s8(b), zeros[1]));
                let quarter = |a: int16x4_t, b: int16x4_t| {
                    let s = vaddq_s32(first(vmovl_s16(a)), second(vmovl_s16(b)));
                    scale(s, mantissa, shift)
                };
                let low = quarter(vget_low_s16(a), vget_low_s16(b));
                let high = quarter(vget_high_s16(a), vget_high_s16(b));
                vqaddq_s16(vqmovn_high_s32(vqmovn_s32(low), high), zero)
            };
            let y = vqmovn_high_s16(
                vqmovn_s16(half(vget_low_s8(a), vget_low_s8(b))),
                half(vget_high_s8(a), vget_high_s8(b)),
            );
            vst1q_s8(out.as_mut_ptr().add(16 * i), vminq_s8(vmaxq_s8(y, low), high));
        }
    }
    16 * blocks
}

/// Looks up as many bytes as fill vectors and says how many.
pub(crate) fn table(table: &[u8; 256], x: &[u8], out: &mut [u8]) -> usize {
    assert_eq!(x.len(), out.len());
    let blocks = out.len() / 16;
    // SAFETY: every aarch64 processor has NEON, and each block is within the slices.
    unsafe {
        let part = |i: usize| vld1q_u8_x4(table.as_ptr().add(64 * i));
        let parts = [part(0), part(1), part(2), part(3)];
        let step = vdupq_n_u8(64);
        for i in 0..blocks {
            let mut at = vld1q_u8(x.as_ptr().add(16 * i));
            let mut y = vqtbl4q_u8(parts[0], at);
            for part in &parts[1..] {
                at = vsubq_u8(at, step);
                y = vqtbx4q_u8(y, *part, at);
            }
            vst1q_u8(out.as_mut_ptr().add(16 * i), y);
        }
    }
    16 * blocks
}

//! Sums and products of integers element by element, and tables.

use core::arch::aarch64::*;
use paring_kernels::{I8Sum, I16Pair, I16Pairs};
use paring_qmath::{Multiplier, Rounding};

/// How a term of a sum is scaled: the factor one half, which is a shift left by one less than the spare bits, or a factor
/// that shifts right.
#[derive(Clone, Copy)]
enum Term {
    Half,
    Scaled(Factor),
}

/// A mantissa and a shift to the right, which is negative.
#[derive(Clone, Copy)]
struct Factor(i32, i32);

impl Factor {
    fn of(m: Multiplier) -> Option<Self> {
        (-31..0).contains(&m.shift).then_some(Self(m.mantissa, m.shift))
    }

    /// A doubling product, less one where it is negative, shifted right with ties upward.
    #[inline(always)]
    fn scale(self, x: int32x4_t) -> int32x4_t {
        // SAFETY: every aarch64 processor has NEON.
        unsafe {
            let h = vqrdmulhq_s32(x, vdupq_n_s32(self.0));
            vrshlq_s32(vsraq_n_s32::<31>(h, h), vdupq_n_s32(self.1))
        }
    }
}

impl Term {
    fn of(m: Multiplier) -> Option<Self> {
        if m.shift == 0 && m.mantissa == 1 << 30 {
            return Some(Self::Half);
        }
        Factor::of(m).map(Self::Scaled)
    }
}

/// Four centred operands with `SHIFT` spare bits.
#[inline(always)]
fn spare<const SHIFT: i32>(x: int16x4_t) -> int32x4_t {
    // SAFETY: every aarch64 processor has NEON.
    unsafe { vshlq_n_s32::<SHIFT>(vmovl_s16(x)) }
}

/// Evaluates `$body` with functions that scale four centred operands, which get this many spare bits, for both terms: a
/// copy for each kind of terms.
macro_rules! with_terms {
    ($terms:expr, $spare:literal, $half:literal, |$f:ident, $g:ident| $body:expr) => {{
        let half = |x| spare::<$half>(x);
        let by = |factor: Factor| move |x| factor.scale(spare::<$spare>(x));
        match $terms {
            (Term::Half, Term::Half) => {
                let ($f, $g) = (half, half);
                $body
            }
            (Term::Half, Term::Scaled(second)) => {
                let ($f, $g) = (half, by(second));
                $body
            }
            (Term::Scaled(first), Term::Half) => {
                let ($f, $g) = (by(first), half);
                $body
            }
            (Term::Scaled(first), Term::Scaled(second)) => {
                let ($f, $g) = (by(first), by(second));
                $body
            }
        }
    }};
}

/// Computes as many sums as fill vectors and says how many; none where the factors are unusual.
pub(crate) fn i8_sum(sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) -> usize {
    assert!(a.len() == out.len() && b.len() == out.len());
    let terms = (Term::of(sum.factors[0]), Term::of(sum.factors[1]), Factor::of(sum.factor));
    let (Some(first), Some(second), Some(factor)) = terms else { return 0 };
    if sum.rounding != Rounding::Double || sum.subtract {
        return 0;
    }
    const { assert!(I8Sum::SHIFT == 20) };
    with_terms!((first, second), 20, 19, |f, g| i8_sums(sum, f, g, factor, a, b, out))
}

#[inline(always)]
fn i8_sums(
    sum: &I8Sum,
    first: impl Fn(int16x4_t) -> int32x4_t,
    second: impl Fn(int16x4_t) -> int32x4_t,
    factor: Factor,
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
                let quarter = |a, b| factor.scale(vaddq_s32(first(a), second(b)));
                vqaddq_s16(narrow(a, b, quarter), zero)
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

/// The results of `quarter` for both halves of eight operands, in 16 bits.
#[inline(always)]
fn narrow(
    a: int16x8_t,
    b: int16x8_t,
    quarter: impl Fn(int16x4_t, int16x4_t) -> int32x4_t,
) -> int16x8_t {
    // SAFETY: every aarch64 processor has NEON.
    unsafe {
        let low = quarter(vget_low_s16(a), vget_low_s16(b));
        let high = quarter(vget_high_s16(a), vget_high_s16(b));
        vqmovn_high_s32(vqmovn_s32(low), high)
    }
}

/// Computes as many sums or products of operands and results without zero points as fill vectors and says how many; none
/// where the factors are unusual.
pub(crate) fn i16_pairs(pairs: &I16Pairs, a: &[i16], b: &[i16], out: &mut [i16]) -> usize {
    assert!(a.len() == out.len() && b.len() == out.len());
    let terms = (Term::of(pairs.factors[0]), Term::of(pairs.factors[1]));
    let (Some(factor), [0, 0, 0]) = (Factor::of(pairs.factor), pairs.zeros) else { return 0 };
    const { assert!(I16Pairs::SHIFT == 15) };
    match (pairs.f, terms) {
        (I16Pair::Add, (Some(first), Some(second))) => {
            with_terms!((first, second), 15, 14, |f, g| {
                // SAFETY: every aarch64 processor has NEON.
                let sum = |a, b| factor.scale(unsafe { vaddq_s32(f(a), g(b)) });
                i16_each(pairs.bounds, sum, a, b, out)
            })
        }
        (I16Pair::Mul, _) => {
            // SAFETY: every aarch64 processor has NEON.
            let product = |a, b| factor.scale(unsafe { vmull_s16(a, b) });
            i16_each(pairs.bounds, product, a, b, out)
        }
        _ => 0,
    }
}

#[inline(always)]
fn i16_each(
    bounds: (i32, i32),
    f: impl Fn(int16x4_t, int16x4_t) -> int32x4_t,
    a: &[i16],
    b: &[i16],
    out: &mut [i16],
) -> usize {
    let blocks = out.len() / 8;
    // SAFETY: every aarch64 processor has NEON, and each block is within the slices.
    unsafe {
        let (low, high) = (vdupq_n_s16(bounds.0 as i16), vdupq_n_s16(bounds.1 as i16));
        for i in 0..blocks {
            let (a, b) = (vld1q_s16(a.as_ptr().add(8 * i)), vld1q_s16(b.as_ptr().add(8 * i)));
            let y = narrow(a, b, &f);
            vst1q_s16(out.as_mut_ptr().add(8 * i), vminq_s16(vmaxq_s16(y, low), high));
        }
    }
    8 * blocks
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

//! What is computed in half precision outside of products, eight numbers at a time. The instructions are written out:
//! the compiler's own functions for them are not stable.

use core::arch::aarch64::*;
use core::arch::asm;
use paring_kernels::HalfPair;

/// Eight numbers of half precision.
pub(crate) type Halves = uint16x8_t;

macro_rules! two {
    ($($name:ident = $instruction:literal),*) => {$(
        /// # Safety
        /// The processor computes in half precision.
        #[inline(always)]
        pub(crate) unsafe fn $name(a: Halves, b: Halves) -> Halves {
            let y: Halves;
            // SAFETY: the caller's promise; registers alone are used.
            unsafe {
                asm!(
                    ".arch_extension fp16",
                    concat!($instruction, " {y:v}.8h, {a:v}.8h, {b:v}.8h"),
                    a = in(vreg) a,
                    b = in(vreg) b,
                    y = lateout(vreg) y,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            y
        }
    )*};
}
two!(add = "fadd", sub = "fsub", mul = "fmul", max = "fmax", min = "fmin");

/// `sum + a * b`
///
/// # Safety
/// The processor computes in half precision.
#[inline(always)]
pub(crate) unsafe fn fma(mut sum: Halves, a: Halves, b: Halves) -> Halves {
    // SAFETY: the caller's promise; registers alone are used.
    unsafe {
        asm!(
            ".arch_extension fp16",
            "fmla {sum:v}.8h, {a:v}.8h, {b:v}.8h",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// The nearest numbers of half precision.
#[inline(always)]
fn narrow(low: float32x4_t, high: float32x4_t) -> Halves {
    let mut y: Halves;
    // SAFETY: every aarch64 processor converts half precision; registers alone are used.
    unsafe {
        asm!(
            "fcvtn {y:v}.4h, {low:v}.4s",
            "fcvtn2 {y:v}.8h, {high:v}.4s",
            low = in(vreg) low,
            high = in(vreg) high,
            y = out(vreg) y,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    y
}

/// The numbers that eight of half precision are.
#[inline(always)]
fn widen(x: Halves) -> [float32x4_t; 2] {
    let (low, high);
    // SAFETY: every aarch64 processor converts half precision; registers alone are used.
    unsafe {
        asm!(
            "fcvtl {low:v}.4s, {x:v}.4h",
            "fcvtl2 {high:v}.4s, {x:v}.8h",
            x = in(vreg) x,
            low = out(vreg) low,
            high = lateout(vreg) high,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [low, high]
}

/// Two numbers as bounds.
pub(crate) fn bounds(clamp: (f32, f32)) -> [u16; 2] {
    [paring_kernels::to_half(clamp.0), paring_kernels::to_half(clamp.1)]
}

/// Says how many numbers are done.
pub(crate) fn to_halves(x: &[f32], out: &mut [u16]) -> usize {
    let (pieces, _) = x.as_chunks::<8>();
    let (outs, _) = out.as_chunks_mut::<8>();
    let n = pieces.len().min(outs.len());
    for (piece, out) in pieces.iter().zip(outs) {
        // SAFETY: every aarch64 processor has NEON; eight numbers are read and written.
        unsafe {
            let all = vld1q_f32_x2(piece.as_ptr());
            vst1q_u16(out.as_mut_ptr(), narrow(all.0, all.1));
        }
    }
    8 * n
}

/// Says how many numbers are done.
///
/// # Safety
/// The processor computes in half precision.
pub(crate) unsafe fn pairs(
    f: HalfPair,
    a: &[u16],
    b: &[u16],
    clamp: (f32, f32),
    out: &mut [u16],
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        match f {
            HalfPair::Add => each(|a, b| add(a, b), a, b, clamp, out),
            HalfPair::Sub => each(|a, b| sub(a, b), a, b, clamp, out),
            HalfPair::Mul => each(|a, b| mul(a, b), a, b, clamp, out),
        }
    }
}

/// # Safety
/// The processor computes in half precision.
#[inline(always)]
unsafe fn each(
    f: impl Fn(Halves, Halves) -> Halves,
    a: &[u16],
    b: &[u16],
    clamp: (f32, f32),
    out: &mut [u16],
) -> usize {
    let n = out.len() / 8;
    // SAFETY: the caller's promise; eight numbers at each place are read and written, or one is repeated.
    unsafe {
        let [low, high] = bounds(clamp).map(|b| vdupq_n_u16(b));
        let at = |x: &[u16], i: usize| vld1q_u16(x[8 * i..8 * i + 8].as_ptr());
        let mut put = |i: usize, y: Halves| {
            vst1q_u16(out[8 * i..8 * i + 8].as_mut_ptr(), min(max(y, low), high));
        };
        match (a.len(), b.len()) {
            (1, _) => (0..n).for_each(|i| put(i, f(vdupq_n_u16(a[0]), at(b, i)))),
            (_, 1) => (0..n).for_each(|i| put(i, f(at(a, i), vdupq_n_u16(b[0])))),
            _ => (0..n).for_each(|i| put(i, f(at(a, i), at(b, i)))),
        }
    }
    8 * n
}

/// Says how many numbers are done.
///
/// # Safety
/// The processor computes in half precision.
pub(crate) unsafe fn larger(x: &[u16], most: &mut [u16]) -> usize {
    let (pieces, _) = x.as_chunks::<8>();
    let (outs, _) = most.as_chunks_mut::<8>();
    let n = pieces.len().min(outs.len());
    for (x, most) in pieces.iter().zip(outs) {
        // SAFETY: the caller's promise; eight numbers are read and written.
        unsafe {
            let y = max(vld1q_u16(x.as_ptr()), vld1q_u16(most.as_ptr()));
            vst1q_u16(most.as_mut_ptr(), y);
        }
    }
    8 * n
}

/// Says how many numbers are done.
pub(crate) fn sums(x: &[u16], sums: &mut [f32]) -> usize {
    let (pieces, _) = x.as_chunks::<8>();
    let (outs, _) = sums.as_chunks_mut::<8>();
    let n = pieces.len().min(outs.len());
    for (x, sums) in pieces.iter().zip(outs) {
        // SAFETY: every aarch64 processor has NEON; eight numbers are read and written.
        unsafe {
            let [low, high] = widen(vld1q_u16(x.as_ptr()));
            let all = vld1q_f32_x2(sums.as_ptr());
            let all = float32x4x2_t(vaddq_f32(all.0, low), vaddq_f32(all.1, high));
            vst1q_f32_x2(sums.as_mut_ptr(), all);
        }
    }
    8 * n
}

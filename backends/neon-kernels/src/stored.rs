//! Weights brought back to the form that products take: codes by a table in a register, half precision by conversion.

use core::arch::aarch64::*;
use core::arch::asm;
use paring_kernels::{CODES, Codes};

pub(crate) fn codes(by: &Codes, codes: &[u8], out: &mut [u8]) {
    // SAFETY: every aarch64 processor has NEON; the pieces are as long as what is read and written.
    unsafe {
        let (codes, _) = codes.as_chunks::<CODES>();
        let (out, _) = out.as_chunks_mut::<{ 2 * CODES }>();
        let pieces = codes.iter().map(|codes| vld1q_u8(codes.as_ptr())).zip(out);
        match by {
            Codes::Table(table) => {
                let (table, low) = (vld1q_u8(table.as_ptr()), vdupq_n_u8(15));
                for (codes, out) in pieces {
                    let first = vqtbl1q_u8(table, vandq_u8(codes, low));
                    let second = vqtbl1q_u8(table, vshrq_n_u8::<4>(codes));
                    vst1q_u8_x2(out.as_mut_ptr(), uint8x16x2_t(first, second));
                }
            }
            Codes::Numbers => {
                for (codes, out) in pieces {
                    let codes = vreinterpretq_s8_u8(codes);
                    let first = vshrq_n_s8::<4>(vshlq_n_s8::<4>(codes));
                    let both = int8x16x2_t(first, vrshrq_n_s8::<4>(codes));
                    vst1q_s8_x2(out.as_mut_ptr().cast(), both);
                }
            }
        }
    }
}

/// Says how many numbers are done.
pub(crate) fn halves(halves: &[u16], out: &mut [f32]) -> usize {
    let (pieces, _) = halves.as_chunks::<16>();
    let (outs, _) = out.as_chunks_mut::<16>();
    let n = pieces.len().min(outs.len());
    for (piece, out) in pieces.iter().zip(outs) {
        // SAFETY: every aarch64 processor converts half precision; sixteen numbers are read and written.
        unsafe {
            asm!(
                "ldp {a:q}, {b:q}, [{from}]",
                "fcvtl {c:v}.4s, {a:v}.4h",
                "fcvtl2 {a:v}.4s, {a:v}.8h",
                "fcvtl {d:v}.4s, {b:v}.4h",
                "fcvtl2 {b:v}.4s, {b:v}.8h",
                "stp {c:q}, {a:q}, [{to}]",
                "stp {d:q}, {b:q}, [{to}, #32]",
                from = in(reg) piece.as_ptr(),
                to = in(reg) out.as_mut_ptr(),
                a = out(vreg) _,
                b = out(vreg) _,
                c = out(vreg) _,
                d = out(vreg) _,
                options(nostack, preserves_flags),
            );
        }
    }
    16 * n
}

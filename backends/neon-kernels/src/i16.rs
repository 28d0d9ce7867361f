//! Products of `i16` and `i8`.

use core::arch::aarch64::*;

/// Elements whose products stay within 31 bits in each of eight sums: 2^15 * 2^7 * 2^8 is the most.
const RUN: usize = 8 * 256;

/// The sum of products of as many elements as fill vectors, and how many those are.
pub(crate) fn dot(x: &[i16], w: &[i8]) -> (i64, usize) {
    assert_eq!(x.len(), w.len());
    let whole = x.len() / 8 * 8;
    let mut total = 0;
    for (x, w) in x[..whole].chunks(RUN).zip(w[..whole].chunks(RUN)) {
        // SAFETY: every aarch64 processor has NEON; the pieces have eight elements.
        unsafe {
            let (mut low, mut high) = (vdupq_n_s32(0), vdupq_n_s32(0));
            for (x, w) in x.chunks_exact(8).zip(w.chunks_exact(8)) {
                let x = vld1q_s16(x.as_ptr());
                let w = vmovl_s8(vld1_s8(w.as_ptr()));
                low = vmlal_s16(low, vget_low_s16(x), vget_low_s16(w));
                high = vmlal_high_s16(high, x, w);
            }
            total += vaddlvq_s32(low) + vaddlvq_s32(high);
        }
    }
    (total, whole)
}

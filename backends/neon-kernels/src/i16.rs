//! Products of `i16` and `i8`.

use core::arch::aarch64::*;

/// Elements whose products stay within 31 bits in each of eight sums: 2^15 * 2^7 * 2^8 is the most.
const RUN: usize = 8 * 256;

/// The sums of products of `n` elements, a multiple of eight and at most [`RUN`], with as many of each of `w`.
///
/// # Safety
/// So many elements are there.
#[inline(always)]
unsafe fn together<const N: usize>(x: *const i16, w: [*const i8; N], n: usize) -> [i64; N] {
    // SAFETY: every aarch64 processor has NEON; the rest is the caller's promise.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 2]; N];
        for at in (0..n).step_by(8) {
            let x = vld1q_s16(x.add(at));
            for (sum, w) in sums.iter_mut().zip(w) {
                let w = vmovl_s8(vld1_s8(w.add(at)));
                sum[0] = vmlal_s16(sum[0], vget_low_s16(x), vget_low_s16(w));
                sum[1] = vmlal_high_s16(sum[1], x, w);
            }
        }
        sums.map(|[low, high]| vaddlvq_s32(low) + vaddlvq_s32(high))
    }
}

/// `N` sums.
fn add<const N: usize>(x: &[i16], w: &[i8], step: usize, sums: &mut [i64; N]) {
    assert!((N - 1) * step + x.len() <= w.len());
    let whole = x.len() / 8 * 8;
    for from in (0..whole).step_by(RUN) {
        // SAFETY: the elements of all sums are inside by the assertion.
        let more = unsafe {
            let w = core::array::from_fn(|i| w.as_ptr().add(i * step + from));
            together::<N>(x.as_ptr().add(from), w, (whole - from).min(RUN))
        };
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    for (k, x) in x.iter().enumerate().skip(whole) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += i64::from(i32::from(*x) * i32::from(w[i * step + k]));
        }
    }
}

/// See [`paring_kernels::Kernels::i16_dots`].
pub(crate) fn dots(x: &[i16], w: &[i8], step: usize, sums: &mut [i64]) {
    let (fours, rest) = sums.as_chunks_mut::<4>();
    let done = 4 * fours.len();
    for (i, sums) in fours.iter_mut().enumerate() {
        add(x, &w[4 * i * step..], step, sums);
    }
    for (i, sum) in rest.iter_mut().enumerate() {
        add(x, &w[(done + i) * step..], step, core::array::from_mut(sum));
    }
}

//! Products of `i16` and `i8`.

use core::arch::aarch64::*;
use paring_kernels::I16Panel;

/// Sums of eight channels.
pub(crate) type Sums = [int32x4_t; 2];

/// The arithmetic of eight channels; see [`paring_kernels::I16Lane`].
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) start: Sums,
    factors: Sums,
    /// Of two channels each, negative.
    shifts: [int64x2_t; 4],
    low: int16x8_t,
    high: int16x8_t,
}

impl Scale {
    /// That of eight channels from `channel` on.
    ///
    /// # Safety
    /// The packed weights are those of `width` channels.
    #[inline(always)]
    pub(crate) unsafe fn at(packed: *const u8, width: usize, channel: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let head = I16Panel::lanes_len(0);
            let numbers = |i: usize| {
                let at = packed.add(head + 4 * (i * width + channel)).cast::<i32>();
                [vld1q_s32(at), vld1q_s32(at.add(4))]
            };
            let bound = |i: usize| vdupq_n_s16(packed.cast::<i32>().add(i).read_unaligned() as i16);
            let [a, b] = numbers(2).map(|s| vnegq_s32(s));
            let shifts = [
                vmovl_s32(vget_low_s32(a)),
                vmovl_high_s32(a),
                vmovl_s32(vget_low_s32(b)),
                vmovl_high_s32(b),
            ];
            let (start, factors) = (numbers(0), numbers(1));
            Self { start, factors, shifts, low: bound(0), high: bound(1) }
        }
    }

    /// The results for sums.
    #[inline(always)]
    pub(crate) fn apply(&self, sums: Sums) -> int16x8_t {
        // SAFETY: every processor of this kind has NEON.
        unsafe {
            let half = |i: usize| {
                let (x, f) = (sums[i], self.factors[i]);
                let low = vmull_s32(vget_low_s32(x), vget_low_s32(f));
                let low = vrshlq_s64(low, self.shifts[2 * i]);
                let high = vrshlq_s64(vmull_high_s32(x, f), self.shifts[2 * i + 1]);
                // Results fit 32 bits: the lower halves.
                vuzp1q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high))
            };
            let y = vqmovn_high_s32(vqmovn_s32(half(0)), half(1));
            vminq_s16(vmaxq_s16(y, self.low), self.high)
        }
    }
}

/// Elements whose products stay within 31 bits in each of four sums: 2^15 * 2^7 * 2^8 is the most.
const RUN: usize = 4 * 256;

/// Four sums of the products of `n` elements, a multiple of eight and at most [`RUN`], with as many of each of `w`.
///
/// # Safety
/// So many elements are there.
#[inline(always)]
unsafe fn together(x: *const i16, w: [*const i8; 4], n: usize) -> [int64x2_t; 2] {
    // SAFETY: every aarch64 processor has NEON; the rest is the caller's promise.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 2]; 4];
        for at in (0..n).step_by(8) {
            let x = vld1q_s16(x.add(at));
            for (sum, w) in sums.iter_mut().zip(w) {
                let w = vmovl_s8(vld1_s8(w.add(at)));
                sum[0] = vmlal_s16(sum[0], vget_low_s16(x), vget_low_s16(w));
                sum[1] = vmlal_high_s16(sum[1], x, w);
            }
        }
        let [a, b, c, d] = sums.map(|[low, high]| vpaddlq_s32(vaddq_s32(low, high)));
        [vpaddq_s64(a, b), vpaddq_s64(c, d)]
    }
}

/// Adds the products of `x` with four rows of `w`.
fn four(x: &[i16], w: &[i8], step: usize, sums: &mut [i64; 4]) {
    assert!(3 * step + x.len() <= w.len());
    let whole = x.len() / 8 * 8;
    for from in (0..whole).step_by(RUN) {
        // SAFETY: every aarch64 processor has NEON; the elements of all sums are inside by the assertion.
        unsafe {
            let w = core::array::from_fn(|i| w.as_ptr().add(i * step + from));
            let more = together(x.as_ptr().add(from), w, (whole - from).min(RUN));
            for (i, more) in more.into_iter().enumerate() {
                let sums = sums.as_mut_ptr().add(2 * i);
                vst1q_s64(sums, vaddq_s64(vld1q_s64(sums), more));
            }
        }
    }
    for (k, x) in x.iter().enumerate().skip(whole) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += i64::from(i32::from(*x) * i32::from(w[i * step + k]));
        }
    }
}

/// See [`paring_kernels::Kernels::i16_dots`]. A sum that is left is computed four times.
pub(crate) fn dots(x: &[i16], w: &[i8], step: usize, sums: &mut [i64]) {
    let (fours, rest) = sums.as_chunks_mut::<4>();
    let done = 4 * fours.len();
    for (i, sums) in fours.iter_mut().enumerate() {
        four(x, &w[4 * i * step..], step, sums);
    }
    for (i, sum) in rest.iter_mut().enumerate() {
        let mut sums = [*sum, 0, 0, 0];
        four(x, &w[(done + i) * step..], 0, &mut sums);
        *sum = sums[0];
    }
}

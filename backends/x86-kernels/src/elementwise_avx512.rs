//! Element by element with AVX-512.

use crate::elementwise::I8Sum;
use crate::i8_avx512::{VECTOR, requantize, write_vector};
use crate::requant::Affine;
use core::arch::x86_64::*;

/// See [`crate::elementwise::i8_sum`], which checks the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) unsafe fn i8_sum(sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) -> usize {
    let rounding = sum.rounding;
    let operand = |i: usize| {
        let bound = (128 + i64::from(sum.zeros[i]).abs()) << sum.shift;
        Affine::new(sum.factors[i], rounding, 0, bound).map(|f| (f, bound))
    };
    let (Some((fa, a_bound)), Some((fb, b_bound))) = (operand(0), operand(1)) else { return 0 };
    // Factors of operands are at most one half.
    let bound = a_bound.max(b_bound);
    let small = sum.factors.iter().all(|f| f.shift <= 0);
    let Some(fy) = Affine::new(sum.factor, rounding, sum.zero_point, bound).filter(|_| small)
    else {
        return 0;
    };
    let mut constants = [0_u8; 3 * VECTOR];
    for (to, affine) in constants.chunks_exact_mut(VECTOR).zip([fa, fb, fy]) {
        write_vector(to, &[(0, affine); 16]);
    }
    // SAFETY: the loop stays inside the slices, which are equally long.
    unsafe {
        let constants = constants.as_ptr();
        let zeros = sum.zeros.map(|z| _mm512_set1_epi32(z));
        let shift = _mm_cvtsi32_si128(sum.shift as i32);
        let low = _mm_set1_epi8(sum.bounds.0);
        let high = _mm_set1_epi8(sum.bounds.1);
        let mut done = 0;
        while done + 16 <= out.len() {
            let term = |x: *const i8, zero: __m512i, at: usize| {
                let x = _mm512_cvtepi8_epi32(_mm_loadu_si128(x.add(done).cast()));
                let x = _mm512_sll_epi32(_mm512_sub_epi32(x, zero), shift);
                requantize(x, constants.add(at * VECTOR))
            };
            let x = term(a.as_ptr(), zeros[0], 0);
            let y = term(b.as_ptr(), zeros[1], 1);
            let y = if sum.subtract { _mm512_sub_epi32(x, y) } else { _mm512_add_epi32(x, y) };
            let y = _mm512_cvtsepi32_epi8(requantize(y, constants.add(2 * VECTOR)));
            let y = _mm_min_epi8(_mm_max_epi8(y, low), high);
            _mm_storeu_si128(out.as_mut_ptr().add(done).cast(), y);
            done += 16;
        }
        done
    }
}

/// See [`crate::elementwise::table`], which checks the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
pub(crate) unsafe fn table(table: &[u8; 256], x: &[u8], out: &mut [u8]) -> usize {
    // SAFETY: the loop stays inside the slices, which are equally long.
    unsafe {
        let part = |i: usize| _mm512_loadu_si512(table.as_ptr().add(64 * i).cast());
        let (t0, t1, t2, t3) = (part(0), part(1), part(2), part(3));
        let mut done = 0;
        while done + 64 <= out.len() {
            let x = _mm512_loadu_si512(x.as_ptr().add(done).cast());
            let low = _mm512_permutex2var_epi8(t0, x, t1);
            let high = _mm512_permutex2var_epi8(t2, x, t3);
            let y = _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
            _mm512_storeu_si512(out.as_mut_ptr().add(done).cast(), y);
            done += 64;
        }
        done
    }
}

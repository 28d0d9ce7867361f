//! Element by element with AVX-512.

use crate::elementwise::pair;
use crate::gemm::Lane;
use crate::i8_avx512::{LONG, SHORT, VECTOR, form_of, scaled, write_vectors};
use crate::requant::{Affine, Short};
use core::arch::x86_64::*;
use paring_kernels::{I8Sum, QuickSum};
use paring_qmath::{Multiplier, Rounding};

/// How an operand of a sum is scaled.
enum Term {
    /// By one half: a shift, exact in both roundings.
    Half,
    /// By constants.
    By(Lane),
}

/// The constants of a factor alone.
fn constants(factor: Multiplier, rounding: Rounding, zero_point: i32, bound: i64) -> Option<Lane> {
    Some(Lane {
        start: 0,
        affine: Affine::new(factor, rounding, zero_point, bound)?,
        short: Short::new(factor, rounding, zero_point, bound),
        raised: None,
    })
}

/// Room for the constants of a vector, at a cache line.
#[repr(align(64))]
struct Vector([u8; VECTOR], u8);

impl Vector {
    fn of(lane: Lane) -> Self {
        let form = form_of(std::iter::once(&lane));
        let mut vector = Self([0; VECTOR], form);
        write_vectors(&mut vector.0, &[[lane; 16]], form);
        vector
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn apply(&self, x: __m512i) -> __m512i {
        // SAFETY: there are `VECTOR` bytes.
        unsafe {
            if self.1 == SHORT {
                let top = _mm512_set1_epi32(i32::MIN);
                scaled::<SHORT>(_mm512_xor_si512(x, top), self.0.as_ptr())
            } else {
                scaled::<LONG>(x, self.0.as_ptr())
            }
        }
    }
}

/// See [`crate::elementwise::i8_sum`], which checks the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) unsafe fn i8_sum(sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) -> usize {
    let bounds = sum.zeros.map(|z| (128 + i64::from(z).abs()) << I8Sum::SHIFT);
    let term = |i: usize| {
        if sum.factors[i] == (Multiplier { mantissa: 1 << 30, shift: 0 }) && bounds[i] < 1 << 30 {
            return Some(Term::Half);
        }
        constants(sum.factors[i], sum.rounding, 0, bounds[i]).map(Term::By)
    };
    // Factors of operands are at most one half.
    let small = sum.factors.iter().all(|f| f.shift <= 0);
    let bound = bounds[0].max(bounds[1]);
    let last = constants(sum.factor, sum.rounding, sum.zero_point, bound).filter(|_| small);
    let (Some(last), Some(first), Some(second)) = (last, term(0), term(1)) else { return 0 };
    let last = Vector::of(last);
    // SAFETY: as the caller's.
    unsafe {
        match (first, second) {
            (Term::Half, Term::Half) => add::<true, true>(sum, None, None, &last, a, b, out),
            (Term::Half, Term::By(s)) => {
                add::<true, false>(sum, None, Some(&Vector::of(s)), &last, a, b, out)
            }
            (Term::By(f), Term::Half) => {
                add::<false, true>(sum, Some(&Vector::of(f)), None, &last, a, b, out)
            }
            (Term::By(f), Term::By(s)) => {
                let (f, s) = (Vector::of(f), Vector::of(s));
                add::<false, false>(sum, Some(&f), Some(&s), &last, a, b, out)
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn add<const HALF_A: bool, const HALF_B: bool>(
    sum: &I8Sum,
    first: Option<&Vector>,
    second: Option<&Vector>,
    last: &Vector,
    a: &[i8],
    b: &[i8],
    out: &mut [i8],
) -> usize {
    // SAFETY: the loop stays inside the slices, which are equally long.
    unsafe {
        let zeros = sum.zeros.map(|z| _mm512_set1_epi32(z));
        let shift = _mm_cvtsi32_si128(I8Sum::SHIFT as i32);
        let less = _mm_cvtsi32_si128(I8Sum::SHIFT as i32 - 1);
        let low = _mm_set1_epi8(sum.bounds.0);
        let high = _mm_set1_epi8(sum.bounds.1);
        let mut done = 0;
        while done + 16 <= out.len() {
            let load = |x: *const i8, zero: __m512i| {
                let x = _mm512_cvtepi8_epi32(_mm_loadu_si128(x.add(done).cast()));
                _mm512_sub_epi32(x, zero)
            };
            let (x, y) = (load(a.as_ptr(), zeros[0]), load(b.as_ptr(), zeros[1]));
            let x = match first {
                Some(first) if !HALF_A => first.apply(_mm512_sll_epi32(x, shift)),
                _ => _mm512_sll_epi32(x, less),
            };
            let y = match second {
                Some(second) if !HALF_B => second.apply(_mm512_sll_epi32(y, shift)),
                _ => _mm512_sll_epi32(y, less),
            };
            let y = if sum.subtract { _mm512_sub_epi32(x, y) } else { _mm512_add_epi32(x, y) };
            let y = _mm512_cvtsepi32_epi8(last.apply(y));
            let y = _mm_min_epi8(_mm_max_epi8(y, low), high);
            _mm_storeu_si128(out.as_mut_ptr().add(done).cast(), y);
            done += 16;
        }
        done
    }
}

/// The quick way; lengths are equal.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) unsafe fn quick_sum(
    quick: &QuickSum,
    bounds: (i8, i8),
    a: &[i8],
    b: &[i8],
    out: &mut [i8],
) -> usize {
    let [high, low] = quick.parts().map(|w| _mm512_set1_epi32(pair(w)));
    let start = _mm512_set1_epi32(quick.start);
    let shift = _mm_cvtsi32_si128(quick.shift as i32);
    let (least, most) = (_mm256_set1_epi8(bounds.0), _mm256_set1_epi8(bounds.1));
    let mut done = 0;
    // SAFETY: the loop stays inside the slices.
    unsafe {
        while done + 32 <= out.len() {
            let load =
                |x: &[i8]| _mm512_cvtepi8_epi16(_mm256_loadu_si256(x.as_ptr().add(done).cast()));
            let (a, b) = (load(a), load(b));
            let scaled = |pairs: __m512i| {
                let high = _mm512_slli_epi32::<7>(_mm512_madd_epi16(pairs, high));
                let low = _mm512_srai_epi32::<8>(_mm512_madd_epi16(pairs, low));
                _mm512_sra_epi32(_mm512_add_epi32(_mm512_add_epi32(high, low), start), shift)
            };
            // Packing undoes the order of interleaving.
            let first = scaled(_mm512_unpacklo_epi16(a, b));
            let y = _mm512_packs_epi32(first, scaled(_mm512_unpackhi_epi16(a, b)));
            let y = _mm256_min_epi8(_mm256_max_epi8(_mm512_cvtsepi16_epi8(y), least), most);
            _mm256_storeu_si256(out.as_mut_ptr().add(done).cast(), y);
            done += 32;
        }
    }
    done
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

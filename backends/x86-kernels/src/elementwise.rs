//! Element by element. Each function returns how many elements it has done; the caller does the rest.

use crate::Level;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;
use paring_kernels::{I8Sum, QuickSum};

/// Adds as many elements as there is a kernel for.
///
/// # Panics
/// If lengths differ or the processor lacks the level's features.
pub(crate) fn i8_sum(level: Level, sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) -> usize {
    assert!(a.len() == out.len() && b.len() == out.len() && level.is_available());
    #[cfg(target_arch = "x86_64")]
    // SAFETY: lengths and features are checked above.
    unsafe {
        match (level, &sum.quick) {
            (Level::Avx512, Some(quick)) => {
                return crate::elementwise_avx512::quick_sum(quick, sum.bounds, a, b, out);
            }
            (Level::Avx512, None) => return crate::elementwise_avx512::i8_sum(sum, a, b, out),
            (Level::Avx2, Some(quick)) => return quick_sum(quick, sum.bounds, a, b, out),
            _ => {}
        }
    }
    0
}

/// Looks up as many elements as there is a kernel for.
///
/// # Panics
/// If lengths differ or the processor lacks the level's features.
pub(crate) fn table(level: Level, table: &[u8; 256], x: &[u8], out: &mut [u8]) -> usize {
    assert!(x.len() == out.len() && level.is_available());
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512 && is_x86_feature_detected!("avx512vbmi") {
        // SAFETY: lengths and features are checked above.
        return unsafe { crate::elementwise_avx512::table(table, x, out) };
    }
    let _ = table;
    0
}

/// Both factors of a pair in one lane.
pub(crate) fn pair([first, second]: [i16; 2]) -> i32 {
    i32::from(second) << 16 | i32::from(first as u16)
}

/// The quick way with AVX2; lengths are equal.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn quick_sum(
    quick: &QuickSum,
    bounds: (i8, i8),
    a: &[i8],
    b: &[i8],
    out: &mut [i8],
) -> usize {
    let [high, low] = quick.parts().map(|w| _mm256_set1_epi32(pair(w)));
    let start = _mm256_set1_epi32(quick.start);
    let shift = _mm_cvtsi32_si128(quick.shift as i32);
    let (least, most) = (_mm_set1_epi8(bounds.0), _mm_set1_epi8(bounds.1));
    let mut done = 0;
    // SAFETY: the loop stays inside the slices.
    unsafe {
        while done + 16 <= out.len() {
            let load =
                |x: &[i8]| _mm256_cvtepi8_epi16(_mm_loadu_si128(x.as_ptr().add(done).cast()));
            let (a, b) = (load(a), load(b));
            let scaled = |pairs: __m256i| {
                let high = _mm256_slli_epi32::<7>(_mm256_madd_epi16(pairs, high));
                let low = _mm256_srai_epi32::<8>(_mm256_madd_epi16(pairs, low));
                _mm256_sra_epi32(_mm256_add_epi32(_mm256_add_epi32(high, low), start), shift)
            };
            // Packing undoes the order of interleaving.
            let first = scaled(_mm256_unpacklo_epi16(a, b));
            let y = _mm256_packs_epi32(first, scaled(_mm256_unpackhi_epi16(a, b)));
            let y = _mm_packs_epi16(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y));
            let y = _mm_min_epi8(_mm_max_epi8(y, least), most);
            _mm_storeu_si128(out.as_mut_ptr().add(done).cast(), y);
            done += 16;
        }
    }
    done
}

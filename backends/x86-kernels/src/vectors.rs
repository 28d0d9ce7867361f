//! Operations on whole vectors that both vector lengths have by one name, for kernels that are the same for both.
//!
//! Numbers of 32 bits are even or odd by their places; products of them take the place of two.
#![allow(dead_code)]

/// What both vector lengths have, by one name.
macro_rules! operations {
    ($name:ident, $features:literal, $vector:ty {
        $($f:ident($($x:ident: $t:ty),*) -> $r:ty $body:block)*
    }) => {
        #[allow(unused_unsafe)]
        pub(crate) mod $name {
            use core::arch::x86_64::*;

            pub(crate) type Vector = $vector;

            $(
                #[inline]
                #[target_feature(enable = $features)]
                pub(crate) unsafe fn $f($($x: $t),*) -> $r {
                    // SAFETY: the caller's promise.
                    unsafe { $body }
                }
            )*
        }
    };
}

operations!(ops512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni", __m512i {
    zero() -> __m512i { _mm512_setzero_si512() }
    splat(x: i32) -> __m512i { _mm512_set1_epi32(x) }
    splat64(x: i64) -> __m512i { _mm512_set1_epi64(x) }
    load(at: *const u8) -> __m512i { _mm512_loadu_si512(at.cast()) }
    pairs(at: *const u8) -> __m512i { _mm512_cvtepi8_epi16(_mm256_loadu_si256(at.cast())) }
    bytes(at: *const u8) -> __m512i { _mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast())) }
    words(at: *const i16) -> __m512i { _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast())) }
    dots(acc: __m512i, x: __m512i, w: __m512i) -> __m512i { _mm512_dpwssd_epi32(acc, x, w) }
    mul(a: __m512i, b: __m512i) -> __m512i { _mm512_mul_epi32(a, b) }
    add64(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi64(a, b) }
    up(a: __m512i, by: __m512i) -> __m512i { _mm512_sllv_epi64(a, by) }
    down(a: __m512i, by: __m512i) -> __m512i { _mm512_srlv_epi64(a, by) }
    even(a: __m512i) -> __m512i { _mm512_maskz_mov_epi32(0x5555, a) }
    odd(a: __m512i) -> __m512i { _mm512_srli_epi64::<32>(a) }
    join(even: __m512i, odd: __m512i) -> __m512i {
        _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_slli_epi64::<32>(odd))
    }
    spill(to: *mut i32, a: __m512i) -> () { _mm512_storeu_si512(to.cast(), a) }
    high_halves(even: __m512i, odd: __m512i) -> __m512i {
        let even = _mm512_srli_epi64::<31>(even);
        _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_slli_epi64::<1>(odd))
    }
    add(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi32(a, b) }
    sign(a: __m512i) -> __m512i { _mm512_srai_epi32::<31>(a) }
    shifted(a: __m512i, by: u32) -> __m512i {
        _mm512_sra_epi32(a, _mm_cvtsi32_si128(by as i32))
    }
    packed(a: [__m512i; 4]) -> __m512i {
        let (low, high) = (_mm512_packs_epi32(a[0], a[1]), _mm512_packs_epi32(a[2], a[3]));
        _mm512_packs_epi16(low, high)
    }
    clamp8(a: __m512i, low: i8, high: i8) -> __m512i {
        _mm512_min_epi8(_mm512_max_epi8(a, _mm512_set1_epi8(low)), _mm512_set1_epi8(high))
    }
    sub(a: __m512i, b: __m512i) -> __m512i { _mm512_sub_epi32(a, b) }
    clamp(a: __m512i, low: __m512i, high: __m512i) -> __m512i {
        _mm512_min_epi32(_mm512_max_epi32(a, low), high)
    }
    store(to: *mut i16, n: usize, y: __m512i) -> () {
        let mask = ((1_u32 << n) - 1) as __mmask16;
        _mm256_mask_storeu_epi16(to, mask, _mm512_cvtepi32_epi16(y));
    }
});
operations!(ops256, "avx2", __m256i {
    zero() -> __m256i { _mm256_setzero_si256() }
    splat(x: i32) -> __m256i { _mm256_set1_epi32(x) }
    splat64(x: i64) -> __m256i { _mm256_set1_epi64x(x) }
    load(at: *const u8) -> __m256i { _mm256_loadu_si256(at.cast()) }
    pairs(at: *const u8) -> __m256i { _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast())) }
    bytes(at: *const u8) -> __m256i { _mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast())) }
    words(at: *const i16) -> __m256i { _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast())) }
    dots(acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
        _mm256_add_epi32(acc, _mm256_madd_epi16(x, w))
    }
    mul(a: __m256i, b: __m256i) -> __m256i { _mm256_mul_epi32(a, b) }
    add64(a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi64(a, b) }
    up(a: __m256i, by: __m256i) -> __m256i { _mm256_sllv_epi64(a, by) }
    down(a: __m256i, by: __m256i) -> __m256i { _mm256_srlv_epi64(a, by) }
    even(a: __m256i) -> __m256i { _mm256_blend_epi32::<0xAA>(a, _mm256_setzero_si256()) }
    odd(a: __m256i) -> __m256i { _mm256_srli_epi64::<32>(a) }
    join(even: __m256i, odd: __m256i) -> __m256i {
        _mm256_blend_epi32::<0xAA>(even, _mm256_slli_epi64::<32>(odd))
    }
    spill(to: *mut i32, a: __m256i) -> () { _mm256_storeu_si256(to.cast(), a) }
    high_halves(even: __m256i, odd: __m256i) -> __m256i {
        let even = _mm256_srli_epi64::<31>(even);
        _mm256_blend_epi32::<0xAA>(even, _mm256_slli_epi64::<1>(odd))
    }
    add(a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi32(a, b) }
    sign(a: __m256i) -> __m256i { _mm256_srai_epi32::<31>(a) }
    shifted(a: __m256i, by: u32) -> __m256i {
        _mm256_sra_epi32(a, _mm_cvtsi32_si128(by as i32))
    }
    packed(a: [__m256i; 4]) -> __m256i {
        let (low, high) = (_mm256_packs_epi32(a[0], a[1]), _mm256_packs_epi32(a[2], a[3]));
        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high))
    }
    clamp8(a: __m256i, low: i8, high: i8) -> __m256i {
        _mm256_min_epi8(_mm256_max_epi8(a, _mm256_set1_epi8(low)), _mm256_set1_epi8(high))
    }
    sub(a: __m256i, b: __m256i) -> __m256i { _mm256_sub_epi32(a, b) }
    clamp(a: __m256i, low: __m256i, high: __m256i) -> __m256i {
        _mm256_min_epi32(_mm256_max_epi32(a, low), high)
    }
    store(to: *mut i16, n: usize, y: __m256i) -> () {
        let y = _mm_packs_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y));
        if n == 8 {
            _mm_storeu_si128(to.cast(), y);
        } else {
            let mut all = [0_i16; 8];
            _mm_storeu_si128(all.as_mut_ptr().cast(), y);
            core::ptr::copy_nonoverlapping(all.as_ptr(), to, n);
        }
    }
});

//! Weights brought back from codes by a table in a register.

use core::arch::x86_64::*;
use paring_kernels::CODES;

/// Brings back as many bytes as there is a kernel for, and says how many pieces of [`CODES`] codes are done.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn codes(table: &[u8; 16], codes: &[u8], out: &mut [u8]) -> usize {
    let (pieces, _) = codes.as_chunks::<{ 2 * CODES }>();
    let (outs, _) = out.as_chunks_mut::<{ 4 * CODES }>();
    let n = pieces.len().min(outs.len());
    // SAFETY: two pieces of codes are read at a time, and as many bytes as they stand for are written.
    unsafe {
        let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
        let low = _mm256_set1_epi8(15);
        for (codes, out) in pieces.iter().zip(outs) {
            let codes = _mm256_loadu_si256(codes.as_ptr().cast());
            let first = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, low));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low);
            let second = _mm256_shuffle_epi8(table, high);
            let to = out.as_mut_ptr().cast::<__m256i>();
            _mm256_storeu_si256(to, _mm256_permute2x128_si256::<0x20>(first, second));
            _mm256_storeu_si256(to.add(1), _mm256_permute2x128_si256::<0x31>(first, second));
        }
    }
    2 * n
}

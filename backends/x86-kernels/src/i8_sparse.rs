//! What follows the sums of sparse `i8` products; the same for both vector lengths.

use crate::sparse::{BLOCK, scaled, transposed};
use core::arch::x86_64::*;
use paring_kernels::I8Scale;
use paring_qmath::Multiplier;

macro_rules! ends {
    ($name:ident, $features:literal) => {
        pub(crate) mod $name {
            use super::*;
            use crate::vectors::$name::*;

            const LANES: usize = size_of::<Vector>() / 4;
            /// Rows of a tile by [`BLOCK`].
            const PARTS: usize = size_of::<Vector>() / BLOCK;

            /// A byte a row, in order.
            ///
            /// # Safety
            /// The processor has the features.
            #[inline]
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn requantized(
                sums: [Vector; 4],
                scale: &I8Scale<'_>,
                c: usize,
            ) -> Vector {
                let m = Multiplier { mantissa: scale.mantissas[c], shift: scale.shifts[c] };
                let mut y = sums;
                // SAFETY: the caller's promise; there are so many lanes.
                unsafe {
                    if m.shift < 0 {
                        let (mantissa, half) = (splat(m.mantissa), splat64(1 << 30));
                        let (e, zero) = (-m.shift as u32, splat(scale.zero_point));
                        let nudge = splat(1 << (e - 1));
                        for y in &mut y {
                            let first = add64(mul(*y, mantissa), half);
                            let second = add64(mul(odd(*y), mantissa), half);
                            let h = high_halves(first, second);
                            // Ties round away from zero.
                            let h = add(h, add(nudge, sign(h)));
                            *y = add(shifted(h, e), zero);
                        }
                    } else {
                        for y in &mut y {
                            let mut lanes = [0_i32; LANES];
                            spill(lanes.as_mut_ptr(), *y);
                            scaled(m, scale.zero_point, &mut lanes);
                            *y = load(lanes.as_ptr().cast());
                        }
                    }
                    clamp8(packed(y), scale.bounds.0, scale.bounds.1)
                }
            }

            /// Writes the results of up to 16 channels to rows of `channels`, from the first of them on.
            #[target_feature(enable = $features)]
            pub(crate) fn put(
                results: &[Vector; BLOCK],
                rows: usize,
                live: usize,
                channels: usize,
                out: &mut [i8],
            ) {
                let parts: *const __m128i = results.as_ptr().cast();
                for first in (0..rows).step_by(BLOCK) {
                    // SAFETY: results have so many parts, of 16 rows each.
                    let part = |c: usize| unsafe { parts.add(PARTS * c + first / BLOCK).read() };
                    let square = transposed(core::array::from_fn(part)).into_iter().enumerate();
                    for (r, bytes) in square.take((rows - first).min(BLOCK)) {
                        let out = &mut out[(first + r) * channels..][..live];
                        let mut row = [0_i8; BLOCK];
                        // SAFETY: there are 16 places.
                        unsafe {
                            if live == BLOCK {
                                _mm_storeu_si128(out.as_mut_ptr().cast(), bytes);
                                continue;
                            }
                            _mm_storeu_si128(row.as_mut_ptr().cast(), bytes);
                        }
                        out.copy_from_slice(&row[..live]);
                    }
                }
            }
        }
    };
}

ends!(ops512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni");
ends!(ops256, "avx2");

//! Products with sparse weights.

use crate::Level;
use core::arch::x86_64::*;
use paring_kernels::{Extents, I8Scale, Sparse};
use paring_qmath::{Multiplier, Rounding};

/// Channels of `i8` whose results are transposed together, and the sides of what is transposed.
pub(crate) const BLOCK: usize = 16;

/// Transposes 16 rows of 16 bytes.
#[inline]
pub(crate) fn transposed(square: [__m128i; BLOCK]) -> [__m128i; BLOCK] {
    // Four times over, each row is interleaved with the one half of them further on.
    let mut from = square;
    for _ in 0..4 {
        let mut to = from;
        for i in 0..BLOCK / 2 {
            let (a, b) = (from[i], from[BLOCK / 2 + i]);
            // SAFETY: every x86-64 processor has SSE2.
            (to[2 * i], to[2 * i + 1]) =
                unsafe { (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)) };
        }
        from = to;
    }
    from
}

/// Scales sums by a factor that need not shift right.
pub(crate) fn scaled(m: Multiplier, zero_point: i32, sums: &mut [i32]) {
    for sum in sums {
        *sum = m.apply(*sum, Rounding::Double).saturating_add(zero_point);
    }
}

/// Whether a product of `f32` is faster with the weights alone that are there.
pub(crate) fn f32_pays(level: Level, extents: &Extents) -> bool {
    f32_lanes(level).is_some_and(|lanes| crate::f32_sparse::pays(lanes, extents))
}

fn f32_lanes(level: Level) -> Option<usize> {
    match level {
        Level::Scalar => None,
        Level::Avx2 => Some(crate::f32_sparse::avx2::LANES),
        Level::Avx512 => Some(crate::f32_sparse::avx512::LANES),
    }
}

/// Elements of scratch memory; `None` where there is no kernel.
pub(crate) fn f32_scratch(level: Level, depth: usize) -> Option<usize> {
    f32_lanes(level).map(|lanes| crate::f32_sparse::scratch(lanes, depth))
}

/// `out[r][c] = clamp(bias[c] + sum(a[r][k] * w[k][c]) + rest[r][c])` over the weights that are there.
///
/// # Panics
/// If lengths disagree, there is no kernel, or the processor lacks the level's features.
pub(crate) fn f32_product(
    level: Level,
    a: &[f32],
    w: &Sparse<'_, f32>,
    bias: &[f32],
    rest: Option<&[f32]>,
    clamp: (f32, f32),
    scratch: &mut [f32],
    out: &mut [f32],
) {
    let rows = checked(a.len(), w, bias.len(), out.len());
    assert!(rest.is_none_or(|r| r.len() == out.len()));
    let needed = f32_scratch(level, w.depth()).expect("a level with a kernel");
    assert!(level.is_available() && scratch.len() >= needed);
    if rows == 0 {
        return;
    }
    // SAFETY: features and lengths are checked above.
    unsafe {
        use crate::f32_sparse::{avx2, avx512};
        match level {
            Level::Avx512 => avx512::product(a, w, bias, rest, clamp, scratch, out),
            _ => avx2::product(a, w, bias, rest, clamp, scratch, out),
        }
    }
}

/// The rows of a product.
fn checked<T>(a: usize, w: &Sparse<'_, T>, channels: usize, out: usize) -> usize {
    assert!(w.depth() > 0 && a.is_multiple_of(w.depth()), "rows of the left side");
    let rows = a / w.depth();
    assert_eq!((w.counts().len(), Some(out)), (channels, rows.checked_mul(channels)), "channels");
    rows
}

/// Whether a product of `i8` is faster with the weights alone that are there.
pub(crate) fn i8_pays(level: Level, extents: &Extents) -> bool {
    match level {
        Level::Scalar => false,
        Level::Avx2 => crate::i8_sparse_avx2::pays(extents),
        Level::Avx512 => crate::i8_sparse_avx512::pays(extents),
    }
}

/// Elements of scratch memory; `None` where there is no kernel.
pub(crate) fn i8_scratch(level: Level, depth: usize) -> Option<usize> {
    match level {
        Level::Scalar => None,
        Level::Avx2 => Some(crate::i8_sparse_avx2::scratch(depth)),
        Level::Avx512 => Some(crate::i8_sparse_avx512::scratch(depth)),
    }
}

/// `out[r][c]` is the requantized `bias[c] + sum(a[r][k] * w[k][c])` over the weights that are there.
///
/// # Panics
/// If lengths disagree, there is no kernel, or the processor lacks the level's features.
pub(crate) fn i8_product(
    level: Level,
    a: &[i8],
    w: &Sparse<'_, i16>,
    scale: &I8Scale<'_>,
    scratch: &mut [i16],
    out: &mut [i8],
) {
    let rows = checked(a.len(), w, scale.bias.len(), out.len());
    assert!(scale.mantissas.len() == scale.bias.len() && scale.shifts.len() == scale.bias.len());
    let needed = i8_scratch(level, w.depth()).expect("a level with a kernel");
    assert!(level.is_available() && scratch.len() >= needed);
    if rows == 0 {
        return;
    }
    // SAFETY: features and lengths are checked above.
    unsafe {
        match level {
            Level::Avx512 => crate::i8_sparse_avx512::product(a, w, scale, scratch, out),
            _ => crate::i8_sparse_avx2::product(a, w, scale, scratch, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_kernels::{Kernels, Portable};

    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) as u32
        }

        fn below(&mut self, n: usize) -> usize {
            self.next() as usize % n
        }
    }

    /// Counts and places of about one weight in `one_in`.
    fn places(random: &mut Random, depth: usize, channels: usize, one_in: usize) -> [Vec<u32>; 2] {
        let (mut counts, mut index) = (Vec::new(), Vec::new());
        for _ in 0..channels {
            let own = (0..depth as u32).filter(|_| random.below(one_in) == 0);
            let before = index.len();
            index.extend(own);
            counts.push((index.len() - before) as u32);
        }
        [counts, index]
    }

    const EXTENTS: [[usize; 3]; 8] = [
        [1, 1, 1],
        [5, 3, 7],
        [64, 16, 16],
        [49, 24, 40],
        [130, 33, 17],
        [196, 170, 20],
        [70, 330, 9],
        [128, 64, 32],
    ];

    #[test]
    fn sparse_f32_is_what_plain_loops_compute() {
        let mut random = Random(3);
        for level in [Level::Avx2, Level::Avx512].into_iter().filter(|l| l.is_available()) {
            for [rows, depth, channels] in EXTENTS {
                let [counts, index] = places(&mut random, depth, channels, 4);
                // Quarters of small numbers, so that all sums are exact.
                let mut numbers = |n: usize| -> Vec<f32> {
                    (0..n).map(|_| random.below(65) as f32 / 4.0 - 8.0).collect()
                };
                let (a, weights) = (numbers(rows * depth), numbers(index.len()));
                let (bias, rest) = (numbers(channels), numbers(rows * channels));
                let w = Sparse::new(&counts, &index, &weights, depth);
                for (rest, clamp) in
                    [(None, (f32::NEG_INFINITY, f32::INFINITY)), (Some(&*rest), (-50.0, 60.0))]
                {
                    let mut want = vec![0.0; rows * channels];
                    Portable.f32_sparse(&a, &w, &bias, rest, clamp, &mut [], &mut want);
                    let mut scratch = vec![0.0; f32_scratch(level, depth).unwrap()];
                    let mut out = vec![f32::NAN; rows * channels];
                    f32_product(level, &a, &w, &bias, rest, clamp, &mut scratch, &mut out);
                    assert_eq!(out, want, "{level:?} {rows} {depth} {channels}");
                }
            }
        }
    }

    #[test]
    fn sparse_i8_is_what_plain_loops_compute() {
        let mut random = Random(4);
        for level in [Level::Avx2, Level::Avx512].into_iter().filter(|l| l.is_available()) {
            for [rows, depth, channels] in EXTENTS {
                let [counts, index] = places(&mut random, depth, channels, 3);
                let a: Vec<i8> = (0..rows * depth).map(|_| random.next() as i8).collect();
                let weights: Vec<i16> =
                    index.iter().map(|_| i16::from(random.next() as u8 as i8)).collect();
                let w = Sparse::new(&counts, &index, &weights, depth);
                let mut signed = |n: usize| random.below(2 * n) as i32 - n as i32;
                let bias: Vec<i32> = (0..channels).map(|_| signed(1 << 14)).collect();
                let shifts: Vec<i32> = (0..channels).map(|_| signed(5) - 5).collect();
                let mantissas: Vec<i32> =
                    (0..channels).map(|_| (1 << 30) + (signed(1 << 29) & !0xFF).abs()).collect();
                let scale = I8Scale {
                    bias: &bias,
                    mantissas: &mantissas,
                    shifts: &shifts,
                    zero_point: -7,
                    bounds: (-100, 120),
                };
                let mut want = vec![0; rows * channels];
                Portable.i8_sparse(&a, &w, &scale, &mut [], &mut want);
                let (mut scratch, mut out) =
                    (vec![0; i8_scratch(level, depth).unwrap()], vec![1; rows * channels]);
                i8_product(level, &a, &w, &scale, &mut scratch, &mut out);
                assert_eq!(out, want, "{level:?} {rows} {depth} {channels}");
            }
        }
    }
}

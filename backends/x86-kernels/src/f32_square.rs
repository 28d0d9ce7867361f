//! Rows of depthwise `f32` convolutions with square windows of 3, 5 and 7, a vector of channels at a time; the same
//! for both vector lengths.
//!
//! The sums of some pixels side by side stay in registers. Each column of the input is read once for all of them
//! that see it; what lies outside the input is passed over.

use core::arch::x86_64::*;
use paring_kernels::Window;

/// Pixels whose sums are kept.
const PIXELS: usize = 8;

/// Whether the window is one of these.
pub(crate) fn serves(window: &Window) -> bool {
    let [rows, columns] = window.kernel;
    rows == columns
        && matches!(rows, 3 | 5 | 7)
        && matches!(window.stride[1], 1 | 2)
        && window.dilation == [1, 1]
}

/// A row of the output of some channels; pointers are to the first of them.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    /// The first row of the input that is seen.
    pub(crate) x: *const f32,
    /// The first row of the window that is inside.
    pub(crate) weights: *const f32,
    pub(crate) bias: *const f32,
    pub(crate) clamp: (f32, f32),
    /// Rows of the window that are inside.
    pub(crate) taps: usize,
    pub(crate) out: *mut f32,
}

/// The block once for each column that pixels see together at most; the places of sums are then known, so that they
/// stay in registers.
macro_rules! unrolled {
    ($i:ident $body:block) => {
        unrolled!($i $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20)
    };
    ($i:ident $body:block $($n:literal)*) => {
        $({
            const $i: usize = $n;
            $body
        })*
    };
}

macro_rules! square {
    ($name:ident, $features:literal, $vector:ty,
     $load:ident, $store:ident, $set1:ident, $fma:ident, $min:ident, $max:ident) => {
        pub(crate) mod $name {
            use super::*;

            /// A row of pixels of one vector of channels.
            ///
            /// # Safety
            /// [`serves`] names the window, and the rows that are seen are there, with all channels of a vector.
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn line(window: &Window, line: &Line) {
                // SAFETY: the caller's promise.
                unsafe {
                    match (window.kernel[1], window.stride[1]) {
                        (3, 1) => run::<3, 1>(window, line),
                        (3, _) => run::<3, 2>(window, line),
                        (5, 1) => run::<5, 1>(window, line),
                        (5, _) => run::<5, 2>(window, line),
                        (_, 1) => run::<7, 1>(window, line),
                        _ => run::<7, 2>(window, line),
                    }
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn run<const K: usize, const S: usize>(window: &Window, line: &Line) {
                let mut line = *line;
                let mut column = 0;
                while column < window.out_width {
                    let n = (window.out_width - column).min(PIXELS);
                    let first = (column * S).wrapping_sub(window.pad[1]);
                    let end = first.wrapping_add((PIXELS - 1) * S + K);
                    // SAFETY: the caller's promise.
                    unsafe {
                        match n {
                            PIXELS if first < end && end <= window.input[1] => {
                                pixels::<K, S, PIXELS, true>(window, &line, first, n)
                            }
                            1..=4 => pixels::<K, S, 4, false>(window, &line, first, n),
                            5..=6 => pixels::<K, S, 6, false>(window, &line, first, n),
                            _ => pixels::<K, S, PIXELS, false>(window, &line, first, n),
                        }
                        line.out = line.out.add(n * window.channels);
                    }
                    column += n;
                }
            }

            /// `n` of `P` pixels, the first of which sees the columns from `first` on, which may be before the row;
            /// `INNER` says that all columns are inside.
            #[target_feature(enable = $features)]
            unsafe fn pixels<const K: usize, const S: usize, const P: usize, const INNER: bool>(
                window: &Window,
                line: &Line,
                first: usize,
                n: usize,
            ) {
                let (hop, width) = (window.channels, window.input[1]);
                // SAFETY: columns that are outside are not read.
                unsafe {
                    let mut acc = [$load(line.bias); P];
                    let (mut x, mut w) = (line.x.wrapping_add(first.wrapping_mul(hop)), line.weights);
                    for _ in 0..line.taps {
                        let mut k = [$set1(0.0); K];
                        for k in &mut k {
                            *k = $load(w);
                            w = w.add(hop);
                        }
                        let mut at = x;
                        unrolled!(I {
                            if I < (P - 1) * S + K {
                                if INNER || first.wrapping_add(I) < width {
                                    let x = $load(at);
                                    for kx in 0..K {
                                        if I >= kx && (I - kx) % S == 0 && (I - kx) / S < P {
                                            let p = (I - kx) / S;
                                            acc[p] = $fma(x, k[kx], acc[p]);
                                        }
                                    }
                                }
                                at = at.wrapping_add(hop);
                            }
                        });
                        x = x.wrapping_add(width * hop);
                    }
                    let (low, high) = ($set1(line.clamp.0), $set1(line.clamp.1));
                    for (p, acc) in acc.into_iter().enumerate() {
                        if p < n {
                            // The second operand is the result where one is not a number.
                            $store(line.out.add(p * hop), $min(high, $max(low, acc)));
                        }
                    }
                }
            }
        }
    };
}

square!(
    avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,fma",
    __m512,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_min_ps,
    _mm512_max_ps
);
square!(
    avx2,
    "avx2,fma",
    __m256,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_min_ps,
    _mm256_max_ps
);

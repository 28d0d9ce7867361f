//! Depthwise `f32` convolution, a vector of channels at a time; the same for both vector lengths.

use crate::f32_square::{self, Line};
use core::arch::x86_64::*;
use paring_kernels::Window;
use std::ops::Range;

/// The taps of an axis that are inside, for one position of the output.
fn valid(window: &Window, axis: usize, out: usize) -> Range<usize> {
    let (from, gap) = (out * window.stride[axis], window.dilation[axis]);
    let first = window.pad[axis].saturating_sub(from).div_ceil(gap);
    let room = (window.input[axis] + window.pad[axis]).saturating_sub(from);
    let end = room.div_ceil(gap).min(window.kernel[axis]);
    if first < end { first..end } else { 0..0 }
}

macro_rules! depthwise {
    ($name:ident, $features:literal, $lanes:literal, $vector:ty,
     $load:ident, $store:ident, $set1:ident, $fma:ident, $min:ident, $max:ident) => {
        pub(crate) mod $name {
            use super::*;

            const LANES: usize = $lanes;

            /// What all pixels of a vector of channels share.
            struct Block {
                /// Elements from a row of the input to the next tap's.
                pitch: usize,
                /// Elements from a column of the input to the next tap's.
                hop: usize,
                channels: usize,
                bias: $vector,
                low: $vector,
                high: $vector,
            }

            /// See [`crate::depthwise::f32_depthwise`], which checks the lengths.
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn rows(
                window: &Window,
                x: &[f32],
                weights: &[f32],
                bias: &[f32],
                clamp: (f32, f32),
                rows: Range<usize>,
                out: &mut [f32],
            ) {
                let (channels, first) = (window.channels, rows.start);
                let row = window.out_width * channels;
                let square = f32_square::serves(window);
                // A vector of channels at a time: what the next row sees too is still in the cache.
                let mut c = 0;
                while c < channels {
                    // The last vector may overlap the one before.
                    let from = c.min(channels.saturating_sub(LANES));
                    for y in rows.clone() {
                        let taps = valid(window, 0, y);
                        let out = &mut out[(y - first) * row..][..row];
                        // SAFETY: the caller checked the lengths.
                        unsafe {
                            if channels < LANES {
                                for c in 0..channels {
                                    single(window, x, weights, c, bias[c], clamp, y, &taps, out);
                                }
                            } else if square {
                                let at = window.at(0, y, taps.start).unwrap_or(0) * window.input[1];
                                let tap = taps.start * window.kernel[1];
                                let line = Line {
                                    x: x.as_ptr().add(at * channels + from),
                                    weights: weights.as_ptr().add(tap * channels + from),
                                    bias: bias.as_ptr().add(from),
                                    clamp,
                                    taps: taps.len(),
                                    out: out.as_mut_ptr().add(from),
                                };
                                f32_square::$name::line(window, &line);
                            } else {
                                let b = $load(bias.as_ptr().add(from));
                                line(window, x, weights, from, b, clamp, y, &taps, out);
                            }
                        }
                    }
                    c += LANES;
                }
            }

            /// A row of pixels of one vector of channels.
            #[target_feature(enable = $features)]
            unsafe fn line(
                window: &Window,
                x: &[f32],
                weights: &[f32],
                c: usize,
                bias: $vector,
                clamp: (f32, f32),
                y: usize,
                taps: &Range<usize>,
                out: &mut [f32],
            ) {
                let channels = window.channels;
                let block = Block {
                    pitch: window.dilation[0] * window.input[1] * channels,
                    hop: window.dilation[1] * channels,
                    channels,
                    bias,
                    low: $set1(clamp.0),
                    high: $set1(clamp.1),
                };
                let kw = window.kernel[1];
                let row = window.at(0, y, taps.start).unwrap_or(0) * window.input[1];
                // SAFETY: only taps that are inside are read, of channels that are there.
                unsafe {
                    let x = x.as_ptr().add(row * channels + c);
                    let w = weights.as_ptr().add(taps.start * kw * channels + c);
                    let mut out = out.as_mut_ptr().add(c);
                    let inner = window.inner_columns();
                    let step = window.stride[1] * channels;
                    let mut column = 0;
                    while column < window.out_width {
                        if inner.contains(&column) {
                            let left = window.at(1, column, 0).unwrap_or(0);
                            let x = x.add(left * channels);
                            let extent = [taps.len(), kw];
                            let done = match inner.end - column {
                                8.. => many::<8>(&block, x, w, extent, step, out),
                                4.. => many::<4>(&block, x, w, extent, step, out),
                                2.. => many::<2>(&block, x, w, extent, step, out),
                                _ => many::<1>(&block, x, w, extent, step, out),
                            };
                            column += done;
                            out = out.add(done * channels);
                            continue;
                        }
                        let columns = valid(window, 1, column);
                        let left = window.at(1, column, columns.start).unwrap_or(0);
                        let (x, w) = (x.add(left * channels), w.add(columns.start * channels));
                        let mut acc = block.bias;
                        for ky in 0..taps.len() {
                            for kx in 0..columns.len() {
                                let x = $load(x.add(ky * block.pitch + kx * block.hop));
                                let w = $load(w.add((ky * kw + kx) * channels));
                                acc = $fma(x, w, acc);
                            }
                        }
                        $store(out, $min(block.high, $max(block.low, acc)));
                        out = out.add(channels);
                        column += 1;
                    }
                }
            }

            /// `P` pixels whose taps are all inside.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn many<const P: usize>(
                block: &Block,
                x: *const f32,
                mut w: *const f32,
                [rows, columns]: [usize; 2],
                step: usize,
                mut out: *mut f32,
            ) -> usize {
                // SAFETY: as the caller's.
                unsafe {
                    let mut acc = [block.bias; P];
                    for ky in 0..rows {
                        for kx in 0..columns {
                            let x = x.add(ky * block.pitch + kx * block.hop);
                            let k = $load(w);
                            for (p, acc) in acc.iter_mut().enumerate() {
                                *acc = $fma($load(x.add(p * step)), k, *acc);
                            }
                            w = w.add(block.channels);
                        }
                    }
                    for acc in acc {
                        $store(out, $min(block.high, $max(block.low, acc)));
                        out = out.add(block.channels);
                    }
                    P
                }
            }

            /// A row of pixels of one channel.
            #[target_feature(enable = $features)]
            fn single(
                window: &Window,
                x: &[f32],
                weights: &[f32],
                c: usize,
                bias: f32,
                clamp: (f32, f32),
                y: usize,
                taps: &Range<usize>,
                out: &mut [f32],
            ) {
                let channels = window.channels;
                for (column, out) in out.chunks_exact_mut(channels).enumerate() {
                    let mut acc = bias;
                    for ky in taps.clone() {
                        let Some(row) = window.at(0, y, ky) else { continue };
                        for kx in 0..window.kernel[1] {
                            let Some(col) = window.at(1, column, kx) else { continue };
                            let x = x[(row * window.input[1] + col) * channels + c];
                            acc = x
                                .mul_add(weights[(ky * window.kernel[1] + kx) * channels + c], acc);
                        }
                    }
                    out[c] = if acc < clamp.0 {
                        clamp.0
                    } else if acc > clamp.1 {
                        clamp.1
                    } else {
                        acc
                    };
                }
            }
        }
    };
}

depthwise!(
    avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,fma",
    16,
    __m512,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_min_ps,
    _mm512_max_ps
);
depthwise!(
    avx2,
    "avx2,fma",
    8,
    __m256,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_min_ps,
    _mm256_max_ps
);

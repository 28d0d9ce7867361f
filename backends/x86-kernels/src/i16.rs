//! Products and depthwise convolutions of `i16` with weights of `i8` whose sums fit 32 bits; the same for both vector
//! lengths.
//!
//! A packed panel begins as [`I16Panel::put_lanes`] says; then for each two elements of a row two weights of each
//! channel side by side. Depthwise weights are packed as in plain Rust.

use core::ops::Range;
use paring_kernels::{I16Panel, PAD, Rows, Window};

/// Elements that are multiplied and added at once.
pub(crate) const STEP: usize = 2;
/// What sums are offset by before they are shifted, so that they are not negative.
const OFFSET: i64 = 1 << 47;
/// Pixels of a depthwise convolution that are done together.
const PIXELS: usize = 8;

pub(crate) fn panel_len(taps: usize, depth: usize, width: usize) -> usize {
    I16Panel::lanes_len(width) + taps * depth.next_multiple_of(STEP) * width
}

pub(crate) fn pack(p: &I16Panel<'_>, packed: &mut [u8]) -> bool {
    let (lanes, pairs) = packed.split_at_mut(I16Panel::lanes_len(p.width));
    let per_tap = p.depth.next_multiple_of(STEP);
    for (c, channel) in p.weights.chunks_exact((p.taps * p.depth).max(1)).enumerate() {
        for (tap, piece) in channel.chunks_exact(p.depth).enumerate() {
            for (k, w) in piece.iter().enumerate() {
                let k = tap * per_tap + k;
                pairs[(k / STEP * p.width + c) * STEP + k % STEP] = *w as u8;
            }
        }
    }
    p.put_lanes(lanes)
}

/// Where a product finds its operands.
struct Call {
    a: *const i16,
    pad: *const i16,
    packed: *const u8,
    taps: usize,
    depth: usize,
    width: usize,
    cols: usize,
    stride: usize,
}

macro_rules! kernels {
    ($name:ident, $ops:ident, $features:literal, $lanes:literal, $tile:literal, [$($m:literal)*]) => {
        pub(crate) mod $name {
            use super::*;
            use crate::vectors::$ops::*;

            const LANES: usize = $lanes;

            /// The arithmetic of a vector of channels, that of even ones and of odd ones.
            #[derive(Clone, Copy)]
            struct Scale {
                factors: [Vector; 2],
                shifts: [Vector; 2],
                /// What products are offset by to be rounded and not negative.
                before: [Vector; 2],
                /// What is left of the offset.
                after: Vector,
                low: Vector,
                high: Vector,
            }

            impl Scale {
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn at(packed: *const u8, width: usize, channel: usize) -> Self {
                    // SAFETY: the packed weights are those of so many channels.
                    unsafe {
                        let shifts = numbers(packed, width, channel, 2);
                        let factors = numbers(packed, width, channel, 1);
                        let even = even(shifts);
                        let shifts = [even, odd(shifts)];
                        let (one, offset) = (splat64(1), splat64(OFFSET));
                        let before =
                            shifts.map(|s| add64(offset, up(one, add64(s, splat64(-1)))));
                        let [first, second] = shifts.map(|s| down(offset, s));
                        let bound = |i: usize| splat(packed.cast::<i32>().add(i).read_unaligned());
                        Self {
                            factors: [factors, odd(factors)],
                            shifts,
                            before,
                            after: join(first, second),
                            low: bound(0),
                            high: bound(1),
                        }
                    }
                }

                /// The results for sums.
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn apply(&self, sums: Vector) -> Vector {
                    // SAFETY: there are the features.
                    unsafe {
                        let x = [sums, odd(sums)];
                        let half = |i: usize| {
                            down(add64(mul(x[i], self.factors[i]), self.before[i]), self.shifts[i])
                        };
                        // Results fit 32 bits.
                        let y = sub(join(half(0), half(1)), self.after);
                        clamp(y, self.low, self.high)
                    }
                }
            }

            /// Numbers of a kind of a vector of channels.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn numbers(packed: *const u8, width: usize, channel: usize, kind: usize) -> Vector {
                let at = I16Panel::lanes_len(0) + 4 * (kind * width + channel);
                // SAFETY: the packed weights are those of so many channels.
                unsafe { load(packed.add(at).cast()) }
            }

            /// See [`paring_kernels::Kernels::i16_gemm`]; the lengths are checked.
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn gemm(
                rows: &Rows<'_, i16>,
                packed: &[u8],
                width: usize,
                cols: usize,
                stride: usize,
                out: &mut [i16],
            ) {
                let call = Call {
                    a: rows.a().as_ptr(),
                    pad: rows.pad().as_ptr(),
                    packed: packed.as_ptr(),
                    taps: rows.taps(),
                    depth: rows.depth(),
                    width,
                    cols,
                    stride,
                };
                for (tile, first) in (0..rows.rows()).step_by($tile).enumerate() {
                    let m = (rows.rows() - first).min($tile);
                    // SAFETY: the caller checked that the rows are inside their slices.
                    unsafe {
                        let at = rows.at().as_ptr().add(tile * rows.taps() * $tile);
                        let out = out.as_mut_ptr().add(first * stride);
                        if width == 2 * LANES {
                            by_rows::<2>(&call, m, at, out)
                        } else {
                            by_rows::<1>(&call, m, at, out)
                        }
                    }
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn by_rows<const V: usize>(call: &Call, m: usize, at: *const u32, out: *mut i16) {
                match m {
                    // SAFETY: as the caller's.
                    $($m => unsafe { tile::<$m, V>(call, at, out) },)*
                    _ => unreachable!("tiles have no more rows"),
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn tile<const M: usize, const V: usize>(
                call: &Call,
                at: *const u32,
                out: *mut i16,
            ) {
                // SAFETY: the caller checked every piece, the panel and the rows of the output.
                unsafe {
                    let mut acc = [[zero(); V]; M];
                    for v in 0..V {
                        let start = numbers(call.packed, call.width, LANES * v, 0);
                        for row in &mut acc {
                            row[v] = start;
                        }
                    }
                    let mut w = call.packed.add(I16Panel::lanes_len(call.width));
                    for tap in 0..call.taps {
                        let mut p = [call.pad; M];
                        for (m, p) in p.iter_mut().enumerate() {
                            let offset = *at.add(tap * $tile + m);
                            if offset != PAD {
                                *p = call.a.add(offset as usize);
                            }
                        }
                        for k in (0..call.depth).step_by(STEP) {
                            let mut b = [zero(); V];
                            for (v, b) in b.iter_mut().enumerate() {
                                *b = pairs(w.add(STEP * LANES * v));
                            }
                            for m in 0..M {
                                let x = splat(p[m].add(k).cast::<i32>().read_unaligned());
                                for v in 0..V {
                                    acc[m][v] = dots(acc[m][v], x, b[v]);
                                }
                            }
                            w = w.add(STEP * LANES * V);
                        }
                    }
                    for v in 0..V {
                        let scale = Scale::at(call.packed, call.width, LANES * v);
                        let n = call.cols.saturating_sub(LANES * v).min(LANES);
                        for m in 0..M {
                            store(out.add(m * call.stride + LANES * v), n, scale.apply(acc[m][v]));
                        }
                    }
                }
            }

            /// See [`paring_kernels::Kernels::i16_depthwise`]; the lengths are checked, and there is a vector of
            /// channels.
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn depthwise(
                window: &Window,
                x: &[i16],
                packed: &[u8],
                rows: Range<usize>,
                out: &mut [i16],
            ) {
                let (channels, first) = (window.channels, rows.start);
                let row = window.out_width * channels;
                for c in (0..channels).step_by(LANES) {
                    // The last vector may overlap the one before.
                    let c = c.min(channels - LANES);
                    for y in rows.clone() {
                        let out = &mut out[(y - first) * row..][..row];
                        // SAFETY: the caller's promise.
                        unsafe { line(window, x, packed, y, c, out) };
                    }
                }
            }

            /// A row of pixels of one vector of channels.
            #[target_feature(enable = $features)]
            unsafe fn line(
                window: &Window,
                x: &[i16],
                packed: &[u8],
                y: usize,
                c: usize,
                out: &mut [i16],
            ) {
                let channels = window.channels;
                let inner = window.inner_columns();
                let step = window.stride[1] * channels;
                // SAFETY: only pixels that are inside are read.
                unsafe {
                    let scale = Scale::at(packed.as_ptr(), channels, c);
                    let start = numbers(packed.as_ptr(), channels, c, 0);
                    let weights = packed.as_ptr().add(I16Panel::lanes_len(channels) + c);
                    let out = out.as_mut_ptr().add(c);
                    // Beside a zero, which is multiplied with what is beside a weight.
                    let element = |at: usize| words(x.as_ptr().add(at + c));
                    let mut column = 0;
                    while column < window.out_width {
                        let whole = inner.start <= column && column + PIXELS <= inner.end;
                        let n = if whole { PIXELS } else { 1 };
                        let mut acc = [start; PIXELS];
                        for ky in 0..window.kernel[0] {
                            let Some(row) = window.at(0, y, ky) else { continue };
                            for kx in 0..window.kernel[1] {
                                let Some(at) = window.at(1, column, kx) else { continue };
                                let at = (row * window.input[1] + at) * channels;
                                let tap = (ky * window.kernel[1] + kx) * channels;
                                let k = bytes(weights.add(tap));
                                if whole {
                                    for (p, acc) in acc.iter_mut().enumerate() {
                                        *acc = dots(*acc, element(at + p * step), k);
                                    }
                                } else {
                                    acc[0] = dots(acc[0], element(at), k);
                                }
                            }
                        }
                        for (p, acc) in acc.into_iter().take(n).enumerate() {
                            store(out.add((column + p) * channels), LANES, scale.apply(acc));
                        }
                        column += n;
                    }
                }
            }
        }
    };
}

kernels!(
    avx512,
    ops512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    16,
    14,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14]
);
kernels!(avx2, ops256, "avx2", 8, 6, [1 2 3 4 5 6]);

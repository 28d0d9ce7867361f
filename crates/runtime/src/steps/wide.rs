//! Convolutions and dense layers of 16-bit numbers with weights of `i8`: TFLite's 16x8 form, and its hybrid one.

use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::wire;
use paring_kernels::{Kernels, Window};
use paring_qmath::Multiplier;
use paring_qmath::dynamic::Dynamic;

/// A convolution of numbers whose zero point is 0; a dense layer has a window of one element.
#[derive(Debug)]
pub struct Products {
    pub batch: usize,
    pub window: Window,
    pub out_rows: usize,
    pub filters: usize,
    pub groups: usize,
    /// Filter by filter, tap by tap; of depthwise filters, tap by tap.
    pub weights: Blob,
}

/// Filters whose sums are kept at once.
const SUMS: usize = 64;

impl Products {
    /// Elements of an image of the input, and of one of the output.
    fn images(&self) -> [usize; 2] {
        let w = &self.window;
        [w.input[0] * w.input[1] * w.channels, self.out_rows * w.out_width * self.filters]
    }

    /// One image; `finish` makes of a filter and its sum what is written.
    fn image<T: Send>(
        &self,
        kernels: &dyn Kernels,
        x: &[i16],
        out: &mut [T],
        finish: &(impl Fn(usize, i64) -> T + Sync),
    ) {
        let row = self.window.out_width * self.filters;
        let work = self.out_rows * self.window.out_width * self.weights.bytes().len();
        divide(self.out_rows, row, work, out, &|rows, out| {
            for (y, out) in rows.zip(out.chunks_exact_mut(row)) {
                for (column, out) in out.chunks_exact_mut(self.filters).enumerate() {
                    if self.is_depthwise() {
                        self.channels(x, y, column, out, finish);
                    } else {
                        self.pixel(kernels, x, y, column, out, finish);
                    }
                }
            }
        });
    }

    /// Whether each filter sees one channel, its own: as many products are then added in 32 bits.
    #[must_use]
    pub fn is_depthwise(&self) -> bool {
        let w = &self.window;
        self.groups == w.channels && self.filters == w.channels && w.taps() <= 256
    }

    /// Where a tap of the window at a row and column of the output finds its pixel.
    fn place(&self, row: usize, column: usize, tap: usize) -> Option<usize> {
        let w = &self.window;
        let (r, c) = w.at(0, row, tap / w.kernel[1]).zip(w.at(1, column, tap % w.kernel[1]))?;
        Some((r * w.input[1] + c) * w.channels)
    }

    /// As [`Self::pixel`] of depthwise filters.
    fn channels<T>(
        &self,
        x: &[i16],
        row: usize,
        column: usize,
        out: &mut [T],
        finish: &impl Fn(usize, i64) -> T,
    ) {
        let weights: &[i8] = self.weights.numbers();
        for (first, out) in (0..self.filters).step_by(SUMS).zip(out.chunks_mut(SUMS)) {
            let (mut sums, n) = ([0_i32; SUMS], out.len());
            for tap in 0..self.window.taps() {
                let Some(at) = self.place(row, column, tap) else { continue };
                let (x, w) = (&x[at + first..][..n], &weights[tap * self.filters + first..][..n]);
                for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
                    *sum += i32::from(*x) * i32::from(*w);
                }
            }
            for ((f, y), sum) in (first..).zip(out).zip(sums) {
                *y = finish(f, i64::from(sum));
            }
        }
    }

    /// All filters at a row and column of the output.
    fn pixel<T>(
        &self,
        kernels: &dyn Kernels,
        x: &[i16],
        row: usize,
        column: usize,
        out: &mut [T],
        finish: &impl Fn(usize, i64) -> T,
    ) {
        let (w, weights): (&Window, &[i8]) = (&self.window, self.weights.numbers());
        let (depth, per_group) = (w.channels / self.groups, self.filters / self.groups);
        let filter = w.taps() * depth;
        // Pixels side by side that all filters see are one piece.
        let merged = self.groups == 1 && w.dilation[1] == 1;
        for (group, out) in out.chunks_exact_mut(per_group).enumerate() {
            for (first, out) in (group * per_group..).step_by(SUMS).zip(out.chunks_mut(SUMS)) {
                let mut all = [0_i64; SUMS];
                let sums = &mut all[..out.len()];
                let mut tap = 0;
                while tap < w.taps() {
                    let from = tap;
                    tap += 1;
                    let Some(at) = self.place(row, column, from) else { continue };
                    while merged
                        && !tap.is_multiple_of(w.kernel[1])
                        && self.place(row, column, tap).is_some()
                    {
                        tap += 1;
                    }
                    let x = &x[at + group * depth..][..(tap - from) * depth];
                    kernels.i16_dots(x, &weights[first * filter + from * depth..], filter, sums);
                }
                for ((f, y), sum) in (first..).zip(out).zip(all) {
                    *y = finish(f, sum);
                }
            }
        }
    }
}

/// A layer of `i16`.
#[derive(Debug)]
pub struct I16Conv {
    pub products: Products,
    pub bias: Vec<i64>,
    pub multipliers: Vec<Multiplier>,
    pub zero_point: i32,
    pub bounds: (i32, i32),
}

impl Step for I16Conv {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let p = &self.products;
        let (x, out): (&[i16], &mut [i16]) = (numbers(io.a), numbers_mut(io.out));
        let [from, to] = p.images();
        let images = x.chunks_exact(from).zip(out.chunks_exact_mut(to));
        for (x, out) in images.take(p.batch) {
            p.image(kernels, x, out, &|f, sum| {
                let q = self.multipliers[f].apply_wide(sum + self.bias[f]);
                let q = q.saturating_add(self.zero_point);
                q.max(self.bounds.0).min(self.bounds.1) as i16
            });
        }
    }
}

/// A layer of `f32` whose images are quantized by what is in them.
#[derive(Debug)]
pub struct Hybrid {
    pub products: Products,
    /// One a filter.
    pub scales: Vec<f32>,
    /// One a filter, or none.
    pub bias: Vec<f32>,
    pub clamp: (f32, f32),
    /// Whether images are quantized symmetrically.
    pub symmetric: bool,
    /// Whether the scales of an image and a filter are multiplied before the sum is.
    pub dense: bool,
}

impl Hybrid {
    /// Bytes of scratch memory.
    pub fn scratch(&self) -> usize {
        2 * self.products.images()[0]
    }
}

impl Step for Hybrid {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let p = &self.products;
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        let stored: &mut [i16] = numbers_mut(io.scratch);
        let [from, to] = p.images();
        let (low, high) = self.clamp;
        for (x, out) in x.chunks_exact(from).zip(out.chunks_exact_mut(to)).take(p.batch) {
            let by = if self.symmetric { Dynamic::by_magnitude } else { Dynamic::by_range }(x);
            stored.iter_mut().zip(x).for_each(|(to, x)| *to = by.centred(*x));
            p.image(kernels, &stored[..from], out, &|f, sum| {
                let (sum, scale) = (sum as f32, self.scales[f]);
                let real =
                    if self.dense { sum * (by.scale() * scale) } else { sum * scale * by.scale() };
                let y = self.bias.get(f).map_or(real, |b| real + b);
                let y = if y < low { low } else { y };
                if y > high { high } else { y }
            });
        }
    }
}

wire!(Products { batch, window, out_rows, filters, groups, weights });
wire!(I16Conv { products, bias, multipliers, zero_point, bounds });
wire!(Hybrid { products, scales, bias, clamp, symmetric, dense });

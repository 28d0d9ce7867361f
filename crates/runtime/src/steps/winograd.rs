//! Convolutions of 3x3 with a quarter of the products: Winograd's F(4x4, 3x3) as Lavin and Gray give it ("Fast
//! Algorithms for Convolutional Neural Networks", 2015).
//!
//! Four by four results come from six by six elements of each channel, transformed, times as many transformed weights:
//! 36 products where there were 144. Sums are rounded otherwise than those of the convolution as it is written: results
//! are within [`Winograd::ERROR`] of the largest one.

use super::gemm::{MOST_ROWS, side_by_side};
use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::{divide_with, worth};
use crate::wire::wire;
use paring_kernels::{Kernels, Rows, Tile};
use std::array::from_fn;
use std::ops::Range;

/// Products that a square takes.
const PLACES: usize = 36;
/// Rows and columns of results that belong together.
const SIDE: usize = 4;
/// Squares that are worked on at once.
const BLOCK: usize = 32;
/// Channels that are transformed at once.
const LANES: usize = 8;
/// Most threads that there is memory for.
const THREADS: usize = 4;

type Lanes = [f32; LANES];

/// A convolution with stride 1.
#[derive(Debug)]
pub struct Winograd {
    /// Images, rows and columns.
    input: [usize; 3],
    channels: usize,
    filters: usize,
    /// Rows of padding above and columns to the left.
    pad: [usize; 2],
    /// Rows and columns of the output.
    out: [usize; 2],
    tile: Tile,
    /// For each place, panels of filters without biases.
    packed: Blob,
    bias: Blob,
    clamp: (f32, f32),
}

/// What a convolution is.
pub struct Geometry {
    /// Images, rows and columns.
    pub input: [usize; 3],
    pub channels: usize,
    pub filters: usize,
    /// Rows of padding above and columns to the left.
    pub pad: [usize; 2],
    /// Rows and columns of the output.
    pub out: [usize; 2],
}

/// Of three weights in a row, those of six elements.
fn spread([a, b, c]: [f64; 3]) -> [f64; 6] {
    let (even, odd) = (a / 24.0 + c / 6.0, b / 12.0);
    [a / 4.0, -(a + b + c) / 6.0, -(a - b + c) / 6.0, even + odd, even - odd, c]
}

/// A square of so many rows and columns.
type Square<const Y: usize, const X: usize> = [[Lanes; X]; Y];

/// Six elements in a row, made ready for products with spread weights.
#[inline(always)]
fn forth(d: [f32; 6]) -> [f32; 6] {
    let (a, b) = (d[4] - 4.0 * d[2], d[3] - 4.0 * d[1]);
    let (c, e) = (d[4] - d[2], 2.0 * (d[3] - d[1]));
    let ends = [4.0 * d[0] - 5.0 * d[2] + d[4], 4.0 * d[1] - 5.0 * d[3] + d[5]];
    [ends[0], a + b, a - b, c + e, c - e, ends[1]]
}

/// Four results in a row of six products.
#[inline(always)]
fn back(m: [f32; 6]) -> [f32; SIDE] {
    let (a, b, c, d) = (m[1] + m[2], m[3] + m[4], m[1] - m[2], m[3] - m[4]);
    [m[0] + a + b, c + 2.0 * d, a + 4.0 * b, c + 8.0 * d + m[5]]
}

/// All elements of a square, column by column and then row by row.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "a column is no slice")]
fn forth_all(square: &mut Square<6, 6>) {
    for x in 0..6 {
        for l in 0..LANES {
            let column = forth(from_fn(|y| square[y][x][l]));
            (0..6).for_each(|y| square[y][x][l] = column[y]);
        }
    }
    for row in square {
        for l in 0..LANES {
            let results = forth(from_fn(|x| row[x][l]));
            (0..6).for_each(|x| row[x][l] = results[x]);
        }
    }
}

/// The results of a square of products.
#[inline(always)]
fn back_all(square: &Square<6, 6>, to: &mut Square<SIDE, SIDE>) {
    let mut half: Square<SIDE, 6> = [[[0.0; LANES]; 6]; SIDE];
    for x in 0..6 {
        for l in 0..LANES {
            let column = back(from_fn(|y| square[y][x][l]));
            (0..SIDE).for_each(|y| half[y][x][l] = column[y]);
        }
    }
    for (half, to) in half.iter().zip(to) {
        for l in 0..LANES {
            let row = back(from_fn(|x| half[x][l]));
            (0..SIDE).for_each(|x| to[x][l] = row[x]);
        }
    }
}

/// Lanes of what may be fewer numbers.
#[inline(always)]
fn load(from: &[f32], to: &mut Lanes) {
    match from.first_chunk() {
        Some(all) => *to = *all,
        None => to.iter_mut().zip(from).for_each(|(to, x)| *to = *x),
    }
}

#[inline(always)]
fn store(lanes: &Lanes, to: &mut [f32]) {
    match to.first_chunk_mut() {
        Some(all) => *all = *lanes,
        None => to.iter_mut().zip(lanes).for_each(|(to, x)| *to = *x),
    }
}

impl Winograd {
    /// How far results may be from those of the convolution as it is written, as a part of the largest one.
    pub const ERROR: f64 = 2e-5;

    /// `weights` are nine times as many numbers a filter as there are channels. `None` where tiles of the kernels have
    /// too many rows.
    pub fn new(
        kernels: &dyn Kernels,
        g: Geometry,
        weights: &[f32],
        bias: Option<&[f32]>,
        clamp: (f32, f32),
    ) -> Option<Self> {
        let Geometry { input, channels, filters, pad, out } = g;
        let tile = kernels.f32_tile();
        let panel = tile.width * (1 + channels);
        let count = filters.div_ceil(tile.width);
        let mut packed = vec![0.0; PLACES * count * panel];
        for f in 0..filters {
            for c in 0..channels {
                let w = |k: usize| f64::from(weights[(f * 9 + k) * channels + c]);
                let rows: [[f64; 6]; 3] = from_fn(|y| spread(from_fn(|x| w(3 * y + x))));
                let columns: [[f64; 6]; 6] = from_fn(|x| spread(rows.map(|row| row[x])));
                for (k, w) in columns.as_flattened().iter().enumerate() {
                    let place = 6 * (k % 6) + k / 6;
                    let at = (place * count + f / tile.width) * panel;
                    packed[at + (1 + c) * tile.width + f % tile.width] = *w as f32;
                }
            }
        }
        let none = vec![0.0; filters];
        (tile.rows <= MOST_ROWS - BLOCK).then(|| Self {
            input,
            channels,
            filters,
            pad,
            out,
            tile,
            packed: Blob::of(&packed),
            bias: Blob::of(bias.unwrap_or(&none)),
            clamp,
        })
    }

    /// Squares one below the other and side by side.
    fn squares(&self) -> [usize; 2] {
        self.out.map(|n| n.div_ceil(SIDE))
    }

    fn threads(&self) -> usize {
        self.squares()[0].clamp(1, THREADS)
    }

    /// Numbers that a thread needs: transformed elements and products.
    fn memory(&self) -> [usize; 2] {
        let block = self.squares().iter().product::<usize>().min(BLOCK);
        [self.channels, self.filters].map(|n| PLACES * block * n)
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        4 * self.threads() * self.memory().iter().sum::<usize>()
    }

    /// Transforms the elements of a square, the `at`-th of `n`.
    fn take(&self, x: &[f32], [row, column]: [usize; 2], to: &mut [f32], at: usize, n: usize) {
        let ([_, h, w], c) = (self.input, self.channels);
        let place = |y: usize, x: usize| {
            let y = (SIDE * row + y).checked_sub(self.pad[0]).filter(|y| *y < h)?;
            let x = (SIDE * column + x).checked_sub(self.pad[1]).filter(|x| *x < w)?;
            Some((y * w + x) * c)
        };
        let places: [[Option<usize>; 6]; 6] = from_fn(|y| from_fn(|x| place(y, x)));
        let mut square: Square<6, 6> = [[[0.0; LANES]; 6]; 6];
        for first in (0..c).step_by(LANES) {
            let end = c.min(first + LANES);
            for (row, places) in square.iter_mut().zip(&places) {
                for (lanes, at) in row.iter_mut().zip(places) {
                    match at {
                        Some(at) => load(&x[at + first..at + end], lanes),
                        None => *lanes = [0.0; LANES],
                    }
                }
            }
            forth_all(&mut square);
            for (k, lanes) in square.as_flattened().iter().enumerate() {
                let at = (k * n + at) * c;
                store(lanes, &mut to[at + first..at + end]);
            }
        }
    }

    /// Writes the results of a square, the `at`-th of `n`; `out` and `rest` begin at the row of squares `from`.
    fn give(
        &self,
        products: &[f32],
        at: usize,
        n: usize,
        [row, column]: [usize; 2],
        rest: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let ([oh, ow], f, (low, high)) = (self.out, self.filters, self.clamp);
        let bias: &[f32] = self.bias.numbers();
        let [ys, xs] = [oh - SIDE * row, ow - SIDE * column].map(|n| n.min(SIDE));
        let mut square: Square<6, 6> = [[[0.0; LANES]; 6]; 6];
        let mut results: Square<SIDE, SIDE> = [[[0.0; LANES]; SIDE]; SIDE];
        let (mut offsets, mut more) = ([0.0; LANES], [0.0; LANES]);
        for first in (0..f).step_by(LANES) {
            let end = f.min(first + LANES);
            for (k, lanes) in square.as_flattened_mut().iter_mut().enumerate() {
                let at = (k * n + at) * f;
                load(&products[at + first..at + end], lanes);
            }
            back_all(&square, &mut results);
            load(&bias[first..end], &mut offsets);
            for (y, row) in results.iter_mut().enumerate().take(ys) {
                for (x, sums) in row.iter_mut().enumerate().take(xs) {
                    let at = (y * ow + SIDE * column + x) * f;
                    if let Some(rest) = rest {
                        load(&rest[at + first..at + end], &mut more);
                    }
                    for ((sum, bias), more) in sums.iter_mut().zip(&offsets).zip(&more) {
                        let y = *sum + bias + more;
                        let y = if y < low { low } else { y };
                        *sum = if y > high { high } else { y };
                    }
                    store(sums, &mut out[at + first..at + end]);
                }
            }
        }
    }

    /// Some rows of squares.
    fn rows(
        &self,
        kernels: &dyn Kernels,
        x: &[f32],
        rest: Option<&[f32]>,
        rows: Range<usize>,
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let ([_, across], [c, f]) = (self.squares(), [self.channels, self.filters]);
        let [from, to] = self.memory();
        let (elements, products) = scratch[..from + to].split_at_mut(from);
        let block = from / (PLACES * c);
        let packed: &[f32] = self.packed.numbers();
        let (panel, count) = (self.tile.width * (1 + c), f.div_ceil(self.tile.width));
        let all = rows.start * across..rows.end * across;
        let place = |square: usize| [square / across, square % across];
        // What is multiplied with what lies beyond is not used.
        let pad = [0.0; 0];
        for first in all.clone().step_by(block) {
            let n = (all.end - first).min(block);
            for at in 0..n {
                self.take(x, place(first + at), elements, at, n);
            }
            let table = side_by_side(n, c);
            let table = kernels.pieces(&table[..n.next_multiple_of(self.tile.rows)]);
            for (k, packed) in packed.chunks_exact(count * panel).enumerate() {
                let a = &elements[k * n * c..(k + 1) * n * c];
                let a = Rows::of(a, table, &pad, 1, c, n, self.tile.rows);
                let out = &mut products[k * n * f..(k + 1) * n * f];
                for (i, panel) in packed.chunks_exact(panel).enumerate() {
                    let first = i * self.tile.width;
                    let (cols, open) = ((f - first).min(self.tile.width), f32::INFINITY);
                    let (width, out) = (self.tile.width, &mut out[first..]);
                    kernels.f32_gemm(&a, panel, width, None, (-open, open), cols, f, out);
                }
            }
            for at in 0..n {
                let [row, column] = place(first + at);
                let start = (row - rows.start) * SIDE * self.out[1] * f;
                let rest = rest.map(|r| &r[row * SIDE * self.out[1] * f..]);
                self.give(products, at, n, [row, column], rest, &mut out[start..]);
            }
        }
    }
}

impl Step for Winograd {
    fn work(&self) -> usize {
        let squares = self.input[0] * self.squares().iter().product::<usize>();
        let each = PLACES.saturating_mul(self.channels.saturating_mul(self.filters));
        squares.saturating_mul(each)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let [batch, h, w] = self.input;
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        let (rest, scratch): (&[f32], &mut [f32]) = (numbers(io.b), numbers_mut(io.scratch));
        let ([down, _], row) = (self.squares(), self.out[1] * self.filters);
        let lane = self.memory().iter().sum::<usize>();
        let parts = worth(self.work() / batch).min(self.threads());
        let images = x.chunks_exact(h * w * self.channels);
        for (i, (x, out)) in images.zip(out.chunks_exact_mut(self.out[0] * row)).enumerate() {
            let rest = (!rest.is_empty()).then(|| &rest[i * out.len()..][..out.len()]);
            let scratch = &mut scratch[..parts * lane];
            divide_with(0..down, SIDE * row, parts, scratch, out, &|rows, scratch, out| {
                self.rows(kernels, x, rest, rows, scratch, out);
            });
        }
    }
}

wire!(Winograd { input, channels, filters, pad, out, tile, packed, bias, clamp });

//! Convolutions of 3x3 by minimal filtering; see [`paring_kernels::winograd`].

use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::steps::gemm::{F32Gemm, Layout};
use crate::threads::{join, worth};
use crate::wire::wire;
use paring_kernels::Kernels;
use paring_kernels::winograd::{InputTile, OutputTile, POSITIONS, input, output, weights};
use std::ops::Range;

/// Most threads that there is scratch memory for.
const LANES: usize = 4;
/// Elements of scratch memory of a thread, about: what stays in a second-level cache.
const SCRATCH: usize = 64 << 10;

/// The extents of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub batch: usize,
    /// Rows and columns of the input and of the output.
    pub input: [usize; 2],
    pub out: [usize; 2],
    /// Rows of padding above and columns to the left.
    pub pad: [usize; 2],
    /// A multiple of what is transformed at once, and so are the filters.
    pub channels: usize,
    pub filters: usize,
}

/// A convolution of `f32`.
#[derive(Debug)]
pub struct F32Winograd {
    shape: Shape,
    /// One a position.
    products: Vec<F32Gemm>,
    bias: Blob,
    clamp: (f32, f32),
    /// Tiles that are worked on together.
    block: usize,
    /// Threads that there is scratch memory for.
    lanes: usize,
}

impl F32Winograd {
    /// `w` are windows of 3x3 pixels, filter by filter. `None` where places do not fit a table.
    #[must_use]
    pub fn new(
        kernels: &dyn Kernels,
        shape: Shape,
        w: &[f32],
        bias: &[f32],
        clamp: (f32, f32),
    ) -> Option<Self> {
        let (c, n) = (shape.channels, shape.filters);
        let mut transformed = vec![vec![0.0; n * c]; POSITIONS];
        for filter in 0..n {
            for channel in 0..c {
                let window = std::array::from_fn(|tap| w[(9 * filter + tap) * c + channel]);
                for (to, y) in transformed.iter_mut().zip(weights(window)) {
                    to[filter * c + channel] = y;
                }
            }
        }
        let tile = kernels.f32_tile();
        let fits = SCRATCH / (POSITIONS * (c + n));
        let block = (fits / tile.rows).clamp(1, 16) * tile.rows;
        let all = (f32::NEG_INFINITY, f32::INFINITY);
        let product = |w: &Vec<f32>| {
            let layout = Layout {
                samples: 1,
                sample: block * c,
                rows: block,
                taps: 1,
                depth: c,
                channels: n,
                groups: 1,
                at: Layout::table(tile, block, 1, |row, _| Some(row * c))?,
                frame: None,
                width: 0,
                side_by_side: false,
            };
            Some(F32Gemm::new(kernels, layout, w, None, all))
        };
        let products = transformed.iter().map(product).collect::<Option<_>>()?;
        let lanes = shape.out[0].div_ceil(8).clamp(1, LANES);
        Some(Self { shape, products, bias: Blob::of(bias), clamp, block, lanes })
    }

    /// Elements of scratch memory of a thread.
    fn lane(&self) -> usize {
        POSITIONS * self.block * (self.shape.channels + self.shape.filters)
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        4 * self.lane() * self.lanes
    }

    /// Some rows of tiles; `out` and `rest` begin with the first of their pixels.
    fn part(
        &self,
        kernels: &dyn Kernels,
        rows: Range<usize>,
        x: &[f32],
        rest: Option<&[f32]>,
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let Shape { input: [h, w], out: [oh, ow], pad, channels: c, filters: n, .. } = self.shape;
        let across = ow.div_ceil(2);
        let total = rows.len() * across;
        let (planes_in, planes_out) = (self.block * c, self.block * n);
        let (v, products) = scratch.split_at_mut(POSITIONS * planes_in);
        let place = |tile: usize| (2 * (rows.start + tile / across), 2 * (tile % across));
        for start in (0..total).step_by(self.block) {
            let count = (total - start).min(self.block);
            for i in 0..count {
                let (y, left) = place(start + i);
                let pixels = std::array::from_fn(|p| {
                    let y = (y + p / 4).checked_sub(pad[0]).filter(|y| *y < h)?;
                    let x = (left + p % 4).checked_sub(pad[1]).filter(|x| *x < w)?;
                    Some((y * w + x) * c)
                });
                let tile = InputTile { image: x, pixels, channels: c };
                input(&tile, planes_in, &mut v[i * c..]);
            }
            let planes = v.chunks_exact(planes_in).zip(products.chunks_exact_mut(planes_out));
            for (product, (v, out)) in self.products.iter().zip(planes) {
                product.first_rows(kernels, v, count, out);
            }
            for i in 0..count {
                let (y, left) = place(start + i);
                let pixels = std::array::from_fn(|p| {
                    let (y, x) = (y + p / 2, left + p % 2);
                    (y < oh && x < ow).then(|| ((y - 2 * rows.start) * ow + x) * n)
                });
                let bias = self.bias.numbers();
                let tile = OutputTile { bias, rest, clamp: self.clamp, pixels };
                output(&tile, &products[i * n..], planes_out, out);
            }
        }
    }

    fn divided(
        &self,
        kernels: &dyn Kernels,
        rows: Range<usize>,
        parts: usize,
        x: &[f32],
        rest: Option<&[f32]>,
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        if parts < 2 || rows.len() < 2 {
            return self.part(kernels, rows, x, rest, &mut scratch[..self.lane()], out);
        }
        let half = parts / 2;
        let mid = rows.start + (rows.len() * half / parts).max(1);
        let at = 2 * (mid - rows.start) * self.shape.out[1] * self.shape.filters;
        let (out, below) = out.split_at_mut(at);
        let (rest, rest_below) = rest.map(|r| r.split_at(at)).unzip();
        let (own, other) = scratch.split_at_mut(half * self.lane());
        join(
            || self.divided(kernels, rows.start..mid, half, x, rest, own, out),
            || self.divided(kernels, mid..rows.end, parts - half, x, rest_below, other, below),
        );
    }
}

impl Step for F32Winograd {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let s = &self.shape;
        let image = s.input[0] * s.input[1] * s.channels;
        let result = s.out[0] * s.out[1] * s.filters;
        let (x, rest): (&[f32], &[f32]) = (numbers(io.a), numbers(io.b));
        let (scratch, out): (&mut [f32], &mut [f32]) =
            (numbers_mut(io.scratch), numbers_mut(io.out));
        let parts = worth(4 * result * s.channels).min(self.lanes);
        for sample in 0..s.batch {
            let x = &x[sample * image..][..image];
            let rest = (!rest.is_empty()).then(|| &rest[sample * result..][..result]);
            let out = &mut out[sample * result..][..result];
            let rows = 0..s.out[0].div_ceil(2);
            self.divided(kernels, rows, parts, x, rest, scratch, out);
        }
    }
}

wire!(Shape { batch, input, out, pad, channels, filters });
wire!(F32Winograd { shape, products, bias, clamp, block, lanes });

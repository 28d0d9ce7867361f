//! Products with weights most of which are zero: every row of the left side, one after another, with the weights that
//! are left.

use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::steps::products::I8Constants;
use crate::threads::{divide_with, worth};
use crate::wire::wire;
use paring_kernels::{I8Scale, Kernels, Sparse};
use paring_qmath::{Multiplier, Rounding};

/// Most threads that there is scratch memory for.
const LANES: usize = 4;
/// Rows that are not divided: the tiles of most kernels.
const TILE: usize = 32;

/// The places and weights that are not zero, channel by channel.
#[derive(Default)]
struct Kept<T> {
    counts: Vec<u32>,
    index: Vec<u32>,
    weights: Vec<T>,
}

impl<T: Copy + Default + PartialEq> Kept<T> {
    fn push(&mut self, channel: &[T]) {
        let before = self.index.len();
        for (k, w) in channel.iter().enumerate() {
            if *w != T::default() {
                self.index.push(k as u32);
                self.weights.push(*w);
            }
        }
        self.counts.push((self.index.len() - before) as u32);
    }
}

/// What both element types share.
#[derive(Debug)]
struct Weights {
    rows: usize,
    depth: usize,
    counts: Blob,
    index: Blob,
    weights: Blob,
    /// Elements of scratch memory of a thread, and the threads that it is for.
    scratch: usize,
    lanes: usize,
}

impl Weights {
    fn new<T>(kept: &Kept<T>, rows: usize, depth: usize, scratch: usize) -> Self
    where
        T: bytemuck::NoUninit,
    {
        Self {
            rows,
            depth,
            counts: Blob::of(&kept.counts),
            index: Blob::of(&kept.index),
            weights: Blob::of(&kept.weights),
            scratch,
            lanes: rows.div_ceil(64).clamp(1, LANES),
        }
    }

    fn sparse<T: bytemuck::AnyBitPattern>(&self) -> Sparse<'_, T> {
        let (counts, index) = (self.counts.numbers(), self.index.numbers());
        Sparse::new(counts, index, self.weights.numbers(), self.depth)
    }

    fn work(&self) -> usize {
        let weights: &[u32] = self.index.numbers();
        self.rows.saturating_mul(weights.len())
    }

    /// Calls `each` with some rows, what is added to their results, scratch memory, and the results, in parts that
    /// threads share.
    fn divided<T: Sync, R: Sync, S: Send, O: Send>(
        &self,
        x: &[T],
        rest: Option<&[R]>,
        scratch: &mut [S],
        out: &mut [O],
        each: &(impl Fn(&[T], Option<&[R]>, &mut [S], &mut [O]) + Sync),
    ) {
        let (rows, channels) = (x.len() / self.depth, out.len() / self.rows);
        let tiles = rows.div_ceil(TILE);
        let parts = worth(self.work()).clamp(1, self.lanes.min(tiles));
        let scratch = &mut scratch[..parts * self.scratch];
        divide_with(0..tiles, TILE * channels, parts, scratch, out, &|tiles, scratch, out| {
            let rows = tiles.start * TILE..(tiles.end * TILE).min(rows);
            let rest = rest.map(|r| &r[rows.start * channels..rows.end * channels]);
            each(&x[rows.start * self.depth..rows.end * self.depth], rest, scratch, out);
        });
    }
}

/// A product of `f32`.
#[derive(Debug)]
pub struct F32Sparse {
    weights: Weights,
    bias: Blob,
    clamp: (f32, f32),
}

impl F32Sparse {
    /// `weights` are `depth` numbers a channel, zeros among them; there is one bias a channel.
    #[must_use]
    pub fn new(
        kernels: &dyn Kernels,
        rows: usize,
        depth: usize,
        weights: &[f32],
        bias: &[f32],
        clamp: (f32, f32),
    ) -> Self {
        let mut kept = Kept::default();
        weights.chunks_exact(depth).for_each(|channel| kept.push(channel));
        let weights = Weights::new(&kept, rows, depth, kernels.f32_sparse_scratch(depth));
        Self { weights, bias: Blob::of(bias), clamp }
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        4 * self.weights.scratch * self.weights.lanes
    }
}

impl Step for F32Sparse {
    fn work(&self) -> usize {
        self.weights.work()
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (w, sparse) = (&self.weights, self.weights.sparse());
        let bias = self.bias.numbers();
        let x: &[f32] = &numbers(io.a)[..w.rows * w.depth];
        let out = &mut numbers_mut(io.out)[..w.rows * bias.len()];
        let rest = (!io.b.is_empty()).then(|| &numbers(io.b)[..out.len()]);
        w.divided(x, rest, numbers_mut(io.scratch), out, &|x, rest, scratch, out| {
            kernels.f32_sparse(x, &sparse, bias, rest, self.clamp, scratch, out);
        });
    }
}

/// A product of `i8`.
#[derive(Debug)]
pub struct I8Sparse {
    weights: Weights,
    bias: Blob,
    mantissas: Blob,
    shifts: Blob,
    zero_point: i32,
    bounds: (i8, i8),
}

impl I8Sparse {
    /// `weights` are `depth` numbers a channel, zeros among them. `None` where a sum could leave 31 bits, or factors
    /// are not rounded twice.
    #[must_use]
    pub fn new(
        kernels: &dyn Kernels,
        rows: usize,
        depth: usize,
        weights: &[i8],
        c: &I8Constants,
    ) -> Option<Self> {
        if c.rounding != Rounding::Double {
            return None;
        }
        let mut kept = Kept::default();
        let (mut bias, mut mantissas, mut shifts) = (Vec::new(), Vec::new(), Vec::new());
        for (i, channel) in weights.chunks_exact(depth).enumerate() {
            let start = c.folded(i, channel.iter().copied())?;
            let spread: i64 = channel.iter().map(|w| i64::from(w.unsigned_abs()) * 128).sum();
            let m = c.multipliers[i];
            let constant = m.constant(start, spread, c.rounding, c.zero_point, (-128, 127));
            let (start, m, wide) = match constant {
                // A sum of four times the result, halved twice, whatever the input.
                Some(y) => {
                    let half = Multiplier { mantissa: 1 << 30, shift: -1 };
                    ((y - c.zero_point) << 2, half, vec![0; depth])
                }
                None if i64::from(start).abs() + spread >= 1 << 30 => return None,
                None => (start, m, channel.iter().map(|w| i16::from(*w)).collect()),
            };
            kept.push(&wide);
            bias.push(start);
            mantissas.push(m.mantissa);
            // What is multiplied with zero may shift as it likes.
            shifts.push(if m.mantissa == 0 { -1 } else { m.shift });
        }
        Some(Self {
            weights: Weights::new(&kept, rows, depth, kernels.i8_sparse_scratch(depth)),
            bias: Blob::of(&bias),
            mantissas: Blob::of(&mantissas),
            shifts: Blob::of(&shifts),
            zero_point: c.zero_point,
            bounds: c.bounds,
        })
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        2 * self.weights.scratch * self.weights.lanes
    }
}

impl Step for I8Sparse {
    fn work(&self) -> usize {
        self.weights.work()
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (w, sparse) = (&self.weights, self.weights.sparse());
        let scale = I8Scale {
            bias: self.bias.numbers(),
            mantissas: self.mantissas.numbers(),
            shifts: self.shifts.numbers(),
            zero_point: self.zero_point,
            bounds: self.bounds,
        };
        let x: &[i8] = &numbers(io.a)[..w.rows * w.depth];
        let out: &mut [i8] = &mut numbers_mut(io.out)[..w.rows * scale.bias.len()];
        let scratch: &mut [i16] = numbers_mut(io.scratch);
        w.divided::<_, (), _, _>(x, None, scratch, out, &|x, _, scratch, out| {
            kernels.i8_sparse(x, &sparse, &scale, scratch, out);
        });
    }
}

wire!(Weights { rows, depth, counts, index, weights, scratch, lanes });
wire!(F32Sparse { weights, bias, clamp });
wire!(I8Sparse { weights, bias, mantissas, shifts, zero_point, bounds });

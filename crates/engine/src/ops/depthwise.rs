use super::conv2d::Geometry;
use super::gemm::I8Constants;
use super::{Lower, Part};
use crate::buffer::Buffer;
use crate::step::{ByRows, Io, RowShape, Step, numbers, numbers_mut};
use crate::threads::divide;
use paring_ir::ValueId;
use paring_ir::ops::Conv2d;
use paring_kernels::{I8Depthwise, Kernels, Window};
use std::ops::Range;

/// What both element types share.
struct Images {
    batch: usize,
    window: Window,
    out_rows: usize,
}

impl Images {
    fn of(op: &Conv2d, g: &Geometry) -> Self {
        Self { batch: g.batch, window: g.window(op), out_rows: g.out[0] }
    }

    /// Calls `each` with the input of each image, some rows of its output, and that part.
    fn run<T: Send + Sync>(
        &self,
        x: &[T],
        out: &mut [T],
        each: impl Fn(&[T], Range<usize>, &mut [T]) + Sync,
    ) {
        let w = &self.window;
        let image = w.input[0] * w.input[1] * w.channels;
        let row = w.out_width * w.channels;
        let images = x.chunks_exact(image).zip(out.chunks_exact_mut(row * self.out_rows));
        for (x, out) in images.take(self.batch) {
            // A multiply-accumulate takes about as long here as four of a product do.
            let work = 4 * self.out_rows * row * w.taps();
            divide(self.out_rows, row, work, out, &|rows, out| each(x, rows, out));
        }
    }
}

impl Images {
    /// What a row needs, of one image; `size` is the bytes of an element.
    fn shape(&self, size: usize) -> RowShape {
        let w = &self.window;
        RowShape {
            rows: [w.input[0], self.out_rows],
            bytes: [w.input[1], w.out_width].map(|n| n * w.channels * size),
            reach: (w.kernel[0] - 1) * w.dilation[0] + 1,
            stride: w.stride[0],
            pad: w.pad[0],
            work: 4 * w.out_width * w.channels * w.taps(),
        }
    }

    /// The window over the rows of the input that some rows of the output see, and the elements of those
    /// rows; `x` begins with row `first`.
    fn part<'a, T>(&self, x: &'a [T], first: usize, rows: &Range<usize>) -> (Window, &'a [T]) {
        let w = &self.window;
        let needed = self.shape(1).needed(rows);
        let pitch = w.input[1] * w.channels;
        // No row of the input where all that is seen is padding.
        let pad = (w.pad[0] + needed.start).saturating_sub(rows.start * w.stride[0]);
        let window = Window { input: [needed.len(), w.input[1]], pad: [pad, w.pad[1]], ..*w };
        let x = match needed.is_empty() {
            true => &[][..],
            false => &x[(needed.start - first) * pitch..(needed.end - first) * pitch],
        };
        (window, x)
    }
}

struct F32Step {
    images: Images,
    weights: Buffer,
    bias: Buffer,
    clamp: (f32, f32),
}

impl Step for F32Step {
    fn by_rows(&self) -> Option<&dyn ByRows> {
        (self.images.batch == 1).then_some(self)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        let weights = bytemuck::cast_slice(self.weights.bytes());
        let bias = bytemuck::cast_slice(self.bias.bytes());
        self.images.run(x, out, |x, rows, out| {
            kernels.f32_depthwise(&self.images.window, x, weights, bias, self.clamp, rows, out);
        });
    }
}

impl ByRows for F32Step {
    fn shape(&self) -> RowShape {
        self.images.shape(4)
    }

    fn run_rows(
        &self,
        kernels: &dyn Kernels,
        x: &[u8],
        first: usize,
        rows: Range<usize>,
        _: &[u8],
        out: &mut [u8],
    ) {
        let (window, x) = self.images.part(numbers(x), first, &rows);
        let weights = bytemuck::cast_slice(self.weights.bytes());
        let bias = bytemuck::cast_slice(self.bias.bytes());
        let (rows, out) = (0..rows.len(), numbers_mut(out));
        kernels.f32_depthwise(&window, x, weights, bias, self.clamp, rows, out);
    }
}

struct I8Step {
    images: Images,
    packed: Buffer,
    pad: i8,
}

impl Step for I8Step {
    fn by_rows(&self) -> Option<&dyn ByRows> {
        (self.images.batch == 1).then_some(self)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        let packed = self.packed.bytes();
        self.images.run(x, out, |x, rows, out| {
            kernels.i8_depthwise(&self.images.window, x, self.pad, packed, rows, out);
        });
    }
}

impl ByRows for I8Step {
    fn shape(&self) -> RowShape {
        self.images.shape(1)
    }

    fn run_rows(
        &self,
        kernels: &dyn Kernels,
        x: &[u8],
        first: usize,
        rows: Range<usize>,
        _: &[u8],
        out: &mut [u8],
    ) {
        let (window, x) = self.images.part(numbers(x), first, &rows);
        let (rows, out) = (0..rows.len(), numbers_mut(out));
        kernels.i8_depthwise(&window, x, self.pad, self.packed.bytes(), rows, out);
    }
}

/// Weights `[channels, taps]` as `[taps, channels]`.
fn taps_first<T: Copy + Default>(w: &[T], taps: usize) -> Vec<T> {
    let channels = w.len() / taps;
    let mut out = vec![T::default(); w.len()];
    for (c, filter) in w.chunks_exact(taps).enumerate() {
        for (tap, v) in filter.iter().enumerate() {
            out[tap * channels + c] = *v;
        }
    }
    out
}

/// Most taps that kernels serve.
const MAX_TAPS: usize = 64;

impl Lower<'_> {
    pub(super) fn f32_depthwise(
        &self,
        op: &Conv2d,
        g: &Geometry,
        x: ValueId,
        weights: &[f32],
        bias: Option<Vec<f32>>,
        clamp: (f32, f32),
    ) -> Option<Part> {
        let taps = g.kernel[0] * g.kernel[1];
        if taps > MAX_TAPS {
            return None;
        }
        let weights = taps_first(weights, taps);
        let bias = bias.unwrap_or_else(|| vec![0.0; g.channels]);
        let step = F32Step {
            images: Images::of(op, g),
            weights: Buffer::of(bytemuck::cast_slice(&weights), 0),
            bias: Buffer::of(bytemuck::cast_slice(&bias), 0),
            clamp,
        };
        Some(Part::unary(step, x))
    }

    /// `more` is added to the weights where it is not empty.
    pub(super) fn i8_depthwise(
        &self,
        op: &Conv2d,
        g: &Geometry,
        x: ValueId,
        weights: &[i8],
        more: &[i8],
        c: &I8Constants,
    ) -> Option<Part> {
        let taps = g.kernel[0] * g.kernel[1];
        if taps > MAX_TAPS {
            return None;
        }
        let bias: Option<Vec<i32>> = weights
            .chunks_exact(taps)
            .enumerate()
            .map(|(channel, w)| {
                let rest = more.chunks_exact(taps).nth(channel).unwrap_or_default();
                c.folded(channel, w.iter().chain(rest).copied())
            })
            .collect();
        let from = I8Depthwise {
            weights: &taps_first(weights, taps),
            kernel: g.kernel,
            channels: g.channels,
            bias: &bias?,
            multipliers: &c.multipliers,
            rounding: c.rounding,
            zero_point: c.zero_point,
            bounds: c.bounds,
        };
        let mut packed = Buffer::zeroed(self.kernels.i8_depthwise_len(g.kernel, g.channels));
        let done = if more.is_empty() {
            self.kernels.i8_depthwise_pack(&from, packed.bytes_mut())
        } else {
            self.kernels.i8_depthwise_pack_sum(&from, &taps_first(more, taps), packed.bytes_mut())
        };
        if !done {
            return None;
        }
        let pad = c.x_zero as i8;
        Some(Part::unary(I8Step { images: Images::of(op, g), packed, pad }, x))
    }
}

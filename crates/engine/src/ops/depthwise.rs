use super::conv2d::Geometry;
use super::gemm::I8Constants;
use super::{Lower, Part};
use crate::buffer::Buffer;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use paring_ir::ValueId;
use paring_ir::ops::Conv2d;
use paring_kernels::{I8Depthwise, Kernels, Window};

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
        each: impl Fn(&[T], std::ops::Range<usize>, &mut [T]) + Sync,
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

struct F32Step {
    images: Images,
    weights: Buffer,
    bias: Buffer,
    clamp: (f32, f32),
}

impl Step for F32Step {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        let weights = bytemuck::cast_slice(self.weights.bytes());
        let bias = bytemuck::cast_slice(self.bias.bytes());
        self.images.run(x, out, |x, rows, out| {
            kernels.f32_depthwise(&self.images.window, x, weights, bias, self.clamp, rows, out);
        });
    }
}

struct I8Step {
    images: Images,
    packed: Buffer,
    pad: i8,
}

impl Step for I8Step {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        let packed = self.packed.bytes();
        self.images.run(x, out, |x, rows, out| {
            kernels.i8_depthwise(&self.images.window, x, self.pad, packed, rows, out);
        });
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

    pub(super) fn i8_depthwise(
        &self,
        op: &Conv2d,
        g: &Geometry,
        x: ValueId,
        weights: &[i8],
        c: &I8Constants,
    ) -> Option<Part> {
        let taps = g.kernel[0] * g.kernel[1];
        if taps > MAX_TAPS {
            return None;
        }
        let bias: Option<Vec<i32>> = weights
            .chunks_exact(taps)
            .enumerate()
            .map(|(channel, w)| c.folded(channel, w.iter().copied()))
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
        if !self.kernels.i8_depthwise_pack(&from, packed.bytes_mut()) {
            return None;
        }
        let pad = c.x_zero as i8;
        Some(Part::unary(I8Step { images: Images::of(op, g), packed, pad }, x))
    }
}

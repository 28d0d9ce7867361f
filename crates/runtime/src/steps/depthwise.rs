use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::wire;
use paring_kernels::{Kernels, Window};

/// What both element types share.
#[derive(Debug)]
pub struct Images {
    pub batch: usize,
    pub window: Window,
    pub out_rows: usize,
}

impl Images {
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

#[derive(Debug)]
pub struct F32Depthwise {
    pub images: Images,
    pub weights: Blob,
    pub bias: Blob,
    pub clamp: (f32, f32),
}

impl Step for F32Depthwise {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        let weights = self.weights.numbers();
        let bias = self.bias.numbers();
        self.images.run(x, out, |x, rows, out| {
            kernels.f32_depthwise(&self.images.window, x, weights, bias, self.clamp, rows, out);
        });
    }
}

#[derive(Debug)]
pub struct I8Depthwise {
    pub images: Images,
    pub packed: Blob,
    pub pad: i8,
}

impl Step for I8Depthwise {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        let packed = self.packed.bytes();
        self.images.run(x, out, |x, rows, out| {
            kernels.i8_depthwise(&self.images.window, x, self.pad, packed, rows, out);
        });
    }
}

wire!(Images { batch, window, out_rows });
wire!(F32Depthwise { images, weights, bias, clamp });
wire!(I8Depthwise { images, packed, pad });

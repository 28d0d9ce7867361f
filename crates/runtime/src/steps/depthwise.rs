use super::products::I16Constants;
use crate::blob::Blob;
use crate::buffer::Buffer;
use crate::step::{ByRows, Io, RowShape, Step, numbers, numbers_mut};
use crate::threads::{divide, divide_once};
use crate::wire::wire;
use paring_kernels::{Kernels, Window};
use std::ops::Range;

/// Work that is not cut into more pieces than there are threads: a call looks at all weights, and one for a single
/// row reads more of the input than one for two rows does for each.
const SMALL: usize = 3_000_000;

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
        each: impl Fn(&[T], Range<usize>, &mut [T]) + Sync,
    ) {
        let w = &self.window;
        let image = w.input[0] * w.input[1] * w.channels;
        let row = w.out_width * w.channels;
        let images = x.chunks_exact(image).zip(out.chunks_exact_mut(row * self.out_rows));
        for (x, out) in images.take(self.batch) {
            let work = self.shape(size_of::<T>()).total();
            let each = |rows: Range<usize>, out: &mut [T]| each(x, rows, out);
            if work < SMALL {
                divide_once(self.out_rows, row, work, out, &each);
            } else {
                divide(self.out_rows, row, work, out, &each);
            }
        }
    }
}

impl Images {
    /// What a row needs, of one image; `size` is the bytes of an element.
    fn shape(&self, size: usize) -> RowShape {
        let w = &self.window;
        RowShape {
            rows: [w.input[0], self.out_rows],
            bytes: [w.input[1], w.out_width]
                .map(|n| n.saturating_mul(w.channels).saturating_mul(size)),
            reach: w.kernel[0].saturating_sub(1).saturating_mul(w.dilation[0]).saturating_add(1),
            stride: w.stride[0],
            pad: w.pad[0],
            // A multiply-accumulate takes about as long here as two of a product of `f32` do.
            work: [2, w.out_width, w.channels, w.kernel[0], w.kernel[1]]
                .into_iter()
                .fold(1, usize::saturating_mul),
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

#[derive(Debug)]
pub struct F32Depthwise {
    pub images: Images,
    pub weights: Blob,
    pub bias: Blob,
    pub clamp: (f32, f32),
}

impl Step for F32Depthwise {
    fn by_rows(&self) -> Option<&dyn ByRows> {
        (self.images.batch == 1).then_some(self)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        let weights = self.weights.numbers();
        let bias = self.bias.numbers();
        self.images.run(x, out, |x, rows, out| {
            kernels.f32_depthwise(&self.images.window, x, weights, bias, self.clamp, rows, out);
        });
    }
}

impl ByRows for F32Depthwise {
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
        let weights = self.weights.numbers();
        let bias = self.bias.numbers();
        let (rows, out) = (0..rows.len(), numbers_mut(out));
        kernels.f32_depthwise(&window, x, weights, bias, self.clamp, rows, out);
    }
}

/// In half precision.
#[derive(Debug)]
pub struct F16Depthwise {
    pub images: Images,
    pub weights: Blob,
    pub bias: Blob,
    pub clamp: (f32, f32),
}

impl Step for F16Depthwise {
    fn in_half(&self) -> bool {
        true
    }

    fn by_rows(&self) -> Option<&dyn ByRows> {
        (self.images.batch == 1).then_some(self)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        let weights = self.weights.numbers();
        let bias = self.bias.numbers();
        self.images.run(x, out, |x, rows, out| {
            kernels.f16_depthwise(&self.images.window, x, weights, bias, self.clamp, rows, out);
        });
    }
}

impl ByRows for F16Depthwise {
    fn shape(&self) -> RowShape {
        self.images.shape(2)
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
        let weights = self.weights.numbers();
        let bias = self.bias.numbers();
        let (rows, out) = (0..rows.len(), numbers_mut(out));
        kernels.f16_depthwise(&window, x, weights, bias, self.clamp, rows, out);
    }
}

#[derive(Debug)]
pub struct I8Depthwise {
    pub images: Images,
    pub packed: Blob,
    pub pad: i8,
}

impl Step for I8Depthwise {
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

impl ByRows for I8Depthwise {
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

/// Weights of `i8` whose sums fit 32 bits.
#[derive(Debug)]
pub struct I16Depthwise {
    pub images: Images,
    pub packed: Blob,
}

impl I16Depthwise {
    /// `weights` are the taps of each channel. `None` where the sums of a channel may not fit.
    pub fn new(
        kernels: &dyn Kernels,
        images: Images,
        weights: &[i8],
        c: &I16Constants,
    ) -> Option<Self> {
        let (taps, channels) = (images.window.taps(), images.window.channels);
        let mut packed = Buffer::zeroed(kernels.i16_depthwise_len(taps, channels));
        let from = c.panel(0..channels, weights, [taps, 1, channels]);
        let done = kernels.i16_depthwise_pack(&from, packed.bytes_mut());
        done.then(|| Self { images, packed: packed.into() })
    }
}

impl Step for I16Depthwise {
    fn by_rows(&self) -> Option<&dyn ByRows> {
        (self.images.batch == 1).then_some(self)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let packed = self.packed.bytes();
        self.images.run(numbers(io.a), numbers_mut(io.out), |x, rows, out| {
            kernels.i16_depthwise(&self.images.window, x, packed, rows, out);
        });
    }
}

impl ByRows for I16Depthwise {
    fn shape(&self) -> RowShape {
        self.images.shape(2)
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
        kernels.i16_depthwise(&window, x, self.packed.bytes(), rows, out);
    }
}

wire!(Images { batch, window, out_rows });
wire!(F32Depthwise { images, weights, bias, clamp });
wire!(F16Depthwise { images, weights, bias, clamp });
wire!(I8Depthwise { images, packed, pad });
wire!(I16Depthwise { images, packed });

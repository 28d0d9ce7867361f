//! Transposed convolutions.

use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;
use paring_qmath::{Multiplier, Rounding};

/// What both element types share.
#[derive(Debug)]
pub struct Spread {
    pub batch: usize,
    /// Rows and columns.
    pub input: [usize; 2],
    /// Rows and columns.
    pub output: [usize; 2],
    /// Of the input, and of the output.
    pub channels: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Rows and columns that are cut off before the output.
    pub pad: [usize; 2],
    pub groups: usize,
}

impl Spread {
    /// Adds the products of every element of the input to the sums that it belongs to; the weights of a filter lie tap
    /// by tap.
    fn each<T: Copy, A: Copy + std::ops::AddAssign>(
        &self,
        x: &[T],
        w: &[T],
        sums: &mut [A],
        dot: impl Fn(&[T], &[T]) -> A,
    ) {
        let [channels, filters] = self.channels;
        let ([_, kw], [height, width]) = (self.kernel, self.input);
        let (depth, per_group) = (channels / self.groups, filters / self.groups);
        let place = |axis: usize, at: usize, tap: usize| {
            (at * self.stride[axis] + tap * self.dilation[axis])
                .checked_sub(self.pad[axis])
                .filter(|p| *p < self.output[axis])
        };
        let pixels = x.chunks_exact(channels).take(self.batch * height * width);
        for (i, pixel) in pixels.enumerate() {
            let (n, row, column) = (i / (height * width), i / width % height, i % width);
            for tap in 0..self.kernel[0] * kw {
                let to = place(0, row, tap / kw).zip(place(1, column, tap % kw));
                let Some((y, x)) = to else { continue };
                let at = ((n * self.output[0] + y) * self.output[1] + x) * filters;
                for (f, sum) in sums[at..at + filters].iter_mut().enumerate() {
                    let group = f / per_group * depth;
                    let taps = (f * self.kernel[0] * kw + tap) * depth;
                    *sum += dot(&pixel[group..group + depth], &w[taps..taps + depth]);
                }
            }
        }
    }
}

#[derive(Debug)]
pub struct F32Transposed {
    pub spread: Spread,
    pub weights: Blob,
    pub bias: Vec<f32>,
    pub clamp: (f32, f32),
}

impl Step for F32Transposed {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        out.fill(0.0);
        let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).fold(0.0, |sum, (x, w)| sum + x * w);
        self.spread.each(x, self.weights.numbers(), out, dot);
        for (y, bias) in out.iter_mut().zip(self.bias.iter().cycle()) {
            let sum = *y + bias;
            *y = if sum < self.clamp.0 {
                self.clamp.0
            } else if sum > self.clamp.1 {
                self.clamp.1
            } else {
                sum
            };
        }
    }
}

/// Of `i8`; the scratch memory holds a sum of each output.
#[derive(Debug)]
pub struct I8Transposed {
    pub spread: Spread,
    pub weights: Blob,
    pub x_zero: i32,
    pub bias: Vec<i32>,
    pub multipliers: Vec<Multiplier>,
    pub zero_point: i32,
    pub bounds: (i32, i32),
}

impl Step for I8Transposed {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[i8], &mut [i8]) = (numbers(io.a), numbers_mut(io.out));
        let sums = &mut numbers_mut::<i32>(io.scratch)[..out.len()];
        sums.fill(0);
        self.spread.each(x, self.weights.numbers(), sums, |x: &[i8], w: &[i8]| {
            let product = |(x, w): (&i8, &i8)| (i32::from(*x) - self.x_zero) * i32::from(*w);
            x.iter().zip(w).map(product).fold(0, i32::wrapping_add)
        });
        let channels = self.bias.iter().zip(&self.multipliers).cycle();
        for ((y, sum), (bias, m)) in out.iter_mut().zip(sums).zip(channels) {
            let scaled = m.apply(sum.wrapping_add(*bias), Rounding::Double);
            let q = scaled.saturating_add(self.zero_point);
            *y = q.max(self.bounds.0).min(self.bounds.1) as i8;
        }
    }
}

wire!(Spread { batch, input, output, channels, kernel, stride, dilation, pad, groups });
wire!(F32Transposed { spread, weights, bias, clamp });
wire!(I8Transposed { spread, weights, x_zero, bias, multipliers, zero_point, bounds });

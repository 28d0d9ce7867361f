//! Convolutions and dense layers of `i16` with weights of `i8`, TFLite's 16x8 form.

use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::wire;
use paring_kernels::{Kernels, Window};
use paring_qmath::Multiplier;

/// A convolution; a dense layer has a window of one element. The zero point of the input is 0.
#[derive(Debug)]
pub struct I16Conv {
    pub batch: usize,
    pub window: Window,
    pub out_rows: usize,
    pub filters: usize,
    pub groups: usize,
    /// Filter by filter, tap by tap.
    pub weights: Blob,
    pub bias: Vec<i64>,
    pub multipliers: Vec<Multiplier>,
    pub zero_point: i32,
    pub bounds: (i32, i32),
}

impl I16Conv {
    /// All filters at a row and column of the output.
    fn pixel(&self, kernels: &dyn Kernels, x: &[i16], row: usize, column: usize, out: &mut [i16]) {
        let (w, weights): (&Window, &[i8]) = (&self.window, self.weights.numbers());
        let (depth, per_group) = (w.channels / self.groups, self.filters / self.groups);
        for (f, y) in out.iter_mut().enumerate() {
            let mut sum = self.bias[f];
            for tap in 0..w.taps() {
                let place = w.at(0, row, tap / w.kernel[1]).zip(w.at(1, column, tap % w.kernel[1]));
                let Some((r, c)) = place else { continue };
                let at = (r * w.input[1] + c) * w.channels + f / per_group * depth;
                let taps = (f * w.taps() + tap) * depth;
                sum += kernels.i16_dot(&x[at..at + depth], &weights[taps..taps + depth]);
            }
            let q = self.multipliers[f].apply_wide(sum).saturating_add(self.zero_point);
            *y = q.max(self.bounds.0).min(self.bounds.1) as i16;
        }
    }
}

impl Step for I16Conv {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (w, filters) = (&self.window, self.filters);
        let (x, out): (&[i16], &mut [i16]) = (numbers(io.a), numbers_mut(io.out));
        let (image, row) = (w.input[0] * w.input[1] * w.channels, w.out_width * filters);
        let images = x.chunks_exact(image).zip(out.chunks_exact_mut(row * self.out_rows));
        for (x, out) in images.take(self.batch) {
            let work = self.out_rows * w.out_width * self.weights.bytes().len();
            divide(self.out_rows, row, work, out, &|rows, out| {
                for (y, out) in rows.zip(out.chunks_exact_mut(row)) {
                    for (column, out) in out.chunks_exact_mut(filters).enumerate() {
                        self.pixel(kernels, x, y, column, out);
                    }
                }
            });
        }
    }
}

wire!(I16Conv {
    batch,
    window,
    out_rows,
    filters,
    groups,
    weights,
    bias,
    multipliers,
    zero_point,
    bounds,
});

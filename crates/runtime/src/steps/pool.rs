use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::{Fault, Reader, Wire, Writer};
use paring_kernels::{Kernels, Window};

/// A maximum or a mean over images.
#[derive(Debug)]
pub struct PoolStep<T> {
    pub batch: usize,
    pub window: Window,
    pub out_rows: usize,
    pub max: bool,
    /// Where padding counts in a mean: rows and columns of the padded input.
    pub padded: Option<[usize; 2]>,
    /// Bounds of the output.
    pub clamp: (T, T),
    /// What padding is.
    pub zero: i32,
}

impl<T: Copy + Send + Sync> PoolStep<T> {
    /// Calls `pixel` for each pixel of the output with the places of the inputs that its window sees,
    /// the number that counts in a mean, and the pixel's channels.
    fn each(
        &self,
        x: &[T],
        out: &mut [T],
        pixel: impl Fn(&[T], &mut dyn Iterator<Item = usize>, usize, usize, &mut [T]) + Sync,
    ) {
        let w = &self.window;
        let image = w.input[0] * w.input[1] * w.channels;
        let row = w.out_width * w.channels;
        let images = x.chunks_exact(image).zip(out.chunks_exact_mut(row * self.out_rows));
        for (x, out) in images.take(self.batch) {
            let work = self.out_rows * row * w.taps();
            divide(self.out_rows, row, work, out, &|rows, out| {
                for (y, out) in rows.zip(out.chunks_exact_mut(row)) {
                    for (column, out) in out.chunks_exact_mut(w.channels).enumerate() {
                        let taps = |axis: usize, at: usize| {
                            (0..w.kernel[axis]).filter_map(move |k| w.at(axis, at, k))
                        };
                        let seen = taps(0, y).count() * taps(1, column).count();
                        let counted = match self.padded {
                            None => seen,
                            Some(size) => [(0, y), (1, column)]
                                .map(|(axis, at)| {
                                    let first = at * w.stride[axis];
                                    let all =
                                        (0..w.kernel[axis]).map(|k| first + k * w.dilation[axis]);
                                    all.filter(|p| *p < size[axis]).count()
                                })
                                .iter()
                                .product(),
                        };
                        let mut places = taps(0, y).flat_map(|r| {
                            taps(1, column).map(move |c| (r * w.input[1] + c) * w.channels)
                        });
                        pixel(x, &mut places, seen, counted, out);
                    }
                }
            });
        }
    }
}

impl Step for PoolStep<f32> {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (low, high) = self.clamp;
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        self.each(x, out, |x, places, _, counted, out| {
            out.fill(if self.max { f32::NEG_INFINITY } else { 0.0 });
            for at in places {
                let each = out.iter_mut().zip(&x[at..]);
                if self.max {
                    // A number that is not one stays.
                    each.for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
                } else {
                    each.for_each(|(y, x)| *y += x);
                }
            }
            for y in out {
                let v = if self.max { *y } else { *y / counted as f32 };
                *y = if v < low {
                    low
                } else if v > high {
                    high
                } else {
                    v
                };
            }
        });
    }
}

impl Step for PoolStep<i8> {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        const BLOCK: usize = 512;
        let (low, high) = (i32::from(self.clamp.0), i32::from(self.clamp.1));
        let n = self.batch * self.window.input[0] * self.window.input[1] * self.window.channels;
        let (x, out) = (numbers(&io.a[..n]), numbers_mut(io.out));
        self.each(x, out, |x: &[i8], places, seen, counted, out| {
            if self.max {
                out.fill(i8::MIN);
                for at in places {
                    out.iter_mut().zip(&x[at..]).for_each(|(y, x)| *y = (*y).max(*x));
                }
                out.iter_mut().for_each(|y| *y = i32::from(*y).max(low).min(high) as i8);
                return;
            }
            let start = (counted - seen) as i32 * self.zero;
            let count = counted.max(1) as i32;
            let half = count / 2;
            let mut seen_at = [0; MAX_TAPS];
            let mut n = 0;
            for (slot, at) in seen_at.iter_mut().zip(places) {
                *slot = at;
                n += 1;
            }
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let mut sums = [start; BLOCK];
                for at in &seen_at[..n] {
                    let x = &x[at + block * BLOCK..][..out.len()];
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += i32::from(*x));
                }
                for (y, sum) in out.iter_mut().zip(sums) {
                    let mean = if sum > 0 { (sum + half) / count } else { (sum - half) / count };
                    *y = mean.max(low).min(high) as i8;
                }
            }
        });
    }
}

/// Most taps of a mean of bytes.
pub const MAX_TAPS: usize = 256;

impl<T: Wire> Wire for PoolStep<T> {
    fn put(&self, w: &mut Writer) {
        let Self { batch, window, out_rows, max, padded, clamp, zero } = self;
        ((*batch, *out_rows), *max).put(w);
        window.put(w);
        padded.put(w);
        clamp.0.put(w);
        clamp.1.put(w);
        zero.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let ((batch, out_rows), max) = Wire::get(r)?;
        let (window, padded, clamp, zero) =
            (Wire::get(r)?, Wire::get(r)?, Wire::get(r)?, Wire::get(r)?);
        Ok(Self { batch, window, out_rows, max, padded, clamp, zero })
    }
}

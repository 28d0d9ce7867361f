use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::{Fault, Reader, Wire, Writer, wire};
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

impl<N: Copy + Send + Sync> PoolStep<N> {
    /// Calls `pixel` for each pixel of the output with the places of the inputs that its window sees,
    /// the number that counts in a mean, and the pixel's channels.
    pub(super) fn each<T: Copy + Send + Sync>(
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

macro_rules! whole {
    ($($t:ty),*) => {$(
        impl Step for PoolStep<$t> {
            fn run(&self, _: &dyn Kernels, io: Io<'_>) {
                const BLOCK: usize = 64;
                let (low, high) = (i32::from(self.clamp.0), i32::from(self.clamp.1));
                let n = self.batch * self.window.input[0] * self.window.input[1] * self.window.channels;
                let (x, out) = (numbers(&io.a[..n * size_of::<$t>()]), numbers_mut(io.out));
                self.each(x, out, |x: &[$t], places, seen, counted, out| {
                    if self.max {
                        out.fill(<$t>::MIN);
                        for at in places {
                            out.iter_mut().zip(&x[at..]).for_each(|(y, x)| *y = (*y).max(*x));
                        }
                        out.iter_mut().for_each(|y| *y = i32::from(*y).max(low).min(high) as $t);
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
                            *y = mean.max(low).min(high) as $t;
                        }
                    }
                });
            }
        }
    )*};
}
whole!(i8, u8, i16);

/// A norm over images of `f32`.
#[derive(Debug)]
pub struct NormPool {
    /// What the windows see; `max` says nothing.
    pub pool: PoolStep<f32>,
    /// The power whose sum the root is taken of; none for the root of the mean of squares.
    pub power: Option<u32>,
}

impl Step for NormPool {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (low, high) = self.pool.clamp;
        let (x, out) = (numbers(io.a), numbers_mut(io.out));
        self.pool.each(x, out, |x: &[f32], places, _, counted, out| {
            let (mut seen_at, mut n) = ([0; MAX_TAPS], 0);
            for (slot, at) in seen_at.iter_mut().zip(places) {
                *slot = at;
                n += 1;
            }
            for (c, y) in out.iter_mut().enumerate() {
                let all = seen_at[..n].iter().map(|at| f64::from(x[at + c]));
                let value = match self.power.map(f64::from) {
                    None => (all.map(|x| x * x).sum::<f64>() / counted as f64).sqrt(),
                    Some(p) => all.map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p),
                };
                let value = value as f32;
                *y = if value < low {
                    low
                } else if value > high {
                    high
                } else {
                    value
                };
            }
        });
    }
}

/// Most taps of a mean of integers or in half precision, or of a norm.
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

wire!(NormPool { pool, power });

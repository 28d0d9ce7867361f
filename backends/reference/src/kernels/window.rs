//! Windows that slide over images: what convolutions share.

use crate::kernel::{Fault, filled};
use rayon::prelude::*;

/// A convolution in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    /// Height and width of the input.
    pub(crate) size: [usize; 2],
    pub(crate) channels: usize,
    pub(crate) filters: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) groups: usize,
    /// Height and width of the output.
    pub(crate) out: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Zeros at the top and at the left.
    pub(crate) pad: [usize; 2],
}

/// Below this many products the threads cost more than they save.
const WORTH_SPLITTING: usize = 1 << 21;

impl Geometry {
    pub(crate) fn channels_per_group(&self) -> usize {
        self.channels / self.groups
    }

    pub(crate) fn filters_per_group(&self) -> usize {
        self.filters / self.groups
    }

    /// Elements that a filter sees.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.channels_per_group()
    }

    pub(crate) fn out_len(&self) -> usize {
        self.batch * self.out[0] * self.out[1] * self.filters
    }

    /// The input position that a tap sees, if it is in the image.
    fn position(&self, axis: usize, at: usize, tap: usize) -> Option<usize> {
        let padded = at * self.stride[axis] + tap * self.dilation[axis];
        padded.checked_sub(self.pad[axis]).filter(|p| *p < self.size[axis])
    }

    /// Copies what a window of one group sees, zeros outside the image.
    fn patch<T: Copy + Default>(
        &self,
        image: &[T],
        [y, x]: [usize; 2],
        group: usize,
        patch: &mut [T],
    ) {
        let depth = self.channels_per_group();
        let [_, width] = self.size;
        let line_len = (self.kernel[1] * depth).max(1);
        for (ky, row) in patch.chunks_exact_mut(line_len).enumerate() {
            let Some(iy) = self.position(0, y, ky) else {
                row.fill(T::default());
                continue;
            };
            let line = &image[iy * width * self.channels..][..width * self.channels];
            for (kx, tap) in row.chunks_exact_mut(depth).enumerate() {
                match self.position(1, x, kx) {
                    Some(ix) => {
                        let at = ix * self.channels + group * depth;
                        tap.copy_from_slice(&line[at..at + depth]);
                    }
                    None => tap.fill(T::default()),
                }
            }
        }
    }

    /// Computes every output: `each` gets what one group's window sees, the number of the group, and
    /// the outputs of its filters at that place.
    pub(crate) fn convolve<T, R>(
        &self,
        x: &[T],
        each: impl Fn(&[T], usize, usize, &mut [R]) + Sync,
    ) -> Result<Vec<R>, Fault>
    where
        T: Copy + Default + Send + Sync,
        R: Copy + Default + Send,
    {
        let per_group = self.filters_per_group();
        self.rows(x, |image, n, y, row| {
            let mut patch = vec![T::default(); self.taps()];
            for (at, pixel) in row.chunks_exact_mut(self.filters).enumerate() {
                for (group, out) in pixel.chunks_exact_mut(per_group).enumerate() {
                    self.patch(image, [y, at], group, &mut patch);
                    each(&patch, group, n, out);
                }
            }
        })
    }

    /// As [`convolve`](Self::convolve) where each group has one channel: `multiply` adds the products
    /// of an input pixel's channels with a tap's weights to the sums of all filters, `finish` makes
    /// outputs of the sums.
    pub(crate) fn depthwise<T, A, R>(
        &self,
        x: &[T],
        taps: &[T],
        multiply: impl Fn(&mut [A], &[T], &[T]) + Sync,
        finish: impl Fn(&[A], usize, &mut [R]) + Sync,
    ) -> Result<Vec<R>, Fault>
    where
        T: Copy + Default + Send + Sync,
        A: Copy + Default,
        R: Copy + Default + Send,
    {
        self.rows(x, |image, n, y, row| {
            let mut sums = vec![A::default(); self.filters];
            for (at, out) in row.chunks_exact_mut(self.filters).enumerate() {
                sums.fill(A::default());
                for ky in 0..self.kernel[0] {
                    let Some(iy) = self.position(0, y, ky) else { continue };
                    for kx in 0..self.kernel[1] {
                        let Some(ix) = self.position(1, at, kx) else { continue };
                        let pixel = (iy * self.size[1] + ix) * self.channels;
                        let tap = (ky * self.kernel[1] + kx) * self.filters;
                        multiply(
                            &mut sums,
                            &image[pixel..pixel + self.channels],
                            &taps[tap..tap + self.filters],
                        );
                    }
                }
                finish(&sums, n, out);
            }
        })
    }

    /// Runs `work` on each output row, in parallel if there is enough of it: it gets the image, its
    /// number, the number of the row, and the row.
    fn rows<T: Sync, R: Copy + Default + Send>(
        &self,
        x: &[T],
        work: impl Fn(&[T], usize, usize, &mut [R]) + Sync,
    ) -> Result<Vec<R>, Fault> {
        let mut out = filled(self.out_len(), R::default())?;
        let row = self.out[1] * self.filters;
        if out.is_empty() {
            return Ok(out);
        }
        let image = self.size[0] * self.size[1] * self.channels;
        let one = |(i, row): (usize, &mut [R])| {
            let n = i / self.out[0];
            work(&x[n * image..(n + 1) * image], n, i % self.out[0], row);
        };
        if self.out_len().saturating_mul(self.taps()) < WORTH_SPLITTING {
            out.chunks_exact_mut(row).enumerate().for_each(one);
        } else {
            out.par_chunks_exact_mut(row).enumerate().for_each(one);
        }
        Ok(out)
    }

    /// Weights `[filters, kernel, channels]` with the filters innermost, group by group:
    /// `[groups, taps, filters per group]`.
    pub(crate) fn filters_last<T: Copy + Default>(&self, w: &[T]) -> Vec<T> {
        let (taps, per_group) = (self.taps(), self.filters_per_group());
        let mut out = vec![T::default(); w.len()];
        if w.is_empty() {
            return out;
        }
        for (group, (from, to)) in
            w.chunks_exact(taps * per_group).zip(out.chunks_exact_mut(taps * per_group)).enumerate()
        {
            debug_assert!(group < self.groups);
            for (f, filter) in from.chunks_exact(taps).enumerate() {
                for (k, v) in filter.iter().enumerate() {
                    to[k * per_group + f] = *v;
                }
            }
        }
        out
    }
}

/// Element types whose products can be summed in `A`.
pub(crate) trait Mac<A>: Copy + Default + Send + Sync {
    /// `sum + a * b`
    fn mac(sum: A, a: Self, b: Self) -> A;
}

macro_rules! mac {
    ($($t:ty => $a:ty: |$sum:ident, $x:ident, $w:ident| $e:expr),* $(,)?) => {$(
        impl Mac<$a> for $t {
            #[inline(always)]
            fn mac($sum: $a, $x: Self, $w: Self) -> $a { $e }
        }
    )*};
}
mac!(
    f32 => f32: |s, x, w| s + x * w,
    f64 => f64: |s, x, w| s + x * w,
    i16 => i32: |s, x, w| s.wrapping_add(i32::from(x) * i32::from(w)),
    i16 => i64: |s, x, w| s + i64::from(i32::from(x) * i32::from(w)),
    i32 => i32: |s, x, w| s.wrapping_add(x.wrapping_mul(w)),
    i64 => i64: |s, x, w| s.wrapping_add(x.wrapping_mul(w)),
);

/// The sum of products of two vectors, in order.
#[inline]
pub(crate) fn dot<T: Mac<A>, A: Default>(x: &[T], w: &[T]) -> A {
    x.iter().zip(w).fold(A::default(), |sum, (x, w)| T::mac(sum, *x, *w))
}

/// `out[j] = sum over k of x[k] * w[k][j]`, each sum in order of `k`; `w` is `[x.len(), out.len()]`.
/// Blocks of columns keep their sums in registers.
#[inline]
pub(crate) fn vector_matrix<T: Mac<T>>(x: &[T], w: &[T], out: &mut [T]) {
    const LANES: usize = 16;
    let columns = out.len();
    let mut blocks = out.chunks_exact_mut(LANES);
    let mut first = 0;
    for block in &mut blocks {
        let mut sums = [T::default(); LANES];
        for (x, row) in x.iter().zip(w.chunks_exact(columns)) {
            let row = &row[first..first + LANES];
            for (sum, w) in sums.iter_mut().zip(row) {
                *sum = T::mac(*sum, *x, *w);
            }
        }
        block.copy_from_slice(&sums);
        first += LANES;
    }
    let rest = blocks.into_remainder();
    if !rest.is_empty() {
        rest.fill(T::default());
        for (x, row) in x.iter().zip(w.chunks_exact(columns)) {
            for (sum, w) in rest.iter_mut().zip(&row[first..]) {
                *sum = T::mac(*sum, *x, *w);
            }
        }
    }
}

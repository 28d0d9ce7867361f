use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;

/// Elements in another order of axes.
#[derive(Debug)]
pub struct Reorder {
    /// Bytes of an element.
    pub size: usize,
    /// Extents of the output, at least two.
    pub dims: Vec<usize>,
    /// Distances in the input along them.
    pub steps: Vec<usize>,
}

/// Rows and columns that are read and written together, so that both stay in the cache.
const BLOCK: usize = 16;

impl Reorder {
    fn apply<T: bytemuck::Pod>(&self, x: &[T], out: &mut [T]) {
        let (outer, last) = self.dims.split_at(self.dims.len() - 2);
        let (outer_steps, inner) = self.steps.split_at(outer.len());
        let ([rows, columns], [down, across]) = ([last[0], last[1]], [inner[0], inner[1]]);
        for (i, out) in out.chunks_exact_mut(rows * columns).enumerate() {
            let (mut left, mut from) = (i, 0);
            for (dim, step) in outer.iter().zip(outer_steps).rev() {
                from += left % dim * step;
                left /= dim;
            }
            let x = &x[from..];
            if across == 1 {
                for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                    out.copy_from_slice(&x[row * down..][..columns]);
                }
                continue;
            }
            for top in (0..rows).step_by(BLOCK) {
                for left in (0..columns).step_by(BLOCK) {
                    for row in top..rows.min(top + BLOCK) {
                        let right = columns.min(left + BLOCK);
                        let line = &mut out[row * columns..][left..right];
                        for (k, y) in line.iter_mut().enumerate() {
                            *y = x[row * down + (left + k) * across];
                        }
                    }
                }
            }
        }
    }
}

impl Step for Reorder {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let a = &io.a[..io.out.len()];
        match self.size {
            1 => self.apply(a, io.out),
            2 => self.apply::<u16>(numbers(a), numbers_mut(io.out)),
            4 => self.apply::<u32>(numbers(a), numbers_mut(io.out)),
            _ => self.apply::<u64>(numbers(a), numbers_mut(io.out)),
        }
    }
}

wire!(Reorder { size, dims, steps });

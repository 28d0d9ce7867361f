use super::{Lower, Part};
use crate::step::{Io, Step, numbers, numbers_mut};
use paring_ir::Node;
use paring_ir::ops::Transpose;
use paring_kernels::Kernels;

/// Elements in another order of axes.
struct Reorder {
    /// Bytes of an element.
    size: usize,
    /// Extents of the output, at least two.
    dims: Vec<usize>,
    /// Distances in the input along them.
    steps: Vec<usize>,
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

impl Lower<'_> {
    pub(super) fn transpose(&self, op: &Transpose, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let (from, to) = (self.shape(x)?, self.shape(y)?);
        let size = self.ty(x).dtype.size();
        let plain = matches!(size, 1 | 2 | 4 | 8) && self.ty(y).dtype == self.ty(x).dtype;
        if !plain || from.iter().product::<usize>() == 0 || op.perm.len() != from.len() {
            return None;
        }
        let mut distance = vec![1; from.len()];
        for axis in (1..from.len()).rev() {
            distance[axis - 1] = distance[axis] * from[axis];
        }
        let (mut dims, mut steps): (Vec<usize>, Vec<usize>) = (vec![1, 1], vec![0, 0]);
        for (n, axis) in to.iter().zip(&op.perm) {
            let step = *distance.get(*axis)?;
            if *n == 1 {
                continue;
            }
            // Axes that stay side by side are one.
            let last = dims.len() - 1;
            if dims[last] > 1 && steps[last] == step * n {
                dims[last] *= n;
                steps[last] = step;
            } else {
                dims.push(*n);
                steps.push(step);
            }
        }
        // The two of extent one that were there first are needed only where few others are.
        let skip = (dims.len() - 2).min(2);
        let step = Reorder { size, dims: dims.split_off(skip), steps: steps.split_off(skip) };
        Some(Part::unary(step, x))
    }
}

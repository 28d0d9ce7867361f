use super::broadcast::Broadcast;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::wire;
use paring_kernels::Kernels;

/// Products of matrices of `f32` that are both computed.
#[derive(Debug)]
pub struct MatMul {
    /// Rows of the left one, elements of a row, columns of the right one.
    pub extents: [usize; 3],
    /// Which matrices are brought together.
    pub places: Broadcast,
}

impl Step for MatMul {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let [m, k, n] = self.extents;
        let (a, b): (&[f32], &[f32]) = (numbers(io.a), numbers(io.b));
        let out: &mut [f32] = numbers_mut(io.out);
        for (i, out) in out.chunks_exact_mut(m * n).enumerate() {
            let at = self.places.element(i);
            let (a, b) = (&a[at[0] * m * k..][..m * k], &b[at[1] * k * n..][..k * n]);
            divide(m, n, m * k * n, out, &|range, out| {
                for (row, out) in a[range.start * k..].chunks_exact(k).zip(out.chunks_exact_mut(n))
                {
                    out.fill(0.0);
                    for (x, line) in row.iter().zip(b.chunks_exact(n)) {
                        for (y, w) in out.iter_mut().zip(line) {
                            *y += x * w;
                        }
                    }
                }
            });
        }
    }
}

wire!(MatMul { extents, places });

use crate::step::{Io, Step};
use crate::wire::wire;
use paring_kernels::Kernels;

/// The elements of the second operand where the first one, truth values, says `when`; others stay as they are.
#[derive(Debug)]
pub struct Choose {
    pub when: bool,
    /// Bytes of an element.
    pub size: usize,
    /// As in [`super::binary::Pairs`].
    pub dims: Vec<usize>,
    /// As in [`super::binary::Pairs`].
    pub steps: Vec<[usize; 2]>,
}

impl Step for Choose {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        for (i, out) in io.out.chunks_exact_mut(self.size).enumerate() {
            let (mut left, mut at) = (i, [0, 0]);
            for (dim, step) in self.dims.iter().zip(&self.steps).rev() {
                let here = left % dim;
                left /= dim;
                at = [at[0] + here * step[0], at[1] + here * step[1]];
            }
            if (io.a[at[0]] != 0) == self.when {
                out.copy_from_slice(&io.b[at[1] * self.size..][..self.size]);
            }
        }
    }
}

wire!(Choose { when, size, dims, steps });

use super::broadcast::Broadcast;
use crate::step::{Io, Step};
use crate::wire::wire;
use paring_kernels::Kernels;

/// The elements of the second operand where the first one, truth values, says `when`; others stay as they are.
#[derive(Debug)]
pub struct Choose {
    pub when: bool,
    /// Bytes of an element.
    pub size: usize,
    pub places: Broadcast,
}

impl Step for Choose {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        for (i, out) in io.out.chunks_exact_mut(self.size).enumerate() {
            let at = self.places.element(i);
            if (io.a[at[0]] != 0) == self.when {
                out.copy_from_slice(&io.b[at[1] * self.size..][..self.size]);
            }
        }
    }
}

wire!(Choose { when, size, places });

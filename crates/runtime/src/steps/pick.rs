use crate::blob::Blob;
use crate::step::{Io, Step};
use crate::wire::wire;
use paring_kernels::Kernels;

/// Elements of the input in other places, with a constant between them.
#[derive(Debug)]
pub struct Pick {
    /// Bytes of an element.
    pub size: usize,
    /// The bytes of the constant.
    pub fill: Vec<u8>,
    /// Two `u32` for each run of the output: one more than the first element of the input, or 0 for the constant, and
    /// the number of elements.
    pub runs: Blob,
}

impl Step for Pick {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let mut rest = io.out;
        for run in self.runs.numbers::<u32>().chunks_exact(2) {
            let (out, later) = rest.split_at_mut(run[1] as usize * self.size);
            match (run[0] as usize).checked_sub(1) {
                Some(first) => out.copy_from_slice(&io.a[first * self.size..][..out.len()]),
                None => out.chunks_exact_mut(self.size).for_each(|e| e.copy_from_slice(&self.fill)),
            }
            rest = later;
        }
    }
}

wire!(Pick { size, fill, runs });

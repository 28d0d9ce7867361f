use crate::step::{Io, Step};
use crate::wire::wire;
use paring_kernels::Kernels;

/// Copies one input to its place: `run` bytes every `pitch` bytes.
#[derive(Debug)]
pub struct Place {
    pub start: usize,
    pub run: usize,
    pub pitch: usize,
}

impl Step for Place {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        for (out, x) in io.out.chunks_exact_mut(self.pitch).zip(io.a.chunks_exact(self.run)) {
            out[self.start..self.start + self.run].copy_from_slice(x);
        }
    }
}

wire!(Place { start, run, pitch });

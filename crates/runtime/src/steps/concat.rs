use crate::blob::Blob;
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

/// As [`Place`] through a table: what has another scale than the result.
#[derive(Debug)]
pub struct Rescaled {
    pub place: Place,
    pub table: Blob,
}

impl Step for Rescaled {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let Some(table) = self.table.bytes().first_chunk() else { return };
        let Place { start, run, pitch } = self.place;
        for (out, x) in io.out.chunks_exact_mut(pitch).zip(io.a.chunks_exact(run)) {
            kernels.table(table, x, &mut out[start..start + run]);
        }
    }
}

wire!(Place { start, run, pitch });
wire!(Rescaled { place, table });

use super::AnyStep;
use crate::step::{Io, Step};
use crate::threads::{copying, divide_once};
use crate::wire::{Fault, Reader, Wire, Writer};
use paring_kernels::Kernels;

/// The top bit of a byte. Flipping it takes 128 off a byte and off its zero point.
pub const TOP: u8 = 0x80;

/// A step of signed bytes between unsigned ones.
#[derive(Debug)]
pub struct Flipped {
    pub step: Box<AnyStep>,
    /// Bytes of the operand, with what kernels may read beyond it.
    pub len: usize,
}

impl Step for Flipped {
    fn work(&self) -> usize {
        self.step.work()
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (signed, scratch) = io.scratch.split_at_mut(self.len);
        let n = io.a.len().min(self.len);
        divide_once(n, 1, copying(&signed[..n]), &mut signed[..n], &|range, to| {
            for (to, from) in to.iter_mut().zip(&io.a[range]) {
                *to = from ^ TOP;
            }
        });
        self.step.run(kernels, Io { a: &signed[..n], b: io.b, out: io.out, scratch });
        divide_once(io.out.len(), 1, copying(io.out), io.out, &|_, out| {
            out.iter_mut().for_each(|y| *y ^= TOP);
        });
    }
}

impl Wire for Flipped {
    fn put(&self, w: &mut Writer) {
        self.step.put(w);
        self.len.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self { step: Box::new(r.inner()?), len: Wire::get(r)? })
    }
}

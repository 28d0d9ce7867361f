use crate::step::{Io, Step};
use crate::wire::{Fault, Reader, Wire, Writer};
use paring_kernels::Kernels;

/// The bytes as they are.
#[derive(Debug)]
pub struct Copy {}

impl Step for Copy {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let n = io.out.len().min(io.a.len());
        io.out[..n].copy_from_slice(&io.a[..n]);
    }
}

impl Wire for Copy {
    fn put(&self, _: &mut Writer) {}

    fn get(_: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {})
    }
}

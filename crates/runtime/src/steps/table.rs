//! Functions of one 8-bit number, as tables.

use crate::blob::Blob;
use crate::step::{Io, Step, numbers_mut};
use crate::threads::divide;
use crate::wire::wire;
use paring_kernels::Kernels;

/// `out[i] = table[x[i]]`
#[derive(Debug)]
pub struct TableStep {
    pub table: Blob,
}

impl Step for TableStep {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let Some(table) = self.table.bytes().first_chunk() else { return };
        let x = &io.a[..io.out.len()];
        divide(x.len(), 1, x.len() / 4, io.out, &|range, out| {
            kernels.table(table, &x[range], out);
        });
    }
}

/// `out[i] = table[x[i]]` with a table of `f32`.
#[derive(Debug)]
pub struct WideTableStep {
    pub table: Blob,
}

impl Step for WideTableStep {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let out: &mut [f32] = numbers_mut(io.out);
        let table: &[f32] = self.table.numbers();
        for (out, x) in out.iter_mut().zip(io.a) {
            *out = table[usize::from(*x)];
        }
    }
}

wire!(TableStep { table });
wire!(WideTableStep { table });

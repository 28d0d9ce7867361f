//! Functions of one or two 8-bit numbers, as tables.

use super::broadcast::Broadcast;
use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
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

/// `out[i] = table[x[i]]` of `i16`; the table begins with the output for 0, negative inputs follow.
#[derive(Debug)]
pub struct Table16 {
    pub table: Blob,
}

impl Step for Table16 {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[u16], &mut [i16]) = (numbers(io.a), numbers_mut(io.out));
        let table: &[i16] = self.table.numbers();
        for (out, x) in out.iter_mut().zip(x) {
            *out = table[usize::from(*x)];
        }
    }
}

/// `out[i] = table[256 * a[i] + b[i]]` with broadcasting.
#[derive(Debug)]
pub struct PairTable {
    pub table: Blob,
    pub places: Broadcast,
}

impl PairTable {
    fn line(&self, kernels: &dyn Kernels, a: &[u8], b: &[u8], step: [usize; 2], out: &mut [u8]) {
        let table = self.table.bytes();
        match step {
            [0, 1] => {
                // One number with many: one row of the table.
                let row = &table[256 * usize::from(a[0])..][..256];
                if let Ok(row) = row.try_into() {
                    let n = out.len();
                    kernels.table(row, &b[..n], out);
                }
            }
            [1, 1] => {
                for ((y, a), b) in out.iter_mut().zip(a).zip(b) {
                    *y = table[usize::from(*a) << 8 | usize::from(*b)];
                }
            }
            _ => {
                for (k, y) in out.iter_mut().enumerate() {
                    let (a, b) = (a[k * step[0]], b[k * step[1]]);
                    *y = table[usize::from(a) << 8 | usize::from(b)];
                }
            }
        }
    }
}

impl Step for PairTable {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let Some((n, inner)) = self.places.inner() else { return };
        let axes = self.places.dims.len() - 1;
        let count = self.places.dims[..axes].iter().product();
        let work = 4 * io.out.len();
        divide(count, n, work, io.out, &|range, out| {
            for (i, out) in range.zip(out.chunks_exact_mut(n)) {
                let at = self.places.at(axes, i);
                self.line(kernels, &io.a[at[0]..], &io.b[at[1]..], inner, out);
            }
        });
    }
}

wire!(TableStep { table });
wire!(WideTableStep { table });
wire!(Table16 { table });
wire!(PairTable { table, places });

use crate::step::{Io, Step};
use crate::wire::wire;
use paring_kernels::Kernels;

/// Constant elements around a value: rows are copied into a filled output.
#[derive(Debug)]
pub struct Fill {
    /// One element.
    pub fill: Vec<u8>,
    /// Bytes of an innermost row of the input.
    pub row: usize,
    /// Extents of the input without the innermost axis, and where neighbours lie in the output.
    pub outer: Vec<[usize; 2]>,
    /// Where the first row goes.
    pub start: usize,
}

impl Step for Fill {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        if self.fill.iter().all(|b| *b == self.fill[0]) {
            io.out.fill(self.fill[0]);
        } else {
            io.out.chunks_exact_mut(self.fill.len()).for_each(|e| e.copy_from_slice(&self.fill));
        }
        let rows: usize = self.outer.iter().map(|o| o[0]).product();
        for (i, row) in io.a.chunks_exact(self.row).take(rows).enumerate() {
            let (mut left, mut to) = (i, self.start);
            for [n, step] in self.outer.iter().rev() {
                to += left % n * step;
                left /= n;
            }
            io.out[to..to + self.row].copy_from_slice(row);
        }
    }
}

wire!(Fill { fill, row, outer, start });

use super::{Lower, Part};
use crate::step::{Io, Step};
use paring_ir::Node;
use paring_ir::ops::{Pad, PadMode};
use paring_kernels::Kernels;
use paring_tensor::DType;

/// Constant elements around a value: rows are copied into a filled output.
struct Fill {
    /// One element.
    fill: Vec<u8>,
    /// Bytes of an innermost row of the input.
    row: usize,
    /// Extents of the input without the innermost axis, and where neighbours lie in the output.
    outer: Vec<[usize; 2]>,
    /// Where the first row goes.
    start: usize,
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

impl Lower<'_> {
    pub(super) fn pad(&self, op: &Pad, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let PadMode::Constant(real) = op.mode else { return None };
        let (from, to) = (self.shape(x)?, self.shape(y)?);
        if from.is_empty() || op.pads.iter().flatten().any(|p| *p < 0) {
            return None;
        }
        let fill = if self.is_f32(x) {
            (real as f32).to_le_bytes().to_vec()
        } else {
            let (scale, zero) = self.i8_quant(x)?;
            let (low, high) = DType::I8.int_range()?;
            let q = ((real / f64::from(scale)).round() as i64).saturating_add(i64::from(zero));
            vec![q.clamp(low, high) as i8 as u8]
        };
        let size = fill.len();
        let (mut step, mut start) = (size, 0);
        let mut outer = Vec::new();
        for axis in (0..from.len()).rev() {
            start += usize::try_from(op.pads[axis][0]).ok()? * step;
            if axis + 1 < from.len() {
                outer.push([from[axis], step]);
            }
            step *= to[axis];
        }
        outer.reverse();
        let row = from[from.len() - 1] * size;
        Some(Part::unary(Fill { fill, row, outer, start }, x))
    }
}

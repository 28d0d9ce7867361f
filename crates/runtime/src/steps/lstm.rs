//! The LSTM of integers.

use super::recurrent::Sequence;
use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;
use paring_qmath::lstm::Cell;

/// TFLite's LSTM of 8-bit numbers with gates and cell states of 16 bits. Its results lie as those of
/// [`Recurrent`](super::recurrent::Recurrent).
#[derive(Debug)]
pub struct IntegerLstm {
    pub sequence: Sequence,
    /// The zero point of the input.
    pub zero_point: i32,
    /// For each direction and gate, one row a cell.
    pub input: Blob,
    /// As `input`, with the state.
    pub state: Blob,
    /// One `i32` a row.
    pub bias: Blob,
    pub cell: Cell,
}

/// The stored numbers less their zero point.
fn centred(x: &[i8], zero: i32, to: &mut [i16]) {
    let zero = zero as i16;
    to.iter_mut().zip(x).for_each(|(to, x)| *to = i16::from(*x) - zero);
}

impl IntegerLstm {
    /// Bytes of the input and the state less their zero points, and of the sums of all gates of both.
    fn memory(&self) -> [usize; 2] {
        let s = &self.sequence;
        [2 * (s.inputs + s.cells), 8 * 8 * s.cells].map(|n| n.next_multiple_of(64))
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.memory().iter().sum()
    }
}

impl Step for IntegerLstm {
    fn run(&self, kernels: &dyn Kernels, mut io: Io<'_>) {
        let s = &self.sequence;
        let (depth, n) = (s.inputs, s.cells);
        let (input, state): (&[i8], &[i8]) = (self.input.numbers(), self.state.numbers());
        let bias: &[i32] = self.bias.numbers();
        let [first, _] = self.memory();
        s.each::<i8, i16>(&mut io, |d, row, x, hidden, cell, scratch| {
            let (stored, sums) = scratch.split_at_mut(first);
            let (x_own, h_own) = numbers_mut::<i16>(stored).split_at_mut(depth);
            let (x_sums, h_sums) = numbers_mut::<i64>(sums)[..8 * n].split_at_mut(4 * n);
            let h_own = &mut h_own[..n];
            centred(&numbers::<i8>(x)[row * depth..][..depth], self.zero_point, x_own);
            centred(hidden, self.cell.zero_point, h_own);
            let lines = 4 * n * d;
            for (sum, bias) in x_sums.iter_mut().zip(&bias[lines..]) {
                *sum = i64::from(*bias);
            }
            h_sums.fill(0);
            kernels.i16_dots(x_own, &input[lines * depth..], depth, x_sums);
            kernels.i16_dots(h_own, &state[lines * n..], n, h_sums);
            for (k, (c, h)) in cell.iter_mut().zip(hidden).enumerate() {
                // Sums wrap, as those of the definition do.
                let gate = |g: usize| {
                    let at = g * n + k;
                    self.cell.gate(g, x_sums[at] as i32, h_sums[at] as i32)
                };
                (*c, *h) = self.cell.next([0, 1, 2, 3].map(gate), i32::from(*c));
            }
        });
    }
}

wire!(IntegerLstm { sequence, zero_point, input, state, bias, cell });

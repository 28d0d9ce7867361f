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
    /// For each direction and gate, one row a cell; rows end with zeros, see [`row`].
    pub input: Blob,
    /// As `input`, with the state.
    pub state: Blob,
    /// One `i32` a row.
    pub bias: Blob,
    pub cell: Cell,
}

/// Elements of a row of weights for so many numbers: kernels take eight at once.
#[must_use]
pub fn row(numbers: usize) -> usize {
    numbers.next_multiple_of(8)
}

/// The stored numbers less their zero point, and zeros after them.
fn centred(x: &[i8], zero: i32, to: &mut [i16]) {
    let zero = zero as i16;
    to[x.len()..].fill(0);
    to.iter_mut().zip(x).for_each(|(to, x)| *to = i16::from(*x) - zero);
}

impl IntegerLstm {
    /// Bytes of the input and the state less their zero points, of the sums of all gates of both, and of the gates.
    fn memory(&self) -> [usize; 3] {
        let s = &self.sequence;
        let own = 2 * (row(s.inputs) + row(s.cells));
        [own, 8 * 8 * s.cells, 2 * 4 * s.cells].map(|n| n.next_multiple_of(64))
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
        let (depth, n) = (row(s.inputs), row(s.cells));
        let (input, state): (&[i8], &[i8]) = (self.input.numbers(), self.state.numbers());
        let bias: &[i32] = self.bias.numbers();
        let [first, second, _] = self.memory();
        let (cells, lines) = (s.cells.max(1), 4 * s.cells);
        s.each::<i8, i16>(&mut io, |d, row, x, hidden, cell, scratch| {
            let (own, rest) = scratch.split_at_mut(first);
            let (sums, gates) = rest.split_at_mut(second);
            let (x_own, h_own) = numbers_mut::<i16>(own).split_at_mut(depth);
            let (x_sums, h_sums) = numbers_mut::<i64>(sums)[..2 * lines].split_at_mut(lines);
            let (gates, h_own) = (&mut numbers_mut::<i16>(gates)[..lines], &mut h_own[..n]);
            let x = &numbers::<i8>(x)[row * s.inputs..][..s.inputs];
            centred(x, self.zero_point, x_own);
            centred(hidden, self.cell.zero_point, h_own);
            let first = lines * d;
            for (sum, bias) in x_sums.iter_mut().zip(&bias[first..]) {
                *sum = i64::from(*bias);
            }
            h_sums.fill(0);
            kernels.i16_dots(x_own, &input[first * depth..], depth, x_sums);
            kernels.i16_dots(h_own, &state[first * n..], n, h_sums);
            let sums = x_sums.chunks_exact(cells).zip(h_sums.chunks_exact(cells));
            for ((g, gate), (x, h)) in gates.chunks_exact_mut(cells).enumerate().zip(sums) {
                self.cell.gates(g, x, h, gate);
            }
            let mut gates = gates.chunks_exact(cells);
            let gates = [(); 4].map(|()| gates.next().unwrap_or_default());
            self.cell.all(gates, cell, hidden);
        });
    }
}

wire!(IntegerLstm { sequence, zero_point, input, state, bias, cell });

//! Recurrent layers of `f32`.
//!
//! The results of such a step lie in one piece of memory: the hidden states of all times, then those states that stay
//! after the last one. Earlier steps have put there what the states begin with.

use super::AnyStep;
use super::gather::index;
use super::unary::{Function, Map};
use crate::blob::Blob;
use crate::step::{Io, Span, Step, numbers, numbers_mut};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;

/// How sequences lie in memory.
#[derive(Clone, Debug)]
pub struct Sequence {
    pub time: usize,
    pub batch: usize,
    pub inputs: usize,
    pub cells: usize,
    pub directions: usize,
    /// Whether the batch is the outer axis, not the time.
    pub batch_major: bool,
    /// Whether the first direction goes from the last element to the first.
    pub reverse: bool,
    /// Whether the second operand holds the lengths of the sequences, and whether they have 64 bits.
    pub lengths: Option<bool>,
    /// The places of the results.
    pub results: Vec<Span>,
}

impl Sequence {
    /// The row of the input at a time.
    pub(super) fn row(&self, t: usize, b: usize) -> usize {
        if self.batch_major { b * self.time + t } else { t * self.batch + b }
    }

    /// Where the hidden state after a time begins.
    fn output(&self, t: usize, d: usize, b: usize) -> usize {
        let step = if self.batch_major {
            (b * self.time + t) * self.directions + d
        } else {
            (t * self.directions + d) * self.batch + b
        };
        step * self.cells
    }

    /// The length of a sequence, if there are as many times.
    fn len(&self, io: &Io<'_>, b: usize) -> Result<usize, i64> {
        let Some(wide) = self.lengths else { return Ok(self.time) };
        let n = index(io.b, wide, b);
        usize::try_from(n).ok().filter(|n| *n <= self.time).ok_or(n)
    }

    pub(super) fn refusal(&self, io: &Io<'_>) -> Option<String> {
        let wrong = (0..self.batch).find_map(|b| self.len(io, b).err())?;
        Some(format!("a sequence of {wrong} steps where there are {}", self.time))
    }

    /// Calls `step` with a direction, the row of the input, and the states of a sequence, which it changes, for each
    /// time of each sequence; the first state is what comes out.
    pub(super) fn each<A: bytemuck::Pod, B: bytemuck::Pod>(
        &self,
        io: &mut Io<'_>,
        mut step: impl FnMut(usize, usize, &[u8], &mut [A], &mut [B], &mut [u8]),
    ) {
        let Some(all) = self.results.first() else { return };
        if self.lengths.is_some() {
            all.of_mut(io.out).fill(0);
        }
        for d in 0..self.directions {
            for b in 0..self.batch {
                let Ok(len) = self.len(io, b) else { continue };
                let states = self.results[1..].iter();
                let first = states.clone().next().map_or(0, |s| s.at);
                let (y, states_of) = io.out.split_at_mut(first);
                let y: &mut [A] = numbers_mut(all.of_mut(y));
                let place =
                    |i: usize| self.results.get(1 + i).map(|s| Span { at: s.at - first, ..*s });
                let (one, two) = match (place(0), place(1)) {
                    (Some(one), Some(two)) => {
                        let (a, c) = states_of.split_at_mut(two.at);
                        (&mut a[one.at..one.at + one.len], &mut c[..two.len])
                    }
                    (Some(one), None) => (one.of_mut(states_of), Default::default()),
                    _ => return,
                };
                let own = (d * self.batch + b) * self.cells;
                let hidden = &mut numbers_mut::<A>(one)[own..own + self.cells];
                let cell = numbers_mut::<B>(two);
                let cell = if cell.is_empty() { cell } else { &mut cell[own..own + self.cells] };
                for k in 0..len {
                    let t = if self.reverse || d == 1 { len - 1 - k } else { k };
                    step(d, self.row(t, b), io.a, hidden, cell, io.scratch);
                    let to = self.output(t, d, b);
                    y[to..to + self.cells].copy_from_slice(hidden);
                }
            }
        }
    }
}

/// What the cells of a layer do.
#[derive(Debug)]
pub enum Layer {
    Lstm {
        /// Of the gates, of the input and of the output, for each direction.
        functions: Vec<[Function; 3]>,
        /// Three weights a cell of each direction, or none.
        peepholes: Blob,
        /// The bound of the cell state; 0 where there is none.
        clip: f32,
        /// Whether the forget gate is what the input gate leaves.
        input_forget: bool,
    },
    Gru {
        /// Of the gates and of the output, for each direction.
        functions: Vec<[Function; 2]>,
        /// Whether the reset gate goes over the products with the state, not over the state.
        after: bool,
    },
    Rnn {
        functions: Vec<Function>,
    },
}

/// A recurrent layer.
#[derive(Debug)]
pub struct Recurrent {
    pub sequence: Sequence,
    pub layer: Layer,
    /// The bound of what functions are applied to; 0 where there is none.
    pub clip: f32,
    /// The products of all rows of the input with the weights of all directions.
    pub input: Box<AnyStep>,
    /// The products of a state: those of each direction, one after another.
    pub state: Vec<AnyStep>,
    /// Bytes that the products need.
    pub inner: usize,
}

/// Gates of a kind of layer.
fn gates(layer: &Layer) -> usize {
    match layer {
        Layer::Lstm { .. } => 4,
        Layer::Gru { .. } => 3,
        Layer::Rnn { .. } => 1,
    }
}

fn apply(f: Function, x: &[f32], out: &mut [f32]) {
    Map { f }.apply(x, out);
}

fn bound(x: &mut [f32], bound: f32) {
    if bound > 0.0 {
        x.iter_mut().for_each(|x| *x = x.clamp(-bound, bound));
    }
}

impl Recurrent {
    /// Bytes of the products of all rows, of what a cell computes with, and of what the products need.
    fn memory(&self) -> [usize; 3] {
        let s = &self.sequence;
        let gates = gates(&self.layer) * s.cells;
        let all = 4 * s.time * s.batch * s.directions * gates;
        [all, 4 * 3 * gates, self.inner].map(|n| n.next_multiple_of(64))
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.memory().iter().sum()
    }

    /// One product with a state.
    fn product(
        &self,
        kernels: &dyn Kernels,
        which: usize,
        x: &[f32],
        rest: &[f32],
        out: &mut [f32],
        scratch: &mut [u8],
    ) {
        let Some(step) = self.state.get(which) else { return };
        let (a, b) = (bytemuck::cast_slice(x), bytemuck::cast_slice(rest));
        step.run(kernels, Io { a, b, out: bytemuck::cast_slice_mut(out), scratch });
    }

    fn lstm(
        &self,
        kernels: &dyn Kernels,
        d: usize,
        row: &[f32],
        [hidden, cell]: [&mut [f32]; 2],
        work: &mut [f32],
        scratch: &mut [u8],
    ) {
        let Layer::Lstm { functions, peepholes, clip, input_forget } = &self.layer else { return };
        let n = hidden.len();
        let [gate, input, output] = functions[d];
        let (sums, values) = work.split_at_mut(4 * n);
        let values = &mut values[..4 * n];
        self.product(kernels, d, hidden, row, sums, scratch);
        let peepholes: &[f32] = peepholes.numbers();
        let peep = |which: usize, sums: &mut [f32], cell: &[f32]| {
            let Some(own) = peepholes.get((3 * d + which) * n..(3 * d + which + 1) * n) else {
                return;
            };
            sums.iter_mut().zip(own).zip(cell).for_each(|((sum, p), c)| *sum += p * c);
        };
        peep(0, &mut sums[..n], cell);
        peep(1, &mut sums[n..2 * n], cell);
        bound(&mut sums[..3 * n], self.clip);
        apply(gate, &sums[..2 * n], &mut values[..2 * n]);
        apply(input, &sums[2 * n..3 * n], &mut values[2 * n..3 * n]);
        for (k, c) in cell.iter_mut().enumerate() {
            let (i, f, g) = (values[k], values[n + k], values[2 * n + k]);
            let f = if *input_forget { 1.0 - i } else { f };
            *c = f * *c + i * g;
        }
        bound(cell, *clip);
        peep(2, &mut sums[3 * n..4 * n], cell);
        bound(&mut sums[3 * n..4 * n], self.clip);
        apply(gate, &sums[3 * n..4 * n], &mut values[3 * n..]);
        apply(output, cell, &mut values[..n]);
        for (k, h) in hidden.iter_mut().enumerate() {
            *h = values[3 * n + k] * values[k];
        }
    }

    fn gru(
        &self,
        kernels: &dyn Kernels,
        d: usize,
        row: &[f32],
        hidden: &mut [f32],
        work: &mut [f32],
        scratch: &mut [u8],
    ) {
        let Layer::Gru { functions, after } = &self.layer else { return };
        let n = hidden.len();
        let [gate, output] = functions[d];
        let (sums, values) = work.split_at_mut(3 * n);
        if *after {
            self.product(kernels, d, hidden, &[], sums, scratch);
            sums[..2 * n].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        } else {
            self.product(kernels, 2 * d, hidden, &row[..2 * n], &mut sums[..2 * n], scratch);
        }
        bound(&mut sums[..2 * n], self.clip);
        apply(gate, &sums[..2 * n], &mut values[..2 * n]);
        let (update, rest) = values.split_at_mut(n);
        let (reset, new) = rest.split_at_mut(n);
        if *after {
            for ((sum, r), x) in sums[2 * n..].iter_mut().zip(reset).zip(&row[2 * n..]) {
                *sum = x + *r * *sum;
            }
        } else {
            reset.iter_mut().zip(&*hidden).for_each(|(r, h)| *r *= h);
            self.product(
                kernels,
                2 * d + 1,
                reset,
                &row[2 * n..],
                &mut sums[2 * n..3 * n],
                scratch,
            );
        }
        bound(&mut sums[2 * n..3 * n], self.clip);
        apply(output, &sums[2 * n..3 * n], &mut new[..n]);
        for ((h, z), new) in hidden.iter_mut().zip(update).zip(new) {
            *h = (1.0 - *z) * *new + *z * *h;
        }
    }
}

impl Step for Recurrent {
    fn refusal(&self, io: &Io<'_>) -> Option<String> {
        self.sequence.refusal(io)
    }

    fn run(&self, kernels: &dyn Kernels, mut io: Io<'_>) {
        let s = &self.sequence;
        let [all, work, _] = self.memory();
        let width = gates(&self.layer) * s.cells;
        let (rows, rest) = io.scratch.split_at_mut(all);
        let used = 4 * s.time * s.batch * s.directions * width;
        let (a, b) = (io.a, &[][..]);
        let (_, inner) = rest.split_at_mut(work);
        self.input.run(kernels, Io { a, b, out: &mut rows[..used], scratch: inner });
        s.each::<f32, f32>(&mut io, |d, at, _, hidden, cell, scratch| {
            let (rows, rest) = scratch.split_at_mut(all);
            let (work, inner) = rest.split_at_mut(work);
            let (rows, work): (&[f32], &mut [f32]) = (numbers(rows), numbers_mut(work));
            let row = &rows[(at * s.directions + d) * width..][..width];
            match &self.layer {
                Layer::Lstm { .. } => self.lstm(kernels, d, row, [hidden, cell], work, inner),
                Layer::Gru { .. } => self.gru(kernels, d, row, hidden, work, inner),
                Layer::Rnn { functions } => {
                    let sums = &mut work[..width];
                    self.product(kernels, d, hidden, row, sums, inner);
                    bound(sums, self.clip);
                    apply(functions[d], sums, hidden);
                }
            }
        });
    }
}

wire!(Sequence { time, batch, inputs, cells, directions, batch_major, reverse, lengths, results });

impl Wire for Layer {
    fn put(&self, w: &mut Writer) {
        match self {
            Self::Lstm { functions, peepholes, clip, input_forget } => {
                0_u8.put(w);
                functions.put(w);
                peepholes.put(w);
                (*clip, *input_forget).put(w);
            }
            Self::Gru { functions, after } => {
                1_u8.put(w);
                functions.put(w);
                after.put(w);
            }
            Self::Rnn { functions } => {
                2_u8.put(w);
                functions.put(w);
            }
        }
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(match u8::get(r)? {
            0 => {
                let (functions, peepholes) = (Wire::get(r)?, Wire::get(r)?);
                let (clip, input_forget) = Wire::get(r)?;
                Self::Lstm { functions, peepholes, clip, input_forget }
            }
            1 => Self::Gru { functions: Wire::get(r)?, after: Wire::get(r)? },
            2 => Self::Rnn { functions: Wire::get(r)? },
            _ => return Err(Fault),
        })
    }
}

impl Wire for Recurrent {
    fn put(&self, w: &mut Writer) {
        self.sequence.put(w);
        self.layer.put(w);
        self.clip.put(w);
        self.input.put(w);
        self.state.put(w);
        self.inner.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let (sequence, layer, clip) = (Wire::get(r)?, Wire::get(r)?, Wire::get(r)?);
        let input = Box::new(r.inner()?);
        let n = usize::get(r)?;
        if n > 4 {
            return Err(Fault);
        }
        let state = (0..n).map(|_| r.inner()).collect::<Result<_, _>>()?;
        Ok(Self { sequence, layer, clip, input, state, inner: Wire::get(r)? })
    }
}

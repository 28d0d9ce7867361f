//! Layers of filters that remember their last answers. The results lie in one piece of memory: the outputs, then the
//! memory that stays.

use super::AnyStep;
use crate::blob::Blob;
use crate::program::Element;
use crate::step::{Io, Span, Step, numbers, numbers_mut};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;
use paring_qmath::{Multiplier, Rounding};

/// What both kinds have in common.
#[derive(Clone, Debug)]
pub struct Memory {
    pub batch: usize,
    pub inputs: usize,
    pub filters: usize,
    /// Answers that a filter remembers.
    pub memory: usize,
    /// Filters of a unit.
    pub rank: usize,
    /// The places of the results.
    pub results: Vec<Span>,
}

impl Memory {
    /// The places of the outputs and of what is remembered; all memories are moved by one, with the newest answers, of
    /// `size` bytes each, at their ends.
    fn remember<'a>(
        &self,
        size: usize,
        b: &[u8],
        out: &'a mut [u8],
        newest: &[u8],
    ) -> Option<(&'a mut [u8], &'a [u8])> {
        let [first, second] = &self.results[..] else { return None };
        let (y, next) = out.split_at_mut(second.at);
        let next = &mut next[..second.len];
        let n = self.memory * size;
        let filters = b.chunks_exact(n).zip(next.chunks_exact_mut(n));
        for ((old, next), new) in filters.zip(newest.chunks_exact(size)) {
            next[..n - size].copy_from_slice(&old[size..]);
            next[n - size..].copy_from_slice(new);
        }
        Some((first.of_mut(y), next))
    }

    /// The first element of what the filters of an output remember, its unit, and how many there are.
    fn unit(&self, i: usize) -> (usize, usize, usize) {
        let units = self.filters / self.rank;
        let filter = i / units * self.filters + i % units * self.rank;
        (filter * self.memory, i % units, self.rank * self.memory)
    }
}

/// Filters of `f32`.
#[derive(Debug)]
pub struct Svdf {
    pub memory: Memory,
    /// What gives the newest answers.
    pub feature: Box<AnyStep>,
    /// Bytes that it needs.
    pub inner: usize,
    /// The weights of what filters remember.
    pub time: Blob,
    pub bias: Blob,
    pub clamp: (f32, f32),
}

impl Svdf {
    fn answers(&self) -> usize {
        (4 * self.memory.batch * self.memory.filters).next_multiple_of(64)
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.answers() + self.inner
    }
}

impl Step for Svdf {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let m = &self.memory;
        let (newest, scratch) = io.scratch.split_at_mut(self.answers());
        let newest = &mut newest[..4 * m.batch * m.filters];
        self.feature.run(kernels, Io { a: io.a, b: &[], out: &mut *newest, scratch });
        let (time, bias): (&[f32], &[f32]) = (self.time.numbers(), self.bias.numbers());
        let (low, high) = self.clamp;
        let Some((y, next)) = m.remember(4, io.b, io.out, newest) else { return };
        for (i, y) in numbers_mut::<f32>(y).iter_mut().enumerate() {
            let (from, unit, n) = m.unit(i);
            let filters = numbers::<f32>(next)[from..][..n].chunks_exact(m.memory);
            let mut sum = bias[unit];
            for (s, w) in filters.zip(time[unit * n..].chunks_exact(m.memory)) {
                sum += s.iter().zip(w).map(|(s, w)| s * w).sum::<f32>();
            }
            let sum = if sum < low { low } else { sum };
            *y = if sum > high { high } else { sum };
        }
    }
}

/// Filters of integers.
#[derive(Debug)]
pub struct IntegerSvdf {
    pub memory: Memory,
    /// Zero points of the input, of what is remembered and of the output.
    pub zeros: [i32; 3],
    /// Factors of the answers and of the outputs.
    pub factors: [Multiplier; 2],
    /// One `i8` for each input of a filter.
    pub feature: Blob,
    /// One `i16` for each answer that a filter remembers.
    pub time: Blob,
    /// One `i32` a unit.
    pub bias: Blob,
    /// Of what is remembered and of the output: of 8 or 16 bits.
    pub types: [Element; 2],
}

impl IntegerSvdf {
    fn memory(&self) -> [usize; 3] {
        let m = &self.memory;
        [2 * m.inputs, 8 * m.filters, 2 * m.batch * m.filters].map(|n| n.next_multiple_of(64))
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.memory().iter().sum()
    }
}

impl Step for IntegerSvdf {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let m = &self.memory;
        let ([x_zero, state_zero, y_zero], [kept, to]) = (self.zeros, self.types);
        let [own, sums, _] = self.memory();
        let (own, rest) = io.scratch.split_at_mut(own);
        let (sums, newest) = rest.split_at_mut(sums);
        let own = &mut numbers_mut::<i16>(own)[..m.inputs];
        let sums = &mut numbers_mut::<i64>(sums)[..m.filters];
        let (feature, time): (&[i8], &[i16]) = (self.feature.numbers(), self.time.numbers());
        // Sums wrap, as those of the definition do.
        let scaled = |sum: i32, factor: usize, zero: i32, element: Element| {
            let q = self.factors[factor].apply(sum, Rounding::Double).saturating_add(zero);
            let (low, high) = element.range();
            i64::from(q).clamp(low, high)
        };
        for (sample, x) in numbers::<i8>(io.a).chunks_exact(m.inputs).take(m.batch).enumerate() {
            own.iter_mut().zip(x).for_each(|(to, x)| *to = i16::from(*x) - x_zero as i16);
            sums.fill(0);
            kernels.i16_dots(own, feature, m.inputs, sums);
            for (i, sum) in sums.iter().enumerate() {
                let q = scaled(*sum as i32, 0, state_zero, kept);
                kept.put_whole(newest, sample * m.filters + i, q);
            }
        }
        let bias: &[i32] = self.bias.numbers();
        let size = if kept == Element::I8 { 1 } else { 2 };
        let outputs = m.batch * (m.filters / m.rank);
        let Some((y, next)) = m.remember(size, io.b, io.out, newest) else { return };
        for i in 0..outputs {
            let (from, unit, n) = m.unit(i);
            let mut sum = bias[unit];
            for (k, w) in time[unit * n..][..n].iter().enumerate() {
                let s = kept.whole(next, from + k) as i32 - state_zero;
                sum = sum.wrapping_add(s.wrapping_mul(i32::from(*w)));
            }
            to.put_whole(y, i, scaled(sum, 1, y_zero, to));
        }
    }
}

wire!(Memory { batch, inputs, filters, memory, rank, results });
wire!(IntegerSvdf { memory, zeros, factors, feature, time, bias, types });

impl Wire for Svdf {
    fn put(&self, w: &mut Writer) {
        self.memory.put(w);
        self.feature.put(w);
        self.inner.put(w);
        (self.time.clone(), self.bias.clone()).put(w);
        self.clamp.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let (memory, feature) = (Wire::get(r)?, Box::new(r.inner()?));
        let (inner, (time, bias)) = (Wire::get(r)?, Wire::get(r)?);
        Ok(Self { memory, feature, inner, time, bias, clamp: Wire::get(r)? })
    }
}

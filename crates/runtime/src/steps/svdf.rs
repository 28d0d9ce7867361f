//! Layers of filters that remember their last answers. The results lie in one piece of memory: the outputs, then the
//! memory that stays.

use super::AnyStep;
use crate::blob::Blob;
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
    /// Moves all memories by one, puts the newest answers at their ends, and calls `unit` with the places of the
    /// outputs, of what the filters of each remember, and of the first of these filters.
    fn each<S: bytemuck::Pod, Y: bytemuck::Pod>(
        &self,
        b: &[u8],
        out: &mut [u8],
        newest: &[S],
        unit: impl Fn(usize, &[S]) -> Y,
    ) {
        let [first, second] = &self.results[..] else { return };
        let (y, next) = out.split_at_mut(second.at);
        let y: &mut [Y] = numbers_mut(first.of_mut(y));
        let next: &mut [S] = numbers_mut(&mut next[..second.len]);
        let old: &[S] = numbers(b);
        let n = self.memory;
        for ((old, next), new) in old.chunks_exact(n).zip(next.chunks_exact_mut(n)).zip(newest) {
            next[..n - 1].copy_from_slice(&old[1..]);
            next[n - 1] = *new;
        }
        let units = self.filters / self.rank;
        for (i, y) in y.iter_mut().enumerate() {
            let filter = i / units * self.filters + i % units * self.rank;
            *y = unit(i % units, &next[filter * n..][..self.rank * n]);
        }
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
        m.each::<f32, f32>(io.b, io.out, numbers(newest), |unit, memories| {
            let n = m.rank * m.memory;
            let mut y = bias[unit];
            for (s, w) in
                memories.chunks_exact(m.memory).zip(time[unit * n..].chunks_exact(m.memory))
            {
                y += s.iter().zip(w).map(|(s, w)| s * w).sum::<f32>();
            }
            let y = if y < low { low } else { y };
            if y > high { high } else { y }
        });
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
    /// Whether what is remembered has 16 bits, and whether the output has.
    pub wide: [bool; 2],
}

/// Integers of 8 or 16 bits.
trait Stored: bytemuck::Pod + Into<i32> {
    fn cut(x: i32) -> Self;
}

impl Stored for i8 {
    fn cut(x: i32) -> Self {
        x.clamp(-128, 127) as i8
    }
}

impl Stored for i16 {
    fn cut(x: i32) -> Self {
        x.clamp(-32768, 32767) as i16
    }
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

    fn of<S: Stored, Y: Stored>(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let m = &self.memory;
        let [x_zero, state_zero, y_zero] = self.zeros;
        let [own, sums, _] = self.memory();
        let (own, rest) = io.scratch.split_at_mut(own);
        let (sums, newest) = rest.split_at_mut(sums);
        let own = &mut numbers_mut::<i16>(own)[..m.inputs];
        let sums = &mut numbers_mut::<i64>(sums)[..m.filters];
        let newest = &mut numbers_mut::<S>(newest)[..m.batch * m.filters];
        let (feature, time): (&[i8], &[i16]) = (self.feature.numbers(), self.time.numbers());
        let samples = numbers::<i8>(io.a).chunks_exact(m.inputs);
        for (x, newest) in samples.zip(newest.chunks_exact_mut(m.filters)) {
            own.iter_mut().zip(x).for_each(|(to, x)| *to = i16::from(*x) - x_zero as i16);
            sums.fill(0);
            kernels.i16_dots(own, feature, m.inputs, sums);
            for (to, sum) in newest.iter_mut().zip(&*sums) {
                // Sums wrap, as those of the definition do.
                let q = self.factors[0].apply(*sum as i32, Rounding::Double);
                *to = S::cut(q.saturating_add(state_zero));
            }
        }
        let bias: &[i32] = self.bias.numbers();
        m.each::<S, Y>(io.b, io.out, newest, |unit, memories| {
            let mut sum = bias[unit];
            for (s, w) in memories.iter().zip(&time[unit * m.rank * m.memory..]) {
                let s: i32 = (*s).into();
                sum = sum.wrapping_add((s - state_zero).wrapping_mul(i32::from(*w)));
            }
            Y::cut(self.factors[1].apply(sum, Rounding::Double).saturating_add(y_zero))
        });
    }
}

impl Step for IntegerSvdf {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        match self.wide {
            [false, false] => self.of::<i8, i8>(kernels, io),
            [false, true] => self.of::<i8, i16>(kernels, io),
            [true, false] => self.of::<i16, i8>(kernels, io),
            [true, true] => self.of::<i16, i16>(kernels, io),
        }
    }
}

wire!(Memory { batch, inputs, filters, memory, rank, results });
wire!(IntegerSvdf { memory, zeros, factors, feature, time, bias, wide });

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

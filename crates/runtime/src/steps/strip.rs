//! Steps over images that are done together, some rows at a time, so that what lies between them stays in
//! a cache.

use super::AnyStep;
use crate::step::{Io, RowShape, Step};
use crate::threads::{divide_with, worth};
use crate::wire::{Fault, Reader, Wire, Writer};
use paring_kernels::Kernels;
use std::ops::Range;

/// Most steps that are joined.
pub const MOST: usize = 4;
/// Bytes after a buffer that kernels may read.
const SLACK: usize = 64;

/// Several steps, each the only reader of the one before.
#[derive(Debug)]
pub struct Strip {
    stages: Vec<AnyStep>,
    shapes: Vec<RowShape>,
    /// Rows of the last output that are computed together.
    rows: usize,
    /// Where the buffer between a step and the next begins, and its end.
    buffers: Vec<usize>,
    /// Threads that there is scratch memory for.
    lanes: usize,
}

/// The most rows of each output that are there at once when `rows` of the last are computed together.
fn spans(shapes: &[RowShape], rows: usize) -> Vec<usize> {
    let mut spans = vec![rows];
    for shape in shapes.iter().skip(1).rev() {
        let below = spans[spans.len() - 1];
        spans.push(((below - 1) * shape.stride + shape.reach).min(shape.rows[0]));
    }
    spans.reverse();
    spans
}

/// No extent is larger, so that products of two do not overflow.
const LARGEST: usize = 1 << 31;

/// Whether each of the steps reads what the one before it writes.
fn fits(shapes: &[RowShape]) -> bool {
    let sound = |s: &RowShape| {
        let least = [s.rows[1], s.bytes[0], s.bytes[1], s.stride, s.reach];
        let all = [s.rows, s.bytes, [s.stride, s.reach], [s.pad, 0]];
        least.iter().all(|n| *n > 0) && all.iter().flatten().all(|n| *n < LARGEST)
    };
    let mut pairs = shapes.iter().zip(shapes.iter().skip(1));
    (2..=MOST).contains(&shapes.len())
        && shapes.iter().all(sound)
        && pairs.all(|(a, b)| a.rows[1] == b.rows[0] && a.bytes[1] == b.bytes[0])
}

/// Where each buffer between two steps begins, and the end, when `rows` are computed together.
fn places(shapes: &[RowShape], rows: usize) -> Vec<usize> {
    let mut at = vec![0];
    for (shape, span) in shapes.iter().zip(spans(shapes, rows)).take(shapes.len() - 1) {
        let next = at[at.len() - 1] + span * shape.bytes[1] + SLACK;
        at.push(next.next_multiple_of(64));
    }
    at
}

impl Strip {
    /// The steps again where they do not fit each other. The buffers between the steps take about
    /// `budget` bytes, divided among so many threads.
    ///
    /// # Errors
    /// The steps themselves.
    pub fn new(stages: Vec<AnyStep>, budget: usize, threads: usize) -> Result<Self, Vec<AnyStep>> {
        let shapes: Option<Vec<RowShape>> =
            stages.iter().map(|s| s.by_rows().map(|s| s.shape())).collect();
        let Some(shapes) = shapes.filter(|s| fits(s)) else { return Err(stages) };
        let total = shapes[shapes.len() - 1].rows[1];
        let size = |rows: usize| places(&shapes, rows).last().copied().unwrap_or(0);
        let threads = threads.clamp(1, 16);
        let budget = budget / threads;
        let rows = (1..=total).take_while(|r| *r == 1 || size(*r) <= budget).last().unwrap_or(1);
        // Strips of about one height.
        let rows = total.div_ceil(total.div_ceil(rows));
        let buffers = places(&shapes, rows);
        let lanes = threads.min(total.div_ceil(rows));
        Ok(Self { stages, shapes, rows, buffers, lanes })
    }

    fn lane(&self) -> usize {
        self.buffers[self.buffers.len() - 1]
    }

    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.lane() * self.lanes
    }

    /// Computes some rows of the last output; `b` is the whole second operand of the last step.
    fn compute(
        &self,
        kernels: &dyn Kernels,
        range: Range<usize>,
        x: &[u8],
        b: &[u8],
        scratch: &mut [u8],
        out: &mut [u8],
    ) {
        let last = self.stages.len() - 1;
        let row = self.shapes[last].bytes[1];
        let mut held: [Range<usize>; MOST] = std::array::from_fn(|_| 0..0);
        let mut start = range.start;
        while start < range.end {
            let end = (start + self.rows).min(range.end);
            // What is missing of each output, from the last to the first.
            let mut missing: [Range<usize>; MOST] = std::array::from_fn(|_| 0..0);
            missing[last] = start..end;
            for i in (0..last).rev() {
                let need = self.shapes[i + 1].needed(&missing[i + 1]);
                if need.is_empty() {
                    // Rows of padding alone need nothing new.
                    missing[i] = held[i].end..held[i].end;
                    continue;
                }
                let bytes = self.shapes[i].bytes[1];
                let buffer = &mut scratch[self.buffers[i]..self.buffers[i + 1]];
                let keep = need.start.max(held[i].start);
                if keep < held[i].end {
                    let from = (keep - held[i].start) * bytes;
                    let to = (held[i].end - held[i].start) * bytes;
                    buffer.copy_within(from..to, 0);
                    held[i].start = keep;
                } else {
                    held[i] = need.start..need.start;
                }
                missing[i] = held[i].end..need.end.max(held[i].end);
            }
            for i in 0..=last {
                let rows = missing[i].clone();
                let Some(stage) = self.stages[i].by_rows().filter(|_| !rows.is_empty()) else {
                    continue;
                };
                let (before, after) = scratch.split_at_mut(self.buffers[i]);
                let (from, first) = match i.checked_sub(1) {
                    None => (x, 0),
                    Some(p) => (&before[self.buffers[p]..], held[p].start),
                };
                if i == last {
                    let to = &mut out[(start - range.start) * row..(end - range.start) * row];
                    let b = if b.is_empty() { b } else { &b[start * row..end * row] };
                    stage.run_rows(kernels, from, first, rows, b, to);
                } else {
                    let bytes = self.shapes[i].bytes[1];
                    let to = (rows.start - held[i].start) * bytes;
                    let to = &mut after[to..to + rows.len() * bytes];
                    stage.run_rows(kernels, from, first, rows.clone(), &[], to);
                    held[i].end = rows.end;
                }
            }
            start = end;
        }
    }
}

impl Step for Strip {
    fn in_half(&self) -> bool {
        self.stages.iter().any(Step::in_half)
    }

    fn work(&self) -> usize {
        self.shapes.iter().fold(0, |all, s| all.saturating_add(s.total()))
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let total = self.shapes[self.shapes.len() - 1].rows[1];
        let parts = worth(self.work()).min(self.lanes);
        let per = self.shapes[self.shapes.len() - 1].bytes[1];
        let scratch = &mut io.scratch[..parts.min(total) * self.lane()];
        divide_with(0..total, per, parts, scratch, io.out, &|range, scratch, out| {
            self.compute(kernels, range, io.a, io.b, scratch, out);
        });
    }
}

impl Wire for Strip {
    fn put(&self, w: &mut Writer) {
        self.stages.put(w);
        (self.rows, self.lanes).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let n = usize::get(r)?;
        if n > MOST {
            return Err(Fault);
        }
        let stages = (0..n).map(|_| r.inner()).collect::<Result<Vec<_>, _>>()?;
        let shapes: Option<Vec<RowShape>> =
            stages.iter().map(|s| s.by_rows().map(|s| s.shape())).collect();
        let shapes = shapes.filter(|s| fits(s)).ok_or(Fault)?;
        let (rows, lanes) = <(usize, usize)>::get(r)?;
        let total = shapes[shapes.len() - 1].rows[1];
        if !(1..=total).contains(&rows) || !(1..=16).contains(&lanes) {
            return Err(Fault);
        }
        let buffers = places(&shapes, rows);
        Ok(Self { stages, shapes, rows, buffers, lanes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_a_window_needs() {
        let shape = RowShape { rows: [9, 5], bytes: [1, 1], reach: 3, stride: 2, pad: 1, work: 1 };
        assert_eq!(shape.needed(&(0..1)), 0..2);
        assert_eq!(shape.needed(&(1..3)), 1..6);
        assert_eq!(shape.needed(&(4..5)), 7..9);
        let wide = RowShape { pad: 4, ..shape };
        assert!(wide.needed(&(0..1)).is_empty());
    }
}

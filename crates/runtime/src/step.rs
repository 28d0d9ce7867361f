use crate::wire::wire;
use paring_kernels::Kernels;
use std::ops::Range;

/// What a step reads and writes. Operands are as long as their values, and longer by as much as the
/// kernels may read beyond; an operand that a step has not is empty.
pub(crate) struct Io<'a> {
    pub(crate) a: &'a [u8],
    pub(crate) b: &'a [u8],
    pub(crate) out: &'a mut [u8],
    pub(crate) scratch: &'a mut [u8],
}

/// A piece of the plan with its weights.
pub(crate) trait Step {
    /// Why there is no result for these operands, where there is none.
    fn refusal(&self, io: &Io<'_>) -> Option<String> {
        let _ = io;
        None
    }

    /// Whether it takes a processor that computes in half precision.
    fn in_half(&self) -> bool {
        false
    }

    /// Computes the output of operands that are not refused.
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>);

    /// The step as one that can compute some rows of an image at a time, if it can.
    fn by_rows(&self) -> Option<&dyn ByRows> {
        None
    }

    /// What the step takes, in `f32` multiply-accumulates or the like; 0 where it is not worth counting.
    fn work(&self) -> usize {
        self.by_rows().map_or(0, |s| s.shape().total())
    }
}

/// What a row of an image's output needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowShape {
    /// Rows of the input and of the output.
    pub(crate) rows: [usize; 2],
    /// Bytes of a row of the input and of the output.
    pub(crate) bytes: [usize; 2],
    /// Rows of the input from the first that an output row sees to the last.
    pub(crate) reach: usize,
    /// Rows of the input from what one row of the output sees to what the next one sees.
    pub(crate) stride: usize,
    /// Rows of padding above.
    pub(crate) pad: usize,
    /// What a row of the output takes, as [`Step::work`] counts.
    pub(crate) work: usize,
}

wire!(RowShape { rows, bytes, reach, stride, pad, work });

impl RowShape {
    /// What all rows take.
    pub(crate) fn total(&self) -> usize {
        self.work.saturating_mul(self.rows[1])
    }

    /// The rows of the input that some rows of the output need.
    pub(crate) fn needed(&self, rows: &Range<usize>) -> Range<usize> {
        let from = (rows.start * self.stride).saturating_sub(self.pad);
        let last = rows.end.saturating_sub(1) * self.stride + self.reach;
        let end = last.saturating_sub(self.pad).min(self.rows[0]);
        from.min(end)..end
    }
}

/// A step over one image whose rows of output each need few rows of input.
pub(crate) trait ByRows {
    /// What a row needs.
    fn shape(&self) -> RowShape;

    /// Computes `rows` of the output. `x` begins with row `first` of the input and may be longer than
    /// what is needed; `b` is the part of the second operand that belongs to the rows.
    fn run_rows(
        &self,
        kernels: &dyn Kernels,
        x: &[u8],
        first: usize,
        rows: Range<usize>,
        b: &[u8],
        out: &mut [u8],
    );
}

/// Bytes as numbers; parts that are empty may lie anywhere.
pub(crate) fn numbers<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> &[T] {
    if bytes.is_empty() { &[] } else { bytemuck::cast_slice(bytes) }
}

/// As [`numbers`], to be written.
pub(crate) fn numbers_mut<T: bytemuck::Pod>(bytes: &mut [u8]) -> &mut [T] {
    if bytes.is_empty() { &mut [] } else { bytemuck::cast_slice_mut(bytes) }
}

/// A part of the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub at: usize,
    /// Bytes.
    pub len: usize,
}

wire!(Span { at, len });

impl Span {
    /// The bytes of the part.
    #[must_use]
    pub fn of(self, memory: &[u8]) -> &[u8] {
        &memory[self.at..self.at + self.len]
    }

    /// The bytes of the part, to be written.
    pub fn of_mut(self, memory: &mut [u8]) -> &mut [u8] {
        &mut memory[self.at..self.at + self.len]
    }
}

/// Parts of the arena that do not overlap; empty spans give empty parts.
pub(crate) fn carve<const N: usize>(memory: &mut [u8], spans: [Span; N]) -> [&mut [u8]; N] {
    let mut order: [usize; N] = std::array::from_fn(|i| i);
    order.sort_unstable_by_key(|i| spans[*i].at);
    let mut parts: [&mut [u8]; N] = std::array::from_fn(|_| Default::default());
    let (mut rest, mut base) = (memory, 0);
    for i in order {
        let Span { at, len } = spans[i];
        if len == 0 {
            continue;
        }
        let (_, tail) = rest.split_at_mut(at - base);
        let (part, tail) = tail.split_at_mut(len);
        parts[i] = part;
        (rest, base) = (tail, at + len);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_the_order_asked_for() {
        let mut memory: Vec<u8> = (0..10).collect();
        let span = |at, len| Span { at, len };
        let [a, b, c] = carve(&mut memory, [span(6, 2), span(0, 0), span(1, 3)]);
        assert_eq!((&*a, &*b, &*c), (&[6, 7][..], &[][..], &[1, 2, 3][..]));
    }
}

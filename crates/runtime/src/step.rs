use crate::wire::wire;
use paring_kernels::Kernels;

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
    /// Computes the output.
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>);
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

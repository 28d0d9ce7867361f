//! Elements by indices that are computed.

use crate::step::{Io, Step, numbers};
use crate::wire::wire;
use paring_kernels::Kernels;

/// The numbers of indices, of 32 or 64 bits.
pub(super) fn index(bytes: &[u8], wide: bool, i: usize) -> i64 {
    if wide { numbers::<i64>(bytes)[i] } else { i64::from(numbers::<i32>(bytes)[i]) }
}

/// Rows of the first operand by the indices in the second one; negative ones count from the end.
#[derive(Debug)]
pub struct Rows {
    /// Leading extents that both share, those before the axis, and that of the axis.
    pub extents: [usize; 3],
    /// Bytes from one element along the axis to the next.
    pub inner: usize,
    /// Indices of each of the leading ones.
    pub count: usize,
    pub wide: bool,
}

impl Rows {
    /// The place along the axis that an index stands for.
    fn resolve(&self, index: i64) -> Option<usize> {
        let n = self.extents[2];
        let index = if index < 0 { index.checked_add_unsigned(n as u64)? } else { index };
        usize::try_from(index).ok().filter(|i| *i < n)
    }
}

impl Step for Rows {
    fn refusal(&self, io: &Io<'_>) -> Option<String> {
        let mut all = (0..self.extents[0] * self.count).map(|i| index(io.b, self.wide, i));
        let wrong = all.find(|i| self.resolve(*i).is_none())?;
        Some(format!("index {wrong} into {} elements", self.extents[2]))
    }

    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let [_, outer, n] = self.extents;
        for (i, out) in io.out.chunks_exact_mut(self.inner).enumerate() {
            let (lead, k) = (i / self.count, i % self.count);
            let at = index(io.b, self.wide, lead / outer * self.count + k);
            let Some(at) = self.resolve(at) else { continue };
            out.copy_from_slice(&io.a[(lead * n + at) * self.inner..][..self.inner]);
        }
    }
}

/// One of two elements, by whether a place along a new axis is the one that the first operand says.
#[derive(Debug)]
pub struct OneHot {
    pub depth: usize,
    /// Elements behind the new axis.
    pub inner: usize,
    /// Bytes of an element.
    pub size: usize,
    /// Whether a negative index is no place.
    pub negative_is_off: bool,
    pub wide: bool,
}

impl Step for OneHot {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        for (i, out) in io.out.chunks_exact_mut(self.size).enumerate() {
            let (lead, k) = (i / self.inner, i % self.inner);
            let at = index(io.a, self.wide, lead / self.depth * self.inner + k);
            let at = if at < 0 && !self.negative_is_off { at + self.depth as i64 } else { at };
            let on = usize::from(at == (lead % self.depth) as i64);
            out.copy_from_slice(&io.b[on * self.size..][..self.size]);
        }
    }
}

wire!(Rows { extents, inner, count, wide });
wire!(OneHot { depth, inner, size, negative_is_off, wide });

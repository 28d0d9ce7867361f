use crate::wire::wire;

/// How elements of two operands are brought together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// Extents of the output, neighbouring axes joined where both operands allow it; innermost last.
    pub dims: Vec<usize>,
    /// Distances between neighbours along those axes, for both operands.
    pub steps: Vec<[usize; 2]>,
}

wire!(Broadcast { dims, steps });

impl Broadcast {
    /// Two operands of `n` elements.
    #[must_use]
    pub fn none(n: usize) -> Self {
        Self { dims: vec![n], steps: vec![[1, 1]] }
    }

    /// Where the operands have what comes `i`-th along the first `axes` axes.
    pub(super) fn at(&self, axes: usize, i: usize) -> [usize; 2] {
        let (mut left, mut at) = (i, [0, 0]);
        for (dim, step) in self.dims[..axes].iter().zip(&self.steps).rev() {
            let here = left % dim;
            left /= dim;
            at = [at[0] + here * step[0], at[1] + here * step[1]];
        }
        at
    }

    /// As [`Self::at`] along all axes.
    pub(super) fn element(&self, i: usize) -> [usize; 2] {
        self.at(self.dims.len(), i)
    }

    /// The extent of the last axis, and the distances along it.
    pub(super) fn inner(&self) -> Option<(usize, [usize; 2])> {
        let n = *self.dims.last()?;
        Some((n, *self.steps.get(self.dims.len() - 1)?))
    }

    /// How many elements of the second operand there are.
    pub(super) fn second(&self) -> usize {
        let last =
            |(dim, step): (&usize, &[usize; 2])| dim.saturating_sub(1).saturating_mul(step[1]);
        self.dims.iter().zip(&self.steps).map(last).fold(1, usize::saturating_add)
    }

    /// `f` of all elements that are brought together.
    pub(super) fn over<T: Copy, R>(&self, a: &[T], b: &[T], out: &mut [R], f: impl Fn(T, T) -> R) {
        let each = |a: &[T], b: &[T], out: &mut [R]| {
            for ((y, a), b) in out.iter_mut().zip(a).zip(b) {
                *y = f(*a, *b);
            }
        };
        self.over_rows(a, b, out, &f, each);
    }

    /// As [`Self::over`], where `rows` does the same for elements side by side.
    pub(super) fn over_rows<T: Copy, R>(
        &self,
        a: &[T],
        b: &[T],
        out: &mut [R],
        f: impl Fn(T, T) -> R,
        rows: impl Fn(&[T], &[T], &mut [R]),
    ) {
        let Some((n, inner)) = self.inner() else { return };
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            let at = self.at(self.dims.len() - 1, i);
            let (a, b) = (&a[at[0]..], &b[at[1]..]);
            match inner {
                [1, 1] => rows(a, b, out),
                [1, 0] => {
                    for (y, a) in out.iter_mut().zip(a) {
                        *y = f(*a, b[0]);
                    }
                }
                _ => {
                    for (k, y) in out.iter_mut().enumerate() {
                        *y = f(a[k * inner[0]], b[k * inner[1]]);
                    }
                }
            }
        }
    }
}

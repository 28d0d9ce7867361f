//! Walking over the elements of arrays: strides, broadcasting, and moving elements whatever their type.

use crate::kernel::{Fault, room};
use paring_tensor::{DType, Tensor};

/// Distance between neighbours along each axis of a row-major array.
pub(crate) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1_isize; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1] as isize;
    }
    strides
}

/// Strides of an array seen in the shape that it broadcasts to: zero where it is repeated.
pub(crate) fn broadcast_strides(shape: &[usize], to: &[usize]) -> Vec<isize> {
    let own = strides(shape);
    let missing = to.len().saturating_sub(shape.len());
    (0..to.len())
        .map(|i| match i.checked_sub(missing) {
            Some(k) if shape[k] == to[i] => own[k],
            _ => 0,
        })
        .collect()
}

/// Calls `f` with the offset into each of `N` arrays, for every index of `shape` in row-major order.
/// The arrays are described by their strides along the axes of `shape` and the offset of index zero.
pub(crate) fn walk<const N: usize>(
    shape: &[usize],
    steps: [&[isize]; N],
    start: [isize; N],
    mut f: impl FnMut([usize; N]),
) {
    let mut rows = Rows::new(shape, steps, start);
    while let Some(mut at) = rows.next() {
        for _ in 0..rows.len {
            f(places(&at));
            rows.advance(&mut at);
        }
    }
}

/// The rows of a walk. It knows nothing of what is done on the way, so that it is compiled once for each
/// number of arrays.
struct Rows<'a, const N: usize> {
    outer: &'a [usize],
    /// Elements of a row.
    len: usize,
    steps: [&'a [isize]; N],
    inner_step: [isize; N],
    index: Vec<usize>,
    /// Where the next row begins; nothing after the last.
    next: Option<[isize; N]>,
}

impl<'a, const N: usize> Rows<'a, N> {
    fn new(shape: &'a [usize], steps: [&'a [isize]; N], start: [isize; N]) -> Self {
        let (len, outer) = shape.split_last().map_or((1, shape), |(&len, outer)| (len, outer));
        let mut inner_step = [0; N];
        for (to, steps) in inner_step.iter_mut().zip(steps) {
            *to = steps.get(outer.len()).copied().unwrap_or(0);
        }
        let next = (!shape.contains(&0)).then_some(start);
        Self { outer, len, steps, inner_step, index: vec![0; outer.len()], next }
    }

    /// Offsets of the next row's first element.
    fn next(&mut self) -> Option<[isize; N]> {
        let here = self.next?;
        let axis = (0..self.outer.len()).rev().find(|&a| self.index[a] + 1 < self.outer[a]);
        self.next = axis.map(|axis| {
            let mut at = here;
            for (at, steps) in at.iter_mut().zip(self.steps) {
                let inner = steps.iter().zip(&self.index).skip(axis + 1);
                *at -= inner.map(|(step, index)| step * *index as isize).sum::<isize>();
                *at += steps[axis];
            }
            self.index[axis + 1..].fill(0);
            self.index[axis] += 1;
            at
        });
        Some(here)
    }

    fn advance(&self, at: &mut [isize; N]) {
        for (at, step) in at.iter_mut().zip(&self.inner_step) {
            *at += step;
        }
    }
}

fn places<const N: usize>(at: &[isize; N]) -> [usize; N] {
    let mut places = [0; N];
    for (to, at) in places.iter_mut().zip(at) {
        *to = *at as usize;
    }
    places
}

/// Runs `$body` with `$t` as the unsigned integer type of an element's size.
macro_rules! by_size {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype.size() {
            1 => {
                type $t = u8;
                $body
            }
            2 => {
                type $t = u16;
                $body
            }
            4 => {
                type $t = u32;
                $body
            }
            _ => {
                type $t = u64;
                $body
            }
        }
    };
}
pub(crate) use by_size;

/// The unsigned integer type of the same size.
pub(crate) fn bits_of(dtype: DType) -> DType {
    match dtype.size() {
        1 => DType::U8,
        2 => DType::U16,
        4 => DType::U32,
        _ => DType::U64,
    }
}

/// A tensor of `shape` whose elements are those of `x` at some offsets, in order.
pub(crate) fn pick(
    x: &Tensor,
    shape: &[usize],
    offsets: impl Iterator<Item = usize>,
) -> Result<Tensor, Fault> {
    let raw = x.reinterpret(bits_of(x.dtype()))?;
    let len = shape.iter().product();
    by_size!(x.dtype(), T => {
        let from = raw.view::<T>()?;
        let mut out: Vec<T> = room(len)?;
        out.extend(offsets.map(|i| from[i]));
        Ok(Tensor::from_vec(shape, out)?.reinterpret(x.dtype())?)
    })
}

/// A tensor of `shape` whose elements are those of `x` seen with other strides.
pub(crate) fn restride(
    x: &Tensor,
    shape: &[usize],
    steps: &[isize],
    start: isize,
) -> Result<Tensor, Fault> {
    let raw = x.reinterpret(bits_of(x.dtype()))?;
    let len = shape.iter().product();
    by_size!(x.dtype(), T => {
        let from = raw.view::<T>()?;
        let mut out: Vec<T> = room(len)?;
        walk(shape, [steps], [start], |[i]| out.push(from[i]));
        Ok(Tensor::from_vec(shape, out)?.reinterpret(x.dtype())?)
    })
}

/// Product of the extents before, at and after an axis.
pub(crate) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

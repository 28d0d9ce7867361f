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
    if shape.contains(&0) {
        return;
    }
    let Some((&inner, outer)) = shape.split_last() else {
        f(start.map(|s| s as usize));
        return;
    };
    let inner_step: [isize; N] = steps.map(|s| s[outer.len()]);
    let mut index = vec![0_usize; outer.len()];
    let mut at = start;
    loop {
        let mut here = at;
        for _ in 0..inner {
            f(here.map(|h| h as usize));
            for k in 0..N {
                here[k] += inner_step[k];
            }
        }
        let Some(axis) = (0..outer.len()).rev().find(|&a| index[a] + 1 < outer[a]) else {
            return;
        };
        for a in axis + 1..outer.len() {
            for k in 0..N {
                at[k] -= steps[k][a] * index[a] as isize;
            }
            index[a] = 0;
        }
        index[axis] += 1;
        for k in 0..N {
            at[k] += steps[k][axis];
        }
    }
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

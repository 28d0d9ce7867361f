//! Elements and slices at places that are computed.

use super::{Lower, Lowered, Part};
use crate::plan::element;
use paring_ir::ops::{GatherElements, GatherNd, Reverse, ScatterElements, ScatterFn, ScatterNd};
use paring_ir::{Node, ValueId};
use paring_runtime::steps::copy::Copy;
use paring_runtime::steps::indices::{Merge, Places, Put, Reversed, Take};
use paring_tensor::DType;

/// Elements from one to the next along each axis.
fn distances(shape: &[usize]) -> Vec<usize> {
    let mut all = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        all[axis - 1] = all[axis] * shape[axis];
    }
    all
}

impl Lower<'_> {
    /// The places in an array that single indices along an axis name.
    fn elements(&self, shape: &[usize], axis: usize, indices: ValueId) -> Option<Places> {
        let (own, steps) = (self.shape(indices)?, distances(shape));
        let dims = own.iter().enumerate().map(|(i, n)| {
            let inside = i == axis || *n <= shape[i];
            inside.then_some([*n, if i == axis { 0 } else { steps[i] }])
        });
        Some(Places {
            wide: self.wide(indices)?,
            axes: vec![[shape[axis], steps[axis]]],
            dims: dims.collect::<Option<_>>()?,
            inner: 1,
        })
    }

    /// The places that coordinates name in an array whose first axes are those of the coordinates.
    fn slices(&self, shape: &[usize], batch: usize, indices: ValueId) -> Option<Places> {
        let (own, steps) = (self.shape(indices)?, distances(shape));
        let (depth, outer) = own.split_last()?;
        let axes = (batch..batch + depth).map(|a| Some([*shape.get(a)?, steps[a]]));
        let step = |i: usize| if i < batch { steps[i] } else { 0 };
        Some(Places {
            wide: self.wide(indices)?,
            axes: axes.collect::<Option<_>>()?,
            dims: outer.iter().enumerate().map(|(i, n)| [*n, step(i)]).collect(),
            inner: shape[batch + depth..].iter().product(),
        })
    }

    /// The step of a node that takes elements from places which are computed.
    pub(super) fn take(&self, node: &Node) -> Option<Part> {
        let (&[x, at], y) = (node.inputs(), node.outputs()[0]) else { return None };
        let (ty, shape) = (self.ty(x), self.shape(x)?);
        let size = ty.dtype.size();
        if ty.dtype != self.ty(y).dtype || ty.quant != self.ty(y).quant || ty.dtype == DType::I4 {
            return None;
        }
        let places = if let Some(op) = node.op_as::<GatherElements>() {
            self.elements(&shape, op.axis, at)?
        } else if let Some(op) = node.op_as::<GatherNd>() {
            self.slices(&shape, op.batch_dims, at)?
        } else {
            let op = node.op_as::<Reverse>()?;
            let (steps, batch) = (distances(&shape), op.batch_axis?);
            let along = |axis: usize| [shape[axis], steps[axis]];
            let (axis, batch) = (along(op.axis), along(batch));
            let step = Reversed { size, axis, batch, wide: self.wide(at)? };
            return Some(Part { step: step.into(), a: x, b: Some(at), scratch: 0 });
        };
        let step = Take { places, size };
        Some(Part { step: step.into(), a: x, b: Some(at), scratch: 0 })
    }

    /// A copy of the first operand, and what is put into it.
    pub(super) fn scatter(&self, node: &Node) -> Option<Lowered> {
        let (&[x, at, new], y) = (node.inputs(), node.outputs()[0]) else { return None };
        let (ty, shape) = (self.ty(x), self.shape(x)?);
        let same = |v| self.ty(v).dtype == ty.dtype && self.ty(v).quant == ty.quant;
        if !same(new) || !same(y) || ty.dtype == DType::I4 {
            return None;
        }
        let (places, f) = if let Some(op) = node.op_as::<ScatterElements>() {
            (self.elements(&shape, op.axis, at)?, op.reduction)
        } else {
            let op = node.op_as::<ScatterNd>()?;
            (self.slices(&shape, 0, at)?, op.reduction)
        };
        let merge = match f {
            ScatterFn::Replace => Merge::Replace(ty.dtype.size()),
            ScatterFn::Add => Merge::Add(element(ty.dtype)?),
            ScatterFn::Mul => Merge::Mul(element(ty.dtype)?),
            ScatterFn::Min => Merge::Min(element(ty.dtype)?),
            ScatterFn::Max => Merge::Max(element(ty.dtype)?),
        };
        let put = Put { places, merge };
        let put = Part { step: put.into(), a: at, b: Some(new), scratch: 0 };
        Some(Lowered::Steps(vec![Part::unary(Copy {}, x), put]))
    }
}

//! Elements by indices that are computed.

use super::{Lower, Part};
use paring_ir::ops::{Gather, OneHot};
use paring_ir::{Node, ValueId};
use paring_runtime::steps::gather;
use paring_tensor::DType;

impl Lower<'_> {
    /// Whether indices have 64 bits, not 32.
    pub(super) fn wide(&self, v: ValueId) -> Option<bool> {
        match self.ty(v).dtype {
            DType::I32 => Some(false),
            DType::I64 => Some(true),
            _ => None,
        }
    }

    pub(super) fn gather(&self, op: &Gather, node: &Node) -> Option<Part> {
        let (&[x, at], y) = (node.inputs(), node.outputs()[0]) else { return None };
        let (from, indices, size) = (self.shape(x)?, self.shape(at)?, self.ty(x).dtype.size());
        if self.ty(x).dtype != self.ty(y).dtype || self.ty(x).quant != self.ty(y).quant {
            return None;
        }
        let step = gather::Rows {
            extents: [
                from[..op.batch_dims].iter().product(),
                from[op.batch_dims..op.axis].iter().product(),
                from[op.axis],
            ],
            inner: from[op.axis + 1..].iter().product::<usize>() * size,
            count: indices[op.batch_dims..].iter().product(),
            wide: self.wide(at)?,
        };
        Some(Part { step: step.into(), a: x, b: Some(at), scratch: 0 })
    }

    pub(super) fn one_hot(&self, op: &OneHot, node: &Node) -> Option<Part> {
        let (&[at, values], y) = (node.inputs(), node.outputs()[0]) else { return None };
        if self.ty(values).dtype != self.ty(y).dtype {
            return None;
        }
        let step = gather::OneHot {
            depth: op.depth,
            inner: self.shape(at)?[op.axis..].iter().product(),
            size: self.ty(y).dtype.size(),
            negative_is_off: op.negative_is_off,
            wide: self.wide(at)?,
        };
        Some(Part { step: step.into(), a: at, b: Some(values), scratch: 0 })
    }
}

//! From nodes to steps, one file an op.

mod along;
mod arg;
mod binary;
mod channels;
mod concat;
mod conv2d;
mod dense;
mod depthwise;
mod einsum;
mod gather;
mod indices;
mod matmul;
mod pad;
mod pairs;
mod pick;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod resize;
mod select;
mod several;
mod softmax;
mod svdf;
mod table;
mod transpose;
mod transposed;
mod unary;
mod unsigned;
mod whole;
mod wide;

use crate::plan::element;
use crate::unpack::constant;
use paring_ir::ops::{
    Arg, BatchNorm, Binary, BroadcastTo, Cast, Concat, Conv2d, ConvTranspose2d, Dense,
    DepthToSpace, Dequantize, Einsum, Gather, GatherElements, GatherNd, MatMul, OneHot, Pad, Pool,
    Quantize, Reduce, Reshape, Resize, Reverse, ScatterElements, ScatterNd, Select, Slice, Softmax,
    SpaceToDepth, Tile, Transpose, Trilu, Unary,
};
use paring_ir::{Executor, Graph, Node, NodeId, ValueId};
use paring_kernels::Kernels;
use paring_qmath::Rounding;
use paring_runtime::Span;
use paring_runtime::steps::AnyStep;
use paring_runtime::steps::cast::Cast as CastStep;
use paring_runtime::steps::copy::Copy;
use paring_runtime::steps::half::F16Cast;
use paring_tensor::{DType, TensorType};
use std::collections::HashSet;

/// What steps are made from.
pub(crate) struct Lower<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) kernels: &'g dyn Kernels,
    pub(crate) rounding: Rounding,
    pub(crate) fallback: Option<&'g dyn Executor>,
    /// Nodes of padding that are part of the convolution after them.
    pub(crate) pads: HashSet<NodeId>,
}

/// What a following node adds to the result of a `f32` product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tail {
    /// A value of the result's shape that is added.
    pub(crate) rest: Option<ValueId>,
    /// Bounds of the result.
    pub(crate) clamp: (f32, f32),
}

impl Tail {
    pub(crate) const NONE: Self = Self { rest: None, clamp: (f32::NEG_INFINITY, f32::INFINITY) };
}

/// One step with its operands and the bytes that it needs besides.
pub(crate) struct Part {
    pub(crate) step: AnyStep,
    pub(crate) a: ValueId,
    pub(crate) b: Option<ValueId>,
    pub(crate) scratch: usize,
}

impl Part {
    pub(crate) fn unary(step: impl Into<AnyStep>, a: ValueId) -> Self {
        Self { step: step.into(), a, b: None, scratch: 0 }
    }
}

/// How a node is run.
pub(crate) enum Lowered {
    /// By steps one after another that each write a part of the one output.
    Steps(Vec<Part>),
    /// By steps that write several outputs.
    Several(Several),
    /// Not at all: the output is the input in another shape.
    Alias(ValueId),
}

/// Steps that write several outputs, which lie in one piece of memory.
pub(crate) struct Several {
    /// The places of the outputs in it.
    pub(crate) results: Vec<Span>,
    /// Its bytes.
    pub(crate) bytes: usize,
    /// Each step with the output that it writes; one without writes all of them.
    pub(crate) parts: Vec<(Part, Option<usize>)>,
}

impl Lowered {
    /// Whether weights that are zero are left out.
    pub(crate) fn leaves_zeros_out(&self) -> bool {
        let Self::Steps(parts) = self else { return false };
        parts.iter().any(|p| matches!(p.step, AnyStep::F32Sparse(_)))
    }
}

impl From<Part> for Lowered {
    fn from(part: Part) -> Self {
        Self::Steps(vec![part])
    }
}

/// Whether a node puts elements of its first operand to other places.
fn moves(node: &Node) -> bool {
    node.op_as::<BroadcastTo>().is_some()
        || node.op_as::<DepthToSpace>().is_some()
        || node.op_as::<Gather>().is_some()
        || node.op_as::<GatherElements>().is_some()
        || node.op_as::<GatherNd>().is_some()
        || node.op_as::<Reverse>().is_some()
        || node.op_as::<Slice>().is_some()
        || node.op_as::<SpaceToDepth>().is_some()
        || node.op_as::<Tile>().is_some()
        || node.op_as::<Trilu>().is_some()
}

impl Lower<'_> {
    /// How a node is run; `None` where the engine has no step for it.
    pub(crate) fn lower(&self, node: &Node, tail: Tail) -> Option<Lowered> {
        // Every step has extents that are numbers.
        let mut values = node.inputs().iter().chain(node.outputs());
        if values.any(|v| matches!(self.ty(*v).byte_len(), None | Some(0))) {
            return None;
        }
        if node.outputs().len() != 1 {
            return self.several(node).map(Lowered::Several);
        }
        if let Some(op) = node.op_as::<Conv2d>() {
            return self.conv2d(op, node, tail).map(Into::into);
        }
        if let Some(op) = node.op_as::<Dense>() {
            return self.dense(op, node, tail).map(Into::into);
        }
        debug_assert_eq!(tail, Tail::NONE, "only products have tails");
        if let Some(op) = node.op_as::<Pool>() {
            return self.pool(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Binary>() {
            return self.binary(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Unary>() {
            return self.unary(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Softmax>() {
            return self.softmax(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Reduce>() {
            return self.reduce(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Pad>() {
            return self.pad(op, node).or_else(|| self.pick(node)).map(Into::into);
        }
        if let Some(op) = node.op_as::<Concat>() {
            return self.concat(op, node);
        }
        if node.op_as::<Quantize>().is_some() || node.op_as::<Dequantize>().is_some() {
            return self.quantize(node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Resize>() {
            return self.resize(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Transpose>() {
            return self.transpose(op, node).map(Into::into);
        }
        if node.op_as::<MatMul>().is_some() {
            return self.matmul(node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Einsum>() {
            return self.einsum(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Arg>() {
            return self.arg(op, node).map(Into::into);
        }
        if node.op_as::<Select>().is_some() {
            return self.select(node);
        }
        if let Some(op) = node.op_as::<BatchNorm>() {
            return self.batch_norm(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<ConvTranspose2d>() {
            return self.conv_transpose2d(op, node).map(Into::into);
        }
        if let Some(op) = node.op_as::<Cast>() {
            let x = node.inputs()[0];
            let half = [(DType::F32, DType::F16), (DType::F16, DType::F32)];
            if half.contains(&(self.ty(x).dtype, op.to)) {
                return Some(Part::unary(F16Cast { to_half: op.to == DType::F16 }, x).into());
            }
            let (from, to) = (element(self.ty(x).dtype)?, element(op.to)?);
            return Some(Part::unary(CastStep { from, to }, x).into());
        }
        if moves(node) {
            let part = self.pick(node);
            let computed = || match node.op_as::<Gather>() {
                Some(op) => self.gather(op, node),
                None => self.take(node),
            };
            return part.or_else(computed).map(Into::into);
        }
        if node.op_as::<ScatterElements>().is_some() || node.op_as::<ScatterNd>().is_some() {
            return self.scatter(node);
        }
        if let Some(op) = node.op_as::<OneHot>() {
            return self.one_hot(op, node).map(Into::into);
        }
        if let Some(lowered) = self.along(node) {
            return Some(lowered);
        }
        if node.op_as::<Reshape>().is_some() {
            let x = node.inputs()[0];
            return match constant(self.graph, x) {
                None => Some(Lowered::Alias(x)),
                Some(_) => Some(Part::unary(Copy {}, x).into()),
            };
        }
        None
    }

    pub(crate) fn ty(&self, v: ValueId) -> &TensorType {
        self.graph.ty(v)
    }

    pub(crate) fn shape(&self, v: ValueId) -> Option<Vec<usize>> {
        self.ty(v).shape.fixed()
    }

    /// Whether a value has plain `f32` elements.
    pub(crate) fn is_f32(&self, v: ValueId) -> bool {
        let ty = self.ty(v);
        ty.dtype == DType::F32 && ty.quant.is_none()
    }

    /// Whether a value has plain elements of half precision, which kernels compute with.
    pub(crate) fn is_half(&self, v: ValueId) -> bool {
        let ty = self.ty(v);
        ty.dtype == DType::F16 && ty.quant.is_none() && self.kernels.computes_in_half()
    }

    /// Scale and zero point of a value that has `i8` elements with one scale.
    pub(crate) fn i8_quant(&self, v: ValueId) -> Option<(f32, i32)> {
        let ty = self.ty(v);
        if ty.dtype != DType::I8 {
            return None;
        }
        ty.quant.as_ref()?.as_per_tensor()
    }
}

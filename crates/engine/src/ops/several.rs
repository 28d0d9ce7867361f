//! Nodes of several results.

use super::{Lower, Part, Several};
use crate::plan::{element, slack};
use paring_ir::Node;
use paring_ir::ops::{DynamicQuantize, Gru, Lstm, Rnn, Svdf, TopK};
use paring_runtime::steps::quantize::ByRange;
use paring_runtime::steps::top::Top;
use paring_runtime::{LINE, Span};
use paring_tensor::DType;

impl Lower<'_> {
    /// The places of the results, and no steps yet.
    pub(super) fn places(&self, node: &Node) -> Option<Several> {
        let (mut results, mut bytes) = (Vec::new(), 0_usize);
        for v in node.outputs() {
            let at = bytes.next_multiple_of(LINE);
            let len = self.ty(*v).byte_len()?;
            results.push(Span { at, len });
            bytes = at.checked_add(len)?.checked_add(slack(self.kernels, self.ty(*v)))?;
        }
        Some(Several { results, bytes, parts: Vec::new() })
    }

    pub(super) fn several(&self, node: &Node) -> Option<Several> {
        if let Some(op) = node.op_as::<Lstm>() {
            return self.lstm(op, node);
        }
        if let Some(op) = node.op_as::<Gru>() {
            return self.gru(op, node);
        }
        if let Some(op) = node.op_as::<Rnn>() {
            return self.rnn(op, node);
        }
        if let Some(op) = node.op_as::<Svdf>() {
            return self.svdf(op, node);
        }
        let mut all = self.places(node)?;
        let (x, results) = (*node.inputs().first()?, all.results.clone());
        let part = if let Some(op) = node.op_as::<TopK>() {
            let (shape, ty) = (self.shape(x)?, self.ty(x));
            let len = shape[op.axis];
            let step = Top {
                element: element(ty.dtype)?,
                size: ty.dtype.size(),
                count: op.k,
                largest: op.largest,
                len,
                inner: shape[op.axis + 1..].iter().product(),
                wide: op.to == DType::I64,
                results,
            };
            let served = matches!(op.to, DType::I32 | DType::I64);
            served.then(|| Part { step: step.into(), a: x, b: None, scratch: 16 * len })?
        } else {
            node.op_as::<DynamicQuantize>().filter(|_| self.is_f32(x))?;
            Part::unary(ByRange { results }, x)
        };
        all.parts.push((part, None));
        Some(all)
    }
}

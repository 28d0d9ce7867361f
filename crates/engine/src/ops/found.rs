//! Results that are as long as the data say.

use super::{Lower, Part, Several};
use crate::plan::element;
use paring_ir::Node;
use paring_ir::ops::{NonMaxSuppression, NonZero};
use paring_runtime::steps::found::{NonZero as Nonzero, Suppress};
use paring_runtime::{LINE, Span};

impl Lower<'_> {
    pub(super) fn counted(&self, node: &Node) -> Option<Several> {
        let x = *node.inputs().first()?;
        let dims = self.shape(x)?;
        if node.op_as::<NonZero>().is_some() {
            let element = element(self.ty(x).dtype).filter(|_| !dims.is_empty())?;
            let most = vec![dims.len(), dims.iter().product()];
            return room(most, 1, |results| {
                Part::unary(Nonzero { element, dims: dims.clone(), results }, x)
            });
        }
        let op = node.op_as::<NonMaxSuppression>()?;
        let scores = *node.inputs().get(1)?;
        let &[batches, classes, boxes] = &*self.shape(scores)? else { return None };
        if !self.is_f32(x) || !self.is_f32(scores) {
            return None;
        }
        let most = op.max_per_class.min(boxes);
        let rows = batches.checked_mul(classes)?.checked_mul(most)?;
        room(vec![rows, 3], 0, |results| {
            let step = Suppress {
                extents: [batches, classes, boxes],
                most,
                iou_threshold: op.iou_threshold,
                score_threshold: op.score_threshold,
                center: op.center_boxes,
                results,
            };
            Part { step: step.into(), a: x, b: Some(scores), scratch: 16 * boxes }
        })
    }
}

/// A step with the memory of what it may find: `i64` of at most these extents.
fn room(most: Vec<usize>, axis: usize, part: impl FnOnce(Vec<Span>) -> Part) -> Option<Several> {
    let len = most.iter().try_fold(8_usize, |all, n| all.checked_mul(*n)).filter(|n| *n > 0)?;
    let count = Span { at: len.next_multiple_of(LINE), len: 8 };
    let results = vec![Span { at: 0, len }, count];
    let part = part(results.clone());
    let bytes = count.at + count.len;
    Some(Several { results, bytes, counted: Some((most, axis)), parts: vec![(part, None)] })
}

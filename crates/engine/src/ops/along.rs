//! Functions of `f32` line by line.

use super::{Lower, Lowered, Part};
use paring_ir::ops::{CumSum, Hardmax, LpNormalize, Lrn, Normalize};
use paring_ir::{Node, ValueId};
use paring_runtime::steps::along::{Along, AlongFn, Further, Local, Standardize};

impl Lower<'_> {
    pub(super) fn along(&self, node: &Node) -> Option<Lowered> {
        let (x, y) = (*node.inputs().first()?, node.outputs()[0]);
        if !self.is_f32(x) || !self.is_f32(y) {
            return None;
        }
        let shape = self.shape(x)?;
        let (axis, f) = if let Some(op) = node.op_as::<CumSum>() {
            (op.axis, AlongFn::CumSum { exclusive: op.exclusive, reverse: op.reverse })
        } else if let Some(op) = node.op_as::<Hardmax>() {
            (op.axis, AlongFn::Hardmax)
        } else if let Some(op) = node.op_as::<LpNormalize>() {
            (op.axis, AlongFn::Normalize { squares: op.p != 1, epsilon: op.epsilon })
        } else if let Some(op) = node.op_as::<Lrn>() {
            let Lrn { size, alpha, beta, bias } = *op;
            let step = Local { channels: *shape.last()?, size, alpha, beta, bias };
            return Some(Part::unary(step, x).into());
        } else {
            return self.standardize(node.op_as::<Normalize>()?, node, x, shape);
        };
        let inner = shape[axis + 1..].iter().product();
        Some(Part::unary(Along { f, len: shape[axis], inner }, x).into())
    }

    fn standardize(
        &self,
        op: &Normalize,
        node: &Node,
        x: ValueId,
        shape: Vec<usize>,
    ) -> Option<Lowered> {
        // The last axis in its parts: each has statistics of its own.
        let mut dims = shape;
        let last = dims.pop()?;
        let axis = dims.len();
        dims.extend([op.groups, last / op.groups]);
        let goes = |a: usize| match a {
            a if a == axis => op.groups == 1 && op.axes.contains(&axis),
            a if a > axis => op.axes.contains(&axis),
            a => op.axes.contains(&a),
        };
        let (mut steps, mut sets) = (vec![0; dims.len()], 1);
        for a in (0..dims.len()).rev().filter(|a| !goes(*a)) {
            steps[a] = sets;
            sets *= dims[a];
        }
        let step = Standardize { dims: dims.clone(), steps, sets, epsilon: op.epsilon };
        let mut parts = vec![Part { step: step.into(), a: x, b: None, scratch: 16 * sets }];
        for (v, add) in node.inputs()[1..].iter().zip([false, true]) {
            let own = self.shape(*v).filter(|_| self.is_f32(*v))?;
            let (missing, mut step) = ((axis + 1).checked_sub(own.len())?, 1);
            let mut steps = vec![0; axis + 1];
            for a in (0..own.len()).rev() {
                if own[a] > 1 {
                    steps[missing + a] = step;
                }
                step *= own[a];
            }
            // Along the parts of the last axis, and within one.
            let inside = steps.pop()?;
            steps.extend([inside * (last / op.groups), inside]);
            parts.push(Part::unary(Further { add, dims: dims.clone(), steps }, *v));
        }
        Some(Lowered::Steps(parts))
    }
}

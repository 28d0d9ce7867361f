use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::Transpose;
use paring_runtime::steps::transpose::Reorder;

/// The step that gives elements of some bytes in an array another order of axes.
pub(super) fn reorder(size: usize, from: &[usize], perm: &[usize]) -> Option<Reorder> {
    let mut distance = vec![1; from.len()];
    for axis in (1..from.len()).rev() {
        distance[axis - 1] = distance[axis] * from[axis];
    }
    let (mut dims, mut steps): (Vec<usize>, Vec<usize>) = (vec![1, 1], vec![0, 0]);
    for axis in perm {
        let (n, step) = (*from.get(*axis)?, *distance.get(*axis)?);
        if n == 1 {
            continue;
        }
        // Axes that stay side by side are one.
        let last = dims.len() - 1;
        if dims[last] > 1 && steps[last] == step * n {
            dims[last] *= n;
            steps[last] = step;
        } else {
            dims.push(n);
            steps.push(step);
        }
    }
    // The two of extent one that were there first are needed only where few others are.
    let skip = (dims.len() - 2).min(2);
    Some(Reorder { size, dims: dims.split_off(skip), steps: steps.split_off(skip) })
}

impl Lower<'_> {
    pub(super) fn transpose(&self, op: &Transpose, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let from = self.shape(x)?;
        let size = self.ty(x).dtype.size();
        let plain = matches!(size, 1 | 2 | 4 | 8) && self.ty(y).dtype == self.ty(x).dtype;
        if !plain || from.iter().product::<usize>() == 0 || op.perm.len() != from.len() {
            return None;
        }
        Some(Part::unary(reorder(size, &from, &op.perm)?, x))
    }
}

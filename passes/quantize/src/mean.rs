use paring_ir::ops::{Padding, Pool, PoolKind, Reduce, ReduceFn};
use paring_ir::{Graph, GraphError, Node, Patch};
use paring_pass::Verdict;

/// Writes an average over a whole image as a mean. Of the two only the mean may have a scale of its
/// own, and averages of many numbers reach much less far than the numbers.
pub(crate) fn global_average(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some(pool) = node.op_as::<Pool>() else { return Ok(Verdict::NoMatch) };
    let (x, output) = (node.inputs()[0], node.outputs()[0]);
    let dims = graph.ty(x).shape.dims();
    let whole = dims.len() == 4
        && [0, 1].iter().all(|i| dims[i + 1].fixed() == Some(pool.kernel[*i]))
        && pool.dilation == [1, 1];
    let window = pool.kernel;
    let unpadded = match pool.pad {
        Padding::Explicit(pad) => pad == [0; 4],
        auto => auto.resolve(window, window, pool.stride) == [0; 4],
    };
    let one = graph.ty(output).shape.dims()[1..3].iter().all(|d| d.fixed() == Some(1));
    let plain = pool.kind == PoolKind::Average && pool.activation.is_none();
    if !(whole && unpadded && one && plain) {
        return Ok(Verdict::NoMatch);
    }
    let mut patch = Patch::new(graph, "global-average-to-mean");
    let op = Reduce { f: ReduceFn::Mean, axes: vec![1, 2], keep_dims: true };
    let new = patch.node(graph, &node.name, op, &[x])?;
    patch.replace(output, new[0]);
    Ok(Verdict::Patch(patch))
}

use paring_ir::ops::{Pool, PoolKind, Reduce, ReduceFn};
use paring_ir::{Graph, GraphError, Node, Patch};
use paring_pass::Verdict;

/// Makes an average over the whole image of real numbers a mean. A quantized average pool keeps its
/// input's scale, which the much narrower averages use a part of; a mean has a scale of its own.
pub(crate) fn of_whole_image(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some(pool) = node.op_as::<Pool>() else { return Ok(Verdict::NoMatch) };
    let (x, y) = (node.inputs()[0], node.outputs()[0]);
    let (from, to) = (graph.ty(x), graph.ty(y));
    let whole = |axis: usize| from.shape.dims()[axis + 1].fixed() == Some(pool.kernel[axis]);
    let one = |axis: usize| to.shape.dims()[axis + 1].fixed() == Some(1);
    if pool.kind != PoolKind::Average
        || !pool.activation.is_none()
        || pool.dilation != [1, 1]
        || !from.dtype.is_float()
        || !(whole(0) && whole(1) && one(0) && one(1))
    {
        return Ok(Verdict::NoMatch);
    }
    if pool.pad.resolve(pool.kernel, pool.kernel, pool.stride) != [0; 4] {
        return Ok(Verdict::NoMatch);
    }
    let mut patch = Patch::new(graph, "pool-to-mean");
    let mean = Reduce { f: ReduceFn::Mean, axes: vec![1, 2], keep_dims: true };
    let new = patch.node(graph, &node.name, mean, &[x])?;
    patch.replace(y, new[0]);
    Ok(Verdict::Patch(patch))
}

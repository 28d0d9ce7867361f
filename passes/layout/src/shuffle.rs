use crate::perm::transpose_of;
use paring_ir::ops::{DepthOrder, DepthToSpace, Reshape, Transpose};
use paring_ir::{Graph, GraphError, Node, Patch, ValueId};
use paring_pass::Verdict;

/// What a reshape reads.
fn reshaped(graph: &Graph, v: ValueId) -> Option<ValueId> {
    let node = graph.producer(v).filter(|n| n.op.is::<Reshape>())?;
    node.inputs().first().copied()
}

/// Makes a pixel shuffle of planar images that is spelt out (channels split into blocks, moved between
/// rows and columns, and merged) the op that it is, on images in NHWC. Seen from the merging reshape.
pub(crate) fn depth_to_space(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some((x, block, channels)) = pattern(graph, node) else { return Ok(Verdict::NoMatch) };
    let mut patch = Patch::new(graph, "depth-to-space");
    let name = |what: &str| format!("{}/{what}", node.name);
    let image = Transpose { perm: vec![0, 2, 3, 1] };
    let image = patch.node(graph, name("image"), image, &[x])?[0];
    // With one channel left there is one order only, and every backend has that of TFLite.
    let order = if channels == 1 { DepthOrder::Dcr } else { DepthOrder::Crd };
    let shuffled = patch.node(graph, name("shuffle"), DepthToSpace { block, order }, &[image])?[0];
    let planar = Transpose { perm: vec![0, 3, 1, 2] };
    let planar = patch.node(graph, name("planar"), planar, &[shuffled])?[0];
    let output = node.outputs()[0];
    patch.set_range(planar, graph.value(output).range);
    patch.replace(output, planar);
    Ok(Verdict::Patch(patch))
}

/// The planar images, the extent of a block and the channels that are left.
fn pattern(graph: &Graph, node: &Node) -> Option<(ValueId, usize, usize)> {
    let merged = graph.ty(*node.outputs().first()?);
    let moved = reshaped(graph, *node.outputs().first()?)?;
    let (split, perm) = transpose_of(graph, moved)?;
    let x = reshaped(graph, split)?;
    let extents = |v: ValueId| -> Option<Vec<usize>> {
        graph.ty(v).shape.dims().get(1..)?.iter().map(|d| d.fixed()).collect()
    };
    let (whole, parts) = (extents(x)?, extents(split)?);
    let (&[depth, h, w], &[c, rows, columns, h2, w2]) = (whole.as_slice(), parts.as_slice()) else {
        return None;
    };
    let batch = |v: ValueId| graph.ty(v).shape.dims().first().cloned();
    let result: Option<Vec<usize>> =
        merged.shape.dims().get(1..)?.iter().map(|d| d.fixed()).collect();
    let fits = perm == [0, 1, 4, 2, 5, 3]
        && rows == columns
        && [h, w] == [h2, w2]
        && depth == c * rows * columns
        && result? == [c, h * rows, w * columns]
        && merged.shape.dims().first().cloned() == batch(x)
        && batch(x) == batch(split)
        && merged.quant == graph.ty(x).quant
        && merged.quant.as_ref().is_none_or(|q| q.as_per_tensor().is_some());
    fits.then_some((x, rows, c))
}

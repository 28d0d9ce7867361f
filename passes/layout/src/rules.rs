use crate::perm::{compose, is_identity, moves_nothing, transpose, transpose_of};
use paring_ir::ops::{Quantize, Reshape, Transpose, Unary};
use paring_ir::{Graph, GraphError, Node, Patch, ValueId};
use paring_pass::{Verdict, consts};

/// Merges a transpose with the one before it, and drops it if nothing is left of the two.
pub(crate) fn merge(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some((x, outer)) = transpose(node) else { return Ok(Verdict::NoMatch) };
    let (source, perm) = match transpose_of(graph, x) {
        Some((source, inner)) => (source, compose(inner, outer)),
        None if is_identity(outer) => (x, outer.to_vec()),
        None => return Ok(Verdict::NoMatch),
    };
    let output = node.outputs()[0];
    let mut patch = Patch::new(graph, "merge-transposes");
    if is_identity(&perm) {
        if graph.is_visible(output) && graph.producer(source).is_none() {
            return Ok(Verdict::NoMatch);
        }
        patch.replace(output, source);
    } else {
        let new = patch.node(graph, &node.name, Transpose { perm }, &[source])?;
        patch.replace(output, new[0]);
    }
    Ok(Verdict::Patch(patch))
}

/// Does a transpose of a constant.
pub(crate) fn fold_constant(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some((x, perm)) = transpose(node) else { return Ok(Verdict::NoMatch) };
    let output = graph.value(node.outputs()[0]);
    let Some(data) = graph.constant(x).filter(|_| !graph.is_visible(output.id)) else {
        return Ok(Verdict::NoMatch);
    };
    let Ok(data) = consts::permute(data, perm) else { return Ok(Verdict::NoMatch) };
    let mut patch = Patch::new(graph, "fold-transpose");
    let new = patch.constant(&output.name, data, output.ty.quant.clone());
    patch.replace(output.id, new);
    Ok(Verdict::Patch(patch))
}

/// The shape of a value as a reshape states it, with -1 for its one symbol.
pub(crate) fn target(graph: &Graph, v: ValueId) -> Option<Vec<i64>> {
    let dims = graph.ty(v).shape.dims();
    if dims.iter().filter(|d| d.fixed().is_none()).count() > 1 {
        return None;
    }
    dims.iter().map(|d| d.fixed().map_or(Some(-1), |n| i64::try_from(n).ok())).collect()
}

/// Makes a transpose a reshape if it moves only axes of extent 1.
pub(crate) fn lower_unit_axes(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some((x, perm)) = transpose(node) else { return Ok(Verdict::NoMatch) };
    let ty = graph.ty(x);
    let per_axis = ty.quant.as_ref().is_some_and(|q| q.as_per_tensor().is_none());
    if per_axis || is_identity(perm) || !moves_nothing(ty, perm) {
        return Ok(Verdict::NoMatch);
    }
    let output = node.outputs()[0];
    let Some(shape) = target(graph, output) else { return Ok(Verdict::NoMatch) };
    let mut patch = Patch::new(graph, "transpose-to-reshape");
    let new = patch.node(graph, &node.name, Reshape { shape }, &[x])?;
    patch.replace(output, new[0]);
    Ok(Verdict::Patch(patch))
}

/// Merges a reshape with the one before it.
pub(crate) fn merge_reshapes(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    if !node.op.is::<Reshape>() {
        return Ok(Verdict::NoMatch);
    }
    let output = node.outputs()[0];
    let Some(inner) = graph.producer(node.inputs()[0]).filter(|n| n.op.is::<Reshape>()) else {
        return Ok(Verdict::NoMatch);
    };
    let Some(shape) = target(graph, output) else { return Ok(Verdict::NoMatch) };
    let source = inner.inputs()[0];
    let mut patch = Patch::new(graph, "merge-reshapes");
    if graph.ty(source) == graph.ty(output) && graph.producer(source).is_some() {
        patch.replace(output, source);
    } else {
        let new = patch.node(graph, &node.name, Reshape { shape }, &[source])?;
        patch.replace(output, new[0]);
    }
    Ok(Verdict::Patch(patch))
}

/// Moves a flattening behind an activation, so that it stands before the layer that it is for.
pub(crate) fn sink_reshape(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    if !node.op.is::<Unary>() && !node.op.is::<Quantize>() {
        return Ok(Verdict::NoMatch);
    }
    let (x, output) = (node.inputs()[0], node.outputs()[0]);
    let Some(reshape) = graph.producer(x).filter(|n| n.op.is::<Reshape>()) else {
        return Ok(Verdict::NoMatch);
    };
    let source = reshape.inputs()[0];
    let movable = graph.only_user(x).is_some()
        && transpose_of(graph, source).is_some()
        && graph.ty(output).quant.as_ref().is_none_or(|q| q.as_per_tensor().is_some());
    if !movable {
        return Ok(Verdict::NoMatch);
    }
    let Some(op) = reshape.op_as::<Reshape>() else { return Ok(Verdict::NoMatch) };
    let mut ty = graph.ty(output).clone();
    ty.shape = graph.ty(source).shape.clone();
    let mut patch = Patch::new(graph, "sink-reshape");
    let moved = patch.typed_node(&node.name, &node.op, &[source], vec![ty]);
    patch.set_range(moved[0], graph.value(output).range);
    let new = patch.node(graph, &reshape.name, op.clone(), &moved)?;
    patch.replace(output, new[0]);
    Ok(Verdict::Patch(patch))
}

use crate::perm::{compose, inverse, is_identity, transpose, transpose_of, transposed};
use paring_ir::ops::{Dense, Reduce, Reshape, Transpose};
use paring_ir::{Def, Graph, GraphError, Node, Patch, PortRef};
use paring_pass::{PassContext, PassError, Verdict, consts};

fn fault(error: &dyn std::fmt::Display) -> GraphError {
    GraphError::Patch { patch: "layout".into(), why: error.to_string() }
}

/// Whether a node flattens everything behind the batch axis.
pub(crate) fn flattens(graph: &Graph, node: &Node) -> bool {
    if !node.op.is::<Reshape>() {
        return false;
    }
    let from = graph.ty(node.inputs()[0]).shape.dims();
    let to = graph.ty(node.outputs()[0]).shape.dims();
    to.len() == 2 && from.first() == to.first()
}

/// Makes a transpose before a flattening and a dense layer an order of the layer's weights. Seen from
/// the dense layer.
pub(crate) fn dense_after_flatten(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    if !node.op.is::<Dense>() {
        return Ok(Verdict::NoMatch);
    }
    let (flat, w) = (node.inputs()[0], node.inputs()[1]);
    let Some(reshape) = graph.producer(flat).filter(|n| flattens(graph, n)) else {
        return Ok(Verdict::NoMatch);
    };
    let Some((source, perm)) = transpose_of(graph, reshape.inputs()[0]) else {
        return Ok(Verdict::NoMatch);
    };
    let features = graph.ty(reshape.inputs()[0]).shape.dims()[1..].iter().map(|d| d.fixed());
    let features: Option<Vec<usize>> = features.collect();
    let (Some(features), Some(data), 0) = (features, graph.constant(w), perm[0]) else {
        return Ok(Verdict::NoMatch);
    };
    let quant = graph.ty(w).quant.clone();
    let outer = data.shape()[0];
    let by_axis: Vec<usize> = std::iter::once(outer).chain(features).collect();
    // Axis k of the untransposed value is axis inverse[k] of the transposed one, which the weights
    // are ordered by.
    let ordered = consts::reshape(data, &by_axis)
        .and_then(|d| consts::permute(&d, &inverse(perm)))
        .and_then(|d| consts::reshape(&d, data.shape()))
        .map_err(|e| fault(&e))?;
    let Some(op) = reshape.op_as::<Reshape>() else { return Ok(Verdict::NoMatch) };
    let mut patch = Patch::new(graph, "order-dense-weights");
    let x = patch.node(graph, &reshape.name, op.clone(), &[source])?;
    patch.set_range(x[0], graph.value(flat).range);
    let w = patch.constant(&graph.value(w).name, ordered, quant);
    let mut operands = node.inputs().to_vec();
    (operands[0], operands[1]) = (x[0], w);
    patch.set_operands(node.id, operands);
    Ok(Verdict::Patch(patch))
}

/// Moves a transpose behind a reduction, where it moves less or nothing.
pub(crate) fn reduce(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some(op) = node.op_as::<Reduce>() else { return Ok(Verdict::NoMatch) };
    let Some((source, perm)) = transpose_of(graph, node.inputs()[0]) else {
        return Ok(Verdict::NoMatch);
    };
    let mut axes: Vec<usize> = op.axes.iter().map(|a| perm[*a]).collect();
    axes.sort_unstable();
    let after: Vec<usize> = if op.keep_dims {
        perm.to_vec()
    } else {
        let kept: Vec<usize> = perm.iter().copied().filter(|axis| !axes.contains(axis)).collect();
        let mut sorted = kept.clone();
        sorted.sort_unstable();
        kept.iter().map(|a| sorted.iter().position(|s| s == a).unwrap_or(0)).collect()
    };
    let output = node.outputs()[0];
    let undone = transposed(graph.ty(output), &inverse(&after)).map_err(|e| fault(&e))?;
    let mut patch = Patch::new(graph, "reduce-before-transpose");
    let reduced = Reduce { axes, ..op.clone() };
    let mut new = patch.typed_node(&node.name, reduced, &[source], vec![undone])[0];
    patch.set_range(new, graph.value(output).range);
    if !is_identity(&after) {
        let name = format!("{}/transpose", node.name);
        new = patch.node(graph, name, Transpose { perm: after }, &[new])?[0];
    }
    patch.replace(output, new);
    Ok(Verdict::Patch(patch))
}

/// Makes transposes at inputs and outputs remarks on those ports. Returns whether it did.
pub(crate) fn ports(graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<bool, PassError> {
    let mut changed = false;
    for index in 0..graph.inputs().len() {
        let Some(patch) = input(graph, cx, index)? else { continue };
        if !cx.apply(graph, patch)? {
            return Ok(false);
        }
        changed = true;
    }
    for index in 0..graph.outputs().len() {
        let Some(patch) = output(graph, cx, index)? else { continue };
        if !cx.apply(graph, patch)? {
            return Ok(false);
        }
        changed = true;
    }
    Ok(changed)
}

/// The layout that a port of `rank` axes has toward the caller.
fn external(port: &paring_ir::Port, rank: usize) -> Vec<usize> {
    port.external.clone().unwrap_or_else(|| (0..rank).collect())
}

fn some_unless_identity(perm: Vec<usize>) -> Option<Vec<usize>> {
    (!is_identity(&perm)).then_some(perm)
}

fn input(graph: &Graph, cx: &PassContext<'_>, index: usize) -> Result<Option<Patch>, GraphError> {
    let port = &graph.inputs()[index];
    let value = graph.value(port.value);
    let rank = value.ty.shape.rank();
    if graph.is_visible(value.id) || rank < 3 {
        return Ok(None);
    }
    let mut perm: Option<&[usize]> = None;
    let mut replaced = Vec::new();
    for (user, _) in value.uses() {
        let node = graph.node(*user);
        let Some((_, p)) = transpose(node).filter(|_| cx.selects(node)) else { return Ok(None) };
        if perm.is_some_and(|old| old != p) || graph.is_visible(node.outputs()[0]) {
            return Ok(None);
        }
        perm = Some(p);
        replaced.push(node.outputs()[0]);
    }
    let Some(perm) = perm else { return Ok(None) };
    let back = inverse(perm);
    let layout = external(port, rank).into_iter().map(|axis| back[axis]).collect();
    let mut patch = Patch::new(graph, "input-layout");
    patch.set_type(value.id, transposed(&value.ty, perm).map_err(|e| fault(&e))?);
    patch.set_external(PortRef::Input(index), some_unless_identity(layout));
    for v in replaced {
        patch.replace(v, value.id);
    }
    Ok(Some(patch))
}

fn output(graph: &Graph, cx: &PassContext<'_>, index: usize) -> Result<Option<Patch>, GraphError> {
    let port = &graph.outputs()[index];
    let value = graph.value(port.value);
    let rank = value.ty.shape.rank();
    let shared = graph.outputs().iter().filter(|p| p.value == value.id).count() > 1
        || graph.states().iter().any(|s| s.next == value.id);
    let Some(node) = graph.producer(value.id).filter(|n| cx.selects(n)) else { return Ok(None) };
    let Some((source, perm)) = transpose(node) else { return Ok(None) };
    let computed = matches!(graph.value(source).def(), Def::Node(..));
    if shared || rank < 3 || !value.uses().is_empty() || !computed {
        return Ok(None);
    }
    let layout = compose(perm, &external(port, rank));
    let mut patch = Patch::new(graph, "output-layout");
    patch.set_type(value.id, graph.ty(source).clone());
    patch.replace(value.id, source);
    patch.set_external(PortRef::Output(index), some_unless_identity(layout));
    Ok(Some(patch))
}

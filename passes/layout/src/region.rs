use crate::absorb::flattens;
use crate::perm::{
    compose, elements, inverse, is_identity, moves_nothing, transpose, transpose_of, transposed,
};
use paring_ir::ops::{
    Binary, Cast, Concat, Dense, Dequantize, Pad, Quantize, Reduce, Resize, Slice, Softmax,
    Transpose, Unary,
};
use paring_ir::{Def, Graph, GraphError, Node, NodeId, OpRef, Patch, ValueId};
use paring_pass::{PassContext, PassError, consts};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The op that computes the same from operands transposed by `perm`, with its results transposed
/// likewise; `None` if the op's layout is fixed.
fn permuted(op: &OpRef, perm: &[usize]) -> Option<OpRef> {
    let to = inverse(perm);
    Some(if let Some(op) = op.downcast_ref::<Concat>() {
        Arc::new(Concat { axis: *to.get(op.axis)? })
    } else if let Some(op) = op.downcast_ref::<Pad>() {
        Arc::new(Pad { pads: perm.iter().map(|&p| op.pads[p]).collect(), mode: op.mode })
    } else if let Some(op) = op.downcast_ref::<Slice>() {
        let pick = |v: &[usize]| perm.iter().map(|&p| v[p]).collect();
        Arc::new(Slice {
            start: pick(&op.start),
            len: pick(&op.len),
            step: perm.iter().map(|&p| op.step[p]).collect(),
        })
    } else if let Some(op) = op.downcast_ref::<Softmax>() {
        Arc::new(Softmax { axis: *to.get(op.axis)?, ..op.clone() })
    } else if let Some(op) = op.downcast_ref::<Reduce>() {
        if !op.keep_dims {
            return None;
        }
        let mut axes: Vec<usize> = op.axes.iter().map(|a| to[*a]).collect();
        axes.sort_unstable();
        Arc::new(Reduce { axes, ..op.clone() })
    } else if let Some(op) = op.downcast_ref::<Resize>() {
        if !op.roi.is_empty() {
            return None;
        }
        let mut order: Vec<usize> = (0..op.axes.len()).collect();
        order.sort_by_key(|&i| to[op.axes[i]]);
        Arc::new(Resize {
            axes: order.iter().map(|&i| to[op.axes[i]]).collect(),
            size: order.iter().map(|&i| op.size[i]).collect(),
            scale: if op.scale.is_empty() {
                Vec::new()
            } else {
                order.iter().map(|&i| op.scale[i]).collect()
            },
            ..op.clone()
        })
    } else if op.is::<Unary>()
        || op.is::<Binary>()
        || op.is::<Quantize>()
        || op.is::<Dequantize>()
        || op.is::<Cast>()
    {
        op.clone()
    } else {
        return None;
    })
}

/// The rank of a node whose layout is free: one result, every operand of the result's rank or a
/// constant that broadcasts.
fn free_rank(graph: &Graph, cx: &PassContext<'_>, node: &Node) -> Option<usize> {
    let &[output] = node.outputs() else { return None };
    let rank = graph.ty(output).shape.rank();
    let identity: Vec<usize> = (0..rank).collect();
    if rank < 2 || !cx.selects(node) {
        return None;
    }
    permuted(&node.op, &identity)?;
    let fits = |v: &ValueId| {
        let ty = graph.ty(*v);
        match graph.constant(*v) {
            Some(_) => {
                ty.shape.rank() <= rank
                    && ty.quant.as_ref().is_none_or(|q| q.as_per_tensor().is_some())
            }
            None => ty.shape.rank() == rank,
        }
    };
    let some_value = node.inputs().iter().any(|v| graph.constant(*v).is_none());
    (some_value && node.inputs().iter().all(fits)).then_some(rank)
}

/// Connected nodes whose layout is free.
struct Region {
    nodes: BTreeSet<NodeId>,
    rank: usize,
}

fn regions(graph: &Graph, cx: &PassContext<'_>) -> Vec<Region> {
    let order = graph.topological();
    let ranks: HashMap<NodeId, usize> =
        order.iter().filter_map(|id| Some((*id, free_rank(graph, cx, graph.node(*id))?))).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for id in order {
        let Some(&rank) = ranks.get(&id) else { continue };
        if !seen.insert(id) {
            continue;
        }
        let mut nodes = BTreeSet::from([id]);
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let node = graph.node(id);
            let feeds = node.inputs().iter().filter_map(|v| graph.producer(*v)).map(|n| n.id);
            let reads = node.outputs().iter().flat_map(|v| graph.value(*v).uses()).map(|u| u.0);
            for next in feeds.chain(reads) {
                if ranks.get(&next) == Some(&rank) && seen.insert(next) {
                    nodes.insert(next);
                    stack.push(next);
                }
            }
        }
        found.push(Region { nodes, rank });
    }
    found
}

impl Region {
    /// Values that come in from outside, without constants.
    fn inward(&self, graph: &Graph) -> BTreeSet<ValueId> {
        let read = self.nodes.iter().flat_map(|n| graph.node(*n).inputs()).copied();
        read.filter(|v| graph.constant(*v).is_none() && !self.computes(graph, *v)).collect()
    }

    fn computes(&self, graph: &Graph, v: ValueId) -> bool {
        graph.producer(v).is_some_and(|n| self.nodes.contains(&n.id))
    }

    fn outputs(&self, graph: &Graph) -> Vec<ValueId> {
        self.nodes.iter().flat_map(|n| graph.node(*n).outputs()).copied().collect()
    }

    /// The layouts that would cancel one of the transposes around the region.
    fn candidates(&self, graph: &Graph) -> BTreeSet<Vec<usize>> {
        let mut found = BTreeSet::new();
        for v in self.inward(graph) {
            found.extend(transpose_of(graph, v).map(|(_, perm)| inverse(perm)));
        }
        for v in self.outputs(graph) {
            for (user, _) in graph.value(v).uses() {
                found.extend(transpose(graph.node(*user)).map(|(_, perm)| perm.to_vec()));
            }
        }
        found.retain(|perm| perm.len() == self.rank && !is_identity(perm));
        found
    }

    /// Elements that the transposes around the region move, in the layout `perm` of the region.
    fn cost(&self, graph: &Graph, perm: &[usize], ports: bool) -> u64 {
        let mut cost = 0_u64;
        for v in self.inward(graph) {
            let value = graph.value(v);
            let inside = |n: &NodeId| self.nodes.contains(n);
            if let Some((source, inner)) = transpose_of(graph, v) {
                let merged = compose(inner, perm);
                // The transpose that is there stays if others read it.
                let shared = graph.is_visible(v) || !value.uses().iter().all(|(n, _)| inside(n));
                let free = is_identity(&merged)
                    || moves_nothing(graph.ty(source), &merged)
                    || (shared && is_identity(perm));
                cost += if free { 0 } else { elements(graph, v) };
                continue;
            }
            if is_identity(perm) || moves_nothing(&value.ty, perm) {
                continue;
            }
            let same =
                |n: &NodeId| inside(n) || transpose(graph.node(*n)).is_some_and(|(_, p)| p == perm);
            let port = ports
                && *value.def() == Def::Input
                && !graph.is_visible(v)
                && self.rank >= 3
                && value.uses().iter().all(|(n, _)| same(n));
            cost += if port { 0 } else { elements(graph, v) };
        }
        for v in self.outputs(graph) {
            let value = graph.value(v);
            let size = elements(graph, v);
            let mut back = false;
            let mut others: BTreeSet<Vec<usize>> = BTreeSet::new();
            for (user, _) in value.uses().iter().filter(|(n, _)| !self.nodes.contains(n)) {
                let user = graph.node(*user);
                match transpose(user) {
                    Some((_, p)) => {
                        others.insert(compose(&inverse(perm), p));
                    }
                    None => back |= !absorbs(graph, user, perm),
                }
            }
            if graph.is_visible(v) {
                // Readers outside take the transpose up, so that the port alone is left with it.
                let as_port = ports
                    && self.rank >= 3
                    && graph.outputs().iter().filter(|p| p.value == v).count() == 1
                    && !graph.states().iter().any(|s| s.next == v);
                back |= !as_port;
            }
            if back {
                others.insert(inverse(perm));
            }
            let Ok(ty) = transposed(&value.ty, perm) else { return u64::MAX };
            let count = others.iter().filter(|p| !is_identity(p) && !moves_nothing(&ty, p)).count();
            cost = cost.saturating_add(size.saturating_mul(count as u64));
        }
        cost
    }
}

/// Whether a reader takes up a transpose of its operand back from the layout `perm`.
fn absorbs(graph: &Graph, user: &Node, perm: &[usize]) -> bool {
    if is_identity(perm) {
        return true;
    }
    if let Some(op) = user.op_as::<Reduce>() {
        // The axes that stay have to stay in order.
        let back = inverse(perm);
        let kept: Vec<usize> =
            (0..perm.len()).filter(|a| !op.axes.contains(a)).map(|a| back[a]).collect();
        return kept.windows(2).all(|w| w[0] < w[1]);
    }
    if flattens(graph, user) {
        let dense = |v: ValueId| {
            let uses = graph.value(v).uses();
            !graph.is_visible(v)
                && !uses.is_empty()
                && uses.iter().all(|(n, i)| {
                    let n = graph.node(*n);
                    *i == 0 && n.op.is::<Dense>() && graph.constant(n.inputs()[1]).is_some()
                })
        };
        let flat = user.outputs()[0];
        let through = graph.only_user(flat).filter(|n| n.op.is::<Unary>() || n.op.is::<Quantize>());
        return perm[0] == 0 && (dense(flat) || through.is_some_and(|n| dense(n.outputs()[0])));
    }
    false
}

/// Changes the layout of the first region that gains by it. Returns whether one did.
pub(crate) fn flip_one(
    graph: &mut Graph,
    cx: &mut PassContext<'_>,
    ports: bool,
) -> Result<bool, PassError> {
    for region in regions(graph, cx) {
        let identity: Vec<usize> = (0..region.rank).collect();
        let now = region.cost(graph, &identity, ports);
        let best = region
            .candidates(graph)
            .into_iter()
            .map(|perm| (region.cost(graph, &perm, ports), perm))
            .min();
        if let Some((_, perm)) = best.filter(|(cost, _)| *cost < now) {
            let patch = flip(graph, &region, &perm)?;
            return cx.apply(graph, patch);
        }
    }
    Ok(false)
}

/// Changes the layout of a region; transposes that this leaves side by side merge later.
fn flip(graph: &Graph, region: &Region, perm: &[usize]) -> Result<Patch, GraphError> {
    let fault =
        |e: &dyn std::fmt::Display| GraphError::Patch { patch: "flip".into(), why: e.to_string() };
    let mut patch = Patch::new(graph, "flip-region");
    let mut new: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    for v in region.inward(graph) {
        let (source, merged) = match transpose_of(graph, v) {
            Some((source, inner)) => (source, compose(inner, perm)),
            None => (v, perm.to_vec()),
        };
        let moved = if is_identity(&merged) {
            source
        } else {
            let name = format!("{}/transpose", graph.value(v).name);
            patch.node(graph, name, Transpose { perm: merged }, &[source])?[0]
        };
        new.insert(v, moved);
    }
    let back = inverse(perm);
    for id in graph.topological() {
        let node = graph.node(id);
        if !region.nodes.contains(&id) {
            continue;
        }
        let mut operands = Vec::with_capacity(node.inputs().len());
        for v in node.inputs() {
            let moved = match (new.get(v), graph.constant(*v)) {
                (Some(moved), _) => *moved,
                (None, Some(data)) => {
                    let ones = region.rank - data.shape().len();
                    let full: Vec<usize> =
                        std::iter::repeat_n(1, ones).chain(data.shape().iter().copied()).collect();
                    let value = graph.value(*v);
                    // A scalar broadcasts in any layout.
                    if data.len() == 1 {
                        *v
                    } else {
                        let data = consts::reshape(data, &full)
                            .and_then(|d| consts::permute(&d, perm))
                            .map_err(|e| fault(&e))?;
                        let moved = patch.constant(&value.name, data, value.ty.quant.clone());
                        new.insert(*v, moved);
                        moved
                    }
                }
                (None, None) => return Err(fault(&"an operand is neither inside nor inward")),
            };
            operands.push(moved);
        }
        let op = permuted(&node.op, perm).ok_or_else(|| fault(&"a node is not free"))?;
        let v = node.outputs()[0];
        let ty = transposed(graph.ty(v), perm).map_err(|e| fault(&e))?;
        let moved = patch.typed_node(&node.name, &op, &operands, vec![ty.clone()])[0];
        patch.set_range(moved, graph.value(v).range);
        new.insert(v, moved);
        let outside = graph.is_visible(v)
            || graph.value(v).uses().iter().any(|(n, _)| !region.nodes.contains(n));
        if outside {
            let name = format!("{}/transpose", graph.value(v).name);
            let restored = patch.node(graph, name, Transpose { perm: back.clone() }, &[moved])?;
            patch.replace(v, restored[0]);
        } else {
            patch.set_type(v, ty);
            patch.replace(v, moved);
        }
    }
    Ok(patch)
}

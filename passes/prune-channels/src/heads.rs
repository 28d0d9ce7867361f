//! Attention heads: found, weighed and taken away.
//!
//! What is recognised: queries, keys and values from a dense layer each, whose last axis a reshape splits into
//! heads and their features; transposes; a matrix product of queries and keys; scales, masks and the like that
//! are the same for all heads; a softmax; a matrix product with the values; a transpose; a reshape that
//! joins the heads again; a dense layer.

use paring_ir::ops::{Binary, Dense, MatMul, Reshape, Softmax, Transpose, Unary};
use paring_ir::{Graph, Node, NodeId, Patch, ValueId};
use paring_pass::{PassContext, PassError, consts};
use paring_tensor::{Dim, Shape};

/// A value and its axis of heads.
type Place = (ValueId, usize);

/// An attention whose heads can go.
pub(crate) struct Attention {
    /// Computes probabilities from scores.
    softmax: NodeId,
    pub(crate) heads: usize,
    /// The layers of queries, keys and values.
    makers: [NodeId; 3],
    /// The layer that reads all heads.
    reader: NodeId,
    /// The values between them that have an axis of heads.
    places: Vec<Place>,
    /// Those whose last axis has the features of all heads, one head after another.
    flat: Vec<ValueId>,
}

/// The attentions of a graph, and why softmaxes between matrix products are part of none.
pub(crate) fn find(graph: &Graph, cx: &PassContext<'_>) -> (Vec<Attention>, Vec<String>) {
    let (mut found, mut not) = (Vec::new(), Vec::new());
    for id in graph.topological() {
        let node = graph.node(id);
        if !node.op.is::<Softmax>() {
            continue;
        }
        match attention(graph, node) {
            Some(Ok(attention)) if cx.selects(graph.node(attention.reader)) => {
                found.push(attention);
            }
            Some(Err(why)) => not.push(format!("`{}`: {why}", node.name)),
            _ => {}
        }
    }
    (found, not)
}

/// The attention of a softmax; `None` if it stands between no matrix products.
fn attention(graph: &Graph, softmax: &Node) -> Option<Result<Attention, String>> {
    let mut scores = Vec::new();
    let first = above(graph, softmax.inputs()[0], &mut scores)?;
    scores.push(softmax.outputs()[0]);
    let second = graph.only_user(softmax.outputs()[0]).filter(|n| n.op.is::<MatMul>())?;
    Some(joined(graph, (softmax, first, second), &scores))
}

/// The matrix product that a value comes from by operations on each of its elements, and the values on the way.
fn above<'g>(graph: &'g Graph, from: ValueId, way: &mut Vec<ValueId>) -> Option<&'g Node> {
    let mut v = from;
    loop {
        way.push(v);
        let node = graph.producer(v)?;
        if node.op.is::<MatMul>() {
            return Some(node);
        }
        if !node.op.is::<Unary>() && !node.op.is::<Binary>() {
            return None;
        }
        // The operand that has the shape of the result; another is spread over it.
        let same = |x: &&ValueId| graph.ty(**x).shape == graph.ty(v).shape;
        v = *node.inputs().iter().filter(|x| graph.constant(**x).is_none()).find(same)?;
    }
}

fn joined(
    graph: &Graph,
    (softmax, first, second): (&Node, &Node, &Node),
    scores: &[ValueId],
) -> Result<Attention, String> {
    let rank = graph.ty(softmax.inputs()[0]).shape.rank();
    let Some(axis) = (0..rank.saturating_sub(2)).find(|axis| {
        let mut own = Vec::new();
        split(graph, first.inputs()[0], *axis, &mut own).is_ok()
    }) else {
        return Err("its queries are not split into heads by a reshape of a dense layer".into());
    };
    let op = softmax.op_as::<Softmax>();
    if op.is_none_or(|op| op.axis == axis) {
        return Err("it is taken over the heads".into());
    }
    let mut places: Vec<Place> = scores.iter().map(|v| (*v, axis)).collect();
    for v in scores {
        let node = graph.producer(*v).ok_or("its scores are an input")?;
        // What is spread over the scores may know no heads.
        let others = node.inputs().iter().filter(|x| !scores.contains(x) && node.op.is::<Binary>());
        for x in others {
            let dims = graph.ty(*x).shape.dims();
            let at = (dims.len() + axis).checked_sub(rank);
            if at.is_some_and(|at| dims[at] != Dim::Fixed(1)) {
                return Err(format!("`{}` differs from head to head", graph.value(*x).name));
            }
        }
    }
    let mut flat = Vec::new();
    let mut makers = Vec::new();
    for v in [first.inputs()[0], first.inputs()[1], second.inputs()[1]] {
        if graph.ty(v).shape.rank() != rank {
            return Err("queries, keys and values have different ranks".into());
        }
        let (maker, from) = split(graph, v, axis, &mut places)?;
        flat.push(from);
        makers.push(maker);
    }
    let heads = |place: &Place| graph.ty(place.0).shape.dims()[place.1].fixed();
    let count = heads(&places[0]).ok_or("how many heads it has is not known")?;
    let (reader, to) = join(graph, second.outputs()[0], axis, &mut places)?;
    flat.push(to);
    let makers = <[NodeId; 3]>::try_from(makers).map_err(|_| "it has no three operands")?;
    let values = places.iter().map(|p| p.0).chain(flat.iter().copied());
    for v in values {
        if graph.ty(v).quant.is_some() {
            return Err("it computes in integers; take heads away before quantizing".into());
        }
        if graph.only_user(v).is_none() {
            return Err(format!("`{}` is read elsewhere, too", graph.value(v).name));
        }
    }
    if places.iter().any(|p| heads(p) != Some(count)) {
        return Err("not all of its operands have the same heads".into());
    }
    Ok(Attention { softmax: softmax.id, heads: count, makers, reader, places, flat })
}

/// The dense layer whose result a reshape splits into heads, from there to a value's axis, and that result.
fn split(
    graph: &Graph,
    to: ValueId,
    axis: usize,
    places: &mut Vec<Place>,
) -> Result<(NodeId, ValueId), String> {
    let (mut v, mut axis) = (to, axis);
    loop {
        places.push((v, axis));
        let node = graph.producer(v).ok_or("its operands are inputs or constants")?;
        if let Some(op) = node.op_as::<Transpose>() {
            axis = *op.perm.get(axis).ok_or("a transpose of another rank")?;
            v = node.inputs()[0];
        } else if node.op.is::<Unary>() {
            v = node.inputs()[0];
        } else if node.op.is::<Binary>() && scalar_beside(graph, node).is_some() {
            v = scalar_beside(graph, node).unwrap_or(v);
        } else if node.op.is::<Reshape>() && merges(graph, (v, axis), node.inputs()[0]) {
            let flat = node.inputs()[0];
            let maker = graph.producer(flat).filter(|n| dense(graph, n));
            let maker = maker.ok_or("what is split into heads comes from no dense layer")?;
            return Ok((maker.id, flat));
        } else {
            return Err(format!("`{}` ({}) is not understood", node.name, node.op.name()));
        }
    }
}

/// The dense layer that reads the heads after a reshape has joined them, and what it reads.
fn join(
    graph: &Graph,
    from: ValueId,
    axis: usize,
    places: &mut Vec<Place>,
) -> Result<(NodeId, ValueId), String> {
    let (mut v, mut axis) = (from, axis);
    loop {
        places.push((v, axis));
        let node = graph.only_user(v).ok_or("its result is read by several nodes")?;
        let output = node.outputs()[0];
        if let Some(op) = node.op_as::<Transpose>() {
            let to = op.perm.iter().position(|p| *p == axis);
            axis = to.ok_or("a transpose of another rank")?;
            v = output;
        } else if node.op.is::<Reshape>() && merges(graph, (v, axis), output) {
            let reader = graph.only_user(output).filter(|n| dense(graph, n));
            let reader = reader.ok_or("no dense layer alone reads the joined heads")?;
            return Ok((reader.id, output));
        } else {
            return Err(format!("`{}` ({}) is not understood", node.name, node.op.name()));
        }
    }
}

/// The operand of a binary node beside a constant of one number.
fn scalar_beside(graph: &Graph, node: &Node) -> Option<ValueId> {
    match *node.inputs() {
        [a, b] if graph.constant(b).is_some_and(|c| c.len() == 1) => Some(a),
        [a, b] if graph.constant(a).is_some_and(|c| c.len() == 1) => Some(b),
        _ => None,
    }
}

/// Whether the heads and the last axis of a value are the last axis of another of the same elements.
fn merges(graph: &Graph, (parts, axis): Place, flat: ValueId) -> bool {
    let (parts, flat) = (graph.ty(parts).shape.dims(), graph.ty(flat).shape.dims());
    let ([before @ .., heads, size], [same @ .., all]) = (parts, flat) else { return false };
    axis + 2 == parts.len()
        && before == same
        && heads.fixed().zip(size.fixed()).map(|(h, s)| h * s) == all.fixed()
        && all.fixed().is_some()
}

/// Whether a node is a dense layer of real constant weights.
fn dense(graph: &Graph, node: &Node) -> bool {
    node.op.is::<Dense>()
        && node.inputs()[1..]
            .iter()
            .all(|v| graph.constant(*v).is_some() && graph.ty(*v).quant.is_none())
}

impl Attention {
    pub(crate) fn name<'g>(&self, graph: &'g Graph) -> &'g str {
        &graph.node(self.softmax).name
    }

    /// How much each head can add to what the reader computes of the values: the norm of the product of its
    /// weights in the reader and in the layer of the values.
    pub(crate) fn norms(&self, graph: &Graph) -> Vec<f64> {
        let of = |id: NodeId| {
            let data = consts::dense_f32(graph, graph.node(id).inputs()[1]).unwrap_or_default();
            let shape = graph.ty(graph.node(id).inputs()[1]).shape.fixed().unwrap_or_default();
            (data, shape.first().copied().unwrap_or(0), shape.last().copied().unwrap_or(0))
        };
        let ((v, features, reads), (o, outputs, _)) = (of(self.makers[2]), of(self.reader));
        let size = features / self.heads.max(1);
        let norm = |head: usize| -> f64 {
            let product = |row: usize, column: usize| -> f64 {
                let at = |f: usize| (o[row * features + f], v[f * reads + column]);
                let own = head * size..(head + 1) * size;
                own.map(at).map(|(o, v)| f64::from(o) * f64::from(v)).sum()
            };
            let all = (0..outputs).flat_map(|r| (0..reads).map(move |c| (r, c)));
            all.map(|(r, c)| product(r, c).powi(2)).sum::<f64>().sqrt()
        };
        (0..self.heads).map(norm).collect()
    }

    /// Takes all but some heads away, and shrinks every shape that they are part of.
    pub(crate) fn keep(
        &self,
        graph: &Graph,
        kept: &[usize],
        patch: &mut Patch,
    ) -> Result<(), PassError> {
        let features = |all: usize| -> Vec<usize> {
            let size = all / self.heads.max(1);
            kept.iter().flat_map(|h| h * size..(h + 1) * size).collect()
        };
        let mut ends: Vec<(NodeId, usize)> = self.makers.iter().map(|id| (*id, 0)).collect();
        ends.push((self.reader, 1));
        for (id, axis) in ends {
            let node = graph.node(id);
            let mut operands = node.inputs().to_vec();
            for (i, v) in operands.iter_mut().enumerate().skip(1) {
                let Some(data) = graph.constant(*v) else { continue };
                if i == 2 && axis == 1 {
                    continue;
                }
                let all = data.shape().get(axis).copied().unwrap_or(0);
                let data = consts::select(data, axis, &features(all))?;
                *v = patch.constant(&graph.value(*v).name, data, None);
            }
            patch.set_operands(id, operands);
        }
        let flat = self.flat.iter().map(|v| {
            let rank = graph.ty(*v).shape.rank();
            let all = graph.ty(*v).shape.dims()[rank - 1].fixed().unwrap_or(0);
            (*v, rank - 1, all / self.heads.max(1) * kept.len())
        });
        for (v, axis, extent) in
            self.places.iter().map(|(v, axis)| (*v, *axis, kept.len())).chain(flat)
        {
            let mut ty = graph.ty(v).clone();
            let mut dims = ty.shape.dims().to_vec();
            dims[axis] = Dim::Fixed(extent);
            if let Some(node) = graph.producer(v).filter(|n| n.op.is::<Reshape>()) {
                let shape = dims.iter().map(|d| d.fixed().map_or(-1, |n| n as i64)).collect();
                patch.set_op(node.id, Reshape { shape });
            }
            ty.shape = Shape::from(dims);
            patch.set_type(v, ty);
        }
        Ok(())
    }
}

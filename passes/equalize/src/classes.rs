use paring_ir::ops::{
    Activation, Binary, BinaryFn, Concat, Conv2d, Dense, Pad, Pool, PoolKind, Reduce, ReduceFn,
    Reshape, Resize, ResizeMethod, Transpose, Unary,
};
use paring_ir::{Def, Graph, Node, NodeId, ValueId};
use paring_pass::{PassContext, consts};
use paring_tensor::{ConstData, DType};
use std::collections::{BTreeMap, BTreeSet};

/// Values whose channels share their factors. Index `i` of a value's last axis has the factor
/// `i % channels`.
pub(crate) struct Class {
    pub(crate) channels: usize,
    pub(crate) values: Vec<ValueId>,
    /// Layers that read one of them.
    pub(crate) readers: Vec<NodeId>,
    /// Those that a ReLU6 clamps, whose channels may only grow as far as no sample comes to 6.
    pub(crate) clamped: Vec<ValueId>,
}

/// What is known of a value while classes are found.
#[derive(Clone)]
struct Entry {
    parent: ValueId,
    channels: usize,
    fixed: bool,
}

struct Sets<'g> {
    graph: &'g Graph,
    entries: BTreeMap<ValueId, Entry>,
    /// Whether channels before a ReLU6 may be scaled, and what such clamps compute.
    through_relu6: bool,
    clamped: BTreeSet<ValueId>,
}

impl Sets<'_> {
    fn root(&mut self, v: ValueId) -> ValueId {
        let mut at = v;
        loop {
            let graph = self.graph;
            let entry = self.entries.entry(at).or_insert_with(|| {
                let channels = graph.ty(at).shape.dims().last().and_then(|d| d.fixed());
                Entry { parent: at, channels: channels.unwrap_or(0), fixed: channels.is_none() }
            });
            if entry.parent == at {
                return at;
            }
            at = entry.parent;
        }
    }

    fn fix(&mut self, v: ValueId) {
        let root = self.root(v);
        if let Some(entry) = self.entries.get_mut(&root) {
            entry.fixed = true;
        }
    }

    fn join(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a), self.root(b));
        let (first, second) = (self.entries[&a].clone(), self.entries[&b].clone());
        let (most, least) =
            (first.channels.max(second.channels), first.channels.min(second.channels));
        if least == 0 || most % least != 0 {
            self.fix(a);
            self.fix(b);
            return;
        }
        let (to, from) = (a.min(b), a.max(b));
        let fixed = first.fixed || second.fixed;
        self.entries.insert(to, Entry { parent: to, channels: least, fixed });
        if to != from {
            self.entries.insert(from, Entry { parent: to, channels: least, fixed });
        }
    }
}

/// Whether a clamp commutes with positive factors.
fn homogeneous(activation: Activation) -> bool {
    matches!(activation, Activation::None | Activation::Relu)
}

/// The clamp of a layer whose weights and bias can be scaled.
pub(crate) fn layer(graph: &Graph, node: &Node) -> Option<Activation> {
    let activation = match (node.op_as::<Conv2d>(), node.op_as::<Dense>()) {
        (Some(conv), _) => conv.activation,
        (_, Some(dense)) => dense.activation,
        _ => return None,
    };
    let plain = |v: ValueId| {
        graph.ty(v).dtype == DType::F32
            && matches!(graph.constant(v), Some(ConstData::Dense(_) | ConstData::Sparse(_)))
    };
    node.inputs()[1..].iter().all(|v| plain(*v)).then_some(activation)
}

/// The classes whose factors may be chosen, in the order of their first values.
pub(crate) fn find(graph: &Graph, cx: &PassContext<'_>, through_relu6: bool) -> Vec<Class> {
    let (entries, clamped) = (BTreeMap::new(), BTreeSet::new());
    let mut sets = Sets { graph, entries, through_relu6, clamped };
    for port in graph.inputs().iter().chain(graph.outputs()) {
        sets.fix(port.value);
    }
    for state in graph.states() {
        sets.fix(state.current);
        sets.fix(state.next);
    }
    let mut readers: BTreeMap<ValueId, Vec<NodeId>> = BTreeMap::new();
    for id in graph.topological() {
        visit(&mut sets, graph.node(id), cx);
        let node = graph.node(id);
        if layer(graph, node).is_some() {
            readers.entry(node.inputs()[0]).or_default().push(id);
        }
    }
    let mut classes: BTreeMap<ValueId, Class> = BTreeMap::new();
    for value in graph.values() {
        let v = value.id;
        if value.ty.dtype != DType::F32 || !matches!(value.def(), Def::Node(..)) {
            continue;
        }
        let root = sets.root(v);
        let entry = &sets.entries[&root];
        if entry.fixed || entry.channels < 2 {
            continue;
        }
        let class = classes.entry(root).or_insert_with(|| Class {
            channels: entry.channels,
            values: Vec::new(),
            readers: Vec::new(),
            clamped: Vec::new(),
        });
        class.values.push(v);
        class.clamped.extend(sets.clamped.contains(&v).then_some(v));
        class.readers.extend(readers.get(&v).into_iter().flatten());
    }
    classes.into_values().filter(|c| !c.readers.is_empty()).collect()
}

/// Ties or fixes the values around a node.
fn visit(sets: &mut Sets<'_>, node: &Node, cx: &PassContext<'_>) {
    let graph = sets.graph;
    let (inputs, output) = (node.inputs(), node.outputs()[0]);
    if let Some(activation) = layer(graph, node) {
        if !cx.selects(node) {
            sets.fix(inputs[0]);
            sets.fix(output);
        } else if activation == Activation::Relu6 && sets.through_relu6 {
            sets.clamped.insert(output);
        } else if !homogeneous(activation) {
            sets.fix(output);
        }
        return;
    }
    if node.outputs().len() == 1 && ties(graph, node) {
        let real = inputs.iter().filter(|v| graph.constant(**v).is_none());
        for &v in real.filter(|v| graph.ty(**v).dtype == DType::F32) {
            sets.join(v, output);
        }
        return;
    }
    for &v in inputs.iter().chain(node.outputs()) {
        sets.fix(v);
    }
}

/// Whether a node's real operands and its result have the same factors.
fn ties(graph: &Graph, node: &Node) -> bool {
    let (inputs, output) = (node.inputs(), node.outputs()[0]);
    let rank = |v: ValueId| graph.ty(v).shape.rank();
    let computed = |i: usize| graph.constant(inputs[i]).is_none();
    if let Some(op) = node.op_as::<Binary>() {
        let same = |i: usize| graph.ty(inputs[i]).shape == graph.ty(output).shape;
        return homogeneous(op.activation)
            && match op.f {
                BinaryFn::Add | BinaryFn::Sub => (0..2)
                    .all(|i| if computed(i) { same(i) } else { shift(graph, node, i).is_some() }),
                BinaryFn::Prelu => same(0) && !computed(1),
                _ => false,
            };
    }
    if let Some(op) = node.op_as::<Unary>() {
        return matches!(op, Unary::Relu | Unary::LeakyRelu { .. });
    }
    if let Some(op) = node.op_as::<Pool>() {
        return matches!(op.kind, PoolKind::Max | PoolKind::Average) && homogeneous(op.activation);
    }
    if let Some(op) = node.op_as::<Reduce>() {
        let plain = matches!(op.f, ReduceFn::Mean | ReduceFn::Sum | ReduceFn::Max | ReduceFn::Min);
        return plain && !op.axes.is_empty() && !op.axes.contains(&(rank(inputs[0]) - 1));
    }
    if let Some(op) = node.op_as::<Resize>() {
        let along = op.axes.contains(&(rank(inputs[0]) - 1));
        return !along && op.extrapolation == 0.0 && op.method != ResizeMethod::Cubic;
    }
    if let Some(op) = node.op_as::<Pad>() {
        return op.pads.last() == Some(&[0, 0]) && inputs.len() == 1;
    }
    if let Some(op) = node.op_as::<Transpose>() {
        return op.perm.last() == Some(&(op.perm.len().wrapping_sub(1)));
    }
    if let Some(op) = node.op_as::<Concat>() {
        return op.axis + 1 != rank(output) && (0..inputs.len()).all(computed);
    }
    node.op.is::<Reshape>() && rank(inputs[0]) > 0 && rank(output) > 0
}

/// The numbers of a constant operand of an addition, one a channel.
pub(crate) fn shift(graph: &Graph, node: &Node, operand: usize) -> Option<Vec<f32>> {
    consts::per_channel(graph, node.inputs()[operand], &graph.ty(node.outputs()[0]).shape)
}

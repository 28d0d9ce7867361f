use crate::params::reach;
use crate::role::{Role, packed, role};
use crate::{Quantize, Unsupported, lstm};
use paring_ir::ops::Lstm;
use paring_ir::{Graph, NodeId, Refusal, ValueId};
use paring_pass::{PassContext, PassError};
use paring_tensor::{DType, Quant};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is to become of the graph.
pub(crate) struct Plan {
    /// What each node to be quantized becomes.
    pub(crate) roles: HashMap<NodeId, Role>,
    /// The quantization of each value that quantized nodes compute, read or are given.
    pub(crate) quants: HashMap<ValueId, Quant>,
    /// The quantization that a node computes where that is not the one of its result: a conversion
    /// follows it.
    pub(crate) natural: HashMap<ValueId, Quant>,
    /// Values of 16 bits beside activations of 8.
    pub(crate) wide: HashSet<ValueId>,
    /// Why nodes stay float.
    pub(crate) floats: HashMap<NodeId, String>,
}

/// Values that share a scale.
#[derive(Default)]
struct Group {
    range: Option<(f32, f32)>,
    fixed: Vec<(f32, i32)>,
    missing: Vec<ValueId>,
}

struct Sets {
    parent: HashMap<ValueId, ValueId>,
}

impl Sets {
    fn root(&mut self, v: ValueId) -> ValueId {
        let mut at = v;
        loop {
            let up = *self.parent.entry(at).or_insert(at);
            if up == at {
                return at;
            }
            let next = *self.parent.entry(up).or_insert(up);
            self.parent.insert(at, next);
            at = up;
        }
    }

    fn join(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller id leads, so that the outcome does not depend on the order of joins.
        self.parent.insert(a.max(b), a.min(b));
    }
}

/// Decides what every node becomes and with which scales.
pub(crate) fn plan(
    settings: &Quantize,
    graph: &Graph,
    cx: &PassContext<'_>,
) -> Result<Plan, PassError> {
    let mut floats = HashMap::new();
    let roles = assign(settings, graph, cx, &mut floats)?;
    let dtype = settings.activations.dtype;
    let real = |v: &ValueId| graph.ty(*v).dtype == DType::F32;
    let mut sets = Sets { parent: HashMap::new() };
    // Values that have a scale: what quantized nodes compute, and what they read except for the
    // weights and biases of layers. Constants of `Computes` nodes have a scale of their own each.
    let mut members: Vec<ValueId> = Vec::new();
    let mut fixed: BTreeMap<ValueId, (f32, i32)> = BTreeMap::new();
    let mut wide: HashMap<ValueId, Quant> = HashMap::new();
    for id in graph.topological() {
        let node = graph.node(id);
        if let (Some(Role::Lstm), Some(op)) = (roles.get(&id), node.op_as::<Lstm>()) {
            let quant = lstm::cell_scale(graph, node, op);
            wide.extend([node.inputs()[5], node.outputs()[2]].map(|v| (v, quant.clone())));
        }
    }
    for state in graph.states() {
        if real(&state.current) && !wide.contains_key(&state.current) {
            sets.join(state.current, state.next);
            members.extend([state.current, state.next]);
        }
    }
    for id in graph.topological() {
        let (node, Some(role)) = (graph.node(id), roles.get(&id)) else { continue };
        if *role == Role::Lstm {
            // Hidden states have one scale. A constant first state is quantized for itself.
            let (all, last) = (node.outputs()[0], node.outputs()[1]);
            sets.join(all, last);
            members.extend([node.inputs()[0], all, last]);
            if graph.constant(node.inputs()[4]).is_none() {
                sets.join(all, node.inputs()[4]);
                members.push(node.inputs()[4]);
            }
            continue;
        }
        let read: &[ValueId] = match role {
            Role::Layer => &node.inputs()[..1],
            Role::Dequantizes => &[],
            _ => node.inputs(),
        };
        let read: Vec<ValueId> = read.iter().copied().filter(|v| real(v)).collect();
        let computed: Vec<ValueId> = node.outputs().iter().copied().filter(|v| real(v)).collect();
        match role {
            Role::Shares => {
                let all: Vec<ValueId> = read.iter().chain(&computed).copied().collect();
                for pair in all.windows(2) {
                    sets.join(pair[0], pair[1]);
                }
            }
            Role::Fixed(i8, i16) => {
                let value = match dtype {
                    DType::I16 => *i16,
                    DType::U8 => (i8.0, i8.1 + 128),
                    _ => *i8,
                };
                fixed.extend(computed.iter().map(|v| (*v, value)));
            }
            Role::Dequantizes => {
                if let Some(q) = graph.ty(node.inputs()[0]).quant.as_ref()
                    && graph.constant(node.inputs()[0]).is_none()
                    && let Some(pair) = q.as_per_tensor()
                {
                    fixed.extend(computed.iter().map(|v| (*v, pair)));
                }
            }
            Role::Quantizes => {
                if let Some(pair) =
                    graph.ty(node.outputs()[0]).quant.as_ref().and_then(Quant::as_per_tensor)
                {
                    fixed.extend(read.iter().map(|v| (*v, pair)));
                }
            }
            Role::Layer | Role::Lstm | Role::Computes | Role::Reads => {}
        }
        members.extend(read.into_iter().chain(computed));
    }
    members.sort_unstable();
    members.dedup();
    members.retain(|v| packed(graph, *v).is_none());

    let mut groups: BTreeMap<ValueId, Group> = BTreeMap::new();
    for &v in &members {
        let group = groups.entry(sets.root(v)).or_default();
        if let Some(pair) = fixed.get(&v) {
            group.fixed.push(*pair);
            continue;
        }
        let range = match graph.constant(v) {
            Some(data) => extremes(&data.dense().to_f32()),
            None => graph.value(v).range,
        };
        match range {
            Some((low, high)) => {
                let old = group.range.unwrap_or((low, high));
                group.range = Some((old.0.min(low), old.1.max(high)));
            }
            None => group.missing.push(v),
        }
    }
    let mut missing: Vec<Refusal> = Vec::new();
    let mut quants: HashMap<ValueId, Quant> = HashMap::new();
    let mut natural: HashMap<ValueId, Quant> = HashMap::new();
    let mut chosen: HashMap<ValueId, Quant> = HashMap::new();
    for (root, group) in &groups {
        let quant = choose(group, dtype);
        // A value without a range is no trouble where the group's scale is known otherwise, since
        // sharing ops do not leave their operands' range.
        if group.range.is_none() && group.fixed.is_empty() {
            missing.extend(group.missing.iter().map(|v| {
                Refusal {
                    node: graph.value(*v).name.clone(),
                    op: graph.producer(*v).map_or("value", |n| n.op.name()).to_owned(),
                    why: "no calibrated range; run `calibrate` after the passes that change layers"
                        .into(),
                }
            }));
        }
        chosen.insert(*root, quant);
    }
    if !missing.is_empty() {
        return Err(PassError::Unsupported(missing));
    }
    for &v in &members {
        let Some(quant) = chosen.get(&sets.root(v)) else { continue };
        quants.insert(v, quant.clone());
        if let Some((scale, zero)) = fixed.get(&v) {
            let own = Quant::per_tensor(*scale, *zero);
            if own != *quant {
                natural.insert(v, own);
            }
        }
    }
    quants.extend(wide.iter().map(|(v, q)| (*v, q.clone())));
    let wide = wide.into_keys().collect();
    Ok(Plan { roles, quants, natural, wide, floats })
}

fn extremes(data: &[f32]) -> Option<(f32, f32)> {
    let first = *data.first()?;
    Some(data.iter().fold((first, first), |(l, h), x| (l.min(*x), h.max(*x))))
}

/// The scale of a group: a fixed one that covers everything else in it, or one over all ranges.
fn choose(group: &Group, dtype: DType) -> Quant {
    let mut all = group.range;
    for pair in &group.fixed {
        let (low, high) = reach(*pair, dtype);
        let old = all.unwrap_or((low, high));
        all = Some((old.0.min(low), old.1.max(high)));
    }
    let fits = |pair: &&(f32, i32)| {
        let (low, high) = reach(**pair, dtype);
        // Half a step beyond an end rounds to that end.
        let slack = pair.0 * 1.01;
        all.is_none_or(|(l, h)| l >= low - slack && h <= high + slack)
    };
    match group.fixed.iter().find(fits) {
        Some((scale, zero)) => Quant::per_tensor(*scale, *zero),
        None => {
            let (low, high) = all.unwrap_or((0.0, 0.0));
            Quant::covering(low, high, dtype)
        }
    }
}

/// Which nodes are quantized and as what.
fn assign(
    settings: &Quantize,
    graph: &Graph,
    cx: &PassContext<'_>,
    floats: &mut HashMap<NodeId, String>,
) -> Result<HashMap<NodeId, Role>, PassError> {
    let mut roles = HashMap::new();
    let mut refused = Vec::new();
    let known = graph.nodes().filter(|n| role(graph, n).is_some());
    cx.all_named(known, "node with real numbers")?;
    for id in graph.topological() {
        let node = graph.node(id);
        match role(graph, node) {
            None => {}
            Some(_) if !cx.selects(node) => {
                floats.insert(id, "stays float as asked".into());
            }
            Some(Ok(role)) => {
                roles.insert(id, role);
            }
            Some(Err(why)) if settings.unsupported == Unsupported::Float && !cx.names(node) => {
                floats.insert(id, format!("stays float: {why}"));
            }
            Some(Err(why)) => refused.push(Refusal {
                node: node.name.clone(),
                op: node.op.name().to_owned(),
                why: format!("{why}; `skip` it or set `unsupported = \"float\"` to keep it float"),
            }),
        }
    }
    for state in graph.states() {
        let value = graph.value(state.current);
        let integer = |id: &NodeId| roles.contains_key(id);
        let computed = graph.producer(state.next).is_some_and(|n| integer(&n.id));
        if value.ty.dtype == DType::F32
            && !(computed && value.uses().iter().all(|(id, _)| integer(id)))
        {
            refused.push(Refusal {
                node: value.name.clone(),
                op: "state".into(),
                why:
                    "a state of real numbers between nodes that stay float, or that is not computed"
                        .into(),
            });
        }
    }
    // A `dequantize` that only float nodes read stays.
    if refused.is_empty() { Ok(roles) } else { Err(PassError::Unsupported(refused)) }
}

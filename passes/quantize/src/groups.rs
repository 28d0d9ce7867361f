use crate::params::reach;
use crate::role::{Role, packed, role};
use crate::{Quantize, Unsupported, lstm};
use paring_ir::ops::Lstm;
use paring_ir::{Graph, NodeId, Refusal, ValueId};
use paring_pass::{PassContext, PassError};
use paring_tensor::{DType, Quant};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A value in the element type of the activations, or (`wide`) in 16 bits beside activations of 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Form {
    pub(crate) value: ValueId,
    pub(crate) wide: bool,
}

impl Form {
    pub(crate) fn new(value: ValueId, wide: bool) -> Self {
        Self { value, wide }
    }
}

/// What is to become of the graph.
pub(crate) struct Plan {
    /// What each node to be quantized becomes.
    pub(crate) roles: HashMap<NodeId, Role>,
    /// Nodes that read and compute 16 bits beside activations of 8.
    pub(crate) wide: HashSet<NodeId>,
    /// The quantization of each form of a value that quantized nodes compute, read or are given.
    pub(crate) quants: HashMap<Form, Quant>,
    /// The quantization that a node computes where that is not the one of its result: a conversion
    /// follows it.
    pub(crate) natural: HashMap<Form, Quant>,
    /// States of 16 bits beside activations of 8.
    pub(crate) cells: HashSet<ValueId>,
    /// Why nodes stay float.
    pub(crate) floats: HashMap<NodeId, String>,
}

impl Plan {
    /// The form that a value is computed or given in.
    pub(crate) fn native(&self, graph: &Graph, v: ValueId) -> Form {
        let computed = graph.producer(v).is_some_and(|n| self.wide.contains(&n.id));
        Form::new(v, computed || self.cells.contains(&v))
    }
}

/// Values that share a scale.
#[derive(Default)]
struct Group {
    range: Option<(f32, f32)>,
    fixed: Vec<(f32, i32)>,
    missing: Vec<ValueId>,
}

struct Sets {
    parent: HashMap<Form, Form>,
}

impl Sets {
    fn root(&mut self, v: Form) -> Form {
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

    fn join(&mut self, a: Form, b: Form) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller id leads, so that the outcome does not depend on the order of joins.
        self.parent.insert(a.max(b), a.min(b));
    }
}

/// What nodes become, and why others stay float.
pub(crate) type Assigned = (HashMap<NodeId, Role>, HashMap<NodeId, String>);

/// Decides what every node becomes and with which scales. Nodes of `wide` read and compute 16 bits.
pub(crate) fn plan(
    settings: &Quantize,
    graph: &Graph,
    (roles, floats): Assigned,
    wide: HashSet<NodeId>,
) -> Result<Plan, PassError> {
    let dtype = settings.activations.dtype;
    let real = |v: &ValueId| graph.ty(*v).dtype == DType::F32;
    let mut sets = Sets { parent: HashMap::new() };
    // Values that have a scale: what quantized nodes compute, and what they read except for the
    // weights and biases of layers. Constants of `Computes` nodes have a scale of their own each.
    let mut members: Vec<Form> = Vec::new();
    let mut fixed: BTreeMap<Form, (f32, i32)> = BTreeMap::new();
    let mut cells: HashMap<ValueId, Quant> = HashMap::new();
    for id in graph.topological() {
        let node = graph.node(id);
        if let (Some(Role::Lstm), Some(op)) = (roles.get(&id), node.op_as::<Lstm>()) {
            let quant = lstm::cell_scale(graph, node, op);
            cells.extend([node.inputs()[5], node.outputs()[2]].map(|v| (v, quant.clone())));
        }
    }
    let narrow = |v: ValueId| Form::new(v, false);
    for state in graph.states() {
        if real(&state.current) && !cells.contains_key(&state.current) {
            sets.join(narrow(state.current), narrow(state.next));
            members.extend([narrow(state.current), narrow(state.next)]);
        }
    }
    for id in graph.topological() {
        let (node, Some(role)) = (graph.node(id), roles.get(&id)) else { continue };
        if *role == Role::Lstm {
            // Hidden states have one scale. A constant first state is quantized for itself.
            let (all, last) = (narrow(node.outputs()[0]), narrow(node.outputs()[1]));
            sets.join(all, last);
            members.extend([narrow(node.inputs()[0]), all, last]);
            if graph.constant(node.inputs()[4]).is_none() {
                sets.join(all, narrow(node.inputs()[4]));
                members.push(narrow(node.inputs()[4]));
            }
            continue;
        }
        let own = |v: &ValueId| Form::new(*v, wide.contains(&id));
        let read: &[ValueId] = match role {
            Role::Layer => &node.inputs()[..1],
            Role::Dequantizes => &[],
            _ => node.inputs(),
        };
        let read: Vec<Form> = read.iter().filter(|v| real(v)).map(own).collect();
        let computed: Vec<Form> = node.outputs().iter().filter(|v| real(v)).map(own).collect();
        match role {
            Role::Shares => {
                let all: Vec<Form> = read.iter().chain(&computed).copied().collect();
                for pair in all.windows(2) {
                    sets.join(pair[0], pair[1]);
                }
            }
            Role::Fixed(i8, i16) => {
                let value = match dtype_of(dtype, wide.contains(&id)) {
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
    // What is given to the network and what it gives have the type of the activations.
    let ports = members.iter().filter(|f| f.wide).map(|f| f.value);
    let ports: Vec<Form> = ports
        .filter(|v| graph.is_visible(*v) || graph.inputs().iter().any(|p| p.value == *v))
        .map(narrow)
        .collect();
    members.extend(ports);
    members.sort_unstable();
    members.dedup();
    members.retain(|form| packed(graph, form.value).is_none());

    let mut groups: BTreeMap<Form, Group> = BTreeMap::new();
    for &form in &members {
        let group = groups.entry(sets.root(form)).or_default();
        if let Some(pair) = fixed.get(&form) {
            group.fixed.push(*pair);
            continue;
        }
        let range = match graph.constant(form.value) {
            Some(data) => extremes(&data.dense().to_f32()),
            None => graph.value(form.value).range,
        };
        match range {
            Some((low, high)) => {
                let old = group.range.unwrap_or((low, high));
                group.range = Some((old.0.min(low), old.1.max(high)));
            }
            None => group.missing.push(form.value),
        }
    }
    let mut missing: Vec<Refusal> = Vec::new();
    let mut quants: HashMap<Form, Quant> = HashMap::new();
    let mut natural: HashMap<Form, Quant> = HashMap::new();
    let mut chosen: HashMap<Form, Quant> = HashMap::new();
    for (root, group) in &groups {
        let quant = choose(group, dtype_of(dtype, root.wide));
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
    for &form in &members {
        let Some(quant) = chosen.get(&sets.root(form)) else { continue };
        quants.insert(form, quant.clone());
        if let Some((scale, zero)) = fixed.get(&form) {
            let own = Quant::per_tensor(*scale, *zero);
            if own != *quant {
                natural.insert(form, own);
            }
        }
    }
    quants.extend(cells.iter().map(|(v, q)| (Form::new(*v, true), q.clone())));
    let cells = cells.into_keys().collect();
    Ok(Plan { roles, wide, quants, natural, cells, floats })
}

/// The element type of a form of a value beside activations of `dtype`.
pub(crate) fn dtype_of(dtype: DType, wide: bool) -> DType {
    if wide { DType::I16 } else { dtype }
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

/// Which nodes are quantized and as what, and why others stay float.
pub(crate) fn assign(
    settings: &Quantize,
    graph: &Graph,
    cx: &PassContext<'_>,
) -> Result<Assigned, PassError> {
    let (mut roles, mut floats) = (HashMap::new(), HashMap::new());
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
    if refused.is_empty() { Ok((roles, floats)) } else { Err(PassError::Unsupported(refused)) }
}

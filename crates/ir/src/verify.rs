use crate::graph::Def;
use crate::{Graph, NodeId, ValueId};
use petgraph::visit::{
    DfsPostOrder, GraphBase, GraphRef, IntoNeighbors, IntoNodeIdentifiers, NodeIndexable, Visitable,
};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Proof that a graph has no faults; what backends take. Holds the order in which nodes can run.
#[derive(Clone, Debug)]
pub struct Verified<'g> {
    graph: &'g Graph,
    order: Vec<NodeId>,
}

impl<'g> Verified<'g> {
    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// Every node after the producers of its operands.
    #[must_use]
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }
}

/// One fault and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `node`, `value`, `input`, `output` or `state` and the name.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// All faults of a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} in graph `{graph}`:{}", count(faults.len()), crate::exec::lines(faults))]
pub struct VerifyErrors {
    /// Name of the graph.
    pub graph: String,
    /// The faults, in order of place.
    pub faults: Vec<Fault>,
}

fn count(n: usize) -> String {
    if n == 1 { "1 fault".to_owned() } else { format!("{n} faults") }
}

/// Checks everything that must hold of a graph and reports all faults:
///
/// - operands and results exist, and definitions and uses agree;
/// - names are unique and not empty;
/// - every node computes the types that its outputs declare;
/// - quantizations fit their types, constants fit theirs, calibrated ranges are finite and ordered;
/// - there are outputs, each of an existing value; external layouts are permutations;
/// - states start, continue and end in one type;
/// - no node depends on itself.
///
/// # Errors
/// All faults found.
pub fn verify(graph: &Graph) -> Result<Verified<'_>, VerifyErrors> {
    let mut faults = Vec::new();
    check_values(graph, &mut faults);
    check_nodes(graph, &mut faults);
    check_ports(graph, &mut faults);
    let order = if faults.is_empty() { order(graph, &mut faults) } else { Vec::new() };
    if faults.is_empty() {
        Ok(Verified { graph, order })
    } else {
        Err(VerifyErrors { graph: graph.name().to_owned(), faults })
    }
}

impl Graph {
    /// [`verify`] as a method.
    ///
    /// # Errors
    /// All faults found.
    pub fn verified(&self) -> Result<Verified<'_>, VerifyErrors> {
        verify(self)
    }
}

fn check_values(graph: &Graph, faults: &mut Vec<Fault>) {
    let mut names = HashSet::new();
    let inputs = counts(graph.inputs.iter().map(|p| p.value));
    let states = counts(graph.states.iter().map(|s| s.current));
    for value in graph.values() {
        let mut fault = |what: String| {
            faults.push(Fault { place: format!("value `{}`", value.name), what });
        };
        if value.name.is_empty() {
            fault("has no name".into());
        } else if !names.insert(&value.name) {
            fault("another value has the same name".into());
        }
        if let Err(e) = value.ty.check() {
            fault(e.to_string());
        }
        if let Some((low, high)) = value.range
            && !(low.is_finite() && high.is_finite() && low <= high)
        {
            fault(format!("calibrated range [{low}, {high}]"));
        }
        match &value.def {
            Def::Const(data) => {
                let stored = (data.dtype(), data.shape());
                if value.ty.dtype != stored.0 || value.ty.shape != stored.1.into() {
                    fault(format!("is {} but stores {}{:?}", value.ty, stored.0, stored.1));
                }
            }
            Def::Node(node, i) => {
                let back = graph.get_node(*node).and_then(|n| n.outputs.get(*i));
                if back != Some(&value.id) {
                    fault(format!("is not output {i} of a node"));
                }
            }
            Def::Input => {
                if inputs.get(&value.id) != Some(&1) {
                    fault("is an input value but not one input of the graph".into());
                }
            }
            Def::State => {
                if states.get(&value.id) != Some(&1) {
                    fault("is a state value but not of one state of the graph".into());
                }
            }
        }
        let users = |(n, i): &(NodeId, usize)| {
            graph.get_node(*n).and_then(|n| n.inputs.get(*i)) == Some(&value.id)
        };
        if !value.uses.iter().all(users) {
            fault("has a use that does not read it".into());
        }
    }
}

/// How often each value is listed.
fn counts(values: impl Iterator<Item = ValueId>) -> HashMap<ValueId, usize> {
    let mut counts = HashMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

fn check_nodes(graph: &Graph, faults: &mut Vec<Fault>) {
    let mut names = HashSet::new();
    // One value can have a million readers, so its list of them is not searched for each.
    let uses: HashSet<(ValueId, NodeId, usize)> =
        graph.values().flat_map(|v| v.uses.iter().map(|(n, i)| (v.id, *n, *i))).collect();
    for node in graph.nodes() {
        let mut fault = |what: String| {
            faults.push(Fault { place: format!("node `{}`", node.name), what });
        };
        if node.name.is_empty() {
            fault("has no name".into());
        } else if !names.insert(&node.name) {
            fault("another node has the same name".into());
        }
        let mut complete = true;
        for (i, v) in node.inputs.iter().enumerate() {
            match graph.get_value(*v) {
                Some(_) if uses.contains(&(*v, node.id, i)) => {}
                Some(value) => {
                    fault(format!("operand {i} `{}` does not know this use", value.name))
                }
                None => {
                    complete = false;
                    fault(format!("operand {i} does not exist"));
                }
            }
        }
        for (i, v) in node.outputs.iter().enumerate() {
            if graph.get_value(*v).is_none_or(|v| v.def != Def::Node(node.id, i)) {
                complete = false;
                fault(format!("output {i} does not exist"));
            }
        }
        if complete && let Err(e) = graph.check(node) {
            let text = e.to_string();
            let prefix = format!("node `{}` ", node.name);
            fault(text.strip_prefix(&prefix).unwrap_or(&text).to_owned());
        }
    }
}

fn check_ports(graph: &Graph, faults: &mut Vec<Fault>) {
    let ports = graph.inputs.iter().map(|p| ("input", p));
    for (kind, port) in ports.chain(graph.outputs.iter().map(|p| ("output", p))) {
        let place = || format!("{kind} `{}`", port.name);
        let Some(value) = graph.get_value(port.value) else {
            faults.push(Fault { place: place(), what: "its value does not exist".into() });
            continue;
        };
        if let Some(perm) = &port.external {
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            if !sorted.into_iter().eq(0..value.ty.shape.rank()) {
                let what = format!("external layout {perm:?} does not reorder {}", value.ty);
                faults.push(Fault { place: place(), what });
            }
        }
    }
    if graph.outputs.is_empty() {
        let place = format!("graph `{}`", graph.name());
        faults.push(Fault { place, what: "has no outputs".into() });
    }
    for state in &graph.states {
        let (current, next) = (graph.get_value(state.current), graph.get_value(state.next));
        let (Some(current), Some(next)) = (current, next) else {
            faults.push(Fault { place: "a state".into(), what: "its values do not exist".into() });
            continue;
        };
        let place = format!("state `{}`", current.name);
        if current.ty != next.ty {
            let what = format!("is {} but becomes `{}` of {}", current.ty, next.name, next.ty);
            faults.push(Fault { place: place.clone(), what });
        }
        let initial = (state.initial.dtype(), state.initial.shape());
        if current.ty.dtype != initial.0 || current.ty.shape != initial.1.into() {
            let what = format!("is {} but starts as {}{:?}", current.ty, initial.0, initial.1);
            faults.push(Fault { place, what });
        }
    }
}

/// The nodes as petgraph's algorithms see them: an edge from a node to each producer of its operands.
#[derive(Clone, Copy)]
struct Producers<'g>(&'g Graph);

impl GraphBase for Producers<'_> {
    type NodeId = NodeId;
    type EdgeId = (NodeId, usize);
}

impl GraphRef for Producers<'_> {}

impl<'g> IntoNeighbors for Producers<'g> {
    type Neighbors = Box<dyn Iterator<Item = NodeId> + 'g>;

    fn neighbors(self, node: NodeId) -> Self::Neighbors {
        // Reversed, since petgraph visits the last neighbour first.
        let inputs = self.0.node(node).inputs.iter().rev();
        Box::new(inputs.filter_map(move |v| self.0.producer(*v).map(|n| n.id)))
    }
}

impl Visitable for Producers<'_> {
    type Map = HashSet<NodeId>;

    fn visit_map(&self) -> Self::Map {
        HashSet::new()
    }

    fn reset_map(&self, map: &mut Self::Map) {
        map.clear();
    }
}

impl NodeIndexable for Producers<'_> {
    fn node_bound(&self) -> usize {
        self.0.node_bound()
    }

    fn to_index(&self, node: NodeId) -> usize {
        node.index()
    }

    fn from_index(&self, index: usize) -> NodeId {
        NodeId(index as u32)
    }
}

impl<'g> IntoNodeIdentifiers for Producers<'g> {
    type NodeIdentifiers = Box<dyn Iterator<Item = NodeId> + 'g>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        Box::new(self.0.nodes().map(|n| n.id))
    }
}

/// Depth-first from the outputs, so that a node stands close before its first user; nodes that no
/// output needs come last. Nothing, and the faults, if nodes depend on themselves.
fn order(graph: &Graph, faults: &mut Vec<Fault>) -> Vec<NodeId> {
    let view = Producers(graph);
    let wanted = graph.outputs.iter().map(|p| p.value).chain(graph.states.iter().map(|s| s.next));
    let roots: Vec<NodeId> = wanted
        .filter_map(|v: ValueId| graph.producer(v).map(|n| n.id))
        .chain(graph.nodes().map(|n| n.id))
        .collect();
    let mut order = Vec::with_capacity(graph.nodes().count());
    let mut walk = DfsPostOrder::empty(view);
    for root in roots {
        walk.move_to(root);
        while let Some(node) = walk.next(view) {
            order.push(node);
        }
    }
    let mut at = vec![usize::MAX; graph.node_bound()];
    order.iter().enumerate().for_each(|(i, n)| at[n.index()] = i);
    let before = |node: &NodeId| {
        view.neighbors(*node).all(|producer| at[producer.index()] < at[node.index()])
    };
    if order.iter().all(before) {
        return order;
    }
    for component in petgraph::algo::tarjan_scc(view) {
        let own = |n: NodeId| view.neighbors(n).any(|producer| producer == n);
        if component.len() > 1 || own(component[0]) {
            let mut names: Vec<_> =
                component.iter().map(|n| format!("`{}`", graph.node(*n).name)).collect();
            names.sort();
            let what = format!("depends on itself, through {}", names.join(", "));
            faults.push(Fault { place: format!("node {}", names[0]), what });
        }
    }
    Vec::new()
}

impl Graph {
    /// The nodes in an order in which they can run, also of a graph with other faults; nodes on a
    /// cycle are left in order of their ids.
    #[must_use]
    pub fn topological(&self) -> Vec<NodeId> {
        let order = order(self, &mut Vec::new());
        if order.is_empty() { self.nodes().map(|n| n.id).collect() } else { order }
    }

    /// For each value, the position in `order` of its last reader; visible values are read after the
    /// last node. Values that nothing reads are absent.
    #[must_use]
    pub fn last_uses(&self, order: &[NodeId]) -> HashMap<ValueId, usize> {
        let mut last = HashMap::new();
        for (at, node) in order.iter().enumerate() {
            for v in &self.node(*node).inputs {
                last.insert(*v, at);
            }
        }
        for v in self.outputs.iter().map(|p| p.value).chain(self.states.iter().map(|s| s.next)) {
            last.insert(v, order.len());
        }
        last
    }
}

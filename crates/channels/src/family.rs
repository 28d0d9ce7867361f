use crate::link::{Link, channels};
use paring_ir::{Def, Graph, NodeId, ValueId};
use std::collections::{BTreeMap, HashMap};

/// Channels that can only go together.
pub type Group = Vec<(ValueId, usize)>;

/// Groups of channels that lie in the same values, such as the channels of a layer's result and of all
/// that is added to it.
#[derive(Clone, Debug)]
pub struct Family {
    /// The values, by their ids.
    pub values: Vec<ValueId>,
    /// The groups, each with channels of every one of the values, in the order of the first value's.
    pub groups: Vec<Group>,
}

/// All families of which channels may go.
#[derive(Clone, Debug)]
pub struct Families {
    /// In the order of their first values.
    pub all: Vec<Family>,
}

/// Sets that are joined one after another.
struct Sets {
    first: HashMap<ValueId, usize>,
    parent: Vec<usize>,
    /// Whether a set has to stay.
    pinned: Vec<bool>,
}

impl Sets {
    fn index(&self, v: ValueId, channel: usize) -> Option<usize> {
        self.first.get(&v).map(|f| f + channel)
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.parent[i] != i {
            self.parent[i] = self.parent[self.parent[i]];
            i = self.parent[i];
        }
        i
    }

    fn join(&mut self, a: (ValueId, usize), b: (ValueId, usize)) {
        let (Some(a), Some(b)) = (self.index(a.0, a.1), self.index(b.0, b.1)) else { return };
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.parent[high] = low;
        self.pinned[low] |= self.pinned[high];
    }

    fn pin(&mut self, v: ValueId, channel: usize) {
        if let Some(i) = self.index(v, channel) {
            let root = self.root(i);
            self.pinned[root] = true;
        }
    }
}

impl Families {
    /// The families of a graph. Channels of inputs, outputs and states stay, and so do those that a
    /// node without a link reads or computes.
    #[must_use]
    pub fn of(graph: &Graph, links: &HashMap<NodeId, Link>) -> Self {
        let width = |v: ValueId| channels(graph, v).unwrap_or(0);
        let values: Vec<ValueId> =
            graph.values().filter(|v| v.constant().is_none()).map(|v| v.id).collect();
        let mut sets = Sets { first: HashMap::new(), parent: Vec::new(), pinned: Vec::new() };
        for &v in &values {
            let from = sets.parent.len();
            sets.first.insert(v, from);
            sets.parent.extend(from..from + width(v));
            sets.pinned.resize(sets.parent.len(), false);
        }
        for &id in &values {
            let value = graph.value(id);
            let unlinked = |n: &NodeId| !links.contains_key(n);
            let fixed = match value.def() {
                Def::Node(n, _) => unlinked(n),
                Def::Input | Def::State => true,
                Def::Const(_) => false,
            };
            if fixed || graph.is_visible(id) || value.uses().iter().any(|(n, _)| unlinked(n)) {
                (0..width(id)).for_each(|c| sets.pin(id, c));
            }
        }
        for (id, link) in links {
            let node = graph.node(*id);
            let (x, y) = (node.inputs()[0], node.outputs()[0]);
            match link {
                Link::Layer(_) => {}
                Link::Depthwise(layer, multiplier) => {
                    let m = (*multiplier).max(1);
                    (0..layer.outputs()).for_each(|o| sets.join((x, o / m), (y, o)));
                }
                Link::Same => {
                    for &v in node.inputs().iter().filter(|v| graph.constant(**v).is_none()) {
                        for c in 0..width(v) {
                            if width(v) == width(y) {
                                sets.join((v, c), (y, c));
                            } else {
                                sets.pin(v, c);
                            }
                        }
                    }
                }
                Link::Concat => {
                    let mut from = 0;
                    for &v in node.inputs() {
                        for c in 0..width(v) {
                            if graph.constant(v).is_some() {
                                sets.pin(y, from + c);
                            } else {
                                sets.join((v, c), (y, from + c));
                            }
                        }
                        from += width(v);
                    }
                }
                Link::Flatten => {
                    let n = width(x).max(1);
                    (0..width(y)).for_each(|f| sets.join((x, f % n), (y, f)));
                }
            }
        }
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        for &v in &values {
            for c in 0..width(v) {
                if let Some(i) = sets.index(v, c) {
                    let root = sets.root(i);
                    if !sets.pinned[root] {
                        groups.entry(root).or_default().push((v, c));
                    }
                }
            }
        }
        let mut families: BTreeMap<Vec<ValueId>, Vec<Group>> = BTreeMap::new();
        for group in groups.into_values() {
            let mut own: Vec<ValueId> = group.iter().map(|(v, _)| *v).collect();
            own.dedup();
            families.entry(own).or_default().push(group);
        }
        let all = families.into_iter().map(|(values, groups)| Family { values, groups }).collect();
        Self { all }
    }
}

use crate::constant::Constants;
use crate::link::{Link, channels};
use paring_ir::{Def, Graph, Node, NodeId, ValueId};
use std::collections::HashMap;

/// For each value, which channels stay.
#[derive(Clone, Debug)]
pub struct Keep(HashMap<ValueId, Vec<bool>>);

impl Keep {
    /// Everything but some channels stays.
    #[must_use]
    pub fn all_but(graph: &Graph, gone: impl IntoIterator<Item = (ValueId, usize)>) -> Self {
        let mut keep = Self(HashMap::new());
        for (v, channel) in gone {
            let n = channels(graph, v).unwrap_or(0);
            let own = keep.0.entry(v).or_insert_with(|| vec![true; n]);
            if let Some(stays) = own.get_mut(channel) {
                *stays = false;
            }
        }
        keep
    }

    /// Whether a channel stays.
    #[must_use]
    pub fn keeps(&self, v: ValueId, channel: usize) -> bool {
        self.0.get(&v).and_then(|k| k.get(channel)).copied().unwrap_or(true)
    }

    /// The channels that stay, if some go.
    #[must_use]
    pub fn kept(&self, v: ValueId) -> Option<Vec<usize>> {
        let keep = self.0.get(&v)?;
        if keep.iter().all(|k| *k) {
            return None;
        }
        Some((0..keep.len()).filter(|c| keep[*c]).collect())
    }

    fn want(&mut self, v: ValueId, channel: usize) -> bool {
        match self.0.get_mut(&v).and_then(|k| k.get_mut(channel)) {
            Some(keep) if !*keep => {
                *keep = true;
                true
            }
            _ => false,
        }
    }

    fn want_all(&mut self, v: ValueId) -> bool {
        let n = self.0.get(&v).map_or(0, Vec::len);
        (0..n).fold(false, |any, c| self.want(v, c) | any)
    }
}

/// Starts from nothing and adds every channel that an output, a node of unknown kind or a kept channel
/// elsewhere demands, until nothing is added.
pub(crate) fn find(graph: &Graph, links: &HashMap<NodeId, Link>, constants: &Constants) -> Keep {
    let mut keep = Keep(HashMap::new());
    for value in graph.values() {
        if value.constant().is_none()
            && let Some(n) = channels(graph, value.id)
        {
            keep.0.insert(value.id, vec![false; n]);
        }
    }
    for value in graph.values() {
        let linked = |n: &NodeId| links.contains_key(n);
        let fixed = match value.def() {
            Def::Node(n, _) => !linked(n),
            Def::Input | Def::State => true,
            Def::Const(_) => false,
        };
        if fixed || graph.is_visible(value.id) || !value.uses().iter().all(|(n, _)| linked(n)) {
            keep.want_all(value.id);
        }
    }
    let order = graph.topological();
    let settle = |keep: &mut Keep| loop {
        let mut changed = false;
        for id in order.iter().rev() {
            if let Some(link) = links.get(id) {
                changed |= visit(graph, graph.node(*id), link, constants, keep);
            }
        }
        if !changed {
            break;
        }
    };
    settle(&mut keep);
    // No value may lose all of its channels.
    for id in &order {
        for v in graph.node(*id).outputs() {
            if keep.0.get(v).is_some_and(|k| !k.is_empty() && !k.contains(&true)) {
                keep.want(*v, 0);
                settle(&mut keep);
            }
        }
    }
    keep
}

/// Passes demands through one node; whether something was added.
fn visit(graph: &Graph, node: &Node, link: &Link, constants: &Constants, keep: &mut Keep) -> bool {
    let (x, output) = (node.inputs()[0], node.outputs()[0]);
    let mut changed = false;
    match link {
        Link::Layer(layer) => {
            let known = constants.get(&x);
            for o in (0..layer.outputs()).filter(|o| keep.keeps(output, *o)).collect::<Vec<_>>() {
                for i in (0..layer.reads()).filter(|i| layer.uses(o, *i)) {
                    let number = known.and_then(|k| k[i]);
                    let is_bias = number.is_some_and(|n| layer.as_bias(o, i, n).is_some());
                    if !is_bias {
                        changed |= keep.want(x, i);
                    }
                }
            }
            // A bias that would overflow keeps the channels that it would take up.
            if !changed && let Some(known) = known {
                let extra: Option<Vec<f64>> = (0..layer.outputs())
                    .map(|o| {
                        if !keep.keeps(output, o) {
                            return Some(0.0);
                        }
                        (0..layer.reads())
                            .filter(|i| !keep.keeps(x, *i) && layer.uses(o, *i))
                            .map(|i| layer.as_bias(o, i, known[i]?))
                            .sum()
                    })
                    .collect();
                if extra
                    .is_none_or(|e| layer.bias_with(&e).is_none() && e.iter().any(|x| *x != 0.0))
                {
                    changed |= keep.want_all(x);
                }
            }
        }
        Link::Depthwise(layer, multiplier) => {
            for c in 0..layer.outputs() / (*multiplier).max(1) {
                let filters = c * multiplier..(c + 1) * multiplier;
                if keep.keeps(x, c) || filters.clone().any(|o| keep.keeps(output, o)) {
                    changed |= keep.want(x, c);
                    changed |= filters.fold(false, |any, o| keep.want(output, o) | any);
                }
            }
        }
        Link::Same => {
            let width = channels(graph, output).unwrap_or(0);
            let computed = |v: &&ValueId| graph.constant(**v).is_none();
            let (wide, narrow): (Vec<ValueId>, Vec<ValueId>) = node
                .inputs()
                .iter()
                .filter(computed)
                .copied()
                .partition(|v| channels(graph, *v) == Some(width));
            for v in narrow {
                changed |= keep.want_all(v);
            }
            for c in 0..width {
                if keep.keeps(output, c) || wide.iter().any(|v| keep.keeps(*v, c)) {
                    changed |= keep.want(output, c);
                    changed |= wide.iter().fold(false, |any, v| keep.want(*v, c) | any);
                }
            }
        }
        Link::Concat => {
            let mut from = 0;
            for v in node.inputs() {
                let n = channels(graph, *v).unwrap_or(0);
                let constant = graph.constant(*v).is_some();
                for c in 0..n {
                    let stays = keep.keeps(output, from + c);
                    if constant {
                        changed |= keep.want(output, from + c);
                    } else if stays || keep.keeps(*v, c) {
                        changed |= keep.want(output, from + c) | keep.want(*v, c);
                    }
                }
                from += n;
            }
        }
        Link::Flatten => {
            let n = channels(graph, x).unwrap_or(1).max(1);
            let width = channels(graph, output).unwrap_or(0);
            for c in 0..n {
                let features = || (c..width).step_by(n);
                if keep.keeps(x, c) || features().any(|f| keep.keeps(output, f)) {
                    changed |= keep.want(x, c);
                    changed |= features().fold(false, |any, f| keep.want(output, f) | any);
                }
            }
        }
    }
    changed
}

//! Work, predicted from how many channels values keep.

use paring_channels::{Link, channels};
use paring_ir::{Graph, Node, NodeId, ValueId};
use std::collections::HashMap;

struct Layer {
    x: ValueId,
    y: ValueId,
    reads: f64,
    outputs: f64,
    depthwise: bool,
    work: f64,
}

/// The work of the layers whose channels may go, and of the others.
pub(crate) struct Work {
    layers: Vec<Layer>,
    rest: f64,
}

impl Work {
    /// The work of each node by `price`: of multiply-accumulates, or of anything else that grows with the
    /// channels that a layer reads and makes.
    pub(crate) fn of(
        graph: &Graph,
        links: &HashMap<NodeId, Link>,
        price: &dyn Fn(&Node) -> Option<u64>,
    ) -> Self {
        let mut layers = Vec::new();
        let mut rest = 0.0;
        for id in graph.topological() {
            let node = graph.node(id);
            let work = price(node).unwrap_or(0) as f64;
            let depthwise = match links.get(&id) {
                Some(Link::Layer(_)) => false,
                Some(Link::Depthwise(..)) => true,
                _ => {
                    rest += work;
                    continue;
                }
            };
            let (x, y) = (node.inputs()[0], node.outputs()[0]);
            let width = |v: ValueId| channels(graph, v).unwrap_or(1).max(1) as f64;
            layers.push(Layer { x, y, reads: width(x), outputs: width(y), depthwise, work });
        }
        Self { layers, rest }
    }

    /// The work when so many channels of values are gone.
    pub(crate) fn total(&self, gone: &HashMap<ValueId, usize>) -> f64 {
        let left = |v: &ValueId, n: f64| (n - gone.get(v).copied().unwrap_or(0) as f64) / n;
        self.rest
            + self
                .layers
                .iter()
                .map(|l| {
                    let reads = if l.depthwise { 1.0 } else { left(&l.x, l.reads) };
                    l.work * reads * left(&l.y, l.outputs)
                })
                .sum::<f64>()
    }
}

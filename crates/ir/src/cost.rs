use crate::{Graph, Node};
use paring_tensor::TensorType;
use std::any::TypeId;

/// How many multiply-accumulates an op takes; ops that have none need no entry.
pub struct CostEntry {
    /// The identity of the op's type.
    pub key: fn() -> TypeId,
    /// Multiply-accumulates of a node with these input and output types; `None` where a size is
    /// unbound or overflows.
    pub macs: fn(&Node, &[&TensorType], &[&TensorType]) -> Option<u64>,
}

inventory::collect!(CostEntry);

/// Multiply-accumulates of a node: those of convolutions and matrix products, the field's usual
/// count. `None` where a size is unbound.
#[must_use]
pub fn macs(graph: &Graph, node: &Node) -> Option<u64> {
    let key = node.op.key();
    let Some(entry) = inventory::iter::<CostEntry>.into_iter().find(|e| (e.key)() == key) else {
        return Some(0);
    };
    let inputs: Vec<_> = node.inputs().iter().map(|v| graph.ty(*v)).collect();
    let outputs: Vec<_> = node.outputs().iter().map(|v| graph.ty(*v)).collect();
    (entry.macs)(node, &inputs, &outputs)
}

use crate::layer::Layer;
use paring_ir::ops::{
    Binary, Concat, Conv2d, Dense, Dequantize, Pad, Pool, Quantize, Reduce, Reshape, Resize, Slice,
    Unary,
};
use paring_ir::{Graph, Node, NodeId, ValueId};
use paring_pass::PassContext;
use std::collections::HashMap;

/// How the channels (last axis) of a node's operands and result belong together.
pub enum Link {
    /// Every output channel sees every input channel: the weights say how.
    Layer(Layer),
    /// Each input channel has filters of its own, `multiplier` of them.
    Depthwise(Layer, usize),
    /// Channel for channel, for operands as wide as the result; narrower ones serve all channels.
    Same,
    /// The operands' channels lie one after another.
    Concat,
    /// Channel `c` of the operand is every `channels`-th feature of the result from `c` on.
    Flatten,
}

/// The links of all nodes that have one; any other node needs all channels of its operands, and all
/// channels of its results stay.
#[must_use]
pub fn links(graph: &Graph, cx: &PassContext<'_>) -> HashMap<NodeId, Link> {
    let selected = graph.nodes().filter(|n| cx.selects(n));
    selected.filter_map(|n| Some((n.id, link(graph, n)?))).collect()
}

/// Extent of the last axis.
#[must_use]
pub fn channels(graph: &Graph, v: ValueId) -> Option<usize> {
    graph.ty(v).shape.dims().last()?.fixed()
}

fn link(graph: &Graph, node: &Node) -> Option<Link> {
    let &[output] = node.outputs() else { return None };
    let width = channels(graph, output)?;
    let last = graph.ty(output).shape.rank() - 1;
    // Scales of its own for each channel are understood only in weights and biases.
    let plain =
        |v: &ValueId| graph.ty(*v).quant.as_ref().is_none_or(|q| q.as_per_tensor().is_some());
    if node.op.is::<Conv2d>() || node.op.is::<Dense>() {
        if !plain(&output) || !plain(&node.inputs()[0]) {
            return None;
        }
        let layer = Layer::of(graph, node)?;
        return match node.op_as::<Conv2d>() {
            Some(conv) if conv.groups > 1 => {
                let multiplier = width / conv.groups;
                conv.is_depthwise(&layer.shape).then_some(Link::Depthwise(layer, multiplier))
            }
            _ => Some(Link::Layer(layer)),
        };
    }
    if !node.inputs().iter().chain([&output]).all(plain) {
        return None;
    }
    if let Some(op) = node.op_as::<Concat>() {
        return Some(if op.axis == last { Link::Concat } else { Link::Same });
    }
    if node.op.is::<Reshape>() {
        let from = graph.ty(node.inputs()[0]).shape.dims();
        let to = graph.ty(output).shape.dims();
        if from.last() == to.last() {
            return Some(Link::Same);
        }
        let flat = to.len() == 2 && from.len() > 2 && from.first() == to.first();
        return (flat && from[1..].iter().all(|d| d.fixed().is_some())).then_some(Link::Flatten);
    }
    let same = if let Some(op) = node.op_as::<Pad>() {
        op.pads.last() == Some(&[0, 0])
    } else if let Some(op) = node.op_as::<Reduce>() {
        let rank = graph.ty(node.inputs()[0]).shape.rank();
        !op.axes.contains(&(rank - 1))
    } else if let Some(op) = node.op_as::<Resize>() {
        !op.axes.contains(&last)
    } else if let Some(op) = node.op_as::<Slice>() {
        op.len[last] == channels(graph, node.inputs()[0])? && op.step[last] == 1
    } else if node.op.is::<Binary>() {
        // An operand that is wider than the result's other operand stretches it: only equal or one.
        node.inputs().iter().all(|v| channels(graph, *v).is_none_or(|c| c == width || c == 1))
    } else {
        node.op.is::<Unary>()
            || node.op.is::<Pool>()
            || node.op.is::<Quantize>()
            || node.op.is::<Dequantize>()
    };
    same.then_some(Link::Same)
}

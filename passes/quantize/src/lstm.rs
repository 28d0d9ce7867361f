//! Long short-term memory by TFLite's integer specification: 8-bit inputs, weights and hidden states, a
//! 16-bit cell state whose scale is a power of two.

use paring_ir::ops::Lstm;
use paring_ir::{Graph, Node};
use paring_tensor::{DType, Quant};

/// Why a layer has no integer form, if it has none.
pub(crate) fn refusal(graph: &Graph, node: &Node, op: &Lstm) -> Option<String> {
    let constant = |i: usize| {
        let v = node.inputs()[i];
        graph.constant(v).is_some_and(|d| d.dtype() == DType::F32)
    };
    let last_cell = node.outputs()[2];
    let why = if node.inputs().len() > 6 {
        "an integer layer has no peepholes and no lengths of sequences"
    } else if !op.functions.is_empty() || op.input_forget || op.clip != 0.0 {
        "an integer layer has the usual functions, no coupled gates and no clip of gates"
    } else if !(1..4).all(constant) {
        "an integer layer needs constant weights and biases of f32"
    } else if !graph.value(last_cell).uses().is_empty()
        || graph.outputs().iter().any(|p| p.value == last_cell)
    {
        "its last cell state is read, which has 16 bits in an integer layer"
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// The scale of the cell state: the least power of two whose 16 bits hold what the cell can reach.
///
/// Each step adds at most 1 to a magnitude, so it cannot exceed the number of steps; where that is
/// far, four times what the samples left in the cell is enough.
pub(crate) fn cell_scale(graph: &Graph, node: &Node, op: &Lstm) -> Quant {
    let dims = graph.ty(node.inputs()[0]).shape.dims();
    let steps = dims.get(usize::from(op.batch_major)).and_then(|d| d.fixed());
    let seen = graph.value(node.outputs()[2]).range.map_or(64.0, |(l, h)| h.max(-l));
    let bound = steps.map_or(64.0, |n| n as f32).min((4.0 * seen).max(8.0));
    let bound = if op.cell_clip > 0.0 { bound.min(op.cell_clip) } else { bound };
    let power = bound.log2().ceil().clamp(0.0, 6.0);
    Quant::per_tensor((power - 15.0).exp2(), 0)
}

/// One scale for the weights of each gate, given for each row of a gate.
pub(crate) fn gate_scales(weights: &[f32], directions: usize, rows: usize) -> Vec<f32> {
    let inner = (weights.len() / (directions * rows).max(1)).max(1);
    let cells = (rows / 4).max(1);
    let mut largest = [0.0_f32; 4];
    for (i, row) in weights.chunks_exact(inner).enumerate() {
        let gate = (i % rows.max(1)) / cells;
        if let Some(largest) = largest.get_mut(gate) {
            *largest = row.iter().fold(*largest, |a, w| a.max(w.abs()));
        }
    }
    let scale = |gate: usize| {
        let scale = largest.get(gate).copied().unwrap_or(0.0) / 127.0;
        if scale > f32::MIN_POSITIVE { scale } else { 1.0 / 127.0 }
    };
    (0..rows).map(|row| scale(row / cells)).collect()
}

use super::{Program, Real};
use crate::outcome::judged;
use crate::walk::numbers;
use paring_ir::{Graph, NodeId};
use paring_pass::{Host, PassError, consts};
use paring_tensor::{DType, Tensor};
use std::collections::HashSet;

/// The part of a network from its input to the value that its output is judged by, as a program whose values
/// are rounded as calibrated to an integer type, or not at all (`f32`).
///
/// # Errors
/// Why there is none.
pub fn whole(graph: &Graph, activations: DType) -> Result<Program, String> {
    let ([input], [_]) = (graph.inputs(), graph.outputs()) else {
        return Err("it takes a network of one input and one output".into());
    };
    let target = judged(graph).0[0];
    let mut needed = HashSet::new();
    let mut open = vec![target];
    while let Some(v) = open.pop() {
        if let Some(node) = graph.producer(v)
            && needed.insert(node.id)
        {
            open.extend(node.inputs());
        }
    }
    let nodes: Vec<NodeId> =
        graph.topological().into_iter().filter(|id| needed.contains(id)).collect();
    Program::new(graph, &nodes, (input.value, target), activations)
        .map_err(|node| format!("slopes of `{}` ({}) are not known", node.name, node.op.name()))
}

/// The weights of the layers of a program, as they are in a graph: real numbers, or what integers under a
/// `dequantize` stand for.
#[must_use]
pub fn reals(program: &Program, graph: &Graph) -> Option<Vec<Real>> {
    let one = |(i, id): (usize, &NodeId)| {
        let node = graph.node(*id);
        let weights = numbers(graph, node.inputs()[1]).ok()?;
        let weights = (weights.dtype() == DType::F32).then(|| weights.to_f32())?;
        let outputs = graph.ty(node.inputs()[1]).shape.fixed()?.first().copied()?;
        let bias = match node.inputs().get(2) {
            Some(b) => consts::dense_f32(graph, *b)?,
            None => vec![0.0; outputs],
        };
        Some(Real::new(weights, bias, program.groups(i)))
    };
    program.layers().iter().enumerate().map(one).collect()
}

/// The first samples of the calibration data, as a program takes them.
///
/// # Errors
/// If there is no data, or what is wrong with it.
pub fn inputs(
    host: &dyn Host,
    graph: &Graph,
    (data, limit): (Option<&str>, Option<usize>),
) -> Result<Vec<Vec<f32>>, PassError> {
    let samples = host.samples(data, graph)?;
    let count = limit.map_or(samples.len(), |n| n.min(samples.len()));
    let one = |i| {
        let given = samples.get(i).map_err(PassError::Input)?;
        Ok(given.first().map(Tensor::to_f32).unwrap_or_default())
    };
    (0..count).map(one).collect()
}

/// How many probabilities a softmax behind the value that the output is judged by makes in a row; `None` if
/// there is no softmax.
#[must_use]
pub fn probabilities(graph: &Graph) -> Option<usize> {
    judged(graph).1.first().copied().flatten()
}

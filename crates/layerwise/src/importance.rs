//! How much a change of one layer moves what the network computes.

use crate::{Problem, replace_weights};
use paring_ir::ops::Softmax;
use paring_ir::{Graph, NodeId, ValueId};
use paring_pass::{PassContext, PassError, Stream, consts};
use paring_tensor::Tensor;
use std::collections::HashMap;

/// How much the relative square error of what the network computes grows with the square error of a
/// layer's result: its weights are rounded to a few steps, and what that does to the outputs (before a
/// softmax) on the first `samples` samples is set against what it does to the layer.
///
/// # Errors
/// If there is no executor or no data, or the network cannot be run.
pub fn importance(
    graph: &Graph,
    layer: NodeId,
    problems: &[Problem],
    data: Option<&str>,
    samples: usize,
    cx: &PassContext<'_>,
) -> Result<f64, PassError> {
    let w = graph.node(layer).inputs()[1];
    let (Some(weights), Some(constant)) = (consts::dense_f32(graph, w), graph.constant(w)) else {
        return Err(PassError::Internal("weights that are no constant".into()));
    };
    let outputs = constant.shape().first().copied().unwrap_or(1).max(1);
    let mut noise = 0.0;
    let mut coarse = Vec::with_capacity(weights.len());
    for (o, row) in weights.chunks((weights.len() / outputs).max(1)).enumerate() {
        let step = row.iter().fold(0.0_f32, |m, w| m.max(w.abs())) / 5.0;
        let near = |w: &f32| if step > 0.0 { (w / step).round() * step } else { 0.0 };
        let rounded: Vec<f32> = row.iter().map(near).collect();
        let real = |v: &[f32]| -> Vec<f64> { v.iter().map(|w| f64::from(*w)).collect() };
        if let Some(problem) = problems.get(o * problems.len() / outputs) {
            noise += problem.loss(&real(&rounded), &real(row));
        }
        coarse.extend(rounded);
    }
    let coarse = Tensor::from_vec(constant.shape(), coarse)?;
    let moved = change(graph, layer, coarse, data, samples, cx)?;
    Ok(moved / noise.max(1e-30))
}

/// The square change of the outputs over their square when a layer has other weights.
fn change(
    graph: &Graph,
    layer: NodeId,
    weights: Tensor,
    data: Option<&str>,
    samples: usize,
    cx: &PassContext<'_>,
) -> Result<f64, PassError> {
    let mut changed = graph.clone();
    let outputs = weights.shape().first().copied().unwrap_or(0);
    let patch = replace_weights(graph, layer, weights.into(), None, &vec![0.0; outputs], "probe")?;
    changed.apply(patch)?;
    // A softmax hides changes of what is certain.
    let ends: Vec<ValueId> = graph
        .outputs()
        .iter()
        .map(|p| match graph.producer(p.value) {
            Some(node) if node.op.is::<Softmax>() => node.inputs()[0],
            _ => p.value,
        })
        .collect();
    type Sums = (HashMap<ValueId, Vec<f32>>, f64, f64);
    let mut stream = Stream::open_all(cx.host(), &[graph, &changed], data, Some(samples))?;
    let mut lanes: Vec<Sums> = stream.accumulators(|| (HashMap::new(), 0.0, 0.0));
    let all = 0..stream.len();
    stream.run_all(
        "rate: probing",
        all,
        &mut lanes,
        |(kept, moved, square), _, network, v, t| {
            if !ends.contains(&v) {
                return;
            }
            if network == 0 {
                kept.insert(v, t.to_f32());
            } else if let Some(before) = kept.remove(&v) {
                for (a, b) in before.iter().zip(t.to_f32()) {
                    *moved += f64::from(a - b).powi(2);
                    *square += f64::from(*a).powi(2);
                }
            }
        },
    )?;
    let (moved, square) = lanes.iter().fold((0.0, 0.0), |(m, s), l| (m + l.1, s + l.2));
    Ok(moved / square.max(1e-30))
}

//! How much a change of one layer moves what the network computes.

use paring_ir::ops::Softmax;
use paring_ir::{Graph, NodeId, ValueId};
use paring_layerwise::replace_weights;
use paring_pass::{PassContext, PassError, Stream};
use paring_tensor::Tensor;
use std::collections::HashMap;

/// The square change of the outputs over their square when a layer has other weights.
pub(crate) fn change(
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

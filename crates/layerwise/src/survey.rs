use crate::{Geometry, Moments, Observing, rounded};
use paring_ir::{Graph, NodeId, ValueId};
use paring_pass::{PassContext, PassError, Stream};
use paring_tensor::DType;
use std::collections::{BTreeMap, BTreeSet};

/// A layer that is looked at.
struct Seen {
    geometry: Geometry,
    input: ValueId,
}

/// How the inputs of several layers of an unchanged network vary, from one run over the samples. `what`
/// is shown with the progress. See [`Walk`](crate::Walk) for layers that see what became of those before
/// them.
///
/// # Errors
/// If values are to be rounded and none has a calibrated range, there is no executor or no data, or the
/// network cannot be run.
pub fn survey(
    graph: &Graph,
    layers: &[NodeId],
    observing: &Observing,
    cx: &PassContext<'_>,
    what: &str,
) -> Result<Vec<Moments>, PassError> {
    let working = rounded(graph, observing.activations)?;
    let seen: Vec<Seen> = layers
        .iter()
        .map(|&layer| {
            let node = graph.node(layer);
            Some(Seen { geometry: Geometry::of(graph, node)?, input: node.inputs()[0] })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| PassError::Internal("a layer without known shapes".into()))?;
    let wanted: BTreeSet<ValueId> = seen.iter().map(|s| s.input).collect();
    let mut readers: BTreeMap<ValueId, Vec<usize>> = BTreeMap::new();
    for (i, layer) in layers.iter().enumerate() {
        readers.entry(working.node(*layer).inputs()[0]).or_default().push(i);
    }
    let differs = observing.activations != DType::F32;
    let graphs = if differs { vec![graph, &working] } else { vec![&working] };
    let mut stream =
        Stream::open_all(cx.host(), &graphs, observing.data.as_deref(), observing.samples)?;
    let all = 0..stream.len();
    let fresh = || seen.iter().map(|s| Moments::new(&s.geometry)).collect::<Vec<_>>();
    let mut lanes = stream.accumulators(|| (fresh(), BTreeMap::new()));
    stream.run_all(what, all, &mut lanes, |(moments, kept), sample, network, v, tensor| {
        if network + 1 < graphs.len() {
            if wanted.contains(&v) {
                kept.insert(v, tensor.clone());
            }
            return;
        }
        for &i in readers.get(&v).into_iter().flatten() {
            let x = kept.get(&seen[i].input);
            moments[i].add(&seen[i].geometry, (x, tensor), observing.positions, sample, None);
        }
    })?;
    let mut lanes = lanes.into_iter().map(|(moments, _)| moments);
    let mut sums = lanes.next().unwrap_or_else(fresh);
    for lane in lanes {
        sums.iter_mut().zip(&lane).for_each(|(sum, own)| sum.merge(own));
    }
    Ok(sums)
}

use crate::{Geometry, Moments, is_layer, rounded};
use paring_ir::ops::Dequantize;
use paring_ir::{Graph, NodeId, Patch, Refusal, ValueId};
use paring_pass::{PassContext, PassError, Stream, consts};
use paring_tensor::DType;
use std::collections::{BTreeMap, BTreeSet};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Observing {
    /// Which data, as on the command line; the run's own data if `None`.
    pub data: Option<String>,
    /// The most samples that are used; all if `None`.
    pub samples: Option<usize>,
    /// Positions of an image that are looked at, for each sample.
    pub positions: usize,
    /// Whether values of the changed network are rounded as calibrated: an integer type, or `f32` for
    /// not at all.
    pub activations: DType,
}

impl Default for Observing {
    fn default() -> Self {
        Self { data: None, samples: Some(512), positions: 64, activations: DType::F32 }
    }
}

/// The selected layers whose weights are real, in the order in which they run, and those whose weights
/// or shapes are not known.
#[must_use]
pub fn layers(graph: &Graph, cx: &PassContext<'_>) -> (Vec<NodeId>, Vec<Refusal>) {
    let mut found = Vec::new();
    let mut refused = Vec::new();
    for id in graph.topological() {
        let node = graph.node(id);
        if !is_layer(node) || !cx.selects(node) {
            continue;
        }
        // Weights that are integers already are not looked at again.
        if graph.producer(node.inputs()[1]).is_some_and(|n| n.op.is::<Dequantize>()) {
            continue;
        }
        let constant =
            |i: usize| node.inputs().get(i).is_none_or(|v| consts::dense_f32(graph, *v).is_some());
        if constant(1) && constant(2) && Geometry::of(graph, node).is_some() {
            found.push(id);
        } else {
            refused.push(Refusal {
                node: node.name.clone(),
                op: node.op.name().to_owned(),
                why: "its weights or bias are not constants of f32, or its shapes are not known; \
                      `skip` it"
                    .into(),
            });
        }
    }
    (found, refused)
}

/// A layer that is looked at: its input in the original network and in the changed one.
struct Seen {
    geometry: Geometry,
    x: ValueId,
    z: ValueId,
}

/// The original network and the one whose layers are changed one after another.
pub struct Walk {
    reference: Graph,
    working: Graph,
    observing: Observing,
    /// Whether the networks differ.
    changed: bool,
}

impl Walk {
    /// Begins with an unchanged network.
    ///
    /// # Errors
    /// If values are to be rounded and none has a calibrated range.
    pub fn new(graph: &Graph, observing: Observing) -> Result<Self, PassError> {
        let working = rounded(graph, observing.activations)?;
        let changed = observing.activations != DType::F32;
        Ok(Self { reference: graph.clone(), working, observing, changed })
    }

    /// The network with its changes so far, values rounded where that was asked for.
    #[must_use]
    pub fn working(&self) -> &Graph {
        &self.working
    }

    /// How the inputs of a layer vary, over all samples. `what` is shown with the progress.
    ///
    /// # Errors
    /// If there is no executor or no data, or the network cannot be run.
    pub fn observe(
        &self,
        layer: NodeId,
        cx: &PassContext<'_>,
        what: &str,
    ) -> Result<Moments, PassError> {
        let mut all = self.observe_many(&[layer], cx, what)?;
        all.pop().ok_or_else(|| PassError::Internal("a layer that was not looked at".into()))
    }

    /// As [`observe`](Self::observe), for several layers in one run over the samples: each of them sees
    /// what the layers changed before the first of them make of the samples.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn observe_many(
        &self,
        layers: &[NodeId],
        cx: &PassContext<'_>,
        what: &str,
    ) -> Result<Vec<Moments>, PassError> {
        let (reference, working) = (&self.reference, &self.working);
        let seen: Vec<Seen> = layers
            .iter()
            .map(|&layer| {
                let geometry = Geometry::of(reference, reference.node(layer))?;
                let [x, z] = [reference, working].map(|g| g.node(layer).inputs()[0]);
                Some(Seen { geometry, x, z })
            })
            .collect::<Option<_>>()
            .ok_or_else(|| PassError::Internal("a layer without known shapes".into()))?;
        let wanted: BTreeSet<ValueId> = seen.iter().map(|s| s.x).collect();
        let mut readers: BTreeMap<ValueId, Vec<usize>> = BTreeMap::new();
        for (i, s) in seen.iter().enumerate() {
            readers.entry(s.z).or_default().push(i);
        }
        let graphs = if self.changed { vec![reference, working] } else { vec![working] };
        let Observing { data, samples, positions, .. } = &self.observing;
        let mut stream = Stream::open_all(cx.host(), &graphs, data.as_deref(), *samples)?;
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
                let x = kept.get(&seen[i].x);
                moments[i].add(&seen[i].geometry, x, tensor, *positions, sample);
            }
        })?;
        let mut lanes = lanes.into_iter().map(|(moments, _)| moments);
        let mut sums = lanes.next().unwrap_or_else(fresh);
        for lane in lanes {
            sums.iter_mut().zip(&lane).for_each(|(sum, own)| sum.merge(own));
        }
        Ok(sums)
    }

    /// Takes over the weights and bias that a layer has in `graph` now: real constants, or integer ones
    /// under `dequantize`.
    ///
    /// # Errors
    /// If they are something else.
    pub fn adopt(&mut self, graph: &Graph, layer: NodeId) -> Result<(), PassError> {
        let node = graph.node(layer);
        let mut patch = Patch::new(&self.working, "adopt");
        let mut operands = vec![self.working.node(layer).inputs()[0]];
        for &v in &node.inputs()[1..] {
            let numbers = match graph.producer(v) {
                Some(real) => {
                    let stored = real.inputs()[0];
                    let (Some(data), Some(quant)) =
                        (graph.constant(stored), &graph.ty(stored).quant)
                    else {
                        return Err(PassError::Internal("weights that are no constant".into()));
                    };
                    quant.dequantize(&data.dense())?
                }
                None => match graph.constant(v) {
                    Some(data) => data.dense(),
                    None => return Err(PassError::Internal("a bias that is no constant".into())),
                },
            };
            operands.push(patch.constant(&graph.value(v).name, numbers, None));
        }
        patch.set_operands(layer, operands);
        self.working.apply(patch)?;
        self.changed = true;
        Ok(())
    }
}

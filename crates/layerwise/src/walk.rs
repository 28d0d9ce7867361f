use crate::{Geometry, Moments, is_layer, rounded};
use paring_ir::ops::Dequantize;
use paring_ir::{Graph, NodeId, Patch, Refusal};
use paring_pass::{PassContext, PassError, Stream, consts};
use paring_tensor::{DType, Tensor};

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

/// The original network and the one whose layers are changed one after another.
pub struct Walk {
    reference: Graph,
    working: Graph,
    observing: Observing,
}

impl Walk {
    /// Begins with an unchanged network.
    ///
    /// # Errors
    /// If values are to be rounded and none has a calibrated range.
    pub fn new(graph: &Graph, observing: Observing) -> Result<Self, PassError> {
        let working = rounded(graph, observing.activations)?;
        Ok(Self { reference: graph.clone(), working, observing })
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
        let (reference, working) = (&self.reference, &self.working);
        let Some(geometry) = Geometry::of(reference, reference.node(layer)) else {
            return Err(PassError::Internal("a layer without known shapes".into()));
        };
        let (x, z) = (reference.node(layer).inputs()[0], working.node(layer).inputs()[0]);
        let graphs = [reference, working];
        let Observing { data, samples, positions, .. } = &self.observing;
        let mut stream = Stream::open_all(cx.host(), &graphs, data.as_deref(), *samples)?;
        let all = 0..stream.len();
        let mut lanes: Vec<(Moments, Option<Tensor>)> =
            stream.accumulators(|| (Moments::new(&geometry), None));
        stream.run_all(what, all, &mut lanes, |(moments, kept), sample, network, v, tensor| {
            if network == 0 && v == x {
                *kept = Some(tensor.clone());
            } else if network == 1
                && v == z
                && let Some(x) = kept.take()
            {
                moments.add(&geometry, &x, tensor, *positions, sample);
            }
        })?;
        let mut lanes = lanes.into_iter().map(|(moments, _)| moments);
        let mut sum = lanes.next().unwrap_or_else(|| Moments::new(&geometry));
        for lane in lanes {
            sum.merge(&lane);
        }
        Ok(sum)
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
        Ok(())
    }
}

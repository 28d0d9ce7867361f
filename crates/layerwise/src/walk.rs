use crate::gradient::{Real, forward};
use crate::{Geometry, Moments, Pairs, is_layer, rounded};
use paring_ir::ops::Dequantize;
use paring_ir::{Def, Graph, NodeId, Patch, Refusal, Session, ValueId};
use paring_pass::{Host, PassContext, PassError, Samples, Stream, consts, prepare};
use paring_tensor::{DType, Tensor};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// What the values that are kept of all samples may take in memory; a network that needs more is run
/// from its inputs for every layer.
const MOST_KEPT: usize = 1 << 30;

/// The original network and the one whose layers are changed one after another.
///
/// Layers are to be observed in the order in which they run, and a changed layer adopted before the
/// next one is observed. What earlier layers gave is kept for each sample, so that each layer of either
/// network runs once.
pub struct Walk {
    reference: Side,
    working: Side,
    observing: Observing,
    samples: Option<Arc<dyn Samples>>,
    weights: HashMap<NodeId, Vec<Vec<f32>>>,
}

impl Walk {
    /// Begins with an unchanged network.
    ///
    /// # Errors
    /// If values are to be rounded and none has a calibrated range, or the network keeps states.
    pub fn new(graph: &Graph, observing: Observing) -> Result<Self, PassError> {
        if !graph.states().is_empty() {
            return Err(PassError::Input(
                "networks that keep states between runs cannot be taken layer after layer".into(),
            ));
        }
        let working = rounded(graph, observing.activations)?;
        Ok(Self {
            reference: Side::new(graph.clone()),
            working: Side::new(working),
            observing,
            samples: None,
            weights: HashMap::new(),
        })
    }

    /// Says what each place of each sample counts for where a layer is observed; 1 if that is not said.
    pub fn weigh(&mut self, layer: NodeId, places: Vec<Vec<f32>>) {
        self.weights.insert(layer, places);
    }

    /// The network with its changes so far, values rounded where that was asked for.
    #[must_use]
    pub fn working(&self) -> &Graph {
        &self.working.graph
    }

    /// How the inputs of a layer vary, over all samples. `what` is shown with the progress.
    ///
    /// # Errors
    /// If there is no executor or no data, or the network cannot be run.
    pub fn observe(
        &mut self,
        layer: NodeId,
        cx: &PassContext<'_>,
        what: &str,
    ) -> Result<Moments, PassError> {
        let geometry = self.geometry(layer)?;
        let positions = self.observing.positions;
        let weights = self.weights.remove(&layer);
        let fresh = || Moments::new(&geometry);
        let lanes = self.visit(layer, cx, what, fresh, |moments, sample, x, z| {
            let weighs = weights.as_ref().and_then(|w| w.get(sample)).map(Vec::as_slice);
            moments.add(&geometry, (Some(x), z), positions, sample, weighs);
        })?;
        let mut sum = fresh();
        lanes.iter().for_each(|moments| sum.merge(moments));
        self.weights.extend(weights.map(|w| (layer, w)));
        Ok(sum)
    }

    /// How the results of a layer, before it clamps them, go together in the original network and in the
    /// changed one, over all samples. `what` is shown with the progress.
    ///
    /// # Errors
    /// If there is no executor or no data, or the network cannot be run.
    pub fn compare(
        &mut self,
        layer: NodeId,
        cx: &PassContext<'_>,
        what: &str,
    ) -> Result<Pairs, PassError> {
        let geometry = self.geometry(layer)?;
        let real = |graph: &Graph| -> Result<Real, PassError> {
            let node = graph.node(layer);
            let weights = numbers(graph, node.inputs()[1])?.to_f32();
            let outputs = graph.ty(node.inputs()[1]).shape.dims().first().and_then(|d| d.fixed());
            let bias = match node.inputs().get(2) {
                Some(b) => numbers(graph, *b)?.to_f32(),
                None => vec![0.0; outputs.unwrap_or(0)],
            };
            Ok(Real::new(weights, bias, geometry.groups()))
        };
        let (x, z) = (real(&self.reference.graph)?, real(&self.working.graph)?);
        let fresh = || Pairs::new(x.bias().len());
        let lanes = self.visit(layer, cx, what, fresh, |pairs, _, a, b| {
            let (Ok(a), Ok(b)) = (a.view::<f32>(), b.view::<f32>()) else { return };
            let size = geometry.input.iter().product::<usize>().max(1);
            let mut columns = Vec::new();
            for (a, b) in a.chunks_exact(size).zip(b.chunks_exact(size)) {
                let a = forward(&geometry, &x, a, &mut columns);
                let b = forward(&geometry, &z, b, &mut columns);
                pairs.add(&a, &b);
            }
        })?;
        let mut sum = fresh();
        lanes.iter().for_each(|pairs| sum.merge(pairs));
        Ok(sum)
    }

    fn geometry(&self, layer: NodeId) -> Result<Geometry, PassError> {
        let graph = &self.reference.graph;
        Geometry::of(graph, graph.node(layer))
            .ok_or_else(|| PassError::Internal("a layer without known shapes".into()))
    }

    /// Shows the input of a layer in either network for each sample; one accumulator a lane.
    fn visit<A: Send>(
        &mut self,
        layer: NodeId,
        cx: &PassContext<'_>,
        what: &str,
        fresh: impl Fn() -> A + Sync,
        see: impl Fn(&mut A, usize, &Tensor, &Tensor) + Sync,
    ) -> Result<Vec<A>, PassError> {
        let host = cx.host();
        let samples = match &self.samples {
            Some(samples) => samples.clone(),
            None => {
                let samples =
                    host.samples(self.observing.data.as_deref(), &self.reference.graph)?;
                self.samples.insert(samples).clone()
            }
        };
        let count = self.observing.samples.map_or(samples.len(), |n| n.min(samples.len()));
        if count == 0 {
            return Err(PassError::Input("there are no samples to calibrate with".into()));
        }
        let x = self.reference.advance(layer, host)?;
        let z = self.working.advance(layer, host)?;
        let lanes = Stream::LANES.min(count);
        let done = AtomicUsize::new(0);
        type Kept = Vec<(usize, Vec<Tensor>, Vec<Tensor>)>;
        let one = |lane: usize, x: &mut Step, z: &mut Step| -> Result<(A, Kept), PassError> {
            let mut seen = fresh();
            let mut kept = Vec::new();
            for sample in (0..count).filter(|i| i % lanes == lane) {
                let first = x.run(&*samples, sample)?;
                let second = z.run(&*samples, sample)?;
                if let (Some(x), Some(z)) = (first.get(x.wanted), second.get(z.wanted)) {
                    see(&mut seen, sample, x, z);
                }
                kept.push((sample, first, second));
                host.progress(what, done.fetch_add(1, Ordering::Relaxed) + 1, count);
            }
            Ok((seen, kept))
        };
        let mut steps: Vec<(Step, Step)> = (1..lanes).map(|_| (x.fork(), z.fork())).collect();
        steps.push((x.fork(), z.fork()));
        let results: Vec<Result<(A, Kept), PassError>> =
            steps.par_iter_mut().enumerate().map(|(lane, (x, z))| one(lane, x, z)).collect();
        drop(steps);
        let mut all = Vec::with_capacity(lanes);
        let mut first: Vec<Vec<Tensor>> = vec![Vec::new(); count];
        let mut second = first.clone();
        for result in results {
            let (seen, kept) = result?;
            all.push(seen);
            for (sample, x, z) in kept {
                first[sample] = x;
                second[sample] = z;
            }
        }
        x.finish(&mut self.reference, first);
        z.finish(&mut self.working, second);
        Ok(all)
    }

    /// Takes over the weights and bias that a layer has in `graph` now: real constants, or integer ones
    /// under `dequantize`.
    ///
    /// # Errors
    /// If they are something else.
    pub fn adopt(&mut self, graph: &Graph, layer: NodeId) -> Result<(), PassError> {
        let node = graph.node(layer);
        let working = &mut self.working.graph;
        let mut patch = Patch::new(working, "adopt");
        let mut operands = vec![working.node(layer).inputs()[0]];
        for &v in &node.inputs()[1..] {
            let numbers = numbers(graph, v)?;
            operands.push(patch.constant(&graph.value(v).name, numbers, None));
        }
        patch.set_operands(layer, operands);
        working.apply(patch)?;
        Ok(())
    }
}

/// Real constants, or what integer ones under a `dequantize` stand for.
pub(crate) fn numbers(graph: &Graph, v: ValueId) -> Result<Tensor, PassError> {
    match graph.producer(v) {
        Some(real) => {
            let stored = real.inputs()[0];
            let (Some(data), Some(quant)) = (graph.constant(stored), &graph.ty(stored).quant)
            else {
                return Err(PassError::Internal("weights that are no constant".into()));
            };
            Ok(quant.dequantize(&data.dense())?)
        }
        None => match graph.constant(v) {
            Some(data) => Ok(data.dense()),
            None => Err(PassError::Internal("weights that are no constant".into())),
        },
    }
}

/// A network and what is kept of its run on each sample.
struct Side {
    graph: Graph,
    /// The values that are kept, and for each sample what they are; the network's inputs, read anew,
    /// while there is nothing kept.
    cut: Vec<ValueId>,
    kept: Option<Arc<Vec<Vec<Tensor>>>>,
    /// Nodes whose results are known where they are still needed.
    computed: HashSet<NodeId>,
}

/// One step of a side from a cut to the next.
struct Step {
    session: Option<Box<dyn Session>>,
    kept: Option<Arc<Vec<Vec<Tensor>>>>,
    cut: Vec<ValueId>,
    computed: HashSet<NodeId>,
    /// Where the layer's input is among the values of the new cut.
    wanted: usize,
}

impl Side {
    fn new(graph: Graph) -> Self {
        let cut = graph.inputs().iter().map(|p| p.value).collect();
        Self { graph, cut, kept: None, computed: HashSet::new() }
    }

    /// Prepares what leads from the present cut to one that holds the input of a layer.
    fn advance(&mut self, layer: NodeId, host: &dyn Host) -> Result<Step, PassError> {
        let graph = &self.graph;
        let target = graph.node(layer).inputs()[0];
        let mut computed = self.computed.clone();
        let mut open = vec![target];
        while let Some(v) = open.pop() {
            if let Some(node) = graph.producer(v)
                && computed.insert(node.id)
            {
                open.extend(node.inputs());
            }
        }
        let known = |v: &paring_ir::Value| match v.def() {
            Def::Input => true,
            Def::Node(n, _) => computed.contains(n),
            Def::Const(_) | Def::State => false,
        };
        let later = |v: &paring_ir::Value| v.uses().iter().any(|(n, _)| !computed.contains(n));
        let cut: Vec<ValueId> =
            graph.values().filter(|v| known(v) && later(v)).map(|v| v.id).collect();
        let Some(wanted) = cut.iter().position(|v| *v == target) else {
            return Err(PassError::Internal("a layer whose input no layer reads".into()));
        };
        let (part, _) = graph.part(&self.cut, &cut);
        let session = Some(prepare(host.executor()?, &part)?);
        Ok(Step { session, kept: self.kept.clone(), cut, computed, wanted })
    }
}

impl Step {
    fn fork(&self) -> Self {
        Self {
            session: self.session.as_ref().map(|s| s.fork()),
            kept: self.kept.clone(),
            cut: self.cut.clone(),
            computed: HashSet::new(),
            wanted: self.wanted,
        }
    }

    fn run(&mut self, samples: &dyn Samples, sample: usize) -> Result<Vec<Tensor>, PassError> {
        let fresh;
        let inputs = match self.kept.as_ref().and_then(|k| k.get(sample)) {
            Some(kept) => kept,
            None => {
                fresh = samples.get(sample).map_err(PassError::Input)?;
                &fresh
            }
        };
        let Some(session) = self.session.as_mut() else { return Ok(Vec::new()) };
        Ok(session.run(inputs)?)
    }

    /// Makes the new cut that of the side, unless it is too large to keep.
    fn finish(self, side: &mut Side, values: Vec<Vec<Tensor>>) {
        let bytes: usize = values.iter().flatten().map(|t| t.bytes().len()).sum();
        if bytes <= MOST_KEPT {
            side.cut = self.cut;
            side.kept = Some(Arc::new(values));
            side.computed = self.computed;
        }
    }
}

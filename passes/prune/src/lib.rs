//! The `prune` pass: weights become zero, and stay zero.
//!
//! Which ones is decided by a criterion:
//!
//! - `magnitude`: the smallest weights;
//! - `activation`: the smallest products of weight and root mean square of the input, filter by filter
//!   (Wanda: Sun and others, 2023);
//! - `taylor`: those that move the network's outputs least, to first order, by slopes of the outputs;
//! - `second-order`: those that cost least when the others make up for them (optimal brain surgeon:
//!   Hassibi and Stork, 1993; with calibration data, filter by filter: Frantar and Alistarh, 2022).
//!
//! The survivors are then fitted to what the original layer computes, by least squares over calibration
//! data, and the bias takes up the difference of the means; errors of layers before are made up for
//! too. With `restore = {}` all of them together are then fitted to the outputs of the original network, and with
//! `stages` a part of the weights goes at a time and the others are fitted in between.
//! `update = false` leaves them alone; `magnitude` does so unless it is
//! told otherwise and then needs no data.
//!
//! What is zero together is the `structure`: `unstructured`, blocks (`1x4` is one filter by four
//! inputs, `4x1`, `4x4`), or `2:4` and its like (so many kept of so many side by side). Every layer
//! loses the same share, or with `scope = "global"` the network loses a share, and layers lose more whose
//! errors move the network's outputs less. The aim is a `sparsity`, a share of multiply-accumulates that
//! stays (`macs`), or `bytes` that weights and masks may take.
//!
//! With a `target` the backend says which layers have kernels that leave out zeros, and in which blocks;
//! only they are pruned, and so. There the aim may also be a `latency`, by the estimate of the target's backend: `0.7` of
//! what the network takes now, `"8M"` cycles, or `"20ms@120MHz"`. With `scope = "global"` layers then share it by
//! the cycles that their weights take.
//!
//! The result is in the graph: constants with sparse storage. Later passes keep it.
//!
//! ```
//! use paring_pass_prune as _;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[1,4]
//!        %w = const [1.0, 0.1, -0.2, 3.0] : f32[1,4]
//!        %y = dense(%x, %w) : f32[1,1]
//!        output %y
//!      }",
//! )?;
//! let text = "version = 1\n[[pass]]\nuse = \"prune\"\nsparsity = 0.5\ncriterion = \"magnitude\"";
//! let done = paring_pass::Pipeline::parse(text)?
//!     .run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! let w = done.graph.value_named("w").unwrap();
//! assert_eq!(w.constant().unwrap().sparse().unwrap().kept(), [0, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod choose;
mod latency;
mod share;
mod structure;
#[cfg(test)]
mod tests;

pub use structure::Structure;

use choose::{Plan, counts, order};
use paring_ir::ops::Conv2d;
use paring_ir::{Graph, NodeId};
use paring_layerwise::{
    Calibration, Geometry, Movable, Movement, Problem, Restore, Walk, influence, layers,
    replace_weights, restore, taylor,
};
use paring_pass::{
    Effect, LatencyAim, Lost, Pass, PassContext, PassError, PassInfo, consts, facts, register_pass,
};
use paring_tensor::{DType, Sparse, Tensor};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prune {
    /// Share of weights that become zero.
    pub sparsity: Option<f64>,
    /// Share of multiply-accumulates that stays.
    pub macs: Option<f64>,
    /// Bytes that weights of `f32` with their masks may take.
    pub bytes: Option<usize>,
    /// How long a run may take on `target`, by estimate.
    pub latency: Option<LatencyAim>,
    /// Which weights go.
    pub criterion: Criterion,
    /// What goes together.
    pub structure: Structure,
    /// A target, such as `cortex-m4`: only layers are pruned whose kernels leave out zeros there, in the
    /// blocks that they leave out.
    pub target: Option<String>,
    /// What shares the aim.
    pub scope: Scope,
    /// Whether the other weights make up for it; by default unless the criterion is `magnitude`.
    pub update: Option<bool>,
    /// Whether depthwise convolutions are pruned, which have few weights that do much.
    pub depthwise: bool,
    /// In how many stages weights go: each takes the same share of what is left (iterative pruning: Han and
    /// others, 2015), and the others are fitted before the next one looks at them.
    pub stages: u32,
    /// How the weights that are left, and the biases, are fitted to the whole network's outputs after each stage;
    /// not at all if left out. Stages before the last take a quarter of the epochs.
    pub restore: Option<Restore>,
    /// Samples that what layers lose is measured with, where they share the aim.
    pub probes: usize,
    /// What is looked at.
    #[serde(flatten)]
    pub calibration: Calibration,
    /// What a weight of each layer counts for where layers share an aim; 1 where nothing is said.
    #[serde(skip)]
    prices: BTreeMap<NodeId, f64>,
}

/// Which weights go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The smallest.
    Magnitude,
    /// The smallest times the root mean square of their input.
    Activation,
    /// Those that move the network's outputs least, to first order.
    Taylor,
    /// Those that cost least when the others make up for them.
    #[default]
    SecondOrder,
}

/// What shares the aim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each layer reaches it.
    #[default]
    Layer,
    /// The network reaches it; layers whose errors move its outputs less lose more.
    Global,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            sparsity: None,
            macs: None,
            bytes: None,
            latency: None,
            criterion: Criterion::default(),
            structure: Structure::default(),
            target: None,
            scope: Scope::default(),
            update: None,
            depthwise: false,
            stages: 1,
            restore: None,
            probes: 128,
            calibration: Calibration::default(),
            prices: BTreeMap::new(),
        }
    }
}

register_pass!(
    Prune,
    PassInfo {
        name: "prune",
        summary: "weights set to zero by magnitude, activation, first or second order, singly, in blocks or n:m",
        effect: Effect::Lossy,
        needs: &[],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

/// A layer that is pruned.
struct Layer {
    id: NodeId,
    weights: Vec<f32>,
    shape: Vec<usize>,
    positions: usize,
    groups: usize,
    /// How far each weight moves the outputs, for the criterion that goes by it.
    scores: Vec<f64>,
    /// How far each filter's result moves the outputs; empty where that is not known.
    influence: Vec<f64>,
    /// What each place of each sample counts for; empty where that is not known.
    places: Vec<Vec<f32>>,
}

impl Layer {
    fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        let node = graph.node(id);
        let data = graph.constant(node.inputs()[1])?;
        let geometry = Geometry::of(graph, node)?;
        Some(Self {
            id,
            weights: data.dense().to_f32(),
            shape: data.shape().to_vec(),
            positions: geometry.positions(),
            groups: geometry.groups(),
            scores: Vec::new(),
            influence: Vec::new(),
            places: Vec::new(),
        })
    }

    fn outputs(&self) -> usize {
        self.shape[0]
    }

    fn depth(&self) -> usize {
        self.weights.len() / self.outputs().max(1)
    }

    fn filter(&self, o: usize) -> &[f32] {
        &self.weights[o * self.depth()..(o + 1) * self.depth()]
    }

    /// The group of a filter.
    fn group(&self, o: usize) -> usize {
        o * self.groups / self.outputs().max(1)
    }
}

impl Prune {
    fn check(&self) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        let aims = [
            self.sparsity.is_some(),
            self.macs.is_some(),
            self.bytes.is_some(),
            self.latency.is_some(),
        ];
        let aims = aims.iter().filter(|a| **a).count();
        match self.structure {
            Structure::Of { .. } if aims > 0 => {
                return wrong("`structure` says how many weights stay; leave the aim out");
            }
            Structure::Of { .. } => {}
            _ if aims != 1 => {
                return wrong("give one of `sparsity`, `macs`, `bytes` and `latency`");
            }
            _ => {}
        }
        if [self.sparsity, self.macs].iter().flatten().any(|s| !(0.0..1.0).contains(s)) {
            return wrong("`sparsity` and `macs` are shares: from 0 to less than 1");
        }
        if let Some(aim) = &self.latency {
            aim.check()?;
            if self.target.is_none() {
                return wrong("`latency` needs a `target`, such as `cortex-m4`");
            }
        }
        self.calibration.check()?;
        if self.target.is_some() && self.structure != Structure::Unstructured {
            return wrong("`target` says what the structure is; leave `structure` out");
        }
        if self.probes == 0 {
            return wrong("`probes` must be at least 1");
        }
        match self.stages {
            0 => return wrong("`stages` must be at least 1"),
            1 => {}
            _ if !self.updates() => {
                return wrong(
                    "between `stages` the weights that are left are fitted; set `update = true`",
                );
            }
            _ if matches!(self.structure, Structure::Of { .. }) => {
                return wrong("`structure` says how many weights stay; leave `stages` out");
            }
            _ => {}
        }
        if let Some(restore) = &self.restore {
            restore.check()?;
            if restore.epochs > 0 && !self.updates() {
                return wrong(
                    "`restore` changes the weights that are left; `update = false` forbids it",
                );
            }
        }
        Ok(())
    }

    fn updates(&self) -> bool {
        self.update.unwrap_or(self.criterion != Criterion::Magnitude)
    }

    fn walk(&self, graph: &Graph, layers: &[Layer]) -> Result<Option<Walk>, PassError> {
        if matches!(self.criterion, Criterion::Magnitude | Criterion::Taylor) && !self.updates() {
            return Ok(None);
        }
        let mut walk = Walk::new(graph, self.calibration.observing(DType::F32))?;
        for layer in layers.iter().filter(|l| !l.places.is_empty()) {
            walk.weigh(layer.id, layer.places.clone());
        }
        Ok(Some(walk))
    }

    fn problems(
        &self,
        walk: &mut Option<Walk>,
        layer: &Layer,
        cx: &PassContext<'_>,
        what: &str,
        correct: bool,
    ) -> Result<Vec<Problem>, PassError> {
        let Some(walk) = walk else { return Ok(Vec::new()) };
        self.calibration.problems(walk, layer.id, cx, what, correct)
    }

    /// In which order the units of a layer go.
    fn plan(&self, layer: &Layer, problems: &[Problem], targets: &[Vec<f64>], share: f64) -> Plan {
        let last = layer.shape.last().copied().unwrap_or(1);
        let units = self.structure.units(layer.depth(), last);
        // A filter may lose more than its share, but hardly all.
        let most = ((share + 0.6 * (1.0 - share)) * units.len() as f64).ceil() as usize;
        let filters = self.structure.filters();
        let targets: Vec<&[f64]> = targets.iter().map(Vec::as_slice).collect();
        let strips = targets
            .par_chunks(filters)
            .enumerate()
            .map(|(i, chunk)| {
                let problem = problems.get(layer.group(i * filters));
                let scores = layer.scores.chunks_exact(layer.depth().max(1));
                let scores: Vec<&[f64]> = scores.skip(i * filters).take(chunk.len()).collect();
                let with = (problem, chunk, scores.as_slice());
                let mut found = order(self.criterion, self.structure, with, &units, most);
                // What a filter loses counts as much as its result does for the outputs.
                let own = layer.influence.iter().skip(i * filters).take(chunk.len());
                if self.criterion == Criterion::SecondOrder && own.len() > 0 {
                    let mean = own.sum::<f64>() / chunk.len() as f64;
                    found.costs.iter_mut().for_each(|cost| *cost *= mean);
                }
                found
            })
            .collect();
        Plan { strips, units, filters, outputs: layer.outputs() }
    }
}

/// What the filters of a layer should be.
fn targets(layer: &Layer, problems: &[Problem]) -> Vec<Vec<f64>> {
    (0..layer.outputs())
        .into_par_iter()
        .map(|o| match problems.get(layer.group(o)) {
            Some(problem) => problem.target(layer.filter(o)),
            None => layer.filter(o).iter().map(|w| f64::from(*w)).collect(),
        })
        .collect()
}

impl Prune {
    /// Prunes the layers that a target's kernels leave zeros out of, in the blocks that they leave out.
    fn run_for(
        &self,
        target: &str,
        ids: &[NodeId],
        graph: &mut Graph,
        cx: &mut PassContext<'_>,
    ) -> Result<(), PassError> {
        let mut blocks: BTreeMap<[usize; 2], Vec<NodeId>> = BTreeMap::new();
        for id in ids {
            let node = graph.node(*id);
            match cx.host().skips(target, graph, node)? {
                Some(block) => blocks.entry(block).or_default().push(*id),
                None => {
                    cx.decline(&node.name, format!("`{target}` computes zeros of it like others"));
                }
            }
        }
        let blocks: Vec<(Structure, Vec<NodeId>)> = blocks
            .into_iter()
            .map(|(block, ids)| match block {
                [1, 1] => (Structure::Unstructured, ids),
                [filters, inputs] => (Structure::Block { filters, inputs }, ids),
            })
            .collect();
        match &self.latency {
            Some(aim) => self.run_within(aim, target, &blocks, graph, cx),
            None if blocks.is_empty() => {
                cx.note(format!("no layer has zeros that `{target}` leaves out"));
                Ok(())
            }
            None => self.run_blocks(target, &blocks, graph, cx),
        }
    }

    /// Prunes layers in blocks.
    fn run_blocks(
        &self,
        target: &str,
        blocks: &[(Structure, Vec<NodeId>)],
        graph: &mut Graph,
        cx: &mut PassContext<'_>,
    ) -> Result<(), PassError> {
        for (structure, ids) in blocks {
            let own = Self { structure: *structure, target: None, ..self.clone() };
            let [filters, inputs] = structure.extents();
            cx.note(format!("`{target}` leaves out blocks of {filters}x{inputs}"));
            own.run_on(ids.clone(), graph, cx)?;
        }
        Ok(())
    }

    /// What a weight of a layer counts for where layers share the aim.
    fn price(&self, layer: &Layer) -> f64 {
        match self.macs {
            Some(_) => layer.positions as f64,
            None => self.prices.get(&layer.id).copied().unwrap_or(1.0),
        }
    }
}

impl Pass for Prune {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.check()?;
        let (ids, refused) = layers(graph, cx);
        if !refused.is_empty() {
            return Err(PassError::Unsupported(refused));
        }
        match &self.target {
            Some(target) => self.run_for(target, &ids, graph, cx),
            None => self.run_on(ids, graph, cx),
        }
    }
}

impl Prune {
    fn run_on(
        &self,
        ids: Vec<NodeId>,
        graph: &mut Graph,
        cx: &mut PassContext<'_>,
    ) -> Result<(), PassError> {
        let mut taken = Vec::new();
        for id in ids {
            let node = graph.node(id);
            let grouped = node.op_as::<Conv2d>().is_some_and(|c| c.groups > 1);
            let name = node.name.clone();
            match Layer::of(graph, id) {
                Some(_) if grouped && !self.depthwise => {
                    cx.decline(
                        &name,
                        "depthwise convolutions are left alone unless `depthwise = true`",
                    );
                }
                Some(layer)
                    if grouped
                        && !layer
                            .outputs()
                            .is_multiple_of(layer.groups * self.structure.filters()) =>
                {
                    cx.decline(&name, "blocks that span filters would span groups");
                }
                Some(_) => taken.push(id),
                None => {}
            }
        }
        if self.updates() {
            cx.undoes(Lost::clusters(graph, taken.iter().map(|id| graph.node(*id).inputs()[1])))?;
        }
        let original = graph.clone();
        for stage in 1..=self.stages {
            self.run_stage(stage, &taken, &original, graph, cx)?;
            if cx.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Takes away what one stage does, and fits what is left to the original network.
    fn run_stage(
        &self,
        stage: u32,
        ids: &[NodeId],
        original: &Graph,
        graph: &mut Graph,
        cx: &mut PassContext<'_>,
    ) -> Result<(), PassError> {
        let last = stage == self.stages;
        let title = match self.stages {
            1 => "prune".to_owned(),
            all => format!("prune, stage {stage} of {all}"),
        };
        let mut found: Vec<Layer> = ids.iter().filter_map(|id| Layer::of(graph, *id)).collect();
        self.score(&mut found, &title, graph, cx)?;
        let share =
            1.0 - (1.0 - self.share(&found)?).powf(f64::from(stage) / f64::from(self.stages));
        let weights: f64 = found.iter().map(|l| l.weights.len() as f64).sum();
        // So many of so many are the same share everywhere.
        let alike = matches!(self.structure, Structure::Of { .. });
        let budgets: Vec<f64> = if self.scope == Scope::Global && !alike {
            let all: f64 = found.iter().map(|l| l.weights.len() as f64 * self.price(l)).sum();
            self.shares(graph, &found, share * all, &title, cx)?
        } else {
            found.iter().map(|l| (share * l.weights.len() as f64).round()).collect()
        };
        let mut walk = self.walk(graph, &found)?;
        let mut zeros = 0.0;
        for (i, layer) in found.iter().enumerate() {
            let what = format!("{title}: layer {} of {}", i + 1, found.len());
            let problems = self.problems(&mut walk, layer, cx, &what, self.updates())?;
            let targets = targets(layer, &problems);
            let share = budgets[i] / layer.weights.len().max(1) as f64;
            let mut plan = self.plan(layer, &problems, &targets, share);
            if self.criterion == Criterion::Activation {
                // Filter by filter, as published.
                for strip in &mut plan.strips {
                    let at = strip.costs.iter_mut().enumerate();
                    at.for_each(|(rank, cost)| *cost = rank as f64);
                }
            }
            let counts = counts(&[&plan], &[1.0], budgets[i]);
            let (values, noise, signal) =
                self.values(layer, &problems, &targets, &plan, &counts[0]);
            let shifts = self.shifts(layer, &problems, &values);
            let flat: Vec<f32> = values.iter().flatten().map(|v| *v as f32 + 0.0).collect();
            let gone = flat.iter().filter(|v| **v == 0.0).count();
            zeros += gone as f64;
            let dense = Tensor::from_vec(layer.shape.clone(), flat)?;
            let block = self.structure.block(layer.shape.len());
            let sparse = Sparse::from_dense(&dense, &block, 0)?;
            let node = graph.node(layer.id);
            let sparse = match graph.constant(node.inputs()[1]) {
                Some(old) if !self.updates() => consts::with_palette(sparse, old)?,
                _ => sparse,
            };
            let data = paring_tensor::ConstData::Sparse(sparse);
            if last {
                let mut note = format!(
                    "`{}`: {:.1} % of {} weights are zero",
                    node.name,
                    100.0 * gone as f64 / layer.weights.len().max(1) as f64,
                    layer.weights.len(),
                );
                if !problems.is_empty() {
                    let decibels = 10.0 * (signal / noise.max(1e-300)).log10();
                    note += &format!(", result {decibels:.1} dB above its error");
                }
                cx.note(note);
            }
            let patch = replace_weights(graph, layer.id, data, None, &shifts, "prune")?;
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
            if let Some(walk) = &mut walk {
                walk.adopt(graph, layer.id)?;
            }
        }
        drop(walk);
        let of = if last { String::new() } else { format!("stage {stage} of {}: ", self.stages) };
        cx.note(format!(
            "{of}{:.1} % of the weights of {} layers are zero",
            100.0 * zeros / weights.max(1.0),
            found.len()
        ));
        let part = if last { 1 } else { 4 };
        let how = self.restore.map(|how| Restore { epochs: how.epochs.div_ceil(part), ..how });
        match how.filter(|how| how.epochs > 0 && !found.is_empty()) {
            Some(how) => self.restore(&how, original, &found, &title, graph, cx),
            None => Ok(()),
        }
    }

    /// Adds what layers are chosen from by slopes of the outputs.
    fn score(
        &self,
        found: &mut [Layer],
        title: &str,
        graph: &Graph,
        cx: &mut PassContext<'_>,
    ) -> Result<(), PassError> {
        if found.is_empty() {
            return Ok(());
        }
        let ids: Vec<NodeId> = found.iter().map(|l| l.id).collect();
        let data = (self.calibration.data.as_deref(), self.calibration.samples);
        match self.criterion {
            Criterion::Taylor => {
                let what = format!("{title}: slopes of the outputs");
                let scores = taylor(graph, &ids, data, (cx.host(), cx.seed(), &what))?
                    .map_err(|why| PassError::Input(format!("`criterion = \"taylor\"`: {why}")))?;
                found.iter_mut().zip(scores).for_each(|(layer, own)| layer.scores = own);
            }
            Criterion::SecondOrder => match influence(graph, &ids, data, (cx.host(), cx.seed()))? {
                Ok(all) => found.iter_mut().zip(all).for_each(|(layer, own)| {
                    (layer.influence, layer.places) = (own.filters, own.places);
                }),
                Err(why) => cx.note(format!("filters count alike: {why}")),
            },
            Criterion::Magnitude | Criterion::Activation => {}
        }
        Ok(())
    }

    /// The share of weights, or of what they count for, that goes in all.
    fn share(&self, found: &[Layer]) -> Result<f64, PassError> {
        let weights: f64 = found.iter().map(|l| l.weights.len() as f64).sum();
        Ok(match (self.sparsity, self.macs, self.bytes) {
            (Some(s), ..) => s,
            (_, Some(m), _) => 1.0 - m,
            (_, _, Some(bytes)) => {
                let rank =
                    |l: &Layer| self.structure.block(l.shape.len()).iter().product::<usize>();
                let masks: f64 = found
                    .iter()
                    .map(|l| (l.weights.len() as f64 / (8 * rank(l)) as f64).ceil())
                    .sum();
                let share = 1.0 - (bytes as f64 - masks) / (4.0 * weights);
                if share >= 1.0 {
                    return Err(PassError::Input(format!(
                        "`bytes = {bytes}` is less than the masks alone take ({masks})"
                    )));
                }
                share.max(0.0)
            }
            _ => 1.0,
        })
    }

    /// Brings what is left of the layers closer to what the original network computes.
    fn restore(
        &self,
        how: &Restore,
        original: &Graph,
        found: &[Layer],
        title: &str,
        graph: &mut Graph,
        cx: &mut PassContext<'_>,
    ) -> Result<(), PassError> {
        let sparse = |layer: &Layer| graph.constant(graph.node(layer.id).inputs()[1])?.sparse();
        let movable: Vec<Movable> = found
            .iter()
            .map(|layer| {
                let mut zero = vec![true; layer.weights.len()];
                let kept = sparse(layer).map(Sparse::kept).unwrap_or_default();
                kept.into_iter().for_each(|i| zero[i] = false);
                Movable { layer: layer.id, by: Movement::Singly { zero } }
            })
            .collect();
        let data = (self.calibration.data.as_deref(), self.calibration.samples);
        let what = format!("{title}: fitting what is left");
        let with = (cx.host(), cx.seed(), what.as_str());
        let restored = match restore(how, (original, graph), &movable, data, with)? {
            Ok(restored) => restored,
            Err(why) => {
                cx.note(format!("what is left was not fitted to the outputs: {why}"));
                return Ok(());
            }
        };
        cx.note(restored.note("what is left"));
        if !restored.helped() {
            return Ok(());
        }
        for (layer, (weights, bias)) in found.iter().zip(restored.layers) {
            let node = graph.node(layer.id);
            let dense = Tensor::from_vec(layer.shape.clone(), weights)?;
            let block = self.structure.block(layer.shape.len());
            let sparse = Sparse::from_dense(&dense, &block, 0)?;
            let old = node.inputs().get(2).and_then(|b| consts::dense_f32(graph, *b));
            let shift = |(o, b): (usize, &f32)| {
                let old = old.as_ref().and_then(|all| all.get(o)).copied().unwrap_or(0.0);
                f64::from(*b) - f64::from(old)
            };
            let shifts: Vec<f64> = bias.iter().enumerate().map(shift).collect();
            let data = paring_tensor::ConstData::Sparse(sparse);
            let patch = replace_weights(graph, layer.id, data, None, &shifts, "prune")?;
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Prune {
    /// What is added to the bias of each filter.
    fn shifts(&self, layer: &Layer, problems: &[Problem], values: &[Vec<f64>]) -> Vec<f64> {
        let filters = values.iter().enumerate();
        filters
            .map(|(o, values)| match problems.get(layer.group(o)) {
                Some(problem) if self.updates() => problem.shift(layer.filter(o), values),
                _ => 0.0,
            })
            .collect()
    }

    /// The weights of each filter without the units that go; their error and the variance of the
    /// result.
    fn values(
        &self,
        layer: &Layer,
        problems: &[Problem],
        targets: &[Vec<f64>],
        plan: &Plan,
        counts: &[usize],
    ) -> (Vec<Vec<f64>>, f64, f64) {
        let rows: Vec<(Vec<f64>, f64, f64)> = (0..layer.outputs())
            .into_par_iter()
            .map(|o| {
                let strip = o / plan.filters;
                let mut free = vec![true; layer.depth()];
                for unit in &plan.strips[strip].order[..counts[strip]] {
                    plan.units[*unit].iter().for_each(|i| free[*i] = false);
                }
                let target = &targets[o];
                let masked = || target.iter().zip(&free).map(|(t, f)| if *f { *t } else { 0.0 });
                let Some(problem) = problems.get(layer.group(o)) else {
                    return (masked().collect(), 0.0, 0.0);
                };
                let values: Vec<f64> =
                    if self.updates() { problem.refit(target, &free) } else { masked().collect() };
                let noise = problem.loss(&values, target);
                (values, noise, problem.signal(layer.filter(o)))
            })
            .collect();
        let (noise, signal) = rows.iter().fold((0.0, 0.0), |(n, s), r| (n + r.1, s + r.2));
        (rows.into_iter().map(|r| r.0).collect(), noise, signal)
    }
}

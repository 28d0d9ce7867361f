//! The `gptq` pass: weights become integers of few bits, each rounded so that it makes up for the
//! errors of those rounded before it.
//!
//! Layers are taken in the order in which they run. For each, calibration data tells how the layer's
//! inputs vary together, in the original network (`x`) and in the one whose earlier layers are
//! already quantized (`z`). The integer weights `q` of an output channel with scale `s` are then chosen
//! to make the expected squared difference of `x·w` and `s z·q` small:
//!
//! 1. the weights that would be best without rounding, `w* = w + (H + λ)^-1 (C - H) w`, with the
//!    covariances `H` of `z` and `C` of `z` and `x`, so that errors of earlier layers are made up for;
//! 2. rounding along the factor of `H` from the weight whose input varies most (GPTQ: Frantar and
//!    others, 2022; as a lattice problem: Babai's nearest plane);
//! 3. single steps of single weights while they help;
//! 4. over several scales, refined by least squares, keeping the best.
//!
//! The bias takes up the difference of the means. If the graph has calibrated ranges, `z` is rounded to
//! integers between layers as it will be in the quantized network, unless `activations = "float"`.
//!
//! With `bits = { average = 3.0, of = [2, 3, 4, 8] }` the layers get different numbers of bits: each is
//! rounded alone to each of them, the squared error of the network's result is measured, and the
//! choice whose errors add up to the least within the budget is found exactly. That is the best
//! choice if the errors of layers add up, which they do nearly while they are small; no claim is made
//! beyond that.
//!
//! The budget may also be what a target has, by the estimate of its backend:
//! `bits = { target = "cortex-m4", flash = "64K", latency = "20M", of = [4, 8] }`, with one or more of `flash`,
//! `ram`, `latency` and `average`. Fewer bits take less flash and, where a processor unpacks them, more time. The choice
//! is again the best one if the errors of layers add up, or the report says how much better another could be at
//! most; it is estimated as a whole in the end, and keeps every budget.
//!
//! The crate also has the `accuracy-guard` pass, which rounds in the same way and gives more bits to as
//! many layers as it takes to keep a stated bound on what comes out.
//!
//! With `refine = { epochs = 20 }` the rounded weights are then refined block by block: all weights of a
//! block together, and their scales and biases, take small steps that bring what the block computes
//! closer to what the original does; one sample in eight only judges whether that helped.
//!
//! With `tune = { steps = 336 }` the whole network is tuned in the end: all rounded weights, their scales,
//! the biases and the ranges of activations together take small steps that bring what the network computes
//! in integers closer to what the original computes. The tuned ranges stay in the graph, and values that
//! tuning does not reach lose theirs: follow with `calibrate` and `missing = true`.
//!
//! Integers of `n` bits are those from `-2^(n-1)` to `2^(n-1) - 1`; those of 8 bits leave out -128, as the
//! TFLite specification has them.
//!
//! The result stands in the graph as integer constants under `dequantize`, which `quantize` takes up;
//! without `tune` calibrate again in between, since the activations have moved.
//!
//! ```
//! use paring_pass_gptq as _;
//! let known = paring_pass::registered_passes();
//! assert!(known.iter().any(|p| p.info.name == "gptq"));
//! ```
#![forbid(unsafe_code)]

mod bits;
mod budget;
mod guard;
mod refine;
mod within;

pub use bits::{Bits, Budgets};
pub use guard::AccuracyGuard;
pub use paring_layerwise::weights::Per;
pub use refine::{Refine, Tune};

use paring_ir::ops::Dequantize;
use paring_ir::{Graph, NodeId, Patch};
use paring_layerwise::{
    Geometry, Moments, Observing, Problem, Row, Walk, decibels, layers, replace_weights, survey,
};
use paring_pass::{
    Effect, LayerReport, Lost, Pass, PassContext, PassError, PassInfo, Stream, consts, facts,
    register_pass,
};
use paring_tensor::{ConstData, DType, Quant, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gptq {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// Bits of a weight.
    pub bits: Bits,
    /// What shares a scale of weights. One scale a layer takes less memory for constants on
    /// microcontrollers, and costs accuracy.
    pub per: Per,
    /// What layers see while their weights are chosen.
    pub prefix: Prefix,
    /// What is added to the variance of each input, relative to the mean variance.
    pub damping: f64,
    /// Positions of an image that are looked at, for each sample.
    pub positions: usize,
    /// Whether the inputs of layers are rounded as calibrated: `i8`, or `f32` for not at all.
    pub activations: DType,
    /// Whether errors of earlier layers are made up for.
    pub correct: bool,
    /// How the rounded weights of blocks of layers are refined together; not at all if left out.
    pub refine: Option<Refine>,
    /// How the whole network is tuned in the end; not at all if left out.
    pub tune: Option<Tune>,
}

/// What layers see while their weights are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prefix {
    /// What the layers before them, already rounded, compute: errors of earlier layers are made up for.
    /// The samples run once for each layer.
    Quantized,
    /// What the original network computes: all layers from one run over the samples. As good where the
    /// weights keep many bits.
    Original,
}

impl Default for Gptq {
    fn default() -> Self {
        Self {
            data: None,
            samples: Some(512),
            bits: Bits::Same(4),
            per: Per::Channel,
            prefix: Prefix::Quantized,
            damping: 0.01,
            positions: 64,
            activations: DType::I8,
            correct: true,
            refine: None,
            tune: None,
        }
    }
}

register_pass!(
    Gptq,
    PassInfo {
        name: "gptq",
        summary: "second-order rounding of weights to 2 to 8 bits, layer after layer",
        effect: Effect::Lossy,
        needs: &[facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

impl Gptq {
    fn check(&self) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        self.bits.check()?;
        if !(self.damping > 0.0 && self.damping.is_finite()) {
            return wrong("`damping` must be positive");
        }
        if self.positions == 0 || self.samples == Some(0) {
            return wrong("`positions` and `samples` must be at least 1");
        }
        if !matches!(self.activations, DType::I8 | DType::I16 | DType::F32) {
            return wrong("`activations` is i8, i16 or f32");
        }
        if let Some(refine) = &self.refine {
            if self.per != Per::Channel {
                return wrong("`refine` has a scale for each channel; leave out `per`");
            }
            if refine.epochs == 0 || refine.batch == 0 {
                return wrong("`epochs` and `batch` of `refine` must be at least 1");
            }
            if !(refine.rate > 0.0 && refine.rate <= 1.0) {
                return wrong("`rate` of `refine` is over 0 and up to 1");
            }
            if !(0.0..0.5).contains(&refine.lean) || refine.samples < 2 {
                return wrong(
                    "`lean` of `refine` is from 0 and below 0.5, and `samples` at least 2",
                );
            }
        }
        match &self.tune {
            Some(_) if self.per != Per::Channel => {
                wrong("`tune` has a scale for each channel; leave out `per`")
            }
            Some(tune) => tune.check(),
            None => Ok(()),
        }
    }
}

impl Pass for Gptq {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.check()?;
        let (layers, refused) = layers(graph, cx);
        if !refused.is_empty() {
            return Err(PassError::Unsupported(refused));
        }
        cx.all_named(layers.iter().map(|id| graph.node(*id)), LAYER)?;
        cx.undoes(Lost::clusters(graph, layers.iter().map(|id| graph.node(*id).inputs()[1])))?;
        let observing = Observing {
            data: self.data.clone(),
            samples: self.samples,
            positions: self.positions,
            activations: match self.prefix {
                Prefix::Quantized => self.activations,
                Prefix::Original => DType::F32,
            },
        };
        let bits = budget::assign(self, graph, &layers, &observing, cx)?;
        let original = graph.clone();
        // What is to be refined enters the graph as it is in the end.
        let later = self.refine.is_some() || self.tune.is_some();
        let mut rounded = later.then(|| graph.clone());
        let mut walk = Walk::new(graph, observing.clone())?;
        let together = match self.prefix {
            Prefix::Quantized => 1,
            Prefix::Original => layers.len(),
        };
        for at in chunks(graph, &layers, together) {
            let what = format!("gptq: layer {} of {}", at.start + 1, layers.len());
            let all = match self.prefix {
                Prefix::Quantized => vec![walk.observe(layers[at.start], cx, &what)?],
                Prefix::Original => survey(&original, &layers[at.clone()], &observing, cx, &what)?,
            };
            for (moments, i) in all.iter().zip(at) {
                let id = layers[i];
                let into = rounded.as_ref().unwrap_or(graph);
                let Some(choice) = self.choose(into, id, moments, bits[i])? else { continue };
                let (patch, report) = choice.patch(into, id)?;
                cx.layer(report);
                match &mut rounded {
                    Some(rounded) => rounded.apply(patch)?,
                    None if !cx.apply(graph, patch)? => return Ok(()),
                    None => {}
                }
                if self.prefix == Prefix::Quantized {
                    walk.adopt(rounded.as_ref().unwrap_or(graph), id)?;
                }
            }
        }
        drop(walk);
        let Some(mut rounded) = rounded else { return Ok(()) };
        let with = (layers.as_slice(), bits.as_slice());
        if let Some(how) = &self.refine {
            let (refined, reports) = refine::refine(self, how, &original, rounded, with, cx)?;
            reports.into_iter().for_each(|report| cx.layer(report));
            rounded = refined;
        }
        if let Some(how) = &self.tune {
            let tuned = refine::tune(self, how, &original, rounded, with, cx)?;
            tuned.reports.into_iter().for_each(|report| cx.layer(report));
            cx.note(tuned.note);
            rounded = tuned.graph;
        }
        let mut patch = transfer(graph, &rounded, &layers)?;
        for value in graph.values().filter(|_| self.tune.is_some()) {
            let range = rounded.get_value(value.id).and_then(|v| v.range);
            patch.set_range(value.id, range);
        }
        cx.apply(graph, patch)?;
        Ok(())
    }
}

/// Scales that are tried where all filters of a layer share one, relative to that of the largest weight.
const SHARED_SCALES: [f64; 10] = [1.0, 0.9, 0.81, 0.73, 0.66, 0.59, 0.53, 0.48, 0.43, 0.39];

/// Rounds the weights of one filter, of which a mask may keep some at zero.
type RoundFilter<'a> = dyn Fn(&Problem, &[f32], Option<&[bool]>) -> Row + Sync + 'a;

/// What the passes work on.
const LAYER: &str = "convolution or dense layer with real weights";

/// The most bytes of sums that layers looked at together may take up, in all lanes.
const MOST_SUMS: usize = 1 << 29;

/// Cuts the layers into runs that are looked at together.
fn chunks(graph: &Graph, layers: &[NodeId], together: usize) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (i, id) in layers.iter().enumerate() {
        let own = Geometry::of(graph, graph.node(*id)).map_or(0, |g| Moments::bytes(&g));
        bytes += own * Stream::LANES;
        match out.last_mut() {
            Some(last) if last.len() < together && bytes <= MOST_SUMS => last.end = i + 1,
            _ => {
                out.push(i..i + 1);
                bytes = own * Stream::LANES;
            }
        }
    }
    out
}

/// Puts the rounded weights and biases that layers have in another copy of the graph into this one.
fn transfer(graph: &Graph, from: &Graph, layers: &[NodeId]) -> Result<Patch, PassError> {
    let mut patch = Patch::new(graph, "rounded");
    for &id in layers {
        let mut operands = graph.node(id).inputs()[..1].to_vec();
        for &v in &from.node(id).inputs()[1..] {
            let stored = from.producer(v).map_or(v, |n| n.inputs()[0]);
            let Some(data) = from.constant(stored) else {
                return Err(PassError::Internal("weights that are no constant".into()));
            };
            let name = &from.value(stored).name;
            let quant = from.ty(stored).quant.clone();
            let constant = patch.constant(name, data.clone(), quant);
            operands.push(match stored == v {
                true => constant,
                false => {
                    let name = &from.value(v).name;
                    patch.node(graph, name, Dequantize::default(), &[constant])?[0]
                }
            });
        }
        patch.set_operands(id, operands);
    }
    Ok(patch)
}

/// The integer weights of a layer and its bias.
#[derive(Clone)]
struct Choice {
    bits: u32,
    stored: ConstData,
    quant: Quant,
    /// What is added to the bias of each output.
    shifts: Vec<f64>,
    /// Variance of the result, its error, and the error of rounding to nearest.
    signal: f64,
    noise: f64,
    nearest: f64,
}

impl Choice {
    /// Puts the weights into the layer, and says how good they are.
    fn patch(self, graph: &Graph, id: NodeId) -> Result<(Patch, LayerReport), PassError> {
        let node = graph.node(id);
        let (stored, quant) = (self.stored, Some(self.quant));
        let patch = replace_weights(graph, id, stored, quant, &self.shifts, "gptq")?;
        let mut report = LayerReport::new(node);
        report.weights = Some(format!("{} bits", self.bits));
        report.result_db = Some(decibels(self.signal, self.noise));
        report.note = format!(
            "error of the result; {:.1} dB with rounding to nearest",
            decibels(self.signal, self.nearest)
        );
        Ok((patch, report))
    }
}

impl Gptq {
    /// The integer weights of one layer.
    fn choose(
        &self,
        graph: &Graph,
        id: NodeId,
        moments: &Moments,
        bits: u32,
    ) -> Result<Option<Choice>, PassError> {
        let node = graph.node(id);
        let Some(data) = graph.constant(node.inputs()[1]) else { return Ok(None) };
        let weights = data.dense().to_f32();
        let outputs = data.shape()[0];
        let per_filter = weights.len() / outputs.max(1);
        let groups = moments.groups();
        let limits = bits::limits(bits);
        let mask: Option<Vec<bool>> = data.sparse().map(|s| {
            let mut kept = vec![false; weights.len()];
            s.kept().into_iter().for_each(|i| kept[i] = true);
            kept
        });
        let problems: Vec<Problem> = (0..groups)
            .into_par_iter()
            .map(|g| Problem::new(moments, g, self.damping, self.correct))
            .collect();
        let each = |round: &RoundFilter<'_>| {
            let rows = (0..outputs).into_par_iter().map(|o| {
                let problem = &problems[o * groups / outputs];
                let range = o * per_filter..(o + 1) * per_filter;
                let mask = mask.as_ref().map(|m| &m[range.clone()]);
                round(problem, &weights[range], mask)
            });
            rows.collect::<Vec<Row>>()
        };
        let rows = match self.per {
            Per::Channel => each(&|problem, weights, mask| problem.round(weights, limits, mask)),
            Per::Tensor => {
                let filters = weights.chunks_exact(per_filter.max(1)).enumerate();
                let reach = filters
                    .map(|(o, filter)| problems[o * groups / outputs].reach(filter))
                    .fold(0.0, f64::max);
                if !(reach > f64::from(f32::MIN_POSITIVE) && reach.is_finite()) {
                    return Ok(None);
                }
                let noise = |rows: &[Row]| rows.iter().map(|r| r.noise).sum::<f64>();
                let tried = SHARED_SCALES.iter().map(|relative| {
                    let scale = f64::from((reach * relative / limits.1) as f32);
                    each(&|problem, weights, mask| problem.round_at(weights, scale, limits, mask))
                });
                let better = |a: Vec<Row>, b: Vec<Row>| if noise(&b) < noise(&a) { b } else { a };
                tried.reduce(better).unwrap_or_default()
            }
        };
        let ints: Vec<i8> = rows.iter().flat_map(|r| r.ints.iter().copied()).collect();
        let quant = match self.per {
            Per::Channel => Quant::symmetric(0, rows.iter().map(|r| r.scale).collect()),
            Per::Tensor => Quant::per_tensor(rows.first().map_or(1.0, |r| r.scale), 0),
        };
        let (signal, noise, nearest) = rows
            .iter()
            .fold((0.0, 0.0, 0.0), |(s, n, p), r| (s + r.signal, n + r.noise, p + r.nearest));
        let shifts = rows.iter().map(|r| r.shift).collect();
        let dtype = if bits <= 4 { DType::I4 } else { DType::I8 };
        let ints = Tensor::from_vec(data.shape(), ints)?.reinterpret(dtype)?;
        let stored = consts::with_elements(data, &ints)?;
        Ok(Some(Choice { bits, stored, quant, shifts, signal, noise, nearest }))
    }
}

//! The `correct-bias` pass: what rounding does to the mean of each output channel goes into the biases.
//!
//! Rounded values and weights are off by more than noise: clipped ends, and weights that all round one way,
//! move the mean of what a filter computes. Layers are taken in the order in which they run. For each,
//! samples tell the mean of each output channel before the clamp, in the network as it is and in the one whose
//! values are rounded as calibrated and whose earlier layers are already corrected; the difference goes into
//! the bias (empirical bias correction: Nagel and others, "Data-free quantization through weight equalization
//! and bias correction", 2019).
//!
//! With `scales = true` filters are also multiplied by the slope of the line that brings what they compute
//! closest to the original in the least squares: what estimating a batch norm again would do, had it not been
//! folded. Integer weights under a `dequantize` stay the same integers; their scales change.
//!
//! Calibrate before, and quantize after. Weights that are integers already count as they are, so their own
//! errors are not seen here: `gptq` sees to them. Weights that are real are taken as `quantize` will round
//! them, to `bits`.
//!
//! The crate also has the [`correct-bias-analytic`](CorrectBiasAnalytic) pass, which goes by the statistics of batch norms
//! and needs no data.
//!
//! ```
//! use paring_pass_correct_bias as _;
//! let known = paring_pass::registered_passes();
//! assert!(known.iter().any(|p| p.info.name == "correct-bias"));
//! ```
#![forbid(unsafe_code)]

mod analytic;
mod moments;

pub use analytic::CorrectBiasAnalytic;

use paring_ir::{Graph, Node, NodeId, ValueId};
use paring_layerwise::{
    Geometry, Observing, Pairs, Walk, decibels, is_layer, replace_weights, weights,
};
use paring_pass::{
    Effect, LayerReport, Pass, PassContext, PassError, PassInfo, consts, facts, register_pass,
};
use paring_tensor::{ConstData, DType, Quant, Tensor};

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorrectBias {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// Bits that real weights will have, 2 to 8.
    pub bits: u32,
    /// Element type of values: `i8` or `i16`, or `f32` for values that stay real.
    pub activations: DType,
    /// Whether filters are scaled, too.
    pub scales: bool,
}

impl Default for CorrectBias {
    fn default() -> Self {
        Self { data: None, samples: Some(128), bits: 8, activations: DType::I8, scales: false }
    }
}

register_pass!(
    CorrectBias,
    PassInfo {
        name: "correct-bias",
        summary: "put into the biases what rounding does to the means of channels",
        effect: Effect::Lossy,
        needs: &[facts::CALIBRATED, facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[],
    }
);

/// The weights of a layer.
struct Weights {
    /// Real numbers, or integers.
    data: ConstData,
    /// Of integers.
    quant: Option<Quant>,
}

impl Weights {
    fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let w = node.inputs()[1];
        if consts::dense_f32(graph, w).is_some() {
            return Some(Self { data: graph.constant(w)?.clone(), quant: None });
        }
        let stored: ValueId = graph.producer(w)?.inputs().first().copied()?;
        let quant = graph.ty(stored).quant.clone()?;
        Some(Self { data: graph.constant(stored)?.clone(), quant: Some(quant) })
    }

    /// With each filter multiplied by a factor; `None` where that would change how they are stored.
    fn scaled(&self, factors: &[f64]) -> Result<Option<Self>, PassError> {
        let by = |i: usize, x: f32| (f64::from(x) * factors.get(i).copied().unwrap_or(1.0)) as f32;
        if let Some(quant) = &self.quant {
            let Quant::PerAxis { axis: 0, scales, .. } = quant else { return Ok(None) };
            if !quant.is_symmetric() {
                return Ok(None);
            }
            let scales = scales.iter().enumerate().map(|(i, s)| by(i, *s)).collect();
            let quant = Some(Quant::symmetric(0, scales));
            return Ok(Some(Self { data: self.data.clone(), quant }));
        }
        let clusters = match &self.data {
            ConstData::Palette(_) => true,
            ConstData::Sparse(s) => s.values().palette().is_some(),
            _ => false,
        };
        if clusters {
            return Ok(None);
        }
        let numbers = self.data.dense().to_f32();
        let depth = (numbers.len() / factors.len().max(1)).max(1);
        let numbers = numbers.iter().enumerate().map(|(i, x)| by(i / depth, *x)).collect();
        let numbers: Tensor = Tensor::from_vec(self.data.shape(), numbers)?;
        Ok(Some(Self { data: consts::with_elements(&self.data, &numbers)?, quant: None }))
    }
}

impl CorrectBias {
    /// What is added to the bias of each filter, and what the filter is multiplied by.
    fn change(
        &self,
        graph: &Graph,
        id: NodeId,
        own: &Weights,
        pairs: &Pairs,
    ) -> Result<(Weights, Vec<f64>), PassError> {
        let plain = Weights { data: own.data.clone(), quant: own.quant.clone() };
        if !self.scales {
            return Ok((plain, pairs.shifts()));
        }
        // A filter that goes along with the original hardly or not at all is not turned down or over.
        let sound = |factor: f64| if (0.5..2.0).contains(&factor) { factor } else { 1.0 };
        let factors: Vec<f64> = pairs.slopes().into_iter().map(sound).collect();
        let Some(scaled) = own.scaled(&factors)? else { return Ok((plain, pairs.shifts())) };
        let bias = graph.node(id).inputs().get(2).and_then(|b| consts::dense_f32(graph, *b));
        let shifts = pairs.shifts_behind(&factors);
        let shifts = shifts.iter().zip(&factors).enumerate().map(|(o, (shift, factor))| {
            let old = bias.as_ref().and_then(|b| b.get(o)).copied().unwrap_or(0.0);
            shift + (factor - 1.0) * f64::from(old)
        });
        Ok((scaled, shifts.collect()))
    }
}

impl Pass for CorrectBias {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        if !(2..=8).contains(&self.bits) || self.samples == Some(0) {
            return Err(PassError::Input(
                "`bits` must be from 2 to 8 and `samples` at least 1".into(),
            ));
        }
        if !matches!(self.activations, DType::I8 | DType::I16 | DType::F32) {
            return Err(PassError::Input("`activations` is i8, i16 or f32".into()));
        }
        let usable = |graph: &Graph, node: &Node| {
            let bias = node.inputs().get(2);
            is_layer(node)
                && Geometry::of(graph, node).is_some()
                && bias.is_none_or(|b| consts::dense_f32(graph, *b).is_some())
        };
        let mut layers: Vec<(NodeId, Weights)> = Vec::new();
        for id in graph.topological() {
            let node = graph.node(id);
            if cx.selects(node)
                && usable(graph, node)
                && let Some(weights) = Weights::of(graph, node)
            {
                layers.push((id, weights));
            }
        }
        cx.all_named(
            layers.iter().map(|(id, _)| graph.node(*id)),
            "convolution or dense layer with constant weights",
        )?;
        let observing = Observing {
            data: self.data.clone(),
            samples: self.samples,
            activations: self.activations,
            ..Observing::default()
        };
        let mut walk = Walk::new(graph, observing)?;
        // The network with its weights as they will be.
        let mut shadow = graph.clone();
        for (id, own) in layers.iter().filter(|(_, own)| own.quant.is_none()) {
            let real = own.data.dense().to_f32();
            let data = weights::nearest(&own.data, &real, self.bits)?.into();
            let none = vec![0.0; own.data.shape().first().copied().unwrap_or(0)];
            let patch = replace_weights(&shadow, *id, data, None, &none, "rounded")?;
            shadow.apply(patch)?;
            walk.adopt(&shadow, *id)?;
        }
        let total = layers.len();
        let (mut before, mut after) = (0.0, 0.0);
        for (i, (id, own)) in layers.iter().enumerate() {
            let what = format!("correct-bias: layer {} of {total}", i + 1);
            let pairs = walk.compare(*id, cx, &what)?;
            let (variance, error, rest) = pairs.errors();
            let mut report = LayerReport::new(graph.node(*id));
            report.result_db = Some(decibels(variance, rest));
            report.note = format!(
                "error of what it computes, before its clamp, without the shift of the means; {:.1} dB with it",
                decibels(variance, error)
            );
            cx.layer(report);
            before += error / variance.max(1e-300);
            after += rest / variance.max(1e-300);
            let (new, shifts) = self.change(graph, *id, own, &pairs)?;
            let now = match new.quant {
                Some(_) => Weights { data: new.data.clone(), quant: new.quant.clone() },
                None => {
                    let real = new.data.dense().to_f32();
                    let data = weights::nearest(&new.data, &real, self.bits)?.into();
                    Weights { data, quant: None }
                }
            };
            let patch = replace_weights(&shadow, *id, now.data, now.quant, &shifts, "corrected")?;
            shadow.apply(patch)?;
            walk.adopt(&shadow, *id)?;
            let patch = replace_weights(graph, *id, new.data, new.quant, &shifts, "correct-bias")?;
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
        }
        let mean = |sum: f64| decibels(total as f64, sum);
        cx.note(format!(
            "{total} layers: errors of {:.1} dB on average, {:.1} dB without the shifts of the means",
            mean(before),
            mean(after)
        ));
        Ok(())
    }
}

//! The `rate` pass: weights become integers that cost little error and short codes together.
//!
//! Every layer has one step. The integers of its filters are chosen to make
//! `error + lambda * bits` small: the error is the second-order one of [`paring_layerwise`], each weight
//! making up for those decided before it and for the errors of earlier layers, and the bits are those of
//! an ideal code for how often each integer occurs in the layer. The step is searched for too.
//!
//! Errors of different layers are made comparable by measuring, before anything is changed, how much
//! each of them moves what the network computes: the weights of one layer at a time are rounded
//! coarsely, and the relative square change of the outputs (before a softmax) is set against the error
//! of the layer's own result. So `lambda` is the relative square error of the outputs that a bit for
//! every weight of the network is worth; from one end to the other it draws the front of size against
//! loss.
//!
//! With `restore = {}` the steps of channels and the biases of all layers are then fitted together to the
//! outputs of the network as it was before.
//!
//! The integers stand in the graph under `dequantize`, where `quantize` takes them up; calibrate again in
//! between, since the activations have moved.
//!
//! ```
//! use paring_pass_rate as _;
//! let known = paring_pass::registered_passes();
//! assert!(known.iter().any(|p| p.info.name == "rate"));
//! ```
#![forbid(unsafe_code)]

mod layer;

use layer::{Layer, Rounded};
use paring_ir::{Graph, NodeId};
use paring_layerwise::{Calibration, Restore, Walk, layers, replace_weights, rescale};
use paring_pass::{Effect, Lost, Pass, PassContext, PassError, PassInfo, facts, register_pass};
use paring_tensor::DType;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// The relative square error of the outputs that a bit for every weight is worth.
    pub lambda: f64,
    /// Samples that the importance of layers is measured with.
    pub probes: usize,
    /// What is looked at.
    #[serde(flatten)]
    pub calibration: Calibration,
    /// Whether the inputs of layers are rounded as calibrated: `i8`, or `f32` for not at all.
    pub activations: DType,
    /// What has a step of its own.
    pub per: Per,
    /// How the steps of channels and the biases are fitted to the whole network's outputs in the end; not at
    /// all if left out.
    pub restore: Option<Restore>,
}

/// What has a step of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// A layer.
    Tensor,
    /// An output channel: the layer's step times a power of the eighth root of two.
    #[default]
    Channel,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            lambda: 0.01,
            probes: 32,
            calibration: Calibration::default(),
            activations: DType::I8,
            per: Per::default(),
            restore: None,
        }
    }
}

register_pass!(
    Rate,
    PassInfo {
        name: "rate",
        summary: "second-order rounding that weighs error against coded bits",
        effect: Effect::Lossy,
        needs: &[facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

impl Rate {
    fn check(&self) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        if !(self.lambda > 0.0 && self.lambda.is_finite()) {
            return wrong("`lambda` must be positive");
        }
        self.calibration.check()?;
        if self.probes == 0 {
            return wrong("`probes` must be at least 1");
        }
        if !matches!(self.activations, DType::I8 | DType::I16 | DType::F32) {
            return wrong("`activations` is i8, i16 or f32");
        }
        self.restore.as_ref().map_or(Ok(()), Restore::check)
    }

    /// How much the relative square error of the outputs grows with the error of each layer.
    fn importance(
        &self,
        graph: &Graph,
        found: &[Layer],
        cx: &PassContext<'_>,
    ) -> Result<Vec<f64>, PassError> {
        let mut walk = Walk::new(graph, self.calibration.observing(DType::F32))?;
        let mut importance = Vec::with_capacity(found.len());
        for (i, layer) in found.iter().enumerate() {
            let what = format!("rate: looking at layer {} of {}", i + 1, found.len());
            let problems = self.calibration.problems(&mut walk, layer.id, cx, &what, false)?;
            let data = self.calibration.data.as_deref();
            let found =
                paring_layerwise::importance(graph, layer.id, &problems, data, self.probes, cx)?;
            importance.push(found);
        }
        Ok(importance)
    }
}

impl Pass for Rate {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.check()?;
        let (ids, refused) = layers(graph, cx);
        if !refused.is_empty() {
            return Err(PassError::Unsupported(refused));
        }
        cx.undoes(Lost::clusters(graph, ids.iter().map(|id| graph.node(*id).inputs()[1])))?;
        let found: Vec<Layer> = ids.into_iter().filter_map(|id| Layer::of(graph, id)).collect();
        let importance = self.importance(graph, &found, cx)?;
        let weights: usize = found.iter().map(Layer::len).sum();
        let original = graph.clone();
        let mut walk = Walk::new(graph, self.calibration.observing(self.activations))?;
        let (mut bits, mut error) = (0.0, 0.0);
        for (i, (layer, importance)) in found.iter().zip(importance).enumerate() {
            let what = format!("rate: layer {} of {}", i + 1, found.len());
            let problems = self.calibration.problems(&mut walk, layer.id, cx, &what, true)?;
            // What a bit costs, in units of the layer's error.
            let price = self.lambda / weights.max(1) as f64 / importance.max(1e-30);
            let Rounded { data, quant, shifts, coded, noise, signal } =
                layer.round(&problems, price, self.per)?;
            let decibels = 10.0 * (signal / noise.max(1e-300)).log10();
            cx.note(format!(
                "`{}`: {:.2} bits a weight, result {decibels:.1} dB above its error",
                graph.node(layer.id).name,
                coded / layer.len().max(1) as f64,
            ));
            bits += coded;
            error += noise * importance;
            let patch = replace_weights(graph, layer.id, data, Some(quant), &shifts, "rate")?;
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
            walk.adopt(graph, layer.id)?;
        }
        cx.note(format!(
            "{:.0} bytes of weights in an ideal code ({:.3} bits a weight), relative error {error:.4}",
            bits / 8.0,
            bits / weights.max(1) as f64,
        ));
        drop(walk);
        let Some(how) = &self.restore else { return Ok(()) };
        let ids: Vec<NodeId> = found.iter().map(|l| l.id).collect();
        let data = (self.calibration.data.as_deref(), self.calibration.samples);
        rescale(how, &original, graph, &ids, data, (cx, "rate"))
    }
}

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
use paring_ir::Graph;
use paring_layerwise::{Observing, Problem, Walk, layers, replace_weights};
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, facts, register_pass};
use paring_tensor::DType;
use rayon::prelude::*;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// The relative square error of the outputs that a bit for every weight is worth.
    pub lambda: f64,
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// Samples that the importance of layers is measured with.
    pub probes: usize,
    /// Positions of an image that are looked at, for each sample.
    pub positions: usize,
    /// What is added to the variance of each input, relative to the mean variance.
    pub damping: f64,
    /// Whether the inputs of layers are rounded as calibrated: `i8`, or `f32` for not at all.
    pub activations: DType,
    /// What has a step of its own.
    pub per: Per,
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
            data: None,
            samples: Some(512),
            probes: 32,
            positions: 64,
            damping: 0.01,
            activations: DType::I8,
            per: Per::default(),
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
        if !(self.damping > 0.0 && self.damping.is_finite()) {
            return wrong("`damping` must be positive");
        }
        if self.positions == 0 || self.probes == 0 || self.samples == Some(0) {
            return wrong("`positions`, `probes` and `samples` must be at least 1");
        }
        if !matches!(self.activations, DType::I8 | DType::I16 | DType::F32) {
            return wrong("`activations` is i8, i16 or f32");
        }
        Ok(())
    }

    fn observing(&self, activations: DType) -> Observing {
        Observing {
            data: self.data.clone(),
            samples: self.samples,
            positions: self.positions,
            activations,
        }
    }

    fn problems(
        &self,
        walk: &mut Walk,
        layer: &Layer,
        cx: &PassContext<'_>,
        what: &str,
        correct: bool,
    ) -> Result<Vec<Problem>, PassError> {
        let moments = walk.observe(layer.id, cx, what)?;
        let groups = 0..moments.groups();
        Ok(groups
            .into_par_iter()
            .map(|g| Problem::new(&moments, g, self.damping, correct))
            .collect())
    }

    /// How much the relative square error of the outputs grows with the error of each layer.
    fn importance(
        &self,
        graph: &Graph,
        found: &[Layer],
        cx: &PassContext<'_>,
    ) -> Result<Vec<f64>, PassError> {
        let mut walk = Walk::new(graph, self.observing(DType::F32))?;
        let mut importance = Vec::with_capacity(found.len());
        for (i, layer) in found.iter().enumerate() {
            let what = format!("rate: looking at layer {} of {}", i + 1, found.len());
            let problems = self.problems(&mut walk, layer, cx, &what, false)?;
            let data = self.data.as_deref();
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
        if let Some(id) = ids.iter().find(|id| {
            graph.constant(graph.node(**id).inputs()[1]).is_some_and(|c| c.palette().is_some())
        }) {
            return Err(PassError::Input(format!(
                "the weights of `{}` are clustered, and rounding would undo that; `skip` it, or leave \
                 `rate` out and let `cluster` choose integers (`grid`)",
                graph.node(*id).name
            )));
        }
        let found: Vec<Layer> = ids.into_iter().filter_map(|id| Layer::of(graph, id)).collect();
        let importance = self.importance(graph, &found, cx)?;
        let weights: usize = found.iter().map(Layer::len).sum();
        let mut walk = Walk::new(graph, self.observing(self.activations))?;
        let (mut bits, mut error) = (0.0, 0.0);
        for (i, (layer, importance)) in found.iter().zip(importance).enumerate() {
            let what = format!("rate: layer {} of {}", i + 1, found.len());
            let problems = self.problems(&mut walk, layer, cx, &what, true)?;
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
        Ok(())
    }
}

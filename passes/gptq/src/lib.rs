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
//! The result stands in the graph as integer constants under `dequantize`, which `quantize` takes up;
//! calibrate again in between, since the activations have moved.
//!
//! ```
//! use paring_pass_gptq as _;
//! let known = paring_pass::registered_passes();
//! assert!(known.iter().any(|p| p.info.name == "gptq"));
//! ```
#![forbid(unsafe_code)]

use paring_ir::{Graph, NodeId, Patch};
use paring_layerwise::{Moments, Observing, Problem, Row, Walk, layers, replace_weights};
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, consts, facts, register_pass};
use paring_tensor::{DType, Quant, Tensor};
use rayon::prelude::*;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gptq {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// Bits of a weight, 2 to 8.
    pub bits: u32,
    /// What is added to the variance of each input, relative to the mean variance.
    pub damping: f64,
    /// Positions of an image that are looked at, for each sample.
    pub positions: usize,
    /// Whether the inputs of layers are rounded as calibrated: `i8`, or `f32` for not at all.
    pub activations: DType,
    /// Whether errors of earlier layers are made up for.
    pub correct: bool,
}

impl Default for Gptq {
    fn default() -> Self {
        Self {
            data: None,
            samples: Some(512),
            bits: 4,
            damping: 0.01,
            positions: 64,
            activations: DType::I8,
            correct: true,
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
        if !(2..=8).contains(&self.bits) {
            return wrong("`bits` must be from 2 to 8");
        }
        if !(self.damping > 0.0 && self.damping.is_finite()) {
            return wrong("`damping` must be positive");
        }
        if self.positions == 0 || self.samples == Some(0) {
            return wrong("`positions` and `samples` must be at least 1");
        }
        if !matches!(self.activations, DType::I8 | DType::I16 | DType::F32) {
            return wrong("`activations` is i8, i16 or f32");
        }
        Ok(())
    }

    fn dtype(&self) -> DType {
        if self.bits <= 4 { DType::I4 } else { DType::I8 }
    }
}

impl Pass for Gptq {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.check()?;
        let (layers, refused) = layers(graph, cx);
        if !refused.is_empty() {
            return Err(PassError::Unsupported(refused));
        }
        let observing = Observing {
            data: self.data.clone(),
            samples: self.samples,
            positions: self.positions,
            activations: self.activations,
        };
        let mut walk = Walk::new(graph, observing)?;
        for (done, &id) in layers.iter().enumerate() {
            let what = format!("gptq: layer {} of {}", done + 1, layers.len());
            let moments = walk.observe(id, cx, &what)?;
            let Some((patch, note)) = self.layer(graph, id, &moments)? else { continue };
            cx.note(note);
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
            walk.adopt(graph, id)?;
        }
        Ok(())
    }
}

impl Gptq {
    /// The integer weights of one layer, and what to say of them.
    fn layer(
        &self,
        graph: &Graph,
        id: NodeId,
        moments: &Moments,
    ) -> Result<Option<(Patch, String)>, PassError> {
        let node = graph.node(id);
        let Some(data) = graph.constant(node.inputs()[1]) else { return Ok(None) };
        if data.palette().is_some() {
            return Err(PassError::Input(format!(
                "the weights of `{}` are clustered, and rounding would undo that; `skip` it, or leave \
                 `gptq` out and let `cluster` choose integers (`grid`)",
                node.name
            )));
        }
        let weights = data.dense().to_f32();
        let outputs = data.shape()[0];
        let per_filter = weights.len() / outputs.max(1);
        let groups = moments.groups();
        let limit = ((1_i64 << (self.bits - 1)) - 1) as f64;
        let mask: Option<Vec<bool>> = data.sparse().map(|s| {
            let mut kept = vec![false; weights.len()];
            s.kept().into_iter().for_each(|i| kept[i] = true);
            kept
        });
        let problems: Vec<Problem> = (0..groups)
            .into_par_iter()
            .map(|g| Problem::new(moments, g, self.damping, self.correct))
            .collect();
        let rows: Vec<Row> = (0..outputs)
            .into_par_iter()
            .map(|o| {
                let problem = &problems[o * groups / outputs];
                let range = o * per_filter..(o + 1) * per_filter;
                let mask = mask.as_ref().map(|m| &m[range.clone()]);
                problem.round(&weights[range], limit, mask)
            })
            .collect();
        let ints: Vec<i8> = rows.iter().flat_map(|r| r.ints.iter().copied()).collect();
        let scales: Vec<f32> = rows.iter().map(|r| r.scale).collect();
        let (signal, noise, plain) = rows
            .iter()
            .fold((0.0, 0.0, 0.0), |(s, n, p), r| (s + r.signal, n + r.noise, p + r.nearest));
        let shifts: Vec<f64> = rows.iter().map(|r| r.shift).collect();
        let ints = Tensor::from_vec(data.shape(), ints)?.reinterpret(self.dtype())?;
        let stored = consts::with_elements(data, &ints)?;
        let quant = Quant::symmetric(0, scales);
        let patch = replace_weights(graph, id, stored, Some(quant), &shifts, "gptq")?;
        let decibels = |noise: f64| 10.0 * (signal / noise.max(1e-300)).log10();
        let note = format!(
            "`{}` ({}): weights of {} bits, result {:.1} dB above its error (nearest rounding {:.1})",
            node.name,
            node.op.name(),
            self.bits,
            decibels(noise),
            decibels(plain),
        );
        Ok(Some((patch, note)))
    }
}

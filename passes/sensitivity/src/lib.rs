//! The `sensitivity` pass: what quantizing each layer alone does to the result of the network.
//!
//! For each node the report has two ratios of signal to error of the network's outputs, in decibels
//! (before a softmax, where one computes the output), everything else staying real:
//! with only its weights rounded to nearest, and with only its result rounded as calibrated. The
//! network itself is not changed.
//!
//! ```
//! use paring_pass_sensitivity as _;
//! let known = paring_pass::registered_passes();
//! assert!(known.iter().any(|p| p.info.name == "sensitivity"));
//! ```
#![forbid(unsafe_code)]

use paring_ir::{Def, Graph, Node, Patch, ValueId};
use paring_layerwise::{Outcome, decibels, is_layer, round_value, weights};
use paring_pass::{
    Effect, LayerReport, Pass, PassContext, PassError, PassInfo, consts, facts, register_pass,
};
use paring_tensor::DType;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sensitivity {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// Bits of weights, 2 to 8.
    pub bits: u32,
    /// Element type of results: `i8` or `i16`.
    pub activations: DType,
}

impl Default for Sensitivity {
    fn default() -> Self {
        Self { data: None, samples: Some(32), bits: 8, activations: DType::I8 }
    }
}

register_pass!(
    Sensitivity,
    PassInfo {
        name: "sensitivity",
        summary: "measure what quantizing each layer alone costs",
        effect: Effect::Exact,
        needs: &[facts::CALIBRATED, facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[],
    }
);

/// Variants of the network that run side by side.
const SIDE_BY_SIDE: usize = 12;

impl Pass for Sensitivity {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        if !(2..=8).contains(&self.bits) || self.samples == Some(0) {
            return Err(PassError::Input(
                "`bits` must be from 2 to 8 and `samples` at least 1".into(),
            ));
        }
        if !matches!(self.activations, DType::I8 | DType::I16) {
            return Err(PassError::Input("`activations` is i8 or i16".into()));
        }
        let mut rows: Vec<LayerReport> = Vec::new();
        let mut tried: Vec<(usize, bool)> = Vec::new();
        let mut variants: Vec<Graph> = Vec::new();
        for id in graph.topological() {
            let node = graph.node(id);
            if !cx.selects(node) {
                continue;
            }
            let by_weights = self.weights_alone(graph, node)?;
            let by_result = self.result_alone(graph, node.outputs()[0])?;
            if by_weights.is_none() && by_result.is_none() {
                continue;
            }
            rows.push(LayerReport::new(node));
            for (variant, weights) in [(by_weights, true), (by_result, false)] {
                let Some(variant) = variant else { continue };
                tried.push((rows.len() - 1, weights));
                variants.push(variant);
            }
        }
        let mut outcomes = Vec::with_capacity(variants.len());
        for (i, some) in variants.chunks(SIDE_BY_SIDE).enumerate() {
            let parts = variants.len().div_ceil(SIDE_BY_SIDE);
            let what = format!("sensitivity, part {} of {parts}", i + 1);
            let data = (self.data.as_deref(), self.samples);
            outcomes.extend(Outcome::compare(cx.host(), graph, some, data, &what)?);
        }
        let mut worst: Vec<(f64, String)> = Vec::new();
        for ((row, weights), outcome) in tried.iter().zip(&outcomes) {
            if outcome.noise() == 0.0 {
                continue;
            }
            let db = decibels(outcome.signal(), outcome.noise());
            let (slot, what) = match weights {
                true => (&mut rows[*row].weights_db, "the weights"),
                false => (&mut rows[*row].result_db, "the result"),
            };
            *slot = Some(db);
            worst.push((db, format!("{what} of `{}` ({db:.1} dB)", rows[*row].node)));
        }
        for mut row in rows {
            row.weights = row.weights_db.map(|_| format!("{} bits alone", self.bits));
            row.result = row.result_db.map(|_| format!("{} alone", self.activations));
            row.note = "output of the network".into();
            cx.layer(row);
        }
        worst.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        let named: Vec<String> = worst.into_iter().take(5).map(|(_, text)| text).collect();
        cx.note(format!("what costs the most: {}", named.join(", ")));
        Ok(())
    }
}

impl Sensitivity {
    /// The network with only the weights of one layer rounded.
    fn weights_alone(&self, graph: &Graph, node: &Node) -> Result<Option<Graph>, PassError> {
        if !is_layer(node) {
            return Ok(None);
        }
        let w = node.inputs()[1];
        let Some(real) = consts::dense_f32(graph, w) else { return Ok(None) };
        let Some(data) = graph.constant(w) else { return Ok(None) };
        let rounded = weights::nearest(data, &real, self.bits)?;
        let mut variant = graph.clone();
        let mut patch = Patch::new(&variant, "sensitivity");
        let mut operands = node.inputs().to_vec();
        operands[1] = patch.constant(&graph.value(w).name, rounded, None);
        patch.set_operands(node.id, operands);
        variant.apply(patch)?;
        Ok(Some(variant))
    }

    /// The network with only one value rounded.
    fn result_alone(&self, graph: &Graph, v: ValueId) -> Result<Option<Graph>, PassError> {
        let value = graph.value(v);
        let (Some((low, high)), Def::Node(..), DType::F32) =
            (value.range, value.def(), value.ty.dtype)
        else {
            return Ok(None);
        };
        let mut variant = graph.clone();
        round_value(&mut variant, v, (low, high), self.activations)?;
        Ok(Some(variant))
    }
}

//! The `quantize-weights` pass: weights become integers of few bits or half-precision numbers, while
//! activations stay real.
//!
//! Needs no data. The network computes with the real numbers that the stored ones stand for: each
//! constant stands in the graph under a `dequantize`. It makes files small; for small memory and fast
//! integer kernels there is `quantize`.
//!
//! - The weights of convolutions, dense layers and recurrent layers are taken; `f32` constants only, so
//!   what `gptq` or another step has already rounded stays as it is.
//! - `dtype` is `i8` (default), `i4`, `f16` or `bf16`. Integers are symmetric; `bits` uses fewer of them.
//! - `per = "channel"` has a scale an output channel (a row of a recurrent layer), `"tensor"` one a
//!   layer, and `{ block = 32 }` one for each 32 weights along the input channels.
//! - Sparse weights stay sparse. Clusters stay clusters under scales by channel or tensor and in half
//!   precision.
//!
//! Passes that fold constants read real numbers, so this comes last in a recipe.
//!
//! ```
//! use paring_pass::{NoHost, Pipeline};
//! use paring_pass_quantize_weights as _;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[1,2]
//!        %w = const [1.27, 0.0, -2.54, 1.27] : f32[2,2]
//!        %y = dense(%x, %w) : f32[1,2]
//!        output %y
//!      }",
//! )?;
//! let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"quantize-weights\"")?;
//! let done = pipeline.run(&graph, &NoHost, &mut Default::default())?;
//! assert!(done.graph.to_string().contains("const [127, 0, -127, 64] : i8[2,2]"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

use paring_ir::ops::{Conv2d, ConvTranspose2d, Dense, Dequantize, Gru, Lstm, Rnn};
use paring_ir::{Graph, Node, Patch, ValueId};
use paring_layerwise::weights;
use paring_pass::{
    Effect, LayerReport, Pass, PassContext, PassError, PassInfo, consts, register_pass,
};
use paring_tensor::{ConstData, DType, Palette, Quant, Tensor};
use std::collections::BTreeMap;

pub use paring_layerwise::weights::Range;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizeWeights {
    /// Element type: `i8`, `i4`, `f16` or `bf16`.
    pub dtype: DType,
    /// Bits that are used of an integer type, from 2; all if left out.
    pub bits: Option<u32>,
    /// What shares a scale of integers.
    pub per: Per,
    /// How a scale is chosen.
    pub range: Range,
}

impl Default for QuantizeWeights {
    fn default() -> Self {
        Self { dtype: DType::I8, bits: None, per: Per::Channel, range: Range::Max }
    }
}

/// What shares a scale of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Per {
    /// The weights of an output channel.
    Channel,
    /// All weights of a layer.
    Tensor,
    /// This many weights of an output channel, along the input channels.
    Block(usize),
}

register_pass!(
    QuantizeWeights,
    PassInfo {
        name: "quantize-weights",
        summary: "integer or half-precision weights below real activations",
        effect: Effect::Lossy,
        needs: &[],
        gives: &[],
        breaks: &[],
    }
);

/// Which operands of a node are weights, and whether their outermost axis is the output channel.
fn operands(node: &Node) -> Option<(&'static [usize], bool)> {
    if node.op.is::<Conv2d>() || node.op.is::<ConvTranspose2d>() || node.op.is::<Dense>() {
        return Some((&[1], true));
    }
    let recurrent = node.op.is::<Lstm>() || node.op.is::<Gru>() || node.op.is::<Rnn>();
    recurrent.then_some((&[1, 2], false))
}

impl QuantizeWeights {
    /// The largest magnitude of an integer; `None` for half-precision numbers.
    fn limit(&self) -> Result<Option<f32>, PassError> {
        let wrong = |why: String| Err(PassError::Input(why));
        let width = match self.dtype {
            DType::I8 => 8,
            DType::I4 => 4,
            DType::F16 | DType::BF16 => {
                if self.bits.is_some() || self.per != Per::Channel {
                    return wrong(format!("`bits` and `per` are for integers, not {}", self.dtype));
                }
                return Ok(None);
            }
            other => {
                return wrong(format!("weights of {other}; i8, i4, f16 and bf16 are possible"));
            }
        };
        if self.per == Per::Block(0) {
            return wrong("blocks of 0 weights; a block has at least one".to_owned());
        }
        let bits = self.bits.unwrap_or(width);
        if !(2..=width).contains(&bits) {
            return wrong(format!("{bits} bits in {}; 2 to {width} fit", self.dtype));
        }
        Ok(Some(((1_u32 << (bits - 1)) - 1) as f32))
    }

    /// The stored form of weights, and what it stands for.
    fn store(
        &self,
        data: &ConstData,
        limit: Option<f32>,
        channels: bool,
    ) -> Result<(ConstData, Option<Quant>), PassError> {
        let Some(limit) = limit else {
            return Ok((half(data, self.dtype)?, None));
        };
        let last = data.shape().len().saturating_sub(1);
        let row = data.shape().last().copied().unwrap_or(1).max(1);
        let block = match self.per {
            Per::Block(n) => Some(n.min(row)),
            // Rows of recurrent weights are not along the outermost axis.
            Per::Channel if !channels => Some(row),
            _ => None,
        };
        let real = data.dense().to_f32();
        let Some(block) = block else {
            let per =
                if self.per == Per::Tensor { weights::Per::Tensor } else { weights::Per::Channel };
            let outer = data.shape().first().copied().unwrap_or(1);
            let per = weights::sharing(data, per);
            let scales = weights::scales(&real, outer, limit, per, self.range);
            let stored = weights::round(data, &scales, limit, self.dtype)?;
            return Ok((stored, Some(weights::quant(scales))));
        };
        if matches!(data, ConstData::Palette(_)) {
            return Err(PassError::Input(
                "clustered weights have one scale or one an output channel; set `per`".into(),
            ));
        }
        let mut scales = Vec::with_capacity(real.len().div_ceil(block));
        let mut ints: Vec<i8> = Vec::with_capacity(real.len());
        for part in real.chunks(row).flat_map(|row| row.chunks(block)) {
            let scale = weights::scales(part, 1, limit, weights::Per::Tensor, self.range)[0];
            ints.extend(part.iter().map(|x| (x / scale).round().clamp(-limit, limit) as i8));
            scales.push(scale);
        }
        let zero_points = vec![0; scales.len()].into();
        let quant = Quant::PerBlock { axis: last, block, scales: scales.into(), zero_points };
        let ints = Tensor::from_vec(data.shape(), ints)?.reinterpret(self.dtype)?;
        Ok((consts::with_elements(data, &ints)?, Some(quant)))
    }
}

/// Weights in half precision, in the storage that they have.
fn half(data: &ConstData, dtype: DType) -> Result<ConstData, PassError> {
    Ok(match data {
        ConstData::Palette(p) => {
            let codebook = half_tensor(p.codebook(), dtype)?;
            ConstData::Palette(Palette::new(p.shape(), p.codes().clone(), codebook)?)
        }
        ConstData::Sparse(s) => ConstData::Sparse(s.with_values(half(s.values(), dtype)?)?),
        other => half_tensor(&other.dense(), dtype)?.into(),
    })
}

fn half_tensor(real: &Tensor, dtype: DType) -> Result<Tensor, PassError> {
    let stored = real.cast(dtype);
    let finite = |t: &Tensor| t.to_f32().iter().all(|x| x.is_finite());
    if finite(real) && !finite(&stored) {
        return Err(PassError::Input(format!("weights too large for {dtype}; use bf16 or i8")));
    }
    Ok(stored)
}

impl Pass for QuantizeWeights {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        let limit = self.limit()?;
        cx.all_named(graph.nodes().filter(|n| operands(n).is_some()), "layer with weights")?;
        let mut patch = Patch::new(graph, "quantize-weights");
        // Weights that several layers read stay one constant.
        let mut done: BTreeMap<ValueId, ValueId> = BTreeMap::new();
        for id in graph.topological() {
            let node = graph.node(id);
            let Some((operands, channels)) = operands(node).filter(|_| cx.selects(node)) else {
                continue;
            };
            let mut inputs = node.inputs().to_vec();
            for &operand in operands {
                let Some(&w) = node.inputs().get(operand) else { continue };
                let Some(data) = graph.constant(w).filter(|d| d.dtype() == DType::F32) else {
                    continue;
                };
                if let Some(&new) = done.get(&w) {
                    inputs[operand] = new;
                    continue;
                }
                let at = |e: PassError| match e {
                    PassError::Input(why) => PassError::Input(format!("`{}`: {why}", node.name)),
                    other => other,
                };
                let real = data.dense();
                if limit.is_some() && real.to_f32().iter().any(|x| !x.is_finite()) {
                    return Err(at(PassError::Input("its weights are not all finite".into())));
                }
                let (stored, quant) = self.store(data, limit, channels).map_err(at)?;
                let back = match &quant {
                    Some(quant) => quant.dequantize(&stored.dense())?,
                    None => stored.dense().cast(DType::F32),
                };
                let mut report = LayerReport::new(node);
                report.weights = Some(match &quant {
                    Some(quant) => format!("{}, scales: {}", self.dtype, quant.scales().len()),
                    None => self.dtype.to_string(),
                });
                report.weights_db = Some(weights::ratio(&real.to_f32(), &back.to_f32()));
                report.note = "error of the weights".into();
                report.result = Some("f32".into());
                cx.layer(report);
                let name = &graph.value(w).name;
                let stored = patch.constant(format!("{name}/stored"), stored, quant);
                let new = patch.node(graph, name, Dequantize::default(), &[stored])?[0];
                done.insert(w, new);
                inputs[operand] = new;
            }
            if inputs != node.inputs() {
                patch.set_operands(id, inputs);
            }
        }
        if !done.is_empty() {
            cx.apply(graph, patch)?;
        }
        Ok(())
    }
}

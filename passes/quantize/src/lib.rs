//! The `quantize` pass: integer weights and activations, by TFLite's quantization specification.
//!
//! - Activations are `i8` with one scale and zero point a tensor, from the calibrated ranges (which
//!   are widened to hold zero, so that zero is exact), `i16` with zero points of zero, or `u8` as in
//!   TFLite's first integer kernels.
//! - Nodes that `wide` names or chooses read and compute `i16` beside activations of `i8`, with conversions
//!   at their borders: TFLite's 16x8 kernels at a few places.
//! - Weights of convolutions and dense layers are symmetric, `i8` or `i4`, with a scale for each
//!   output channel or one for all; biases are `i32` (`i64` beside `i16` activations) of scale
//!   `input * weight`. Beside `u8` activations weights are `u8` with one scale and zero point a layer.
//! - Ops that only move or pick numbers keep one scale for operands and results. Softmax, sigmoid and
//!   tanh have the fixed scales of the specification.
//! - Weights that an earlier pass has already quantized, which stand in the graph as constants under
//!   a `dequantize`, are taken as they are, and so are activations between `quantize` and
//!   `dequantize`.
//! - Sparse weights stay sparse and clustered weights stay clustered.
//!
//! Nothing falls back to float silently: every node that cannot be quantized is named in one error,
//! unless `unsupported = "float"` asks for a float island around it. Nodes that the step's `skip`
//! names (or `only` leaves out) stay float on purpose, with conversions at their borders.
//!
//! ```
//! use paring_pass_quantize::Quantize;
//! use paring_pass::{NoHost, Pipeline, facts, register_pass, Effect, Pass, PassInfo};
//!
//! # #[derive(serde::Deserialize)] struct Known {}
//! # impl Pass for Known {
//! #     fn run(&self, _: &mut paring_ir::Graph, _: &mut paring_pass::PassContext<'_>) -> Result<(), paring_pass::PassError> { Ok(()) }
//! # }
//! # register_pass!(Known, PassInfo { name: "known-ranges", summary: "", effect: Effect::Exact, needs: &[],
//! #     gives: &[facts::CALIBRATED, facts::NO_BATCH_NORM], breaks: &[] });
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[1,2] in [0.0, 2.55]
//!        %w = const [1.27, 0.0, -2.54, 1.27] : f32[2,2]
//!        %y = dense(%x, %w) : f32[1,2] in [-2.55, 0.0]
//!        output %y
//!      }",
//! )?;
//! let pipeline = Pipeline::parse(
//!     "version = 1\n[[pass]]\nuse = \"known-ranges\"\n[[pass]]\nuse = \"quantize\"",
//! )?;
//! let done = pipeline.run(&graph, &NoHost, &mut Default::default())?;
//! let text = done.graph.to_string();
//! assert!(text.contains("%x = input : i8[1,2] q(0.01, -128)"), "{text}");
//! assert!(text.contains("%w = const [127, 0, -127, 64] : i8[2,2]"), "{text}");
//! # let _ = Quantize::default();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod emit;
mod groups;
mod lstm;
mod mean;
mod params;
mod role;
mod weights;
mod wide;

pub use paring_layerwise::weights::{Per, Range};
pub use wide::{Chosen, Wide};

use paring_ir::Graph;
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, facts, register_pass, rewrite};
use paring_tensor::DType;

/// Settings of the pass.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quantize {
    /// How weights are stored.
    pub weights: Weights,
    /// How activations are stored.
    pub activations: Activations,
    /// Element type of the network's inputs and outputs; that of the activations if left out.
    pub io: Option<Io>,
    /// What becomes of nodes that cannot be quantized.
    pub unsupported: Unsupported,
    /// What becomes of averages over whole images.
    pub global_average: GlobalAverage,
}

/// What becomes of averages over whole images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GlobalAverage {
    /// A mean, whose result has a scale of its own: more accurate, since averages of many numbers
    /// reach much less far than the numbers.
    #[default]
    Mean,
    /// A pool, whose result has the scale of its operand.
    Pool,
}

/// How weights are stored.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Element type: `i8` or `i4`; `u8` beside activations of `u8`.
    pub dtype: DType,
    /// Bits that are used of it, from 2; all if left out.
    pub bits: Option<u32>,
    /// What shares a scale.
    pub per: Per,
    /// How the scale is chosen.
    pub range: Range,
}

impl Default for Weights {
    fn default() -> Self {
        Self { dtype: DType::I8, bits: None, per: Per::Channel, range: Range::Max }
    }
}

/// How activations are stored.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Activations {
    /// Element type: `i8`, `i16` or `u8`.
    pub dtype: DType,
    /// Nodes that read and compute 16 bits beside activations of `i8`; none if left out.
    pub wide: Wide,
}

impl Default for Activations {
    fn default() -> Self {
        Self { dtype: DType::I8, wide: Wide::default() }
    }
}

/// Element type of the network's inputs and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Io {
    /// Quantized; for `i8` activations.
    I8,
    /// Quantized; for `i16` activations.
    I16,
    /// Quantized; for `u8` activations.
    U8,
    /// Real numbers, converted inside of the network.
    F32,
}

/// What becomes of nodes that cannot be quantized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsupported {
    /// An error that names all of them.
    #[default]
    Error,
    /// They stay float, between conversions; each is noted in the report.
    Float,
}

register_pass!(
    Quantize,
    PassInfo {
        name: "quantize",
        summary: "integer weights and activations to the TFLite specification",
        effect: Effect::Lossy,
        needs: &[facts::CALIBRATED, facts::NO_BATCH_NORM],
        gives: &[facts::QUANTIZED],
        breaks: &[],
    }
);

impl Quantize {
    /// The largest magnitude of an integer weight: symmetric, so the lowest number of the type is
    /// not used.
    fn limit(&self) -> Result<f32, PassError> {
        let wrong = |why: String| Err(PassError::Input(why));
        let width = match self.weights.dtype {
            DType::I8 => 8,
            DType::I4 => 4,
            DType::U8 => return Ok(255.0),
            other => return wrong(format!("weights of {other}; i8, i4 and u8 are possible")),
        };
        let bits = self.weights.bits.unwrap_or(width);
        if !(2..=width).contains(&bits) {
            return wrong(format!("{bits} bits in {}; 2 to {width} fit", self.weights.dtype));
        }
        Ok(((1_u32 << (bits - 1)) - 1) as f32)
    }

    fn check(&self) -> Result<(), PassError> {
        let dtype = self.activations.dtype;
        if !matches!(dtype, DType::I8 | DType::I16 | DType::U8) {
            let why = format!("activations of {dtype}; i8, i16 and u8 are possible");
            return Err(PassError::Input(why));
        }
        self.activations.wide.check(dtype)?;
        let unsigned = [dtype, self.weights.dtype].map(|d| d == DType::U8);
        let shared = self.weights.per == Per::Tensor && self.weights.bits.is_none();
        if unsigned != [false; 2] && !(unsigned == [true; 2] && shared) {
            return Err(PassError::Input(
                "u8 activations and u8 weights go together, with one scale a layer and all bits: \
                 set `activations = { dtype = \"u8\" }` and \
                 `weights = { dtype = \"u8\", per = \"tensor\" }`"
                    .into(),
            ));
        }
        let wanted = match self.io {
            Some(Io::I8) => DType::I8,
            Some(Io::I16) => DType::I16,
            Some(Io::U8) => DType::U8,
            Some(Io::F32) | None => dtype,
        };
        if wanted != dtype {
            let why = format!("`io` is {wanted}, which needs activations of {wanted}, not {dtype}");
            return Err(PassError::Input(why));
        }
        Ok(())
    }
}

impl Pass for Quantize {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.check()?;
        let limit = self.limit()?;
        if self.global_average == GlobalAverage::Mean {
            rewrite(graph, cx, &[&mean::global_average])?;
        }
        let assigned = groups::assign(self, graph, cx)?;
        let wide = self.activations.wide.nodes(self, graph, &assigned.0, limit, cx)?;
        let plan = groups::plan(self, graph, assigned, wide)?;
        let (patch, layers) = emit::emit(self, limit, graph, &plan)?;
        for layer in layers {
            cx.layer(layer);
        }
        cx.apply(graph, patch)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

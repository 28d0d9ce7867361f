//! The `fuse` pass: small nodes become part of the layers they belong to.
//!
//! - **Activations**: `relu`, `relu6`, `relu_n1_to_1` and clips, maxima and minima of the same form
//!   become the fused activation of the convolution, dense layer, pool or arithmetic before them.
//! - **Padding**: zeros around an image become the padding of the convolution that reads it, also in
//!   quantized graphs.
//! - **Matrix products** with a constant right side become dense layers.
//! - **Composed activations**: the products that frameworks write for SiLU, hard-sigmoid, hard-swish,
//!   GELU (both forms) and Mish become the one op. Constants may differ from the definition by the
//!   rounding of single precision.
//! - **Averages** over the whole image become means, which may have a quantization of their own.
//!
//! Additions and multiplications of constants are the work of `fold-bn`.
//!
//! ```
//! use paring_pass_fuse as _;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[1,2]
//!        %w = const [1.0, 2.0, 3.0, 4.0] : f32[2,2]
//!        %d = dense(%x, %w) : f32[1,2]
//!        %y = unary(%d) { f = \"clip\", min = 0.0, max = 6.0 } : f32[1,2]
//!        output %y
//!      }",
//! )?;
//! let pipeline = paring_pass::Pipeline::parse("version = 1\n[[pass]]\nuse = \"fuse\"")?;
//! let done = pipeline.run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! assert!(done.graph.to_string().contains("dense(%x, %w) { activation = \"relu6\" }"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod activation;
mod composed;
mod matmul;
mod mean;
mod pad;

use paring_ir::Graph;
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, facts, register_pass, rewrite};

/// Settings of the pass.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fuse {
    /// Whether only what keeps every output's bits is done: padding.
    pub exact: bool,
}

register_pass!(
    Fuse,
    PassInfo {
        name: "fuse",
        summary: "activations, padding and composed functions into single ops",
        effect: Effect::Rounding,
        needs: &[],
        gives: &[facts::FUSED],
        breaks: &[],
    }
);

impl Pass for Fuse {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        if self.exact {
            return rewrite(graph, cx, &[&pad::fuse]);
        }
        // Composed functions first: their parts are activations too.
        rewrite(graph, cx, &[&matmul::to_dense, &composed::recognise, &mean::of_whole_image])?;
        rewrite(graph, cx, &[&activation::canonical, &activation::fuse, &pad::fuse])
    }
}

#[cfg(test)]
mod tests;

//! The `fold-bn` pass: batch normalization, and multiplications and additions of one constant a
//! channel, become part of the layers around them.
//!
//! An affine map `a * x + b` per channel folds
//! - into the convolution or dense layer before it, if nothing else reads that layer's result;
//! - else into the convolution or dense layer after it, if the convolution pads nothing or `b` is
//!   zero, so that padded zeros stay zeros, or through a `pad` in between under the same condition;
//! - else a batch normalization becomes a 1x1 depthwise convolution (of images) or a multiplication
//!   and an addition, as `standalone` says.
//!
//! New weights are computed in double precision and rounded once. Sparse weights keep their mask and
//! clustered ones their codes where each output channel can have a codebook of its own.
//!
//! ```
//! use paring_pass_fold_bn as _;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[1,2]
//!        %w = const [1.0, 2.0, 3.0, 4.0] : f32[2,2]
//!        %d = dense(%x, %w) : f32[1,2]
//!        %s = const [2.0, 1.0] : f32[2]
//!        %z = const [0.0, 0.0] : f32[2]
//!        %v = const [1.0, 1.0] : f32[2]
//!        %y = batch_norm(%d, %s, %z, %z, %v) { epsilon = 0.0 } : f32[1,2]
//!        output %y
//!      }",
//! )?;
//! let pipeline = paring_pass::Pipeline::parse("version = 1\n[[pass]]\nuse = \"fold-bn\"")?;
//! let done = pipeline.run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! assert!(done.graph.to_string().contains("[2.0, 4.0, 3.0, 4.0]"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod affine;
mod after;
mod before;
mod standalone;

use paring_ir::{Graph, Refusal};
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, facts, register_pass, rewrite};

/// Settings of the pass.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FoldBn {
    /// What becomes of a batch normalization with no layer to fold into.
    pub standalone: Standalone,
}

/// What becomes of a batch normalization with no layer to fold into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standalone {
    /// A 1x1 depthwise convolution of images, a multiplication and an addition of anything else.
    #[default]
    Depthwise,
    /// A multiplication and an addition.
    MulAdd,
}

register_pass!(
    FoldBn,
    PassInfo {
        name: "fold-bn",
        summary: "batch normalization into the layers around it",
        effect: Effect::Rounding,
        needs: &[],
        gives: &[facts::NO_BATCH_NORM],
        breaks: &[],
    }
);

impl Pass for FoldBn {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        rewrite(graph, cx, &[&affine::compose, &after::fold, &before::fold])?;
        let standalone = |g: &Graph, n: &paring_ir::Node| standalone::lower(g, n, self.standalone);
        rewrite(graph, cx, &[&standalone])?;
        if cx.is_stopped() {
            return Ok(());
        }
        let left: Vec<Refusal> = graph
            .nodes()
            .filter(|n| n.op.is::<paring_ir::ops::BatchNorm>() && cx.selects(n))
            .map(|n| Refusal {
                node: n.name.clone(),
                op: n.op.name().to_owned(),
                why: "its statistics are computed by the network; only constant ones fold".into(),
            })
            .collect();
        if left.is_empty() { Ok(()) } else { Err(PassError::Unsupported(left)) }
    }
}

#[cfg(test)]
mod tests;

//! Passes: what one is, how they are registered, how a pipeline file orders them, and the manager
//! that runs them.
//!
//! A pass states its [`Effect`] and the facts it needs, gives and breaks; the order is checked when
//! the pipeline is read, before a weight is touched. The manager runs each pass on a clone, verifies
//! the result, times it and records what changed, so a failing pass leaves the graph as it was. A step
//! that would undo what pruning or clustering made of a constant ([`Structure`]) fails too, unless its
//! `allow` names that.
//!
//! **Invariant**: this crate and every pass know no backend. A pass that has to run the network asks
//! its [`PassContext`] for an executor.
//!
//! ```
//! use paring_ir::{Graph, Patch, ops::Unary};
//! use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, Pipeline, register_pass};
//!
//! /// Replaces `relu(relu(x))` by `relu(x)`.
//! #[derive(Default, serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Once {}
//!
//! register_pass!(Once, PassInfo {
//!     name: "relu-once",
//!     summary: "one relu is enough",
//!     effect: Effect::Exact,
//!     needs: &[],
//!     gives: &[],
//!     breaks: &[],
//! });
//!
//! impl Pass for Once {
//!     fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
//!         let relu = |v| graph.producer(v).filter(|n| n.op_as() == Some(&Unary::Relu));
//!         let twice: Vec<_> = graph
//!             .nodes()
//!             .filter(|n| relu(n.outputs()[0]).is_some() && relu(n.inputs()[0]).is_some())
//!             .map(|n| (n.outputs()[0], n.inputs()[0]))
//!             .collect();
//!         for (outer, inner) in twice {
//!             let mut patch = Patch::new(graph, "relu-once");
//!             patch.replace(outer, inner);
//!             cx.apply(graph, patch)?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[4]
//!        %y = unary(%x) { f = \"relu\" } : f32[4]
//!        %z = unary(%y) { f = \"relu\" } : f32[4]
//!        output %z
//!      }",
//! )?;
//! let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"relu-once\"")?;
//! let done = pipeline.run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! assert_eq!(done.graph.nodes().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod aim;
pub mod consts;
mod context;
mod manager;
mod pipeline;
mod registry;
mod rewrite;
mod stream;
mod structure;

pub use aim::LatencyAim;
pub use context::{Estimate, Host, LayerEstimate, NoHost, PassContext, Samples};
#[doc(hidden)]
pub use inventory;
pub use manager::{
    After, Declined, Done, LayerReport, Report, RunOptions, Snapshot, StepError, StepReport,
};
pub use pipeline::{Pipeline, PipelineError, Step};
#[doc(hidden)]
pub use registry::parse_config;
pub use registry::{Effect, Pass, PassEntry, PassInfo, registered_passes};
pub use rewrite::{Rewrite, Verdict, rewrite};
pub use stream::{Stream, prepare};
pub use structure::{Lost, Structure};
#[doc(hidden)]
pub use toml;

use paring_ir::{ExecError, GraphError, Refusal, VerifyErrors};

/// Facts that passes need, give and break. An outside pass may add its own.
pub mod facts {
    /// No batch normalization is left.
    pub const NO_BATCH_NORM: &str = "no-batch-norm";
    /// Images are NHWC without transposes between layers.
    pub const NHWC: &str = "nhwc";
    /// Activations are part of the ops that feed them.
    pub const FUSED: &str = "fused";
    /// Every value of real numbers has a calibrated range.
    pub const CALIBRATED: &str = "calibrated";
    /// Weights and activations are integers.
    pub const QUANTIZED: &str = "quantized";
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// Something in the graph that the pass cannot handle: every such node.
    #[error("{} nodes are not supported:{}", .0.len(), .0.iter().map(|r| format!("\n  {r}")).collect::<String>())]
    Unsupported(Vec<Refusal>),
    /// A patch was refused.
    #[error("a rewrite was refused: {0} (this is a bug in the pass; please report it)")]
    Graph(#[from] GraphError),
    /// The network could not be run.
    #[error("running the network: {0}")]
    Exec(#[from] ExecError),
    /// The graph that the pass left is faulty.
    #[error("it left a faulty graph (this is a bug in the pass; please report it): {0}")]
    Faulty(VerifyErrors),
    /// A setting does not make sense for this graph, or data is missing or wrong: what and what to do.
    #[error("{0}")]
    Input(String),
    /// It would undo what pruning or clustering made of constants, and was not told to.
    #[error(
        "it would undo {}; `skip` the layers, change the order of steps, or tell it to with `allow = [{}]`",
        list(.0.iter().map(ToString::to_string)),
        list(allowed(.0))
    )]
    Undoes(Vec<Lost>),
    /// A fault of the pass itself.
    #[error("{0} (this is a bug in the pass; please report it)")]
    Internal(String),
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn allowed(lost: &[Lost]) -> impl Iterator<Item = String> {
    let all: std::collections::BTreeSet<Structure> = lost.iter().map(|l| l.structure).collect();
    all.into_iter().map(|s| format!("\"{s}\""))
}

impl From<paring_tensor::TensorError> for PassError {
    fn from(error: paring_tensor::TensorError) -> Self {
        Self::Internal(error.to_string())
    }
}

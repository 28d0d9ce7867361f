//! What every backend shares: the interface, targets, packages, and the planning of requantization.
//!
//! A backend says beforehand which nodes it cannot lower and why, for all of them at once
//! ([`Backend::support`]); [`Backend::compile`] makes a [`Package`] for a target; and a backend that
//! runs in this process gives an executor. Programs find backends through [`registered_backends`].
//!
//! ```
//! use paring_backend::requantize::channel_multipliers;
//! use paring_tensor::{DType, Quant, TensorType};
//!
//! let i8s = |shape: [usize; 2], scale| {
//!     TensorType::new(DType::I8, shape).with_quant(Quant::per_tensor(scale, 0))
//! };
//! let (x, w, y) = (i8s([1, 4], 0.5), i8s([1, 4], 0.5), i8s([1, 1], 1.0));
//! assert_eq!(channel_multipliers(&x, &w, &y, 1)?[0].to_real(), 0.25);
//! # Ok::<(), String>(())
//! ```
#![forbid(unsafe_code)]

mod package;
pub mod planner;
pub mod requantize;
pub mod schedule;
mod shortfall;

#[doc(hidden)]
pub use inventory;
pub use package::{Harness, LayerSize, Package, SizeReport};
pub use paring_ir::units::{Latency, parse_bytes, parse_energy, parse_latency};
pub use paring_qmath::Rounding;
pub use shortfall::{Item, Remedy, Shortfall, brief};

use paring_ir::{Executor, Graph, Node, Refusal, Verified};
use std::collections::BTreeMap;

/// Something that a backend compiles for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name on the command line, such as `cortex-m4`.
    pub name: &'static str,
    /// One line for listings.
    pub summary: &'static str,
}

/// How a network is compiled.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// Name of one of the backend's targets.
    pub target: String,
    /// What the generated symbols and files begin with; letters, digits and `_`.
    pub prefix: String,
    /// Settings of the backend itself, such as `optimize = "speed"`.
    pub settings: BTreeMap<String, String>,
}

/// How a network is run in this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecOptions {
    /// The rounding of integer kernels.
    pub rounding: Rounding,
}

/// A way to run or lower networks.
pub trait Backend: Send + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// One line for listings.
    fn summary(&self) -> &'static str;

    /// What it compiles for; empty for a backend that only runs in this process.
    fn targets(&self) -> &'static [Target] {
        &[]
    }

    /// Whether a node can be lowered for a target (or run, where `target` is `None`).
    ///
    /// # Errors
    /// Why not, and what to do about it.
    fn support(&self, graph: &Graph, node: &Node, target: Option<&str>) -> Result<(), String>;

    /// The blocks of zero weights, filters by inputs, that a target's kernel for a layer leaves out, so
    /// that they take neither memory nor time; `None` if zeros are weights like others. The layer may
    /// still be one of real numbers.
    fn skips(&self, graph: &Graph, node: &Node, target: &str) -> Option<[usize; 2]> {
        let _ = (graph, node, target);
        None
    }

    /// What a network takes on a target, layer by layer, without making its code: what [`compile`](Self::compile)
    /// with the same options reports.
    ///
    /// # Errors
    /// As for [`compile`](Self::compile), or if the backend has no estimates.
    fn estimate(
        &self,
        graph: Verified<'_>,
        options: &CompileOptions,
    ) -> Result<SizeReport, CompileError> {
        let _ = graph;
        Err(CompileError::Options(format!(
            "the backend `{}` does not estimate what a network takes on `{}`; targets with estimates: {}",
            self.name(),
            options.target,
            estimated_targets().join(", ")
        )))
    }

    /// Whether [`estimate`](Self::estimate) knows what networks take.
    fn estimates(&self) -> bool {
        false
    }

    /// Lowers a network.
    ///
    /// # Errors
    /// [`CompileError::Unsupported`] with every refused node; or what else is in the way.
    fn compile(
        &self,
        graph: Verified<'_>,
        options: &CompileOptions,
    ) -> Result<Package, CompileError>;

    /// An executor, if the backend runs in this process.
    fn executor(&self, options: ExecOptions) -> Option<Box<dyn Executor>> {
        let _ = options;
        None
    }
}

/// Why a network was not compiled.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Nodes that the backend refuses: all of them.
    #[error("{} nodes cannot be compiled for {target}:{}", refused.len(), refused.iter().map(|r| format!("\n  {r}")).collect::<String>())]
    Unsupported {
        /// Name of the target.
        target: String,
        /// Every refused node.
        refused: Vec<Refusal>,
    },
    /// An option is wrong, or the backend has no such target: what, and what is possible.
    #[error("{0}")]
    Options(String),
    /// The network does not fit a stated budget.
    #[error("{0}")]
    Budget(Box<Shortfall>),
    /// A fault of the backend itself.
    #[error("{0} (this is a bug in the backend; please report it)")]
    Internal(String),
}

/// A registered backend.
pub struct BackendEntry(pub fn() -> &'static dyn Backend);

inventory::collect!(BackendEntry);

/// All registered backends, sorted by name.
#[must_use]
pub fn registered_backends() -> Vec<&'static dyn Backend> {
    let mut all: Vec<_> = inventory::iter::<BackendEntry>.into_iter().map(|e| (e.0)()).collect();
    all.sort_by_key(|b| b.name());
    all
}

/// The backend of this name.
///
/// # Errors
/// The known names.
pub fn backend_named(name: &str) -> Result<&'static dyn Backend, String> {
    let all = registered_backends();
    all.iter().find(|b| b.name() == name).copied().ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|b| b.name()).collect();
        format!("unknown backend `{name}`; known: {}", known.join(", "))
    })
}

/// The backend that compiles for a target.
///
/// # Errors
/// The known targets.
pub fn backend_for(target: &str) -> Result<&'static dyn Backend, String> {
    let all = registered_backends();
    let has = |b: &&&dyn Backend| b.targets().iter().any(|t| t.name == target);
    all.iter().find(|b| has(b)).copied().ok_or_else(|| {
        let known: Vec<_> = all.iter().flat_map(|b| b.targets()).map(|t| t.name).collect();
        format!("unknown target `{target}`; known: {}", known.join(", "))
    })
}

/// Names of the targets whose backends estimate what networks take.
fn estimated_targets() -> Vec<&'static str> {
    let backends = registered_backends().into_iter().filter(|b| b.estimates());
    backends.flat_map(Backend::targets).map(|t| t.name).collect()
}

/// Every node that a backend refuses.
#[must_use]
pub fn refusals(backend: &dyn Backend, graph: &Graph, target: Option<&str>) -> Vec<Refusal> {
    let refuse = |node: &Node| {
        let why = backend.support(graph, node, target).err()?;
        Some(Refusal { node: node.name.clone(), op: node.op.name().to_owned(), why })
    };
    graph.topological().into_iter().filter_map(|id| refuse(graph.node(id))).collect()
}

/// Registers a backend that is a unit struct.
#[macro_export]
macro_rules! register_backend {
    ($backend:expr) => {
        $crate::inventory::submit! { $crate::BackendEntry(|| &$backend) }
    };
}

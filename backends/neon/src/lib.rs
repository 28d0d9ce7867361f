//! Runs networks on aarch64 with NEON: the engine with the kernels of `paring-neon-kernels`.
//!
//! On an aarch64 machine it runs in this process; nodes that the engine has no step for are run by the
//! reference interpreter, where the program links it. The environment variable `PARING_NEON` names a lower
//! level of instructions to use (`neon`, `dot`).
//!
//! ```
//! use paring_backend::{Backend, ExecOptions};
//!
//! let here = paring_neon::Neon.executor(ExecOptions::default()).is_some();
//! assert_eq!(here, cfg!(target_arch = "aarch64"));
//! ```
#![forbid(unsafe_code)]

pub use paring_neon_kernels::{Level, NeonKernels};

use paring_backend::{
    Backend, CompileError, CompileOptions, ExecOptions, Package, backend_named, register_backend,
};
use paring_engine::{Engine, refusal};
use paring_ir::{Executor, Graph, Node, Verified};

/// The NEON backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neon;

register_backend!(Neon);

/// The backend that runs the nodes which the engine does not.
const FALLBACK: &str = "reference";

impl Neon {
    /// The executor of a level of instructions. Elsewhere than on aarch64 it computes from the same packed
    /// weights without vectors.
    #[must_use]
    pub fn executor_at(self, level: Level, options: ExecOptions) -> Engine {
        let fallback = backend_named(FALLBACK).ok().and_then(|b| b.executor(options));
        Engine::new("neon", Box::new(NeonKernels::new(level)), options, fallback)
    }
}

/// The level to use: what the processor has, or less where the environment asks for it.
fn level() -> Level {
    let best = Level::detect();
    let asked = std::env::var("PARING_NEON").unwrap_or_default();
    let named = Level::ALL.into_iter().find(|l| l.name() == asked);
    named.filter(|l| *l <= best).unwrap_or(best)
}

impl Backend for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn summary(&self) -> &'static str {
        "aarch64 with NEON: Raspberry Pi, Jetson, phones"
    }

    fn support(&self, graph: &Graph, node: &Node, target: Option<&str>) -> Result<(), String> {
        if let Some(target) = target {
            return Err(format!("the NEON backend does not compile for {target}"));
        }
        let mut values = node.inputs().iter().chain(node.outputs());
        if let Some(v) = values.find(|v| graph.ty(**v).byte_len().is_none()) {
            return Err(format!("{} is unbound; bind its dimensions first", graph.ty(*v)));
        }
        if let Ok(reference) = backend_named(FALLBACK) {
            return reference.support(graph, node, None);
        }
        refusal(&NeonKernels::new(level()), graph, node).map_or(Ok(()), Err)
    }

    fn compile(&self, _: Verified<'_>, options: &CompileOptions) -> Result<Package, CompileError> {
        Err(CompileError::Options(format!("no target `{}`", options.target)))
    }

    fn executor(&self, options: ExecOptions) -> Option<Box<dyn Executor>> {
        cfg!(target_arch = "aarch64")
            .then(|| Box::new(self.executor_at(level(), options)) as Box<dyn Executor>)
    }
}

//! Runs networks in this process on x86: the engine with kernels for AVX2 and AVX-512, and plain Rust
//! where the processor has neither.
//!
//! Nodes that the engine has no step for are run by the reference interpreter, where the program links
//! it; otherwise they are refused. The environment variable `PARING_X86` names a lower level of
//! instructions to use (`scalar`, `avx2`, `avx512`).
//!
//! ```
//! use paring_backend::{Backend, ExecOptions};
//!
//! let graph = paring_ir::text::parse(
//!     "graph @twice {
//!        %x = input : f32[1,4]
//!        %y = binary(%x, %x) { f = \"add\" } : f32[1,4]
//!        output %y
//!      }",
//! )?;
//! let executor = paring_x86::X86.executor(ExecOptions::default()).unwrap();
//! assert!(executor.prepare(graph.verified()?).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub use paring_x86_kernels::{Level, X86Kernels};

use paring_backend::{
    Backend, CompileError, CompileOptions, ExecOptions, Package, backend_named, register_backend,
};
use paring_engine::{Engine, refusal};
use paring_ir::{Executor, Graph, Node, Verified};

/// The x86 backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct X86;

register_backend!(X86);

/// The backend that runs the nodes which the engine does not.
const FALLBACK: &str = "reference";

impl X86 {
    /// The executor of a level of instructions.
    #[must_use]
    pub fn executor_at(self, level: Level, options: ExecOptions) -> Engine {
        let fallback = backend_named(FALLBACK).ok().and_then(|b| b.executor(options));
        Engine::new("x86", Box::new(X86Kernels::new(level)), options, fallback)
    }
}

/// The level to use: what the processor has, or less where the environment asks for it.
fn level() -> Level {
    let best = Level::detect();
    let asked = std::env::var("PARING_X86").unwrap_or_default();
    let named = Level::ALL.into_iter().find(|l| l.name() == asked);
    named.filter(|l| *l <= best).unwrap_or(best)
}

impl Backend for X86 {
    fn name(&self) -> &'static str {
        "x86"
    }

    fn summary(&self) -> &'static str {
        "runs networks in this process with AVX2 or AVX-512"
    }

    fn support(&self, graph: &Graph, node: &Node, target: Option<&str>) -> Result<(), String> {
        if let Some(target) = target {
            return Err(format!("the x86 backend does not compile for {target}"));
        }
        // What a result has that depends on the data is for the lowering to say.
        if let Some(v) = node.inputs().iter().find(|v| graph.ty(**v).byte_len().is_none()) {
            return Err(format!("{} is unbound; bind its dimensions first", graph.ty(*v)));
        }
        if let Ok(reference) = backend_named(FALLBACK) {
            return reference.support(graph, node, None);
        }
        refusal(&X86Kernels::new(level()), None, graph, node).map_or(Ok(()), Err)
    }

    fn compile(&self, _: Verified<'_>, options: &CompileOptions) -> Result<Package, CompileError> {
        Err(CompileError::Options(format!(
            "the x86 backend runs networks in this process and does not compile for `{}`",
            options.target
        )))
    }

    fn executor(&self, options: ExecOptions) -> Option<Box<dyn Executor>> {
        Some(Box::new(self.executor_at(level(), options)))
    }
}

//! Runs networks on aarch64 with NEON: the engine with the kernels of `paring-neon-kernels`.
//!
//! Compiling gives a package: one file that the runtime library maps, and a C header with its inputs and
//! outputs. It holds packed weights for every level of instructions.
//!
//! The form of a layer is chosen when it is lowered: convolutions of one pixel leave zeros out where about a third of the
//! weights of `f32`, or three quarters of those of `i8`, are zero.
//! Convolutions of 3x3 over at least 64 channels and about a hundred pixels take a quarter of the products (Winograd's
//! F(4x4, 3x3)); their results are within 2e-5 of the largest one. Bytes of at most sixteen values, as four bits and
//! palettes give them, are stored as codes, and numbers that half precision holds as such: half as much comes from
//! memory, and the results are the same. Products of one to three rows decode them in registers, between loading and
//! multiplying; for more rows a panel of weights is decoded once.
//!
//! With the setting `arithmetic = "f16"` convolutions, dense layers and what follows them are computed in half precision:
//! activations and weights take half the memory, and a vector has twice as many of them. Sums of products are of half
//! precision for 64 products at a time, the totals of such sums too; sums of means are single. What has no kernel in half
//! precision runs in single precision with conversions around it, and so do layers whose weights half precision does not
//! hold. The package asks for a processor with these instructions (Cortex-A55, A75, A76 and later); elsewhere, as on a
//! Cortex-A53 or A72, it is refused when it is loaded, and weights alone in half precision (the recipe `float16`) keep
//! the file small.
//!
//! Every op has steps in packages, and every case of the op suite equals the reference there. What is refused, by name and
//! all at once: recurrent layers whose weights are computed, sums over more than two operands, numbers of more than 32 bits
//! where they are computed with, and what reads a value whose extent depends on the data: such a
//! value (`non_zero`, `non_max_suppression`) is an output, with room for the most that there can be, and the runtime tells
//! how much there was.
//!
//! On an aarch64 machine it runs in this process; nodes that the engine has no step for are run by the
//! reference interpreter, where the program links it. The environment variable `PARING_NEON` names a lower
//! level of instructions to use (`neon`, `dot`, `i8mm`).
//!
//! ```
//! use paring_backend::{Backend, ExecOptions};
//!
//! let here = paring_neon::Neon.executor(ExecOptions::default()).is_some();
//! assert_eq!(here, cfg!(target_arch = "aarch64"));
//! ```
#![forbid(unsafe_code)]

mod header;

pub use paring_neon_kernels::{Level, NeonKernels};

use paring_backend::{
    Backend, CompileError, CompileOptions, ExecOptions, LayerSize, Package, SizeReport, Target,
    backend_named, register_backend,
};
use paring_engine::{Engine, in_half, refusal};
use paring_ir::{ExecError, Executor, Graph, Node, Verified, macs};
use paring_kernels::Kernels;

/// The NEON backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neon;

register_backend!(Neon);

/// What it compiles for.
const TARGET: &str = "aarch64";

/// The backend that runs the nodes which the engine does not.
const FALLBACK: &str = "reference";

impl Neon {
    /// The executor of a level of instructions. Elsewhere than on aarch64 it computes from the same packed
    /// weights without vectors.
    #[must_use]
    pub fn executor_at(self, level: Level, options: ExecOptions) -> Engine {
        self.engine(NeonKernels::new(level), options)
    }

    fn engine(self, kernels: NeonKernels, options: ExecOptions) -> Engine {
        let fallback = backend_named(FALLBACK).ok().and_then(|b| b.executor(options));
        Engine::new("neon", Box::new(kernels), options, fallback)
    }
}

/// The level to use: what the processor has, or less where the environment asks for it.
fn level() -> Level {
    let best = Level::detect();
    let asked = std::env::var("PARING_NEON").unwrap_or_default();
    let named = Level::ALL.into_iter().find(|l| l.name() == asked);
    named.filter(|l| *l <= best).unwrap_or(best)
}

/// What real numbers are computed with.
const ARITHMETIC: &str = "arithmetic";

/// Whether the settings ask for half precision.
fn computes_in_half(options: &CompileOptions) -> Result<bool, CompileError> {
    let mut half = false;
    for (key, value) in &options.settings {
        let known =
            if key == ARITHMETIC { ["f32", "f16"].iter().position(|v| v == value) } else { None };
        half = match known {
            Some(i) => i == 1,
            None if key == ARITHMETIC => {
                let why = format!("`{ARITHMETIC}` is f32 or f16, not `{value}`");
                return Err(CompileError::Options(why));
            }
            None => {
                let why = format!("the NEON backend has no setting `{key}`; it has `{ARITHMETIC}`");
                return Err(CompileError::Options(why));
            }
        };
    }
    Ok(half)
}

impl Backend for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn summary(&self) -> &'static str {
        "aarch64 with NEON: Raspberry Pi, Jetson, phones"
    }

    fn targets(&self) -> &'static [Target] {
        &[Target { name: TARGET, summary: "a package for the runtime library on 64-bit Arm" }]
    }

    fn support(&self, graph: &Graph, node: &Node, target: Option<&str>) -> Result<(), String> {
        if let Some(target) = target.filter(|t| *t != TARGET) {
            return Err(format!("the NEON backend compiles for {TARGET}, not for {target}"));
        }
        // What a result has that depends on the data is for the lowering to say.
        if let Some(v) = node.inputs().iter().find(|v| graph.ty(**v).byte_len().is_none()) {
            return Err(format!("{} is unbound; bind its dimensions first", graph.ty(*v)));
        }
        let reference = backend_named(FALLBACK).ok();
        if let (Some(reference), None) = (reference, target) {
            return reference.support(graph, node, None);
        }
        let tables = reference.and_then(|b| b.executor(ExecOptions::default()));
        let kernels = NeonKernels::new(level());
        refusal(&kernels, tables.as_deref(), graph, node).map_or(Ok(()), Err)
    }

    fn estimate(
        &self,
        graph: Verified<'_>,
        options: &CompileOptions,
    ) -> Result<SizeReport, CompileError> {
        Ok(self.compile(graph, options)?.sizes)
    }

    fn estimates(&self) -> bool {
        true
    }

    fn compile(
        &self,
        graph: Verified<'_>,
        options: &CompileOptions,
    ) -> Result<Package, CompileError> {
        if options.target != TARGET {
            return Err(CompileError::Options(format!(
                "the NEON backend compiles for {TARGET}, not for {}",
                options.target
            )));
        }
        let half = computes_in_half(options)?;
        let kernels = NeonKernels::for_packages(level());
        let halved = half.then(|| in_half(&graph, &kernels)).transpose();
        let halved = halved.map_err(|e| CompileError::Internal(e.to_string()))?;
        let graph = match &halved {
            None => graph,
            Some(halved) => halved.verified().map_err(|e| CompileError::Internal(e.to_string()))?,
        };
        let engine = self.engine(kernels, ExecOptions::default());
        let traced = engine.traced_program(graph.clone());
        let (program, nodes) = traced.map_err(|e| match e {
            ExecError::Unsupported { refused, .. } => {
                CompileError::Unsupported { target: TARGET.to_owned(), refused }
            }
            ExecError::Unbound(_) => CompileError::Options(e.to_string()),
            other => CompileError::Internal(other.to_string()),
        })?;
        let bytes = program.to_package(Kernels::family(&kernels));
        let prefix = &options.prefix;
        let layer = |id| {
            let node = graph.graph().node(id);
            LayerSize {
                name: node.name.clone(),
                op: node.op.name().to_owned(),
                macs: macs(graph.graph(), node).unwrap_or(0),
                ..LayerSize::default()
            }
        };
        let layers = nodes.into_iter().map(layer).collect();
        let (ram_bytes, weight_bytes) = (program.arena, bytes.len());
        let sizes = SizeReport { ram_bytes, weight_bytes, layers, ..SizeReport::default() };
        let files = vec![
            (format!("{prefix}.prt"), bytes),
            (format!("{prefix}.h"), header::of(&program, prefix).into_bytes()),
        ];
        Ok(Package { files, sizes, harness: None })
    }

    fn executor(&self, options: ExecOptions) -> Option<Box<dyn Executor>> {
        cfg!(target_arch = "aarch64")
            .then(|| Box::new(self.executor_at(level(), options)) as Box<dyn Executor>)
    }
}

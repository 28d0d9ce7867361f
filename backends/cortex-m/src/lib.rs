//! Lowers networks of int8, and of int16 with int8 weights (TFLite's 16x8), to self-contained C99 for Cortex-M: a source
//! file, a header and the weights, no heap, no C library beyond `memcpy` and `memset`, one static arena.
//!
//! The targets are `cortex-m0`, `cortex-m0plus`, `cortex-m3`, `cortex-m4`, `cortex-m7`, `cortex-m33` and
//! `cortex-m55`.
//! Outputs equal the reference interpreter's with double rounding, bit for bit.
//!
//! Settings: `optimize` is `balanced`, `speed` or `size`; `flash` and `ram` are budgets in bytes, `latency`
//! one in cycles or, as `20ms@120MHz`, in time; `energy` is what a cycle costs (`79uA/MHz@3V` or `237pJ`). Layers
//! whose weights are stored as a palette (of the tensor or one a channel, codes of 2 to 6 bits), sparse or in int4 stay so in
//! flash where the core has kernels for that and the table of costs says that it is worth its time; `optimize = size` also takes
//! prefix codes, and so does a budget of flash. The report says why or why not. Where a budget of RAM asks for it, neighbouring layers run row by row and
//! keep only the rows that are still wanted, or the first layers patch by patch where even that is too much beside the input
//! (kernels without Helium); `ram = min` takes as little as there can be. `optimize = size` is about
//! flash alone: rows cost code. `optimize = speed` convolves 3x3 windows by Winograd's tiles, which take more flash,
//! unrolls products further and does depthwise rows in pairs, both of which take code (with the DSP extension).
//!
//! ```
//! use paring_backend::{Backend, CompileOptions};
//!
//! let graph = paring_ir::text::parse(
//!     "graph @twice {
//!        %x = input : i8[1,4] q(0.5, 0)
//!        %y = binary(%x, %x) { f = \"add\" } : i8[1,4] q(1.0, 0)
//!        output %y
//!      }",
//! )?;
//! let options = CompileOptions { target: "cortex-m4".into(), ..CompileOptions::default() };
//! let package = paring_cortex_m::CORTEX_M.compile(graph.verified()?, &options)?;
//! assert!(package.files.iter().any(|(name, _)| name == "model.c"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod budget;
mod choose;
mod emit;
mod estimate;
mod goals;
mod lower;
mod memory;
mod ops;
mod package;
mod picture;
mod stream;

use paring_backend::{
    Backend, CompileError, CompileOptions, ExecOptions, Package, SizeReport, Target, backend_named,
    refusals,
};
use paring_cortex_m_kernels::{Core, Isa};
use paring_ir::ops::Conv2d;
use paring_ir::{Graph, Node, Verified};
use paring_tensor::{DType, Tensor};

/// The backend; also registered under the name `cortex-m`.
pub const CORTEX_M: CortexM = CortexM;

/// Lowering to C for Cortex-M.
#[derive(Clone, Copy, Debug)]
pub struct CortexM;

paring_backend::register_backend!(CORTEX_M);

const fn target(core: Core) -> Target {
    let summary = match core {
        Core::M0 => "ARMv6-M: Cortex-M0, M1",
        Core::M0Plus => "ARMv6-M: Cortex-M0+",
        Core::M3 => "ARMv7-M",
        Core::M4 | Core::M7 => "ARMv7E-M: the DSP extension",
        Core::M33 => "ARMv8-M Mainline with the DSP extension",
        Core::M55 => "ARMv8.1-M with Helium",
    };
    Target { name: core.target(), summary }
}

static TARGETS: [Target; Core::ALL.len()] = {
    let mut all = [const { target(Core::M0) }; Core::ALL.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = target(Core::ALL[at]);
        at += 1;
    }
    all
};

/// Whether a prefix can begin C identifiers.
fn is_identifier(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Backend for CortexM {
    fn name(&self) -> &'static str {
        "cortex-m"
    }

    fn summary(&self) -> &'static str {
        "int8 and int16x8 networks to C99 for Cortex-M microcontrollers"
    }

    fn targets(&self) -> &'static [Target] {
        &TARGETS
    }

    fn support(&self, graph: &Graph, node: &Node, target: Option<&str>) -> Result<(), String> {
        let Some(target) = target else {
            return Err("this backend only compiles; name one of its targets".into());
        };
        let core: Core = target.parse()?;
        let policy = choose::Policy::default();
        let mut lowering = lower::Lowering::new(graph, core, &policy);
        lowering.add(node)
    }

    fn skips(&self, graph: &Graph, node: &Node, target: &str) -> Option<[usize; 2]> {
        // The products of four channels by four inputs.
        let weights = graph.ty(*node.inputs().get(1)?).shape.fixed()?;
        let groups = match node.op_as::<Conv2d>() {
            Some(conv) => conv.groups,
            None => return None,
        };
        let &[channels, k_h, k_w, depth] = weights.as_slice() else { return None };
        let there = match target.parse::<Core>().ok()?.isa() {
            Isa::Dsp => channels >= 4,
            // A word of inputs is gathered, of windows whose words have places of a byte.
            Isa::Helium => depth.is_multiple_of(4) && k_h * k_w * depth <= 1024,
            Isa::V6m | Isa::V7m => false,
        };
        (there && groups == 1).then_some([4, 4])
    }

    fn estimate(
        &self,
        graph: Verified<'_>,
        options: &CompileOptions,
    ) -> Result<SizeReport, CompileError> {
        let (core, goals) = self.asked(&graph, options)?;
        let policy = goals::meet(&graph, core, &goals)?;
        let mut lowering = lower_all(&graph, core, &policy)?;
        let memory = planned(&mut lowering).map_err(CompileError::Options)?;
        Ok(estimate::sizes(&lowering, &memory, core, &goals))
    }

    fn estimates(&self) -> bool {
        true
    }

    fn compile(
        &self,
        graph: Verified<'_>,
        options: &CompileOptions,
    ) -> Result<Package, CompileError> {
        let (core, goals) = self.asked(&graph, options)?;
        let prefix = if options.prefix.is_empty() { "model" } else { &options.prefix };
        if !is_identifier(prefix) {
            return Err(CompileError::Options(format!(
                "prefix `{prefix}` is not a C identifier; use letters, digits and `_`"
            )));
        }
        let policy = goals::meet(&graph, core, &goals)?;
        let mut lowering = lower_all(&graph, core, &policy)?;
        let memory = planned(&mut lowering).map_err(CompileError::Options)?;
        let vector = graph.graph().verified().ok().and_then(self_test);
        let emitter = emit::Emitter {
            lowering: &lowering,
            memory: &memory,
            prefix,
            core,
            vector: vector.as_ref(),
        };
        let files = goals.layout.files(&emitter);
        let sizes = estimate::sizes(&lowering, &memory, core, &goals);
        Ok(Package { files, sizes, harness: Some(emitter.harness()) })
    }
}

impl CortexM {
    /// The core and the goals that options name, for a network that can be lowered.
    fn asked(
        &self,
        graph: &Verified<'_>,
        options: &CompileOptions,
    ) -> Result<(Core, goals::Goals), CompileError> {
        let core: Core = options.target.parse().map_err(CompileError::Options)?;
        let goals = goals::Goals::parse(options).map_err(CompileError::Options)?;
        let refused = refusals(self, graph.graph(), Some(&options.target));
        if !refused.is_empty() {
            return Err(CompileError::Unsupported { target: options.target.clone(), refused });
        }
        if !graph.graph().states().is_empty() {
            return Err(CompileError::Options(
                "the network keeps states between runs, which this backend does not lower".into(),
            ));
        }
        Ok((core, goals))
    }
}

/// Lowers every node in order.
fn lower_all<'g>(
    graph: &'g Verified<'_>,
    core: Core,
    policy: &'g choose::Policy,
) -> Result<lower::Lowering<'g>, CompileError> {
    let mut lowering = lower::Lowering::new(graph.graph(), core, policy);
    for &id in graph.order() {
        let node = graph.graph().node(id);
        lowering.add(node).map_err(|why| {
            CompileError::Internal(format!("`{}` was accepted but failed: {why}", node.name))
        })?;
    }
    lowering.gather_streams();
    Ok(lowering)
}

/// Plans the memory of the steps as they are and in the order that needs the least, and leaves them in
/// the better one.
fn planned(lowering: &mut lower::Lowering<'_>) -> Result<memory::Memory, String> {
    let found = memory::order(lowering);
    let mut best = memory::plan(lowering)?;
    if found.order.iter().enumerate().any(|(i, &at)| i != at) {
        let given = lowering.steps.clone();
        let stages = lowering.stages();
        let ranges = found.order.iter().filter_map(|&at| Some(stages.get(at)?.0.clone()));
        lowering.steps = ranges.flatten().filter_map(|at| given.get(at).cloned()).collect();
        let other = memory::plan(lowering)?;
        if other.arena_bytes < best.arena_bytes {
            best = other;
        } else {
            lowering.steps = given;
        }
    }
    best.order_bound = found.lower_bound;
    Ok(best)
}

/// A seeded input and the output that the reference interpreter gives for it, when a reference
/// interpreter is linked in.
fn self_test(graph: Verified<'_>) -> Option<emit::Vector> {
    let reference = backend_named("reference").ok()?;
    let executor = reference.executor(ExecOptions::default())?;
    let order = graph.graph();
    let mut session = executor.prepare(graph).ok()?;
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let inputs: Vec<Tensor> = order
        .inputs()
        .iter()
        .map(|port| {
            let ty = order.ty(port.value);
            let bytes: Vec<u8> = (0..ty.byte_len()?)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            // Random bits are no sensible floats.
            (ty.dtype == DType::I8).then_some(())?;
            Tensor::new(ty.dtype, ty.shape.fixed()?, bytes.into()).ok()
        })
        .collect::<Option<_>>()?;
    let outputs = session.run(&inputs).ok()?;
    let bytes = |tensors: &[Tensor]| tensors.iter().map(|t| t.bytes().to_vec()).collect();
    Some(emit::Vector { inputs: bytes(&inputs), outputs: bytes(&outputs) })
}

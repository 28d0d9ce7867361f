//! What networks take on targets, without compiling them.

use crate::{REFERENCE, default_executor, executor};
use paring_backend::{
    CompileError, CompileOptions, ExecOptions, SizeReport, backend_for, refusals,
};
use paring_ir::{Executor, Graph, Node, ValueId};
use paring_pass::{Host, PassError, Pipeline, RunOptions, Samples, StepError, consts};
use paring_tensor::{DType, Tensor};
use std::sync::Arc;

/// The target whose processors compute with real numbers.
const AARCH64: &str = "aarch64";

/// Integers by the TFLite specification, with ranges that a few samples give where there are none.
const INTEGERS: &str = r#"
version = 1

[[pass]]
use = "cleanup"

[[pass]]
use = "layout"

[[pass]]
use = "fold-bn"

[[pass]]
use = "fuse"

[[pass]]
use = "remove-dead-channels"

[[pass]]
use = "calibrate"
missing = true
samples = 4

[[pass]]
use = "quantize"

[[pass]]
use = "remove-dead-channels"

[[pass]]
use = "cleanup"
"#;

/// What a network takes on a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// In all and layer by layer.
    pub sizes: SizeReport,
    /// Whether real numbers were taken as the integers of 8 bits that the target computes with.
    pub assumed: bool,
}

/// Gives inputs for a graph as it is in the middle of a pipeline.
pub type Data<'a> = &'a (dyn Fn(&Graph) -> Option<Arc<dyn Samples>> + Sync);

/// Runs pipelines that look at a few samples at most: of some data, or made-up ones.
struct Alone<'a> {
    executor: Box<dyn Executor>,
    data: Option<Data<'a>>,
}

impl Host for Alone<'_> {
    fn executor(&self) -> Result<&dyn Executor, PassError> {
        Ok(self.executor.as_ref())
    }

    fn samples(&self, _: Option<&str>, graph: &Graph) -> Result<Arc<dyn Samples>, PassError> {
        if let Some(samples) = self.data.and_then(|data| data(graph)) {
            return Ok(samples);
        }
        let types = graph.inputs().iter().map(|port| {
            let value = graph.value(port.value);
            let dims = value.ty.shape.dims().iter().map(|d| d.fixed().unwrap_or(1)).collect();
            let reach = reach(graph, port.value);
            (value.ty.dtype, dims, value.range.map_or([-reach, reach], |r| [r.0, r.1]))
        });
        Ok(Arc::new(Noise(types.collect())))
    }
}

/// How far inputs reach, by the biases of the layers that read them: at least 1, and so far that the biases can
/// make up for means.
fn reach(graph: &Graph, input: ValueId) -> f32 {
    let readers = graph.nodes().filter(|n| n.inputs().first() == Some(&input));
    let reach = |n: &Node| -> Option<f32> {
        let number = |i: usize| consts::dense_f32(graph, *n.inputs().get(i)?);
        let (weights, bias) = (number(1)?, number(2)?);
        let filters = weights.chunks(weights.len().checked_div(bias.len())?.max(1));
        let each = filters.map(|f| f.iter().map(|w| w.abs()).sum::<f32>()).zip(&bias);
        Some(each.filter(|(all, _)| *all > 0.0).map(|(all, b)| b.abs() / all).fold(1.0, f32::max))
    };
    readers.filter_map(reach).filter(|r| r.is_finite()).fold(1.0, f32::max)
}

/// Uniform noise for inputs of real numbers, and zeros for others.
struct Noise(Vec<(DType, Vec<usize>, [f32; 2])>);

impl Samples for Noise {
    fn len(&self) -> usize {
        2
    }

    fn get(&self, index: usize) -> Result<Vec<Tensor>, String> {
        let mut state = 0x2545_F491_4F6C_DD1D_u64.wrapping_add(index as u64);
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1_u64 << 24) as f32
        };
        let tensor = |(dtype, dims, [low, high]): &(DType, Vec<usize>, [f32; 2])| {
            let elements = dims.iter().product();
            let numbers = (0..elements).map(|_| match dtype {
                DType::F32 => low + (high - low) * next(),
                _ => 0.0,
            });
            let made = Tensor::from_vec(dims.clone(), numbers.collect::<Vec<f32>>());
            made.map(|t| t.cast(*dtype)).map_err(|e| e.to_string())
        };
        self.0.iter().map(tensor).collect()
    }
}

/// The graph that is lowered for a target: after the recipe `exact`, which changes no output bit, or for
/// processors that compute with real numbers after `folded`, which changes those by rounding only.
///
/// # Errors
/// If a step of the recipe fails.
pub fn prepare(graph: &Graph, target: &str) -> Result<Graph, StepError> {
    let recipe = match target {
        AARCH64 => include_str!("../../../recipes/folded.toml"),
        _ => include_str!("../../../recipes/exact.toml"),
    };
    through(graph, recipe, executor(REFERENCE, ExecOptions::default()).ok(), None)
}

fn through(
    graph: &Graph,
    recipe: &str,
    executor: Option<Box<dyn Executor>>,
    data: Option<Data<'_>>,
) -> Result<Graph, StepError> {
    let executor = executor.unwrap_or_else(|| default_executor(Default::default()));
    let host = Alone { executor, data };
    let pipeline = Pipeline::parse(recipe).map_err(|e| StepError {
        step: 0,
        pass: "recipe",
        source: PassError::Internal(e.to_string()),
    })?;
    Ok(pipeline.run(graph, &host, &mut RunOptions::default())?.graph)
}

/// What a network takes on a target by the estimate of its backend, [prepared](prepare) as for compiling.
///
/// Where the target computes with integers and the network with real numbers, these are taken as integers of
/// 8 bits (of fewer, where weights already have fewer): what `quantize` makes of it. Ranges that are not known
/// come from a few samples of `data`, or else from made-up inputs; they decide little of what a network takes.
///
/// # Errors
/// If there is no such target, it has no estimates, or it cannot take the network.
pub fn estimate(
    graph: &Graph,
    options: &CompileOptions,
    data: Option<Data<'_>>,
) -> Result<Estimate, CompileError> {
    let target = options.target.as_str();
    let backend = backend_for(target).map_err(CompileError::Options)?;
    let failed = |what: &str, e: StepError| {
        CompileError::Options(format!("{what}: `{}` failed: {}", e.pass, e.source))
    };
    let mut ready = prepare(graph, target).map_err(|e| failed("before lowering", e))?;
    let mut refused = refusals(backend, &ready, Some(target));
    let real = ready.nodes().flat_map(|n| n.outputs()).any(|v| ready.ty(*v).dtype == DType::F32);
    let assumed = !refused.is_empty() && real;
    if assumed {
        let what = format!("`{target}` computes with integers, and to take the network as such");
        ready = through(&ready, INTEGERS, None, data).map_err(|e| failed(&what, e))?;
        refused = refusals(backend, &ready, Some(target));
    }
    if !refused.is_empty() {
        return Err(CompileError::Unsupported { target: target.to_owned(), refused });
    }
    let faulty = |e: paring_ir::VerifyErrors| CompileError::Internal(e.to_string());
    let sizes = backend.estimate(ready.verified().map_err(faulty)?, options)?;
    Ok(Estimate { sizes, assumed })
}

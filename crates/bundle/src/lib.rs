//! Links every pass, backend and format of the project: the only list of them.
//!
//! A crate that is a dependency but never named is dropped by the linker and registers nothing, so each
//! one is named below. A program that links this crate finds them through the registries of
//! `paring-pass`, `paring-backend` and `paring-format`.
//!
//! ```
//! let executor = paring_bundle::executor(paring_bundle::REFERENCE, Default::default())?;
//! assert_eq!(executor.name(), "reference");
//! assert!(paring_backend::backend_for("cortex-m4").is_ok());
//! # Ok::<(), String>(())
//! ```
#![forbid(unsafe_code)]

use paring_cortex_m as _;
use paring_format_caffe as _;
use paring_format_keras as _;
use paring_format_onnx as _;
use paring_format_paring as _;
use paring_format_tflite as _;
use paring_neon as _;
use paring_pass_calibrate as _;
use paring_pass_cleanup as _;
use paring_pass_cluster as _;
use paring_pass_correct_bias as _;
use paring_pass_dead_channels as _;
use paring_pass_equalize as _;
use paring_pass_fold_bn as _;
use paring_pass_fuse as _;
use paring_pass_gptq as _;
use paring_pass_layout as _;
use paring_pass_prune as _;
use paring_pass_prune_channels as _;
use paring_pass_quantize as _;
use paring_pass_quantize_weights as _;
use paring_pass_rate as _;
use paring_pass_recognise as _;
use paring_pass_sensitivity as _;
use paring_reference as _;
use paring_x86 as _;

mod estimate;

pub use estimate::{Data, Estimate, estimate, prepare};

use paring_backend::{ExecOptions, backend_named};
use paring_data::DataError;
use paring_data::npy::Npz;
use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::{ExecError, Executor, Graph, Session, Verified};
use paring_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// The backend that says what ops mean: reads and folds with it when nothing else is asked for.
pub const REFERENCE: &str = "reference";

/// The name under which [`executor`] gives the fastest backend that runs a network.
pub const AUTO: &str = "auto";

/// The backends that [`AUTO`] tries, in this order, before the reference.
const FAST: [&str; 2] = ["x86", "neon"];

/// Prepares each network on the fastest backend that runs it.
struct Fastest(Vec<Box<dyn Executor>>);

impl Executor for Fastest {
    fn name(&self) -> &str {
        AUTO
    }

    fn prepare(&self, graph: Verified<'_>) -> Result<Box<dyn Session>, ExecError> {
        let mut last = None;
        for executor in &self.0 {
            match executor.prepare(graph.clone()) {
                Err(e @ (ExecError::Unsupported { .. } | ExecError::Unbound(_))) => last = Some(e),
                done => return done,
            }
        }
        let none = ExecError::Unsupported { backend: AUTO.to_owned(), refused: Vec::new() };
        Err(last.unwrap_or(none))
    }
}

/// An executor that prepares each network on the fastest backend that runs every node of it: integers
/// are the same on all, real numbers agree up to rounding.
#[must_use]
pub fn default_executor(options: ExecOptions) -> Box<dyn Executor> {
    let here = |name: &&str| *name != "x86" || cfg!(target_arch = "x86_64");
    let named = |name: &str| backend_named(name).ok()?.executor(options);
    Box::new(Fastest(FAST.into_iter().filter(here).chain([REFERENCE]).filter_map(named).collect()))
}

/// The executor of a backend, or of the fastest one where it is called [`AUTO`].
///
/// # Errors
/// If there is no such backend or it does not run in this process.
pub fn executor(backend: &str, options: ExecOptions) -> Result<Box<dyn Executor>, String> {
    if backend == AUTO {
        return Ok(default_executor(options));
    }
    backend_named(backend)?.executor(options).ok_or_else(|| {
        let running: Vec<_> = paring_backend::registered_backends()
            .into_iter()
            .filter(|b| b.executor(options).is_some())
            .map(|b| b.name())
            .collect();
        format!(
            "the {backend} backend does not run in this process; these do: {}",
            running.join(", ")
        )
    })
}

/// Reads named weights: a safetensors file, or an `.npz` archive of NumPy.
///
/// They go onto a graph with [`paring_format::weights::apply`].
///
/// # Errors
/// See [`FormatError`].
pub fn read_weights(path: &Path) -> Result<BTreeMap<String, Tensor>, FormatError> {
    let source = Source::open(path)?;
    if !source.bytes.starts_with(b"PK") {
        return paring_format::weights::read_safetensors(&source);
    }
    let fail = |e: DataError| source.malformed("the archive", e.to_string());
    let archive = Npz::open(path).map_err(fail)?;
    let read = |name: String| Ok((name.clone(), archive.get(&name).map_err(fail)?));
    archive.names().into_iter().map(read).collect()
}

/// Reads a model of any format. Dimensions without a number take their size from `dimensions` by name
/// and are 1 otherwise.
///
/// # Errors
/// See [`FormatError`].
pub fn read_model(path: &Path, dimensions: &BTreeMap<String, usize>) -> Result<Graph, FormatError> {
    read_model_for(path, dimensions, &[])
}

/// As [`read_model`], for inputs of these values: where the model needs a constant (a shape, an axis) but
/// takes it from its inputs, it is taken from these.
///
/// # Errors
/// See [`FormatError`].
pub fn read_model_for(
    path: &Path,
    dimensions: &BTreeMap<String, usize>,
    values: &[Tensor],
) -> Result<Graph, FormatError> {
    let reference = executor(REFERENCE, ExecOptions::default()).ok();
    let executor = reference.as_deref();
    let options = ReadOptions { dimensions, executor, values, ..Default::default() };
    paring_format::read(path, &options)
}

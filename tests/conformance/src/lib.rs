//! Runs the op suite on a backend. What it cannot do yet is listed in its `known-gaps.toml`, a table from
//! the name of a case (or `op/*`) to the reason; a listed case that works is a fault too.
#![forbid(unsafe_code)]

use paring_backend::{Backend, ExecOptions, Rounding};
use paring_bundle as _;
use paring_opsuite::Case;
use paring_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Both roundings of integer kernels.
pub const ROUNDINGS: [Rounding; 2] = [Rounding::Double, Rounding::Single];

/// The results of a case on a backend that runs in this process.
///
/// # Errors
/// If it is refused or fails.
pub fn run(backend: &dyn Backend, case: &Case, rounding: Rounding) -> Result<Vec<Tensor>, String> {
    let executor = backend.executor(ExecOptions { rounding }).ok_or("runs nothing")?;
    let verified = case.graph.verified().map_err(|e| e.to_string())?;
    let mut session = executor.prepare(verified).map_err(|e| e.to_string())?;
    session.run(&case.inputs).map_err(|e| e.to_string())
}

/// Whether a backend computes a case: near the definition, and integers equal to those of the reference.
///
/// # Errors
/// What differs.
pub fn judge(backend: &dyn Backend, reference: &dyn Backend, case: &Case) -> Result<(), String> {
    for rounding in ROUNDINGS {
        let results = run(backend, case, rounding)?;
        case.check(&results).map_err(|e| format!("{rounding:?}: {e}"))?;
        let integers = results.iter().all(|t| !t.dtype().is_float());
        if integers && results != run(reference, case, rounding)? {
            return Err(format!("{rounding:?}: other integers than the reference"));
        }
    }
    Ok(())
}

/// The gaps that a backend lists.
///
/// # Panics
/// If the list is not a table from names to reasons.
#[must_use]
pub fn known_gaps(backend: &str) -> BTreeMap<String, String> {
    let path = gaps_file(backend);
    let Ok(text) = std::fs::read_to_string(&path) else { return BTreeMap::new() };
    toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn gaps_file(backend: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../backends/{backend}/known-gaps.toml"))
}

/// Whether a list of gaps names a case.
#[must_use]
pub fn is_listed(gaps: &BTreeMap<String, String>, case: &str) -> bool {
    let op = case.split('/').next().unwrap_or(case);
    gaps.contains_key(case) || gaps.contains_key(&format!("{op}/*"))
}

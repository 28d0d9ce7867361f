//! Real networks against the reference interpreter, at every level and in both roundings.

mod common;

use common::{Random, compare};
use paring_backend::{Backend, ExecOptions};
use paring_format_onnx as _;
use paring_format_tflite as _;
use paring_qmath::Rounding;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn models() -> Vec<PathBuf> {
    let data = std::env::var_os("PARING_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let mut all = Vec::new();
    for folder in ["models/tflite", "models/onnx"] {
        let Ok(entries) = std::fs::read_dir(data.join(folder)) else { continue };
        all.extend(entries.filter_map(|e| Some(e.ok()?.path())));
    }
    all.retain(|p| p.extension().is_some_and(|e| e == "tflite" || e == "onnx"));
    all.sort();
    if all.is_empty() {
        eprintln!("skipped: there are no models in {} (set PARING_DATA)", data.display());
    }
    all
}

#[test]
fn real_models_equal_the_reference() {
    let only = std::env::var("PARING_MODEL").unwrap_or_default();
    let mut failures = Vec::new();
    for path in models() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let reference = paring_reference::Reference.executor(ExecOptions::default());
        let options = paring_format::ReadOptions {
            dimensions: &BTreeMap::new(),
            default_dimension: 1,
            executor: reference.as_deref(),
            values: &[],
        };
        let graph = match paring_format::read(&path, &options) {
            Ok(graph) => graph,
            Err(e) => {
                eprintln!("{name}: not read: {e}");
                continue;
            }
        };
        for rounding in [Rounding::Double, Rounding::Single] {
            // Rounding adds up over the layers of a network.
            match compare(&graph, &mut Random(1), rounding, 1e-5) {
                Ok(()) => eprintln!("{name}: equal"),
                Err(why) => failures.push(format!("{name}, {rounding:?}: {why}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

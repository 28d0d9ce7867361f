//! Real networks against the reference interpreter, at every level and in both roundings.

use paring_backend::{Backend, ExecOptions};
use paring_format_onnx as _;
use paring_format_tflite as _;
use paring_opsuite::random::{Random, compare};
use paring_qmath::Rounding;
use paring_x86::{Level, X86};
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
            let options = ExecOptions { rounding };
            let reference = paring_reference::Reference.executor(options).unwrap();
            for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
                // Sums of a layer differ by some units of the last place of its largest number, and the
                // next layers carry that on; ten layers of a random network stay within 2e-6.
                let tested = X86.executor_at(level, options);
                match compare(&graph, &mut Random(1), &*reference, &tested, 1e-5) {
                    Ok(()) => eprintln!("{name}: equal"),
                    Err(why) => {
                        failures.push(format!("{name}, {}, {rounding:?}: {why}", level.name()));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

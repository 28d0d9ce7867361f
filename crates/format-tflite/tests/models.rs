//! Real models import completely.

use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::Graph;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of shared data, or `None` (and a line) where there is none.
fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("PARING_DATA").map_or(root, PathBuf::from);
    if !dir.is_dir() {
        println!("skipped: {} is not there", dir.display());
        return None;
    }
    Some(dir)
}

fn read(path: &Path) -> Result<Graph, FormatError> {
    let dimensions = BTreeMap::new();
    let options =
        ReadOptions { dimensions: &dimensions, default_dimension: 1, executor: None, values: &[] };
    paring_format_tflite::read(&Source::open(path)?, &options)
}

#[test]
fn every_shared_model_imports_and_verifies() {
    let Some(data) = data() else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(data.join("models/tflite")).unwrap() {
        let path = entry.unwrap().path();
        let graph = read(&path).unwrap_or_else(|e| panic!("{e}"));
        graph.verified().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        count += 1;
        if std::env::var_os("PRINT_GRAPHS").is_some() {
            println!("{graph}");
        }
    }
    assert!(count >= 20, "{count} models");
}

//! What the tests share; each uses a part of it.
#![allow(dead_code)]

use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::{Executor, Graph};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of shared data, or `None` (and a line) where there is none.
pub fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("PARING_DATA").map_or(root, PathBuf::from);
    if !dir.is_dir() {
        println!("skipped: {} is not there", dir.display());
        return None;
    }
    Some(dir)
}

/// Reads a model as a source.
pub fn read_source(source: &Source, executor: Option<&dyn Executor>) -> Result<Graph, FormatError> {
    let dimensions = BTreeMap::new();
    let options =
        ReadOptions { dimensions: &dimensions, default_dimension: 1, executor, values: &[] };
    paring_format_tflite::read(source, &options)
}

/// Reads a model file.
pub fn read(path: &Path, executor: Option<&dyn Executor>) -> Result<Graph, FormatError> {
    read_source(&Source::open(path)?, executor)
}

//! What the tests share; each uses a part of it.
#![allow(dead_code)]

use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::{Executor, Graph};
use std::path::Path;

/// Reads a model as a source.
pub fn read_source(source: &Source, executor: Option<&dyn Executor>) -> Result<Graph, FormatError> {
    paring_format_tflite::read(source, &ReadOptions { executor, ..Default::default() })
}

/// Reads a model file.
pub fn read(path: &Path, executor: Option<&dyn Executor>) -> Result<Graph, FormatError> {
    read_source(&Source::open(path)?, executor)
}

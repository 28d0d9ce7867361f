//! TensorFlow Lite models.
//!
//! The reader keeps weights where they lie in the mapped file; only what the graph stores otherwise
//! (depthwise filters, four-bit integers) is copied. Operators have no names in this format: a node is
//! named after its first output tensor. Importing is faithful: the operators of the file become the
//! graph's, quantization and storage types included, and everything the reader does not know is listed
//! in one error.
//!
//! Nothing in a file is trusted: offsets, lengths, indices and shapes are checked where they are used,
//! and what the reader allocates is bounded by a multiple of the file's size (`budget` in the source).
//!
//! ```
//! use paring_format::{ReadOptions, Source};
//!
//! let damaged = Source { path: "damaged.tflite".into(), bytes: vec![0xFF; 64].into() };
//! let error = paring_format_tflite::read(&damaged, &ReadOptions::default()).unwrap_err();
//! assert!(error.to_string().contains("damaged.tflite"));
//! ```
#![forbid(unsafe_code)]

mod budget;
mod builtin;
mod error;
mod export;
mod flat;
mod import;
mod model;
mod ops;
mod schema;
mod sparse;
mod version;

use paring_format::{Format, FormatError, ReadOptions, Source, WriteOptions, register_format};
use paring_ir::Graph;

register_format!(Format {
    name: "tflite",
    summary: "TensorFlow Lite",
    extensions: &["tflite", "lite"],
    sniff: |bytes| bytes.get(4..8) == Some(b"TFL3"),
    read: Some(read),
    write: Some(write),
});

/// Reads a model.
///
/// # Errors
/// [`FormatError::Malformed`] with the place of what is wrong, [`FormatError::Unsupported`] with every
/// operator that is not known.
pub fn read(source: &Source, options: &ReadOptions<'_>) -> Result<Graph, FormatError> {
    import::import(source, options)
}

/// Turns a graph into a file's contents. The graph's own layout becomes the model's: `external` layouts of
/// its ports are not written.
///
/// # Errors
/// [`FormatError::Unsupported`] with every node that the format has no operator for.
pub fn write(graph: &Graph, _: &WriteOptions) -> Result<Vec<u8>, FormatError> {
    export::export(graph)
}

//! Paring's own container, `.paring`: everything a graph holds, in one file that is used where it lies.
//!
//! There are two forms, all numbers little-endian. The compact one (version 2) is what [`encode`] gives:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the mark `\x89PARING\n` |
//! | 4 | version, 2 |
//! | 4 | CRC-32 of the front as it is stored |
//! | 8 | stored length of the front |
//! | ... | the front, deflated |
//! | ... | the blobs, one after another |
//!
//! The front holds, lengths and numbers in groups of seven bits: the graph in its text form (see
//! [`paring_ir::text`]) with its length; how many biases have scales that are the products of those of
//! input and weights, and their names with lengths (the text leaves those scales out); how many blobs
//! there are and for each its name with length, codec (1), stored length, and CRC-32 (4).
//!
//! In the form that can be mapped (version 1) a directory follows the blobs:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the mark `\x89PARING\n` |
//! | 4 | version, 1 |
//! | 4 | CRC-32 of the directory |
//! | 8 + 8 | offset and length of the directory |
//! | ... | the blobs, raw ones at multiples of 64 |
//! | ... | the directory: for each blob the length of its name (4) and the name, its codec (4), offset (8), stored length (8) and the CRC-32 of the stored bytes (4) |
//!
//! The first blob, whose name is empty, is the graph in its text form (see [`paring_ir::text`]); the others
//! are the constants that the text calls `blob`. A raw blob (codec 0) is used in the mapped file without
//! a copy; a coded one (codec 1, see [`paring_codec`]) is a constant of any storage. Blobs that the text does not name are ignored. The same graph gives the same bytes.
//!
//! Constants are decoded several at a time; [`Container`] decodes single ones.
//!
//! No length in a file is trusted: every range is checked against the file, every blob against its
//! checksum and against the size that the graph gives it.
//!
//! ```
//! use paring_format_paring::{decode, encode};
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[2]
//!        %c = const fill(seed=1) : f32[1000]
//!        output %x
//!        output %c
//!      }",
//! )?;
//! let file = encode(&graph);
//! let again = decode(&file.into(), "g.paring".as_ref())?;
//! assert_eq!(again.value_named("c").unwrap().constant(), graph.value_named("c").unwrap().constant());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod compact;
mod container;
mod mappable;

pub use container::Container;

use paring_format::{Format, FormatError, ReadOptions, Source, WriteOptions, register_format};
use paring_ir::Graph;
use paring_tensor::Bytes;
use std::path::Path;

const MARK: &[u8; 8] = b"\x89PARING\n";
/// How many times the file's size constants that the text does not spell out may take.
const EXPANSION: usize = 64;
/// The same for coded constants, which shrink much more when nearly everything is pruned.
const CODED_EXPANSION: usize = 4096;

register_format!(Format {
    name: "paring",
    summary: "Paring's own container",
    extensions: &["paring"],
    sniff: |bytes| bytes.starts_with(MARK),
    read: Some(read),
    write: Some(write),
});

fn read(source: &Source, options: &ReadOptions<'_>) -> Result<Graph, FormatError> {
    let graph = decode(&source.bytes, &source.path)?;
    let symbols = graph.symbols();
    if symbols.is_empty() {
        return Ok(graph);
    }
    let size = |name: &String| *options.dimensions.get(name).unwrap_or(&options.default_dimension);
    let sizes = symbols.iter().map(|name| (name.clone(), size(name))).collect();
    graph.bind(&sizes).map_err(|e| FormatError::Graph { path: source.path.clone(), source: e })
}

fn write(graph: &Graph, _: &WriteOptions) -> Result<Vec<u8>, FormatError> {
    Ok(encode(graph))
}

/// How constants are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Elements of whole bytes stay as they are in memory, so that a mapped file is used without
    /// decoding; codes, masks and four-bit elements are packed. Otherwise constants are entropy-coded.
    pub mappable: bool,
}

/// The container of a graph, constants entropy-coded where that is shorter.
#[must_use]
pub fn encode(graph: &Graph) -> Vec<u8> {
    encode_with(graph, Storage::default())
}

/// The container of a graph.
#[must_use]
pub fn encode_with(graph: &Graph, storage: Storage) -> Vec<u8> {
    if storage.mappable { mappable::encode(graph) } else { compact::encode(graph) }
}

/// The graph in a container. Constants share the bytes of `file`.
///
/// # Errors
/// [`FormatError::Malformed`] with what is wrong; `path` names the file in it.
pub fn decode(file: &Bytes, path: &Path) -> Result<Graph, FormatError> {
    Container::open(file, path)?.graph()
}

/// The part of a file from an offset, if it is there.
fn range(file: &Bytes, offset: usize, len: usize) -> Option<Bytes> {
    let end = offset.checked_add(len).filter(|end| *end <= file.len())?;
    Some(file.slice(offset..end))
}

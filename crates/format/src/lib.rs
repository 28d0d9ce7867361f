//! Model file formats: the registry, and what readers and writers share.
//!
//! A format crate registers a [`Format`]; [`read`] finds the right one by the file's first bytes and
//! its extension. Files are mapped, not read, and readers keep weights where they lie.
//!
//! A reader imports faithfully and refuses completely: what it does not support is one
//! [`FormatError::Unsupported`] that lists every such operator.
//!
//! ```
//! use paring_format::{ReadOptions, read};
//!
//! let error = read("no/such.tflite".as_ref(), &ReadOptions::default()).unwrap_err();
//! assert!(error.to_string().starts_with("no/such.tflite: "));
//! ```
#![forbid(unsafe_code)]

pub mod hdf5;
pub mod weights;

#[doc(hidden)]
pub use inventory;

use paring_ir::{Executor, Graph, GraphError, Refusal, VerifyErrors};
use paring_tensor::{Bytes, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file to read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is, for messages and for files beside it.
    pub path: PathBuf,
    /// Its contents, mapped.
    pub bytes: Bytes,
}

/// How a model is read.
#[derive(Clone, Copy)]
pub struct ReadOptions<'a> {
    /// Sizes of named dimensions.
    pub dimensions: &'a BTreeMap<String, usize>,
    /// Size of every dimension that has no number and is not in `dimensions`.
    pub default_dimension: usize,
    /// Evaluates what is constant in the file, such as shape arithmetic.
    pub executor: Option<&'a dyn Executor>,
    /// Values of the inputs, in order, if they are known: where a model needs a constant (a shape, an
    /// axis) but computes it from its inputs, the reader takes it from these, and the graph is then for
    /// such inputs only.
    pub values: &'a [Tensor],
}

/// No size by name, 1 for every dimension without a number, and nothing that evaluates.
impl Default for ReadOptions<'_> {
    fn default() -> Self {
        static NONE: BTreeMap<String, usize> = BTreeMap::new();
        Self { dimensions: &NONE, default_dimension: 1, executor: None, values: &[] }
    }
}

/// How a model is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {}

/// Reads a file into a graph.
pub type ReadFn = fn(&Source, &ReadOptions<'_>) -> Result<Graph, FormatError>;

/// Turns a graph into a file's contents.
pub type WriteFn = fn(&Graph, &WriteOptions) -> Result<Vec<u8>, FormatError>;

/// A registered format.
pub struct Format {
    /// The name in listings.
    pub name: &'static str,
    /// One line for listings.
    pub summary: &'static str,
    /// Extensions of its files, without the first dot, in lower case. One of several parts
    /// (`caffemodel.h5`) goes before [`sniff`](Self::sniff).
    pub extensions: &'static [&'static str],
    /// Whether a file begins as one of this format does. Formats without a mark say `false` and go by
    /// the extension.
    pub sniff: fn(&[u8]) -> bool,
    /// The reader, if there is one.
    pub read: Option<ReadFn>,
    /// The writer, if there is one.
    pub write: Option<WriteFn>,
}

inventory::collect!(Format);

/// All registered formats, sorted by name.
#[must_use]
pub fn registered_formats() -> Vec<&'static Format> {
    let mut all: Vec<_> = inventory::iter::<Format>.into_iter().collect();
    all.sort_by_key(|f| f.name);
    all
}

/// Registers a format.
#[macro_export]
macro_rules! register_format {
    ($format:expr) => {
        $crate::inventory::submit! { $format }
    };
}

/// Why a model was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file could not be opened or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// No format reads or writes such a file.
    #[error("{}: no known format {action} it; known: {known}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// `reads` or `writes`.
        action: &'static str,
        /// Names and extensions of the formats that do.
        known: String,
    },
    /// The file contradicts its format.
    #[error("{}: {place}: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Operators that are not supported: all of them.
    #[error("{}: {} operators are not supported:{}", path.display(), refused.len(), refused.iter().map(|r| format!("\n  {r}")).collect::<String>())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Every operator that is refused.
        refused: Vec<Refusal>,
    },
    /// The model contradicts itself: shapes or types that do not fit.
    #[error("{}: {source}", path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: GraphError,
    },
    /// The imported graph is faulty.
    #[error("{}: {source}", path.display())]
    Faulty {
        /// The file.
        path: PathBuf,
        /// The faults.
        source: VerifyErrors,
    },
}

impl FormatError {
    /// Whether this is something that the program does not support, rather than a wrong file.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }
}

impl Source {
    /// Maps a file.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        let bytes = paring_tensor::map_file(path)
            .map_err(|source| FormatError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// An error of this file.
    pub fn malformed(&self, place: impl Into<String>, why: impl Into<String>) -> FormatError {
        FormatError::Malformed { path: self.path.clone(), place: place.into(), why: why.into() }
    }
}

fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn unknown(path: &Path, action: &'static str, able: impl Fn(&Format) -> bool) -> FormatError {
    let list = |f: &&Format| format!("{} (.{})", f.name, f.extensions.join(", ."));
    let known: Vec<_> =
        registered_formats().into_iter().filter(|f| able(f)).map(|f| list(&f)).collect();
    FormatError::Unknown { path: path.to_owned(), action, known: known.join("; ") }
}

/// Reads a model file of any registered format and verifies the graph.
///
/// # Errors
/// See [`FormatError`].
pub fn read(path: &Path, options: &ReadOptions<'_>) -> Result<Graph, FormatError> {
    let source = Source::open(path)?;
    let formats = registered_formats();
    let ext = extension(path);
    let sniffed = formats.iter().find(|f| f.read.is_some() && (f.sniff)(&source.bytes));
    let named =
        || formats.iter().find(|f| f.read.is_some() && f.extensions.contains(&ext.as_str()));
    // An ending of several parts says more than the container that the file begins as.
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let exact = formats.iter().find(|f| {
        let ends = |e: &&str| e.contains('.') && name.ends_with(&format!(".{e}"));
        f.read.is_some() && f.extensions.iter().any(ends)
    });
    let read = exact
        .or(sniffed)
        .or_else(named)
        .and_then(|f| f.read)
        .ok_or_else(|| unknown(path, "reads", |f| f.read.is_some()))?;
    if source.bytes.is_empty() {
        return Err(source.malformed("the file", "is empty"));
    }
    let graph = read(&source, options)?;
    match graph.verified() {
        Ok(_) => Ok(graph),
        Err(errors) => Err(FormatError::Faulty { path: path.to_owned(), source: errors }),
    }
}

/// Writes a model file in the format of its extension: the whole file or nothing.
///
/// # Errors
/// See [`FormatError`].
pub fn write(graph: &Graph, path: &Path, options: &WriteOptions) -> Result<(), FormatError> {
    let ext = extension(path);
    let format = registered_formats()
        .into_iter()
        .find(|f| f.write.is_some() && f.extensions.contains(&ext.as_str()));
    let write = format
        .and_then(|f| f.write)
        .ok_or_else(|| unknown(path, "writes", |f| f.write.is_some()))?;
    let contents = write(graph, options)?;
    paring_tensor::write_file(path, &contents)
        .map_err(|source| FormatError::Io { path: path.to_owned(), source })
}

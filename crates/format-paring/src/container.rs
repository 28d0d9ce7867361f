//! What the forms of the container share: a text, blobs by name, and how they become a graph.

use crate::{CODED_EXPANSION, EXPANSION, MARK, compact, mappable};
use paring_codec::Codec;
use paring_format::FormatError;
use paring_ir::{Graph, text};
use paring_tensor::{Bytes, ConstData, DType};
use rayon::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// An opened container: its directory is read and checked, its constants are not decoded yet.
///
/// ```
/// use paring_format_paring::{Container, encode};
///
/// let graph = paring_ir::text::parse(
///     "graph @g {
///        %c = const fill(seed=1) : f32[1000]
///        %d = const fill(seed=2) : f32[1000]
///        output %c
///        output %d
///      }",
/// )?;
/// let container = Container::open(&encode(&graph).into(), "g.paring".as_ref())?;
/// assert_eq!(container.constants(), ["c", "d"]);
/// let one = container.constant("d")?;
/// assert_eq!(Some(&one), graph.value_named("d").unwrap().constant());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Container {
    path: PathBuf,
    pub(crate) text: String,
    /// Biases whose scales follow from others.
    pub(crate) derived: Vec<String>,
    pub(crate) blobs: HashMap<String, Entry>,
    /// Bytes of the file.
    len: usize,
}

/// A constant as it is stored.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) codec: u32,
    pub(crate) bytes: Bytes,
    pub(crate) checksum: u32,
}

impl Entry {
    fn codec(&self) -> Result<Codec, String> {
        let known = u8::try_from(self.codec).ok().and_then(|id| Codec::from_id(id).ok());
        known.ok_or_else(|| {
            format!("is stored by codec {}, which this program does not know", self.codec)
        })
    }

    pub(crate) fn checked(&self) -> Result<&Bytes, String> {
        if crc32fast::hash(&self.bytes) == self.checksum {
            return Ok(&self.bytes);
        }
        Err("its checksum does not match: the file is damaged".to_owned())
    }

    fn decode(&self, dtype: DType, shape: &[usize]) -> Result<ConstData, String> {
        paring_codec::decode(self.codec()?, self.checked()?, dtype, shape)
            .map_err(|e| e.to_string())
    }

    /// Memory that decoding takes besides the file, if it can be told.
    fn needs(&self, dtype: DType, shape: &[usize]) -> Option<usize> {
        match self.codec() {
            Ok(Codec::Raw) => Some(0),
            _ => shape.iter().try_fold(dtype.size(), |n, d| n.checked_mul(*d)),
        }
    }
}

impl Container {
    /// Reads what is not constants. The blobs share the bytes of `file`.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] with what is wrong; `path` names the file in it.
    pub fn open(file: &Bytes, path: &Path) -> Result<Self, FormatError> {
        let fail = |place: &str, why: String| malformed(path, place, why);
        if file.len() < MARK.len() + 4 {
            return Err(fail("header", "the file is cut off".into()));
        }
        let (mark, rest) = file.split_at(MARK.len());
        if mark != MARK {
            return Err(fail("header", "this is no .paring file".into()));
        }
        let version = rest.iter().take(4).rev().fold(0_u32, |n, b| n << 8 | u32::from(*b));
        let read = match version {
            compact::VERSION => compact::open(file),
            mappable::VERSION => mappable::open(file),
            other => {
                let why = format!(
                    "version {other}; this program reads versions 1 and 2: use a newer one"
                );
                return Err(fail("header", why));
            }
        };
        let Read { text, derived, blobs } = read.map_err(|(place, why)| fail(place, why))?;
        Ok(Self { path: path.to_owned(), text, derived, blobs, len: file.len() })
    }

    /// Names of the stored constants, sorted: those of their values in the graph, unless two would be
    /// called the same. Short constants stand in the graph's text and are not among them.
    #[must_use]
    pub fn constants(&self) -> Vec<&str> {
        let mut names: Vec<&str> = called(&self.text).into_iter().map(|c| c.0).collect();
        names.sort_unstable();
        names
    }

    /// Decodes one constant and no other.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if there is none of that name, or it is damaged.
    pub fn constant(&self, name: &str) -> Result<ConstData, FormatError> {
        let decoded = || {
            let calls = called(&self.text);
            let call = calls.iter().find(|c| c.0 == name);
            let (_, dtype, shape) = call.ok_or("there is no such constant in the file")?;
            let entry = self.blobs.get(name).ok_or("there is no such blob in the file")?;
            if entry.needs(*dtype, shape).is_none_or(|n| n > self.budget()) {
                return Err(TOO_MUCH.to_owned());
            }
            entry.decode(*dtype, shape)
        };
        decoded().map_err(|why| malformed(&self.path, name, why))
    }

    /// Decodes all constants, several at a time, and makes the graph.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] with what is wrong.
    pub fn graph(&self) -> Result<Graph, FormatError> {
        let early = RefCell::new(self.decode_called());
        let left = Cell::new(self.budget());
        let blobs = |name: &str, dtype: DType, shape: &[usize]| {
            let entry = self.blobs.get(name).ok_or("there is no such blob in the file")?;
            let needs = entry.needs(dtype, shape);
            left.set(needs.and_then(|n| left.get().checked_sub(n)).ok_or(TOO_MUCH)?);
            match early.borrow_mut().remove(name) {
                Some((call, decoded)) if (call.1, &call.2[..]) == (dtype, shape) => decoded,
                _ => entry.decode(dtype, shape),
            }
        };
        let limit = self.len.saturating_mul(EXPANSION).saturating_add(1 << 20);
        let fail = |why: String| malformed(&self.path, "graph", why);
        let parsed =
            text::parse_limited(&self.text, &blobs, limit).map_err(|e| fail(e.to_string()))?;
        compact::with_derived(parsed.graph, &self.derived).map_err(fail)
    }

    /// Bytes that decoded constants may take.
    fn budget(&self) -> usize {
        self.len.saturating_mul(CODED_EXPANSION).saturating_add(1 << 26)
    }

    /// The constants that the text seems to call, as far as they fit.
    fn decode_called(&self) -> HashMap<&str, (Call<'_>, Result<ConstData, String>)> {
        let mut left = self.budget();
        let calls: Vec<(Call<'_>, &Entry)> = called(&self.text)
            .into_iter()
            .filter_map(|call| {
                let entry = self.blobs.get(call.0)?;
                left = left.checked_sub(entry.needs(call.1, &call.2)?)?;
                Some((call, entry))
            })
            .collect();
        let decoded: Vec<Result<ConstData, String>> =
            calls.par_iter().map(|(call, entry)| entry.decode(call.1, &call.2)).collect();
        let pairs = calls.into_iter().zip(decoded);
        pairs.map(|((call, _), data)| (call.0, (call, data))).collect()
    }
}

const TOO_MUCH: &str = "takes more memory than a file of this size may ask for";

/// What is read of a file before its constants; what is wrong comes with its place.
pub(crate) struct Read {
    pub(crate) text: String,
    pub(crate) derived: Vec<String>,
    pub(crate) blobs: HashMap<String, Entry>,
}

pub(crate) type ReadResult = Result<Read, (&'static str, String)>;

fn malformed(path: &Path, place: &str, why: String) -> FormatError {
    FormatError::Malformed { path: path.to_owned(), place: place.to_owned(), why }
}

/// Name, element type and shape of a constant that is a blob.
type Call<'t> = (&'t str, DType, Vec<usize>);

/// The constants of a text that are blobs. Statements of another form than the printer gives them are
/// left out: they are decoded when the parser comes to them.
fn called(text: &str) -> Vec<Call<'_>> {
    fn call(line: &str) -> Option<Call<'_>> {
        let (_, rest) = line.split_once(" = const blob \"")?;
        let (name, rest) = rest.split_once('"')?;
        let (dtype, rest) = rest.strip_prefix(" : ")?.split_once('[')?;
        let (extents, _) = rest.split_once(']')?;
        let shape = extents.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
        (!name.contains('\\')).then_some((name, dtype.parse().ok()?, shape))
    }
    text.lines().filter_map(call).collect()
}

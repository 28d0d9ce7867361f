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

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use paring_codec::Codec;
use paring_format::{Format, FormatError, ReadOptions, Source, WriteOptions, register_format};
use paring_ir::{Graph, text};
use paring_tensor::{Bytes, DType};
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;

const MARK: &[u8; 8] = b"\x89PARING\n";
const VERSION: u32 = 1;
const HEADER: usize = 32;
/// Of the compact form.
const HEADER_COMPACT: usize = 24;
const ALIGNMENT: usize = 64;
/// How many times the file's size constants that the text does not spell out may take.
const EXPANSION: usize = 64;
/// The same for coded constants, which shrink much more when nearly everything is pruned.
const CODED_EXPANSION: usize = 4096;
/// Name of the blob that is the graph's text.
const GRAPH: &str = "";

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
    if !storage.mappable {
        return compact::encode(graph);
    }
    let printed = text::print(graph, text::Large::Blob);
    let mut out = vec![0; HEADER];
    let mut directory = Vec::new();
    let mut add = |name: &str, codec: u32, stored: &[u8]| {
        if codec == u32::from(Codec::Raw.id()) {
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        }
        directory.extend((name.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        directory.extend(codec.to_le_bytes());
        directory.extend((out.len() as u64).to_le_bytes());
        directory.extend((stored.len() as u64).to_le_bytes());
        directory.extend(crc32fast::hash(stored).to_le_bytes());
        out.extend_from_slice(stored);
    };
    let text = printed.text.into_bytes();
    add(GRAPH, Codec::Raw.id().into(), &text);
    let options = paring_codec::Options { entropy: false };
    for (name, data) in &printed.blobs {
        let coded = paring_codec::encode(data, options);
        add(name, coded.codec.id().into(), &coded.bytes);
    }
    let header = [
        MARK.as_slice(),
        &VERSION.to_le_bytes(),
        &crc32fast::hash(&directory).to_le_bytes(),
        &(out.len() as u64).to_le_bytes(),
        &(directory.len() as u64).to_le_bytes(),
    ]
    .concat();
    out[..HEADER].copy_from_slice(&header);
    out.extend(directory);
    out
}

/// A blob as the directory describes it.
struct Entry {
    codec: u32,
    bytes: Bytes,
    checksum: u32,
}

impl Entry {
    fn checked(&self) -> Result<&Bytes, String> {
        if crc32fast::hash(&self.bytes) == self.checksum {
            return Ok(&self.bytes);
        }
        Err("its checksum does not match: the file is damaged".to_owned())
    }
}

/// Takes numbers off the front of bytes.
struct Cursor<'b>(&'b [u8]);

impl<'b> Cursor<'b> {
    fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<usize> {
        u64::from_le_bytes(self.take(8)?.try_into().ok()?).try_into().ok()
    }
}

/// The part of a file from an offset, if it is there.
fn range(file: &Bytes, offset: usize, len: usize) -> Option<Bytes> {
    let end = offset.checked_add(len).filter(|end| *end <= file.len())?;
    Some(file.slice(offset..end))
}

/// The graph in a container. Constants share the bytes of `file`.
///
/// # Errors
/// [`FormatError::Malformed`] with what is wrong; `path` names the file in it.
pub fn decode(file: &Bytes, path: &Path) -> Result<Graph, FormatError> {
    let fail = |place: &str, why: String| FormatError::Malformed {
        path: path.to_owned(),
        place: place.to_owned(),
        why,
    };
    let header = |file: &Bytes| {
        let mut cursor = Cursor(file);
        let mark = cursor.take(MARK.len())? == MARK;
        Some((mark, cursor.u32()?, cursor.u32()?, cursor.u64()?, cursor.u64()?))
    };
    let Some((mark, version, checksum, offset, len)) = header(file) else {
        return Err(fail("header", "the file is cut off".into()));
    };
    if !mark {
        return Err(fail("header", "this is no .paring file".into()));
    }
    if version == compact::VERSION {
        return compact::decode(file, path);
    }
    if version != VERSION {
        return Err(fail(
            "header",
            format!("version {version}; this program reads versions 1 and 2: use a newer one"),
        ));
    }
    let directory = range(file, offset, len)
        .ok_or_else(|| fail("header", "the directory lies outside of the file".into()))?;
    if crc32fast::hash(&directory) != checksum {
        return Err(fail("directory", "its checksum does not match: the file is damaged".into()));
    }
    let entries = read_directory(file, &directory).map_err(|why| fail("directory", why))?;
    let graph = entries.get(GRAPH).ok_or_else(|| fail("directory", "there is no graph".into()))?;
    let stored = graph.checked().map_err(|why| fail("graph", why))?;
    let limit = file.len().saturating_mul(EXPANSION).saturating_add(1 << 20);
    let graph = std::str::from_utf8(stored).map_err(|e| fail("graph", e.to_string()))?;
    let left = Cell::new(file.len().saturating_mul(CODED_EXPANSION).saturating_add(1 << 26));
    let blobs = |name: &str, dtype: DType, shape: &[usize]| {
        let entry = entries.get(name).ok_or("there is no such blob in the file")?;
        let codec = u8::try_from(entry.codec).ok().and_then(|id| Codec::from_id(id).ok());
        let codec = codec.ok_or_else(|| {
            format!("is stored by codec {}, which this program does not know", entry.codec)
        })?;
        if codec != Codec::Raw {
            let size = shape.iter().try_fold(dtype.size(), |n, d| n.checked_mul(*d));
            let rest = size.and_then(|size| left.get().checked_sub(size));
            left.set(rest.ok_or("takes more memory than a file of this size may ask for")?);
        }
        paring_codec::decode(codec, entry.checked()?, dtype, shape).map_err(|e| e.to_string())
    };
    let parsed =
        text::parse_limited(graph, &blobs, limit).map_err(|e| fail("graph", e.to_string()))?;
    Ok(parsed.graph)
}

fn deflate_all(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Unpacks a text of at most `limit` bytes.
fn inflate(stored: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let mut decoder = DeflateDecoder::new(stored).take(limit as u64 + 1);
    decoder.read_to_end(&mut text).map_err(|e| format!("the text is damaged: {e}"))?;
    if text.len() > limit {
        return Err("the text takes more memory than a file of this size may ask for".to_owned());
    }
    Ok(text)
}

fn read_directory(file: &Bytes, directory: &Bytes) -> Result<HashMap<String, Entry>, String> {
    let mut entries = HashMap::new();
    let mut cursor = Cursor(directory);
    while !cursor.0.is_empty() {
        let mut entry = || {
            let len = cursor.u32()? as usize;
            let name = cursor.take(len)?;
            Some((name, cursor.u32()?, cursor.u64()?, cursor.u64()?, cursor.u32()?))
        };
        let (name, codec, offset, len, checksum) = entry().ok_or("it is cut off")?;
        let name = std::str::from_utf8(name).map_err(|e| e.to_string())?;
        let bytes = range(file, offset, len)
            .ok_or_else(|| format!("blob `{name}` lies outside of the file"))?;
        if entries.insert(name.to_owned(), Entry { codec, bytes, checksum }).is_some() {
            return Err(format!("there are two blobs `{name}`"));
        }
    }
    Ok(entries)
}

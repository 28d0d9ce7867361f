//! The `.paring` container: a graph with its constants, mapped and used in place.
//!
//! A file is a header of 64 bytes, sections, and a directory that says where the sections are:
//!
//! ```text
//! 0   8  magic: 89 50 41 52 49 4e 47 0a ("\x89PARING\n")
//! 8   2  version of the layout, now 1: a reader refuses newer ones
//! 10  2  revision: only adds what readers may ignore
//! 12  4  zero
//! 16  8  offset of the directory
//! 24  8  its length
//! 32  4  its CRC-32
//! 36  4  CRC-32 of the 36 bytes before
//! 40 24  zero
//! ```
//!
//! An entry of the directory describes a section:
//!
//! ```text
//! 0   2  kind: 1 the graph's text form, 2 a blob of constant data
//! 2   2  flags: bit 0, readers that do not know the kind may ignore the section
//! 4   4  codec of the stored bytes
//! 8   8  offset of the section, a multiple of 64
//! 16  8  stored length
//! 24  8  raw length
//! 32  4  CRC-32 of the stored bytes
//! 36  4  length of the name
//! 40  .  the name in UTF-8, then zeros up to a multiple of 8
//! ```
//!
//! All numbers are little-endian. The graph is in the text form of [`paring_ir::text`]; what it calls
//! `blob "name"` is the section of that name. Sections of the `raw` codec are used where they lie in
//! the mapped file; other codecs are listed in [`codec`]. A reader meets an unknown codec or kind with an
//! error that names it.
//!
//! ```
//! let text = "graph @g {\n  %x = input : f32[2]\n  output %x\n}\n";
//! let graph = paring_ir::text::parse(text)?;
//! let bytes = paring_format_paring::write(&graph, &Default::default())?;
//! assert_eq!(&bytes[1..7], b"PARING");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod codec;
mod layout;

use layout::{BLOB, Directory, GRAPH, Section};
use paring_format::{Format, FormatError, ReadOptions, Source, WriteOptions, register_format};
use paring_ir::text::{Large, parse_limited, print};
use paring_ir::{Graph, Refusal};
use paring_tensor::Bytes;
use std::collections::HashMap;

register_format!(Format {
    name: "paring",
    summary: "the project's own container: graph, quantization, sparse and clustered constants",
    extensions: &["paring"],
    sniff: |bytes| bytes.starts_with(&layout::MAGIC),
    read: Some(read),
    write: Some(write),
});

/// Reads a container.
///
/// # Errors
/// [`FormatError::Malformed`] with the place of what is wrong, [`FormatError::Unsupported`] with every
/// section that is stored in an unknown way.
pub fn read(source: &Source, _: &ReadOptions<'_>) -> Result<Graph, FormatError> {
    let malformed = |(place, why): (String, String)| source.malformed(place, why);
    let directory = Directory::read(&source.bytes).map_err(malformed)?;
    let mut refused = Vec::new();
    let (mut text, mut blobs) = (None, HashMap::new());
    // What codecs expand to in all, beside the file's own bytes.
    let mut room = source.bytes.len().saturating_mul(64).saturating_add(1 << 20);
    for section in &directory.sections {
        if section.kind != GRAPH && section.kind != BLOB {
            if !section.ignorable() {
                let op = format!("section kind {}", section.kind);
                refused.push(refusal(section, op, "a newer version wrote this file; update"));
            }
            continue;
        }
        let stored = section.checked(&source.bytes).map_err(malformed)?;
        let Some(codec) = codec::by_id(section.codec) else {
            let op = format!("codec {}", section.codec);
            refused.push(refusal(section, op, "a newer version wrote this file; update"));
            continue;
        };
        let raw = codec.decode(&stored, section.raw_len, &mut room);
        let raw = raw.map_err(|why| source.malformed(section.place(), why))?;
        let twice = match section.kind {
            GRAPH => text.replace(raw).is_some(),
            _ => blobs.insert(section.name.as_str(), raw).is_some(),
        };
        if twice {
            return Err(source.malformed(section.place(), "is there twice"));
        }
    }
    if !refused.is_empty() {
        return Err(FormatError::Unsupported { path: source.path.clone(), refused });
    }
    let text: Bytes = text.ok_or_else(|| source.malformed("the directory", "names no graph"))?;
    let text = str::from_utf8(&text)
        .map_err(|e| source.malformed("the graph", format!("is not text: {e}")))?;
    let limit = source.bytes.len().saturating_mul(64).saturating_add(1 << 20);
    let parsed = parse_limited(text, &|name| blobs.get(name).cloned(), limit)
        .map_err(|e| source.malformed(format!("the graph, line {}", e.line), e.why))?;
    Ok(parsed.graph)
}

fn refusal(section: &Section, op: String, why: &str) -> Refusal {
    Refusal { node: section.name.clone(), op, why: why.to_owned() }
}

/// Turns a graph into a container.
///
/// # Errors
/// None at present.
pub fn write(graph: &Graph, _: &WriteOptions) -> Result<Vec<u8>, FormatError> {
    let printed = print(graph, Large::Blob);
    let mut writer = layout::Writer::new();
    writer.section(GRAPH, "graph", &codec::RAW, printed.text.as_bytes());
    for (name, bytes) in &printed.blobs {
        let (codec, stored) = codec::smallest(bytes);
        match stored {
            Some(stored) => writer.coded(BLOB, name, codec, &stored, bytes.len()),
            None => writer.section(BLOB, name, codec, bytes),
        }
    }
    Ok(writer.finish())
}

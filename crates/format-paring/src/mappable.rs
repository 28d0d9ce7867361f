//! The form that can be mapped: raw constants lie where they are used.

use crate::container::{Entry, Read, ReadResult};
use crate::{MARK, range};
use paring_codec::Codec;
use paring_ir::{Graph, text};
use paring_tensor::Bytes;
use std::collections::HashMap;

/// Version of the form that can be mapped.
pub(crate) const VERSION: u32 = 1;
const HEADER: usize = 32;
const ALIGNMENT: usize = 64;
/// Name of the blob that is the graph's text.
const GRAPH: &str = "";

pub(crate) fn encode(graph: &Graph) -> Vec<u8> {
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

/// Reads the directory and the text.
pub(crate) fn open(file: &Bytes) -> ReadResult {
    let header = || {
        let mut cursor = Cursor(file.get(MARK.len() + 4..)?);
        Some((cursor.u32()?, cursor.u64()?, cursor.u64()?))
    };
    let (checksum, offset, len) =
        header().ok_or_else(|| ("header", "the file is cut off".to_owned()))?;
    let directory = range(file, offset, len)
        .ok_or_else(|| ("header", "the directory lies outside of the file".to_owned()))?;
    if crc32fast::hash(&directory) != checksum {
        return Err(("directory", "its checksum does not match: the file is damaged".into()));
    }
    let mut blobs = read_directory(file, &directory).map_err(|why| ("directory", why))?;
    let graph = blobs.remove(GRAPH).ok_or_else(|| ("directory", "there is no graph".to_owned()))?;
    let stored = graph.checked().map_err(|why| ("graph", why))?;
    let text = std::str::from_utf8(stored).map_err(|e| ("graph", e.to_string()))?.to_owned();
    Ok(Read { text, derived: Vec::new(), blobs })
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

use super::header::Header;
use crate::{DataError, Result};
use paring_tensor::{Bytes, Tensor, map_file, write_file};
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const ADVICE: &str = "write it with numpy.savez or numpy.savez_compressed";

/// No deflated byte stands for more than this many.
const MAX_RATIO: u64 = 1032;

/// An open `.npz` archive. Stored members are used in place, deflated ones are unpacked when asked
/// for.
#[derive(Clone, Debug)]
pub struct Npz {
    path: PathBuf,
    bytes: Bytes,
    archive: ZipArchive<Cursor<Bytes>>,
}

impl Npz {
    /// Opens an archive and reads its table of contents.
    ///
    /// # Errors
    /// If the file cannot be read or is not a zip archive.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_bytes(map_file(path).map_err(DataError::io(path))?, path)
    }

    /// Opens an archive in memory; `path` names it in errors.
    ///
    /// # Errors
    /// If it is not a zip archive.
    pub fn from_bytes(bytes: Bytes, path: &Path) -> Result<Self> {
        let archive = ZipArchive::new(Cursor::new(bytes.clone()))
            .map_err(|e| DataError::file(path, format!("is not an .npz archive ({e})"), ADVICE))?;
        Ok(Self { path: path.into(), bytes, archive })
    }

    /// Names of the arrays, sorted, without `.npy`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .archive
            .file_names()
            .filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned()))
            .collect();
        names.sort_unstable();
        names
    }

    /// Whether there is an array of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(&format!("{name}.npy")).is_some()
    }

    /// Reads an array.
    ///
    /// # Errors
    /// If there is none of this name (the error lists those there are), or it is damaged or not
    /// numeric.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let origin = PathBuf::from(format!("{}[{name}]", self.path.display()));
        let index = self.archive.index_for_name(&format!("{name}.npy")).ok_or_else(|| {
            let fault = format!("has no array `{name}`");
            let names = self.names();
            let advice = if names.is_empty() {
                "it holds none".to_owned()
            } else {
                format!("it has {}", names.join(", "))
            };
            DataError::file(&self.path, fault, advice)
        })?;
        let damaged = |e: &dyn std::fmt::Display| {
            DataError::file(&origin, format!("cannot be unpacked ({e})"), ADVICE)
        };
        let mut archive = self.archive.clone();
        let mut member = archive.by_index(index).map_err(|e| damaged(&e))?;
        if member.compression() == CompressionMethod::Stored
            && !member.encrypted()
            && member.size() == member.compressed_size()
            && let Some(start) = member.data_start().and_then(|s| usize::try_from(s).ok())
        {
            let end = usize::try_from(member.size()).ok().and_then(|n| start.checked_add(n));
            let range = end.filter(|&end| end <= self.bytes.len()).map(|end| start..end);
            let range = range.ok_or_else(|| damaged(&"it reaches past the end of the file"))?;
            return super::decode(self.bytes.slice(range), &origin);
        }
        // The header says how much memory the elements take; it is believed only as far as the
        // packed bytes could unpack to.
        let mut head = Vec::new();
        member
            .by_ref()
            .take(Header::ENOUGH as u64)
            .read_to_end(&mut head)
            .map_err(|e| damaged(&e))?;
        let header = Header::parse(&head, &origin)?;
        let needed = header.data_len(&origin)?;
        let possible = member.compressed_size().saturating_mul(MAX_RATIO);
        if needed as u64 > possible {
            let possible = usize::try_from(possible).unwrap_or(usize::MAX);
            return Err(header.truncated(&origin, needed, possible));
        }
        let mut data = head.split_off(header.data_start);
        data.truncate(needed);
        let missing = (needed - data.len()) as u64;
        data.reserve_exact(needed - data.len());
        member.take(missing).read_to_end(&mut data).map_err(|e| damaged(&e))?;
        if data.len() < needed {
            return Err(header.truncated(&origin, needed, data.len()));
        }
        header.tensor(data.into(), &origin)
    }
}

/// Builds an `.npz` archive array by array. The same arrays give the same bytes.
pub struct NpzWriter {
    path: PathBuf,
    zip: ZipWriter<Cursor<Vec<u8>>>,
    options: SimpleFileOptions,
}

impl NpzWriter {
    /// Starts an archive for `path`; `compressed` deflates the arrays.
    #[must_use]
    pub fn new(path: &Path, compressed: bool) -> Self {
        let method =
            if compressed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(zip::DateTime::default())
            .large_file(true)
            .unix_permissions(0o644);
        Self { path: path.into(), zip: ZipWriter::new(Cursor::default()), options }
    }

    /// Adds an array.
    ///
    /// # Errors
    /// If the name is already there.
    pub fn add(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        let path = &self.path;
        self.zip
            .start_file(format!("{name}.npy"), self.options)
            .map_err(|e| DataError::io(path)(e.into()))?;
        self.zip.write_all(&super::encode(tensor)).map_err(DataError::io(path))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<()> {
        let Self { path, zip, .. } = self;
        let bytes = zip.finish().map_err(|e| DataError::io(&path)(e.into()))?.into_inner();
        write_file(&path, &bytes).map_err(DataError::io(&path))
    }
}

/// Writes an uncompressed `.npz` archive of named arrays, whole or not at all.
///
/// # Errors
/// If it cannot be written, or a name stands twice.
pub fn write_npz<'a>(
    path: &Path,
    arrays: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
) -> Result<()> {
    let mut writer = NpzWriter::new(path, false);
    for (name, tensor) in arrays {
        writer.add(name, tensor)?;
    }
    writer.finish()
}

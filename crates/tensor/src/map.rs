use bytes::Bytes;
use std::fs::File;
use std::io;
use std::path::Path;

/// Maps a file into memory, read-only. The bytes keep the mapping alive, and slices of them share it.
///
/// The file must not be shortened while the mapping lives: the operating system ends a process that
/// reads past the end of a mapped file. An empty file gives empty bytes.
///
/// # Errors
/// The operating system's error if the file cannot be opened or mapped.
#[allow(unsafe_code)]
pub fn map_file(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
    }
    if meta.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the mapping is private and read-only; the contract above asks that the file is not
    // shortened, which is the one thing that memmap2 cannot rule out.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Bytes::from_owner(map))
}

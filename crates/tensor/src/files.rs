use bytes::Bytes;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

/// Writes a file that appears whole or not at all: beside its place first, then renamed.
///
/// # Errors
/// The operating system's error; a file that was there before is then unchanged.
pub fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    let file = stage(path, contents)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Writes files below a directory, which is made if it is missing. All are written beside their
/// places before the first one is renamed, so a full disk leaves nothing half done.
///
/// # Errors
/// The operating system's error; files that were there before are unchanged unless renaming itself
/// fails midway.
pub fn write_dir(dir: &Path, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let made = missing_ancestor(dir);
    let result = (|| {
        let mut staged = Vec::with_capacity(files.len());
        for (name, contents) in files {
            let path = dir.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            staged.push((stage(&path, contents)?, path));
        }
        for (file, path) in staged {
            file.persist(path).map_err(|e| e.error)?;
        }
        Ok(())
    })();
    if result.is_err()
        && let Some(made) = made
    {
        // What this call made goes again; the first error is the one worth reporting.
        let _ = fs::remove_dir_all(made);
    }
    result
}

/// The outermost directory on the way to `dir` that does not exist yet.
fn missing_ancestor(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().take_while(|d| !d.as_os_str().is_empty() && !d.exists()).last().map(Into::into)
}

fn stage(path: &Path, contents: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".paring-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask narrows this as for any other new file.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(parent)?;
    file.write_all(contents)?;
    file.as_file().sync_data()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_appear_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let file = |name: &str| (name.to_owned(), vec![1, 2, 3]);
        write_dir(&dir, &[file("x"), file("sub/y")]).unwrap();
        assert_eq!(fs::read(dir.join("sub/y")).unwrap(), [1, 2, 3]);
        assert_eq!(map_file(&dir.join("x")).unwrap().as_ref(), [1, 2, 3]);

        let bad = root.path().join("c/d");
        assert!(write_dir(&bad, &[file("x"), file("x/y")]).is_err());
        assert!(!root.path().join("c").exists());
        assert!(write_file(&root.path().join("missing/z"), b"1").is_err());
        assert!(map_file(root.path()).is_err());
    }
}

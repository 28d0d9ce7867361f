//! Files that appear whole or not at all.

use crate::{DataError, Result};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file written beside its place and renamed when complete; removed when dropped before.
pub(crate) struct Whole {
    path: PathBuf,
    file: tempfile::NamedTempFile,
}

impl Whole {
    pub fn create(path: &Path) -> Result<Self> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".paring-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // What a file opened the usual way gets, less the user's umask.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(DataError::io(path))?;
        Ok(Self { path: path.into(), file })
    }

    pub fn finish(self) -> Result<()> {
        let Self { path, file } = self;
        file.persist(&path).map_err(|e| DataError::Io { path: path.clone(), source: e.error })?;
        Ok(())
    }
}

impl Whole {
    fn inner(&mut self) -> &mut File {
        self.file.as_file_mut()
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}

impl Seek for Whole {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner().seek(to)
    }
}

/// Writes a file in one go.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut whole = Whole::create(path)?;
    whole.write_all(bytes).map_err(DataError::io(path))?;
    whole.finish()
}

//! Runs packages made by `paring compile --target aarch64`: a small library for Rust and, through
//! `include/paring_rt.h`, for C.
//!
//! A package is mapped, not read: its weights stay in the file's pages, shared by all processes that use
//! it. A [`Model`] is shared by threads; each thread runs it with a [`Runner`] of its own.
//!
//! ```no_run
//! let model = paring_rt::open("model.prt")?;
//! let mut runner = model.runner();
//! let image = vec![0_u8; model.inputs()[0].len];
//! let mut scores = vec![0_u8; model.outputs()[0].len];
//! runner.run(&[&image], &mut [&mut scores])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The bytes of all inputs and outputs are known before a run. An output with an extent that depends on the data
//! (`Port::counted`) has room for the most that there can be; [`Runner::shape`] tells what it became.

mod ffi;

pub use paring_neon_kernels::Level;
pub use paring_runtime::{Counted, Element, Model, PackageError, Port, RunError, Runner};

use paring_neon_kernels::NeonKernels;
use std::fs::File;
use std::path::Path;

/// Why a package was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file could not be opened or mapped.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no package that this library runs.
    #[error("{path}: {source}")]
    Package {
        /// The file.
        path: String,
        /// Why.
        source: PackageError,
    },
}

/// Maps a package with the best kernels that the processor has, or fewer where the environment variable
/// `PARING_NEON` names a level (`neon`, `dot`, `i8mm`).
///
/// The file must not change while it is in use.
///
/// # Errors
/// See [`OpenError`].
pub fn open(path: impl AsRef<Path>) -> Result<Model, OpenError> {
    open_at(path, level())
}

/// As [`open`], with the kernels of a level or of the best that the processor has if it is lower.
///
/// # Errors
/// See [`OpenError`].
pub fn open_at(path: impl AsRef<Path>, level: Level) -> Result<Model, OpenError> {
    let path = path.as_ref();
    let name = || path.display().to_string();
    let file = |source| OpenError::File { path: name(), source };
    let opened = File::open(path).map_err(file)?;
    // SAFETY: the mapping is private and read-only; that nobody changes the file is asked of the caller.
    let map = unsafe { memmap2::Mmap::map(&opened) }.map_err(file)?;
    from_bytes(map, level).map_err(|source| OpenError::Package { path: name(), source })
}

/// Takes a package that is in memory, at a multiple of 64 bytes where it is not to be copied.
///
/// # Errors
/// See [`PackageError`].
pub fn from_bytes(
    package: impl AsRef<[u8]> + Send + Sync + 'static,
    level: Level,
) -> Result<Model, PackageError> {
    Model::load(package, Box::new(NeonKernels::new(level)))
}

/// The level to use: what the processor has, or less where the environment asks for it.
#[must_use]
pub fn level() -> Level {
    let best = Level::detect();
    let asked = std::env::var("PARING_NEON").unwrap_or_default();
    let named = Level::ALL.into_iter().find(|l| l.name() == asked);
    named.filter(|l| *l <= best).unwrap_or(best)
}

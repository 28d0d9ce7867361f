//! The models and data sets that developers have beside the repository.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// Where they belong: the folder that `PARING_DATA` names, or `../shared/data` of the repository.
#[must_use]
pub fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("PARING_DATA").map_or_else(beside, PathBuf::from)
}

/// The folder, if it is there; a test without it says so, which this does, and checks nothing.
#[must_use]
pub fn data() -> Option<PathBuf> {
    let folder = folder();
    if let Ok(folder) = folder.canonicalize() {
        return Some(folder);
    }
    println!("skipped: {} is not there (set PARING_DATA)", folder.display());
    None
}

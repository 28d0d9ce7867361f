//! What several of these tests need.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};

/// The folder of models and data sets that developers have beside the repository, or `None`, said
/// on standard output.
pub fn developer_data() -> Option<PathBuf> {
    let path = std::env::var_os("PARING_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        Into::into,
    );
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no developer data at {} (set PARING_DATA)", path.display());
    None
}

/// The error, as text, of something that must fail.
pub fn error<T>(result: paring_data::Result<T>) -> String {
    match result {
        Ok(_) => panic!("this must fail"),
        Err(error) => error.to_string(),
    }
}

//! Sources with fragments for CMake and Make.

use super::{code, fill};
use crate::emit::Emitter;

pub(super) fn files(emitter: &Emitter<'_>) -> Vec<(String, String)> {
    let mut files = code(emitter, "", "");
    files.push(("CMakeLists.txt".into(), fill(include_str!("text/CMakeLists.txt"), emitter)));
    let name = format!("{}.mk", emitter.prefix);
    files.push((name, fill(include_str!("text/fragment.mk"), emitter)));
    files
}

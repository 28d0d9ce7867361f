//! A Zephyr module: found through `ZEPHYR_EXTRA_MODULES` or a west manifest.

use super::{code, fill};
use crate::emit::Emitter;

pub(super) fn files(emitter: &Emitter<'_>) -> Vec<(String, String)> {
    let mut files = code(emitter, "include/", "src/");
    for (name, text) in [
        ("zephyr/module.yml", include_str!("text/module.yml")),
        ("zephyr/CMakeLists.txt", include_str!("text/zephyr.cmake")),
        ("zephyr/Kconfig", include_str!("text/Kconfig")),
    ] {
        files.push((name.into(), fill(text, emitter)));
    }
    files
}

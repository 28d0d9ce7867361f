//! How the C is packed so that it drops into a project: one file a layout.

mod arduino;
mod c;
mod rust;
mod zephyr;

use std::str::FromStr;

use crate::emit::Emitter;
use crate::picture;

/// What the C is packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One folder with the sources, a CMake and a Makefile fragment.
    C,
    /// A Zephyr module.
    Zephyr,
    /// An Arduino library.
    Arduino,
    /// A `no_std` Rust crate around the C.
    Rust,
}

const NAMES: [(&str, Layout); 4] = [
    ("c", Layout::C),
    ("zephyr", Layout::Zephyr),
    ("arduino", Layout::Arduino),
    ("rust", Layout::Rust),
];

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        NAMES.iter().find(|(name, _)| *name == text).map(|&(_, layout)| layout).ok_or_else(|| {
            let known = NAMES.map(|(name, _)| name).join(", ");
            format!("unknown package `{text}`; known: {known}")
        })
    }
}

impl Layout {
    /// The files of the package.
    pub fn files(self, emitter: &Emitter<'_>) -> Vec<(String, Vec<u8>)> {
        let mut files = match self {
            Self::C => c::files(emitter),
            Self::Zephyr => zephyr::files(emitter),
            Self::Arduino => arduino::files(emitter),
            Self::Rust => rust::files(emitter),
        };
        let folder = match self {
            Self::C => "",
            Self::Arduino => "extras/",
            Self::Zephyr | Self::Rust => "doc/",
        };
        let (p, lowering, memory) = (emitter.prefix, emitter.lowering, emitter.memory);
        files.push((format!("{folder}{p}_memory.txt"), picture::text(lowering, memory)));
        files.push((format!("{folder}{p}_memory.svg"), picture::svg(lowering, memory)));
        files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
    }
}

/// The C files with the folders of the header and of the rest before their names.
fn code(emitter: &Emitter<'_>, header: &str, sources: &str) -> Vec<(String, String)> {
    let (p, code) = (emitter.prefix, emitter.code());
    let mut files = vec![
        (format!("{header}{p}.h"), code.header),
        (format!("{sources}{p}.c"), code.source),
        (format!("{sources}{p}_weights.h"), code.weights),
    ];
    files.extend(code.test.map(|text| (format!("{sources}{p}_test.c"), text)));
    files
}

/// A template with the network's names in the places of `@prefix@`, `@PREFIX@`, `@summary@` and
/// `@optimization@`.
fn fill(template: &str, emitter: &Emitter<'_>) -> String {
    template
        .replace("@prefix@", emitter.prefix)
        .replace("@PREFIX@", &emitter.prefix.to_uppercase())
        .replace("@summary@", &emitter.summary())
        .replace("@optimization@", emitter.optimization())
}

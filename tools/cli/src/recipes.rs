//! The recipes that ship with the program.

use anyhow::{Context, Result, bail};
use std::path::Path;

macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        /// Names and texts of the shipped recipes.
        pub const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../recipes/", $name, ".toml")))),*];
    };
}
recipes!(
    "compact",
    "deep",
    "exact",
    "float16",
    "folded",
    "int3",
    "int4",
    "int8",
    "int8-wide",
    "mixed3",
    "recognise",
    "sensitivity",
    "small",
    "weights8",
);

/// The text of a recipe: a file's, or that of a shipped one.
pub fn load(name: &str) -> Result<String> {
    if let Some((_, text)) = SHIPPED.iter().find(|(n, _)| *n == name) {
        return Ok((*text).to_owned());
    }
    let path = Path::new(name);
    if path.extension().is_none() && !path.exists() {
        let known: Vec<_> = SHIPPED.iter().map(|(n, _)| *n).collect();
        bail!("no recipe `{name}`: give a .toml file or one of {}", known.join(", "));
    }
    std::fs::read_to_string(path).with_context(|| format!("recipe {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_file_has_a_name_and_parses() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        let mut files: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|f| f.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let mut names: Vec<_> = SHIPPED.iter().map(|(n, _)| (*n).to_owned()).collect();
        names.sort();
        assert_eq!(names, files);
        for (name, text) in SHIPPED {
            paring_pass::Pipeline::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

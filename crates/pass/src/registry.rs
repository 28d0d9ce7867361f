use crate::{PassContext, PassError};
use paring_ir::Graph;
use serde::de::DeserializeOwned;

/// What a pass may do to the numbers that the network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Every output keeps its bits.
    Exact,
    /// Outputs may change by floating-point rounding.
    Rounding,
    /// Outputs may change by what the pass is for.
    Lossy,
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Rounding => "rounding",
            Self::Lossy => "lossy",
        })
    }
}

/// What is known of a pass without running it.
#[derive(Clone, Debug)]
pub struct PassInfo {
    /// The name in pipeline files.
    pub name: &'static str,
    /// One line for listings.
    pub summary: &'static str,
    /// What it may do to the numbers.
    pub effect: Effect,
    /// Facts that must hold before it.
    pub needs: &'static [&'static str],
    /// Facts that hold after it.
    pub gives: &'static [&'static str],
    /// Facts that no longer hold after it.
    pub breaks: &'static [&'static str],
}

/// A transformation of a graph. Its settings are the fields of the type.
pub trait Pass: Send + Sync {
    /// Changes the graph through [`PassContext::apply`].
    ///
    /// # Errors
    /// What kept the pass from doing its work; the manager then drops what it did.
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError>;
}

/// A registered pass.
pub struct PassEntry {
    /// What is known of it.
    pub info: PassInfo,
    /// Makes the pass from its settings.
    pub parse: fn(toml::Table) -> Result<Box<dyn Pass>, String>,
}

inventory::collect!(PassEntry);

/// All registered passes, sorted by name.
#[must_use]
pub fn registered_passes() -> Vec<&'static PassEntry> {
    let mut all: Vec<_> = inventory::iter::<PassEntry>.into_iter().collect();
    all.sort_by_key(|e| e.info.name);
    all
}

pub(crate) fn find(name: &str) -> Result<&'static PassEntry, String> {
    let all = registered_passes();
    let mut found = all.iter().filter(|e| e.info.name == name);
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry),
        (Some(_), Some(_)) => Err(format!("two linked crates register a pass named `{name}`")),
        (None, _) => {
            let known: Vec<_> = all.iter().map(|e| e.info.name).collect();
            Err(format!(
                "unknown pass `{name}`; known: {} (a pass of another crate also needs a line \
                 `use its_crate as _;` in the program)",
                known.join(", ")
            ))
        }
    }
}

/// Reads a pass's settings; part of [`register_pass!`](crate::register_pass).
#[doc(hidden)]
pub fn parse_config<T: Pass + DeserializeOwned + 'static>(
    settings: toml::Table,
) -> Result<Box<dyn Pass>, String> {
    match settings.try_into::<T>() {
        Ok(pass) => Ok(Box::new(pass)),
        Err(e) => Err(e.to_string().trim().replace('\n', ", ")),
    }
}

/// Registers a pass with what is known of it.
///
/// The type implements [`Pass`] and `serde::Deserialize` for its settings, with
/// `#[serde(deny_unknown_fields)]` so that a misspelt setting is an error.
#[macro_export]
macro_rules! register_pass {
    ($pass:ty, $info:expr) => {
        $crate::inventory::submit! {
            $crate::PassEntry { info: $info, parse: $crate::parse_config::<$pass> }
        }
    };
}

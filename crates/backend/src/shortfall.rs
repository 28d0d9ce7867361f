//! Why a network does not fit.

use std::fmt;

use serde::Serialize;

/// A budget that is not met: what is in the way, and what would help.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shortfall {
    /// `ram`, `flash` or `latency`.
    pub budget: String,
    /// What the numbers count: `bytes` or `cycles`.
    pub unit: String,
    /// How much is needed.
    pub needed: u64,
    /// How much is allowed.
    pub allowed: u64,
    /// The layer that needs the most.
    pub layer: String,
    /// One line on what the items are.
    pub what: String,
    /// What is in the way, the largest first.
    pub items: Vec<Item>,
    /// What would help, with what it gains.
    pub remedies: Vec<Remedy>,
}

/// A tensor, or a layer's weights, or a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// How much it takes.
    pub amount: u64,
    /// More about it.
    pub note: String,
}

/// A change that would help.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// What to change.
    pub change: String,
    /// What would be needed then, as far as that is known.
    pub leaves: Option<u64>,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, unit, needed, allowed, .. } = self;
        let more = needed.saturating_sub(*allowed);
        let name = match budget.as_str() {
            "ram" => "RAM",
            name => name,
        };
        write!(
            f,
            "over the {name} budget: {needed} {unit} are needed, {more} more than the {allowed} allowed"
        )?;
        if !self.what.is_empty() {
            write!(f, "\n{}:", self.what)?;
        }
        for item in &self.items {
            let gap = if item.note.is_empty() { "" } else { ", " };
            write!(f, "\n  {:>9} {unit}  {}{gap}{}", item.amount, item.name, item.note)?;
        }
        if !self.remedies.is_empty() {
            f.write_str("\nwhat would help:")?;
        }
        for remedy in &self.remedies {
            write!(f, "\n  {}", remedy.change)?;
            if let Some(left) = remedy.leaves {
                let fits = if left <= *allowed { "fits" } else { "still too much" };
                write!(f, ": about {left} {unit}, {fits}")?;
            }
        }
        Ok(())
    }
}

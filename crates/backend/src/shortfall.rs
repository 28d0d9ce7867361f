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

/// A name for people: of a long chain of names, as converters make them for fused nodes, the first and last.
#[must_use]
pub fn brief(name: &str) -> String {
    let mut links = name.split(';');
    match (links.next(), links.next_back()) {
        (Some(first), Some(last)) if name.len() > 60 => format!("{first};...;{last}"),
        _ => name.to_owned(),
    }
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
            write!(f, "\n  {:>9} {unit}  {}{gap}{}", item.amount, brief(&item.name), item.note)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_numbers_and_short_names() {
        let chain =
            "model/activation/Relu;model/batch_normalization/FusedBatchNorm;model/conv2d/Conv2D";
        assert_eq!(brief(chain), "model/activation/Relu;...;model/conv2d/Conv2D");
        assert_eq!(brief("conv;relu"), "conv;relu");
        let report = Shortfall {
            budget: "ram".into(),
            unit: "bytes".into(),
            needed: 300,
            allowed: 200,
            layer: chain.into(),
            what: "most is in use".into(),
            items: vec![Item { name: chain.into(), amount: 250, note: "kept".into() }],
            remedies: vec![
                Remedy { change: "less".into(), leaves: Some(150) },
                Remedy { change: "a little less".into(), leaves: Some(250) },
            ],
        };
        assert_eq!(
            report.to_string(),
            "over the RAM budget: 300 bytes are needed, 100 more than the 200 allowed\nmost is in use:\n        \
             250 bytes  model/activation/Relu;...;model/conv2d/Conv2D, kept\nwhat would help:\n  less: about 150 \
             bytes, fits\n  a little less: about 250 bytes, still too much"
        );
    }
}

//! The `remove-dead-channels` pass: channels that cannot change any output go, bit for bit.
//!
//! A channel is
//! - **constant** if its filter is zero wherever its operands vary: it is then a function of the bias,
//!   the activation and the requantization alone, the same at every position;
//! - **dead** if no output depends on it: every filter that reads it is zero there.
//!
//! Dead channels go. Constant channels go where their effect on the layers that read them is exact as
//! a bias: in integer graphs for any number if the layer pads nothing, and for the zero point
//! always; in float graphs for zero. Channels of values that are added, concatenated, pooled, padded,
//! flattened or convolved depthwise go together or not at all.
//!
//! A constant of an integer layer counts as known only if both roundings of requantization that
//! exist in the field give it, so that the result does not depend on the choice.
//!
//! ```
//! use paring_pass_dead_channels as _;
//!
//! let graph = paring_ir::text::parse(
//!     r#"graph @g {
//!        %x = input : f32[1,2]
//!        %w = const [1.0, 2.0, 0.0, 0.0] : f32[2,2]
//!        %b = const [0.5, -1.0] : f32[2]
//!        %h = dense(%x, %w, %b) { activation = "relu" } : f32[1,2]
//!        %v = const [3.0, 4.0] : f32[1,2]
//!        %y = dense(%h, %v) : f32[1,1]
//!        output %y
//!      }"#,
//! )?;
//! let text = "version = 1\n[[pass]]\nuse = \"remove-dead-channels\"";
//! let pipeline = paring_pass::Pipeline::parse(text)?;
//! let done = pipeline.run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! assert!(done.graph.to_string().contains("%v = const [3.0] : f32[1,1]"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

use paring_ir::Graph;
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, register_pass};

/// The pass; it has no settings.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveDeadChannels {}

register_pass!(
    RemoveDeadChannels,
    PassInfo {
        name: "remove-dead-channels",
        summary: "dead and constant channels, exactly",
        effect: Effect::Exact,
        needs: &[],
        gives: &[],
        breaks: &[],
    }
);

impl Pass for RemoveDeadChannels {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        let links = paring_channels::links(graph, cx);
        let (constants, keep) = paring_channels::unneeded(graph, &links);
        let Some((patch, notes)) = paring_channels::remove(graph, &links, &constants, &keep)?
        else {
            return Ok(());
        };
        for note in notes {
            cx.note(note);
        }
        cx.apply(graph, patch)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

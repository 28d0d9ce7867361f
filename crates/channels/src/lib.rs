//! Which channels of a network belong together, and how they are taken away.
//!
//! The channels (last axis) of a node's operands and results are tied by a [`Link`]: a convolution or
//! dense layer ties none, a depthwise convolution each channel to its filters, element-wise operations
//! and pools channel to channel, a concatenation and a flattening to where the channel goes. From the
//! links follow
//!
//! - [`unneeded`]: which channels cannot change an output, because they are constant or unread;
//! - [`Families`]: which channels can only go together, for a pass that chooses some of them;
//! - [`remove`]: the patch that takes channels away, with every shape, weight and constant that it
//!   concerns.
//!
//! ```
//! use paring_channels::{Families, Keep};
//! use paring_ir::Graph;
//! use paring_pass::{PassContext, PassError};
//!
//! /// Takes the first channel of every family away.
//! fn first(graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
//!     let links = paring_channels::links(graph, cx);
//!     let families = Families::of(graph, &links);
//!     let first = families.all.iter().filter_map(|f| f.groups.first());
//!     let keep = Keep::all_but(graph, first.flatten().copied());
//!     if let Some((patch, _)) = paring_channels::remove(graph, &links, &Default::default(), &keep)? {
//!         cx.apply(graph, patch)?;
//!     }
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]

mod constant;
mod demand;
mod family;
mod layer;
mod link;
mod rewrite;

pub use constant::Constants;
pub use demand::Keep;
pub use family::{Families, Family};
pub use layer::Layer;
pub use link::{Link, channels, links};
pub use rewrite::remove;

use paring_ir::{Graph, NodeId};
use std::collections::HashMap;

/// The channels that no output depends on or whose number is known, and those numbers.
#[must_use]
pub fn unneeded(graph: &Graph, links: &HashMap<NodeId, Link>) -> (Constants, Keep) {
    let constants = constant::find(graph, links);
    let keep = demand::find(graph, links, &constants);
    (constants, keep)
}

//! Choosing the weights of a network layer after layer with calibration data.
//!
//! Layers are taken in the order in which they run. For each, samples tell how the inputs of its
//! filters vary together ([`Moments`]), in the original network (`x`) and in the one whose earlier
//! layers are already changed (`z`). For a filter `w` whose weights become `v`, the expected squared
//! change of the result is a quadratic form in the covariances ([`Problem`]); rounding, pruning and
//! clustering make it small under the constraint that each of them puts on `v`.
//!
//! A pass holds a [`Walk`] and, for each layer, observes, chooses weights, changes the graph, and lets
//! the walk adopt the change:
//!
//! ```
//! use paring_ir::Graph;
//! use paring_layerwise::{Observing, Problem, Walk, layers};
//! use paring_pass::{PassContext, PassError};
//!
//! fn choose(graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
//!     let (layers, refused) = layers(graph, cx);
//!     if !refused.is_empty() {
//!         return Err(PassError::Unsupported(refused));
//!     }
//!     let mut walk = Walk::new(graph, Observing::default())?;
//!     for layer in layers {
//!         let moments = walk.observe(layer, cx, "choosing")?;
//!         let problem = Problem::new(&moments, 0, 0.01, true);
//!         // ... choose weights, apply a patch ...
//!         walk.adopt(graph, layer)?;
//!     }
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]

pub mod budgets;
mod calibration;
pub mod closure;
mod curvature;
mod eliminate;
mod geometry;
pub mod gradient;
mod importance;
pub mod knapsack;
mod matrix;
mod moments;
mod outcome;
mod pairs;
mod problem;
mod replace;
mod rescale;
mod restore;
mod rounded;
mod schedule;
mod survey;
mod taylor;
mod vary;
mod walk;
pub mod weights;

pub use calibration::Calibration;
pub use eliminate::{Elimination, Strip};
pub use geometry::{Geometry, is_layer};
pub use importance::importance;
pub use moments::Moments;
pub use outcome::{Outcome, decibels, divergence};
pub use pairs::Pairs;
pub use problem::{Codebook, Coded, Levels, Problem, Row, Uniform};
pub use replace::replace_weights;
pub use rescale::rescale;
pub use restore::{Movable, Movement, Restore, Restored, restore};
pub use rounded::{round_value, rounded};
pub use schedule::Schedule;
pub use survey::survey;
pub use taylor::{Influence, influence, taylor};
pub use vary::{Random, Vary};
pub use walk::{Observing, Walk, layers};

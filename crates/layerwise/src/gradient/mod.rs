//! What a loss at some values of a network says of its weights: runs of single samples forward and back,
//! for networks and parts of networks of the common layers.

mod adam;
mod depthwise;
mod product;
mod program;
mod ranges;
mod whole;

pub use adam::Adam;
pub(crate) use product::{Left, add_product};
pub(crate) use program::forward;
pub use program::{Program, Real, Run, Seeing, Slope};
pub use ranges::Ranges;
pub use whole::{inputs, probabilities, reals, whole};

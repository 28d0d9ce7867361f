//! What a loss at some values of a network says of its weights: runs of single samples forward and back,
//! for networks and parts of networks of the common layers.

mod adam;
mod product;
mod program;

pub use adam::Adam;
pub(crate) use product::{Left, add_product};
pub use program::{Program, Real, Run, Seeing, Slope};

//! Runs networks fast in this process: a plan with fused steps, weights packed once, one arena for
//! all activations, and threads.
//!
//! The engine knows no instruction set: kernels come in through [`Kernels`], which a backend
//! implements for its processors; [`Portable`] is the one in plain Rust. A node that the engine has no
//! step for is run by another executor, the fallback, where the backend gives one.
//!
//! Integer results equal those of the reference interpreter to the byte. Sums of floating-point
//! products are taken in the same order but may be fused, and are equal up to rounding.
//!
//! A [`Session`](paring_ir::Session) holds its activations and states; all sessions of a prepared
//! graph share the plan and the weights. Running allocates nothing but the outputs and what fallback
//! nodes allocate.
#![forbid(unsafe_code)]

mod buffer;
mod kernels;
mod ops;
mod plan;
mod portable;
mod session;
mod step;
mod threads;

pub use kernels::{I8Depthwise, I8Panel, I8Sum, Kernels, PAD, Rows, Tile, Window};
pub use portable::Portable;
pub use session::{Engine, refusal};

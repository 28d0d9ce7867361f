//! Runs a planned network: steps over one arena, with weights that were packed beforehand.
//!
//! The engine makes a [`Program`] from a graph. It is run at once, or written as a package: one file that a
//! [`Model`] uses as it lies in memory, so that a mapped file is ready at once and its weights are shared
//! between processes. This crate knows no graph and reads no model format.
//!
//! ```
//! use paring_kernels::Portable;
//! use paring_runtime::{Model, PackageError};
//!
//! let broken = Model::load(vec![0_u8; 100], Box::new(Portable));
//! assert!(matches!(broken, Err(PackageError::Magic)));
//! ```
#![forbid(unsafe_code)]

mod blob;
mod buffer;
mod model;
mod package;
mod program;
mod step;
#[doc(hidden)]
pub mod steps;
mod threads;
mod wire;

pub use blob::Blob;
pub use buffer::{Buffer, LINE};
pub use model::{Model, RunError, Runner};
pub use package::PackageError;
pub use program::{Counted, Element, Port, Program, Run, Source, State};
pub use step::Span;
pub use threads::{bring, threads, together};

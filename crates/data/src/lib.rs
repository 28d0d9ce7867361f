//! Data sets, preprocessing, batching and metrics.
//!
//! A [`DataSpec`] names a data set in a line of text; opening it gives a [`Dataset`], whose samples
//! are read when they are asked for, in any order and from any thread. [`stack`] makes batches of
//! them, and [`metrics`] judges what a model answers. [`npy`] reads and writes NumPy's files.
//!
//! ```
//! use paring_data::metrics::TopK;
//! use paring_data::{DataSpec, Dataset, stack};
//!
//! let data = "shapes:test,limit=8".parse::<DataSpec>()?.open()?;
//! let samples = (0..data.len()).map(|i| data.sample(i)).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(stack(&samples)?[0].shape(), [8, 32, 32, 1]);
//!
//! // A model that always answers class 0 is right for one of the eight classes.
//! let mut top1 = TopK::new(1);
//! for sample in &samples {
//!     top1.push(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], sample.label.unwrap_or_default());
//! }
//! assert_eq!(top1.percent(), Some(12.5));
//! # Ok::<(), paring_data::DataError>(())
//! ```
#![forbid(unsafe_code)]

mod dataset;
mod error;
pub mod metrics;
pub mod npy;
pub mod picture;
mod preprocess;
pub mod rng;
pub mod shapes;
mod sources;
mod spec;
mod text;

pub use dataset::{Dataset, Sample, Select, Subset, stack};
pub use error::{DataError, Result};
pub use preprocess::{Color, Extent, PerChannel, Prepared, Preprocess, Range};
pub use sources::Split;
pub use spec::{DataSpec, SOURCES, Source};

//! What the comparison with other runtimes shares with its tests.
#![forbid(unsafe_code)]

pub mod memory;

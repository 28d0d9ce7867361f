//! What a model's answers are worth: accumulators that take one sample at a time and merge, so that
//! threads can each fill their own.
//!
//! Percentages and decibels are `None` while nothing was pushed.

mod auc;
mod classify;
mod error;

pub use auc::Auc;
pub use classify::{Agreement, Confusion, TopK, argmax};
pub use error::Difference;

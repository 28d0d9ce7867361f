//! Data sets, preprocessing, batching and metrics.

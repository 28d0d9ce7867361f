//! fold-bn

//! Exact simplifications: constant folding, dead code, dead channels.

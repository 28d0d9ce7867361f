//! C kernels for Cortex-M, specialised per layer.

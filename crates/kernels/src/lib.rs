//! The inner loops of the engine: what they compute ([`Kernels`]), and a form of each in plain Rust
//! ([`Portable`]).
//!
//! Kernels work on slices and know no graph. A backend implements [`Kernels`] for its instruction sets.
//!
//! ```
//! use paring_kernels::{Kernels, Portable, Rows};
//!
//! // One row of two numbers times two channels, the weights behind two biases.
//! let rows = Rows::new(&[3.0, 4.0], &[0; 4], &[0.0; 2], 1, 2, 1, 4);
//! let mut panel = [0.0; 24];
//! panel[8..10].copy_from_slice(&[1.0, 2.0]);
//! panel[16..18].copy_from_slice(&[1.0, -1.0]);
//! let mut out = [0.0; 2];
//! let all = (f32::NEG_INFINITY, f32::INFINITY);
//! Portable.f32_gemm(&rows, &panel, 8, None, all, 2, 2, &mut out);
//! assert_eq!(out, [7.0, 2.0]);
//! ```
#![no_std]
#![deny(unsafe_code)]

mod codes;
mod half;
mod interface;
mod pairs16;
mod portable;
mod sparse;
mod wide;

pub use codes::{CODES, CodedPanel, Codes};
pub use half::{HalfPair, as_half, from_half, to_half};
pub use interface::{
    I8Depthwise, I8Panel, I8Sum, I16Panel, Kernels, PAD, QuickSum, Rows, Table, Tile, Window,
};
pub use pairs16::{I16Pair, I16Pairs};
pub use portable::Portable;
pub use sparse::{Extents, I8Scale, Sparse};
pub use wide::{I16Lane, i16_depthwise};

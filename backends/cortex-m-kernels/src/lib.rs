//! C kernels for Cortex-M, specialised per layer.
//!
//! A layer is described by plain data: shapes, weights, zero points, multipliers. [`Unit::add`]
//! checks the description, packs the weights for the instruction set, adds the constants and the
//! shared C functions it needs to the unit, and answers with a [`Kernel`]: how to call it, how much
//! scratch it wants and which inputs its output may overlap. [`Unit::text`] is the finished C99
//! text. Nothing here knows a graph.
//!
//! The arithmetic is the TFLite int8 and int16x8 specification with gemmlowp's double rounding, bit for bit:
//! what TFLite Micro's reference kernels and CMSIS-NN compute. Layers of one kind share one
//! function driven by a small constant record, so code size does not grow with depth.
//!
//! ```
//! use paring_cortex_m_kernels::{Coding, FullyConnected, Isa, Requant, Unit};
//! use paring_qmath::Multiplier;
//!
//! let layer = FullyConnected {
//!     inputs: 4,
//!     outputs: 1,
//!     in_zero: -128,
//!     weights: &[1, 2, 3, 4],
//!     bias: &[10],
//!     requant: Requant::per_tensor(Multiplier::from_real(0.5), 3),
//!     coding: Coding::Plain,
//! };
//! let mut unit = Unit::new(Isa::V7m);
//! let kernel = unit.add(&layer, "dense")?;
//! assert!(kernel.call(&["in"], &["out"], "0").contains("(&dense, in, out)"));
//! assert!(unit.text().contains("static void pr_dense1("));
//! # Ok::<(), paring_cortex_m_kernels::KernelError>(())
//! ```
#![forbid(unsafe_code)]

mod coded;
mod coding;
mod conv;
mod cores;
pub mod cost;
mod dense;
mod depthwise;
mod elementwise;
mod helpers;
mod line;
mod moves;
mod pack;
mod packed;
mod pool;
mod prefix;
mod requant;
mod softmax;
mod unit;
mod wide;
mod winograd;

pub use coding::Coding;
pub use conv::Conv2d;
pub use cores::Core;
pub use dense::FullyConnected;
pub use depthwise::DepthwiseConv2d;
pub use elementwise::{Add, AddOperand, Dequantize, Mul, Quantize, Requantize, Table};
pub use moves::{BoxCopy, Fill};
pub use pool::{Mean, Pool2d, PoolKind};
pub use requant::Requant;
pub use softmax::Softmax;
pub use unit::{Band, Isa, Kernel, Layer, Overlap, Patch, Unit};
pub use wide::{Change, ConvWide, Rescale, SoftmaxWide, Wide};

/// Why a layer has no kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The description contradicts itself.
    #[error("layer `{layer}`: {what}")]
    Invalid {
        /// The name the layer was to get.
        layer: String,
        /// What does not fit.
        what: String,
    },
    /// The description is sound, but beyond what the kernels can do.
    #[error("layer `{layer}`: no kernel for {what}")]
    Unsupported {
        /// The name the layer was to get.
        layer: String,
        /// What is missing.
        what: String,
    },
}

//! Microkernels for NEON on plain slices: they know no graph and allocate nothing.
//!
//! [`NeonKernels`] implements the engine's interface for a [`Level`] of the processor. Packing works on
//! every processor, so that weights are packed where a network is compiled; one packed form serves all
//! levels. Elsewhere than on aarch64 the products are computed in plain Rust from the packed form, which is
//! what the tests of packing on other machines use.
//!
//! ```
//! use paring_kernels::Kernels;
//! use paring_neon_kernels::{Level, NeonKernels};
//!
//! let kernels = NeonKernels::new(Level::Baseline);
//! assert_eq!(kernels.i8_tile().rows, 4);
//! ```
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(target_arch = "aarch64")]
mod assembly;
#[cfg(target_arch = "aarch64")]
mod depthwise3;
mod dispatch;
#[cfg(target_arch = "aarch64")]
mod elementwise;
#[cfg(target_arch = "aarch64")]
mod f16;
#[cfg(target_arch = "aarch64")]
mod f32_sparse;
#[cfg(target_arch = "aarch64")]
mod i16;
#[cfg(target_arch = "aarch64")]
mod i16_depthwise;
#[cfg(target_arch = "aarch64")]
mod i16_gemm;
#[cfg(target_arch = "aarch64")]
mod i8_depthwise;
#[cfg(target_arch = "aarch64")]
mod i8_sparse;
mod pack;
#[cfg(target_arch = "aarch64")]
mod real_depthwise;
mod scalar;
#[cfg(target_arch = "aarch64")]
mod stored;

pub use dispatch::NeonKernels;

/// What a processor has beyond the baseline of aarch64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What every aarch64 processor has: NEON with fused multiplication (Cortex-A53, A57, A72).
    Baseline,
    /// The dot product of bytes (Cortex-A55, A76 and later).
    Dot,
    /// Products of matrices of bytes, too (Cortex-A510, A710, X2, Neoverse V1 and N2, and later).
    Matrix,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Self; 3] = [Self::Baseline, Self::Dot, Self::Matrix];

    /// The name for messages and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "neon",
            Self::Dot => "dot",
            Self::Matrix => "i8mm",
        }
    }

    /// Whether this processor computes in half precision, as all with the dot product do; elsewhere than on aarch64,
    /// where kernels are in plain Rust, it is true.
    #[must_use]
    pub fn computes_in_half() -> bool {
        #[cfg(all(target_arch = "aarch64", feature = "std"))]
        return std::arch::is_aarch64_feature_detected!("fp16");
        #[cfg(not(all(target_arch = "aarch64", feature = "std")))]
        return cfg!(not(target_arch = "aarch64"));
    }

    /// The best level that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(all(target_arch = "aarch64", feature = "std"))]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            let matrix = std::arch::is_aarch64_feature_detected!("i8mm");
            return if matrix { Self::Matrix } else { Self::Dot };
        }
        Self::Baseline
    }
}

//! Microkernels for x86 on plain slices: they know no graph and allocate nothing.
//!
//! [`X86Kernels`] offers them; it checks the lengths of slices and the processor's features before a kernel
//! touches memory through pointers. A [`Level`] names a set of features; [`Level::detect`]
//! finds the best that the processor has.
//!
//! **Products of matrices** take the left side by indirection: a table of offsets into the input, one
//! a row of the tile and tap of the window, so that a convolution needs no copy of its input. The
//! right side is packed in panels of some channels.
//!
//! ```
//! use paring_x86_kernels::Level;
//!
//! assert!(Level::detect().is_available());
//! ```
// Loops over the registers of a tile read best by index.
#![allow(clippy::needless_range_loop)]
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_imports))]

mod depthwise;
mod dispatch;
mod elementwise;
#[cfg(target_arch = "x86_64")]
mod elementwise_avx512;
#[cfg(target_arch = "x86_64")]
mod f32_avx2;
#[cfg(target_arch = "x86_64")]
mod f32_avx512;
#[cfg(target_arch = "x86_64")]
mod f32_depthwise;
#[cfg(target_arch = "x86_64")]
mod f32_depthwise3;
#[cfg(target_arch = "x86_64")]
mod f32_sparse;
#[cfg(target_arch = "x86_64")]
mod f32_square;
mod gemm;
#[cfg(target_arch = "x86_64")]
mod i16;
#[cfg(target_arch = "x86_64")]
mod i8_avx2;
#[cfg(target_arch = "x86_64")]
mod i8_avx512;
#[cfg(target_arch = "x86_64")]
mod i8_depthwise_avx2;
#[cfg(target_arch = "x86_64")]
mod i8_depthwise_avx512;
#[cfg(target_arch = "x86_64")]
mod i8_sparse;
#[cfg(target_arch = "x86_64")]
mod i8_sparse_avx2;
#[cfg(target_arch = "x86_64")]
mod i8_sparse_avx512;
mod requant;
#[cfg(target_arch = "x86_64")]
mod sparse;
#[cfg(target_arch = "x86_64")]
mod stored;
#[cfg(target_arch = "x86_64")]
mod vectors;

pub use dispatch::X86Kernels;

/// A set of processor features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing beyond what the compiler assumes.
    Scalar,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// The name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The best level that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        *Self::ALL.iter().rev().find(|l| l.is_available()).unwrap_or(&Self::Scalar)
    }

    /// Whether this processor has the features.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

//! Lossless coding of constants, to a few per cent of what information theory allows.
//!
//! A constant becomes one independent blob: [`encode`] gives its codec and bytes, [`decode`] gives the
//! same constant back from these, the element type and the shape. Inside, every run of elements is
//! coded by whichever method is shortest: raw bytes, packed bits, a frequency table, contexts of
//! neighbours (masks and codes), or prediction from the taps before (dense weights). Pruned constants
//! keep their mask, clustered ones their codes and codebook.
//!
//! Decoding trusts nothing in the bytes: lengths follow from the type, memory is bounded by it and by
//! the length of the blob, and damage gives an error or other values of the same type, never a panic.
//! Telling damage from truth is the container's checksum.
//!
//! ```
//! use paring_tensor::{ConstData, DType, Tensor};
//!
//! let weights: Vec<i8> = (0..900).map(|i| [0, 0, 3, -2][i % 4]).collect();
//! let constant = ConstData::Dense(Tensor::from_vec([100, 9], weights)?);
//! let coded = paring_codec::encode(&constant, Default::default());
//! assert!(coded.bytes.len() < 100);
//! let back = paring_codec::decode(coded.codec, &coded.bytes.into(), DType::I8, &[100, 9])?;
//! assert_eq!(back, constant);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod context;
mod density;
mod geometry;
mod histogram;
mod linear;
mod mix;
mod packed;
mod part;
mod range;
mod statistics;
mod storage;

pub use statistics::Statistics;
pub use storage::{Codec, Coded, Options, decode, encode};

use paring_tensor::TensorError;

/// What can be wrong with coded bytes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes contradict themselves or the constant's type.
    #[error("the coded constant is damaged: {0}")]
    Corrupt(String),
    /// Raw elements do not fill the shape.
    #[error("the coded constant is damaged: its type needs {needed} bytes, it has {got}")]
    Length {
        /// Bytes that the type needs.
        needed: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The type asks for more elements than the blob can stand for or memory can hold.
    #[error("a coded constant of {0} elements is more than its bytes or memory can hold")]
    TooLarge(usize),
    /// The codec is not known to this version.
    #[error("unknown codec {0}; known are 0 (raw) and 1 (coded)")]
    UnknownCodec(u8),
    /// The parts do not make a constant.
    #[error("the coded constant is damaged: {0}")]
    Tensor(#[from] TensorError),
}

impl CodecError {
    pub(crate) fn corrupt(why: &str) -> Self {
        Self::Corrupt(why.to_owned())
    }
}

//! What a value is before there is a graph: element types, shapes, quantization parameters, dense
//! tensors, and the compressed storage of constants.
//!
//! A [`Tensor`] is a dense array over shared bytes, so a weight mapped from a model file is used in
//! place. A [`TensorType`] is what the graph knows of a value: element type, shape and, beside them,
//! an optional [`Quant`]. A [`ConstData`] is how a constant is stored: dense, as a palette, or
//! sparse. Pruning and clustering change the storage; the type stays.
//!
//! ```
//! use paring_tensor::{DType, Quant, Tensor};
//!
//! let real = Tensor::from_vec([3], vec![-1.0_f32, 0.0, 0.5])?;
//! let quant = Quant::per_tensor(0.5, 1);
//! let stored = quant.quantize(&real, DType::I8)?;
//! assert_eq!(stored.view::<i8>()?.as_ref(), [-1, 1, 2]);
//! assert_eq!(quant.dequantize(&stored)?, real);
//! # Ok::<(), paring_tensor::TensorError>(())
//! ```
#![deny(unsafe_code)]

mod constant;
mod dtype;
mod files;
mod quant;
mod recognise;
mod shape;
mod tensor;

pub use bytes::Bytes;
pub use constant::{ConstData, Palette, Sparse};
pub use dtype::{DType, Element};
pub use files::{map_file, write_dir, write_file};
pub use half;
pub use quant::Quant;
pub use shape::{Dim, Shape};
pub use tensor::Tensor;

use std::fmt;

/// Element type, shape and quantization of a value. `real = scale * (stored - zero_point)` where
/// there is a quantization.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorType {
    /// Element type of the stored numbers.
    pub dtype: DType,
    /// Extent of every axis.
    pub shape: Shape,
    /// How stored numbers stand for real ones; `None` for plain numbers.
    pub quant: Option<Quant>,
}

impl TensorType {
    /// A type without quantization.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { dtype, shape: shape.into(), quant: None }
    }

    /// The same type with a quantization.
    #[must_use]
    pub fn with_quant(mut self, quant: Quant) -> Self {
        self.quant = Some(quant);
        self
    }

    /// The type of a tensor, without quantization.
    pub fn of(tensor: &Tensor) -> Self {
        Self::new(tensor.dtype(), tensor.shape())
    }

    /// Bytes of a value of this type in memory, or `None` while a dimension is a symbol or the size
    /// overflows. Four-bit elements take a byte each in memory.
    pub fn byte_len(&self) -> Option<usize> {
        self.shape.elements()?.checked_mul(self.dtype.size())
    }

    /// What is wrong with the quantization for this element type and shape, if anything.
    pub fn check(&self) -> Result<(), TensorError> {
        match &self.quant {
            None => Ok(()),
            Some(quant) => quant.check(self.dtype, &self.shape),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)?;
        if let Some(quant) = &self.quant {
            write!(f, " {quant}")?;
        }
        Ok(())
    }
}

/// What can be wrong with a tensor, a type or a constant's storage.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The bytes do not fill the shape.
    #[error("{dtype}{shape:?} needs {needed} bytes but has {got}")]
    Length {
        /// Element type.
        dtype: DType,
        /// Shape asked for.
        shape: Vec<usize>,
        /// Bytes the shape needs.
        needed: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The number of elements or bytes does not fit the address space.
    #[error("shape {0:?} has more elements than memory can hold")]
    TooLarge(Vec<usize>),
    /// A typed view was asked for with another element type.
    #[error("the elements are {actual}, not {asked}")]
    WrongDType {
        /// Element type asked for.
        asked: DType,
        /// Element type there is.
        actual: DType,
    },
    /// A reshape, transpose or slice does not fit the shape.
    #[error("{0}")]
    Shape(String),
    /// The quantization parameters do not fit the type.
    #[error("quantization: {0}")]
    Quant(String),
    /// The compressed storage contradicts itself.
    #[error("{0} storage: {1}")]
    Storage(&'static str, String),
}

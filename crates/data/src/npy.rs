//! NumPy's `.npy` arrays and `.npz` archives, read and written.
//!
//! The format is NumPy's NEP 1: a magic number, a version, a Python dictionary with `descr`,
//! `fortran_order` and `shape`, then the elements. All numeric types and `bool` are read, in either
//! byte order and either element order. NumPy has no `bf16` and no `i4`: those are written as `f4`
//! and `i1`, which hold every value exactly.
//!
//! ```
//! use paring_data::npy;
//! use paring_tensor::Tensor;
//!
//! let tensor = Tensor::from_vec([2, 2], vec![1.0_f32, 2.0, 3.0, 4.0])?;
//! let bytes = npy::encode(&tensor);
//! assert_eq!(npy::decode(bytes.into(), "x.npy".as_ref())?, tensor);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod header;

pub use archive::{Npz, NpzWriter, write_npz};

use crate::{DataError, Result};
use header::Header;
use paring_tensor::{Bytes, DType, Tensor, map_file, write_file};
use std::path::Path;

/// Reads an `.npy` file. The elements stay in the mapped file where their order allows it.
///
/// # Errors
/// If the file cannot be read or is not a complete array of numbers.
pub fn read_npy(path: &Path) -> Result<Tensor> {
    decode(map_file(path).map_err(DataError::io(path))?, path)
}

/// Writes an `.npy` file, whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn write_npy(path: &Path, tensor: &Tensor) -> Result<()> {
    write_file(path, &encode(tensor)).map_err(DataError::io(path))
}

/// The array in the bytes of an `.npy` file; `origin` names them in errors.
///
/// # Errors
/// If the bytes are not a complete array of numbers.
pub fn decode(bytes: Bytes, origin: &Path) -> Result<Tensor> {
    let header = Header::parse(&bytes, origin)?;
    let needed = header.data_len(origin)?;
    let got = bytes.len() - header.data_start;
    if got < needed {
        return Err(header.truncated(origin, needed, got));
    }
    let data = bytes.slice(header.data_start..header.data_start + needed);
    header.tensor(data, origin)
}

/// The bytes of an `.npy` file that holds the tensor.
#[must_use]
pub fn encode(tensor: &Tensor) -> Vec<u8> {
    let stored = match tensor.dtype() {
        DType::BF16 => tensor.cast(DType::F32),
        _ => tensor.clone(),
    };
    let mut out = header::encode(stored.dtype(), stored.shape());
    out.extend_from_slice(stored.bytes());
    out
}

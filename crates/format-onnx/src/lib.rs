//! Reads and writes ONNX models.
//!
//! Reading covers operator sets from 6 on (and of older ones what has the same meaning). The file is mapped and weights stay in it wherever their
//! layout allows (`OIHW` filters are reordered to `OHWI`; one-by-one and depthwise filters need no
//! reordering). Every operator has its importer in `src/ops/`, one file for each family.
//!
//! - Named dimensions are bound on reading ([`ReadOptions`](paring_format::ReadOptions)), so every
//!   shape is a number. What is constant in the file is evaluated at once by the executor of the
//!   options: shape arithmetic, `If` and `Loop` leave nothing behind. Local functions are inlined.
//! - Image operators are `NHWC` here and `NCHW` in the file. Each is wrapped in transposes, which the
//!   `layout` pass removes.
//! - Operators that are not supported are all reported at once.
//!
//! Memory: decoding takes at most about 200 times the file (only a file of empty messages needs that);
//! constants that the file lets grow (`ConstantOfShape`, `Expand`, `Tile`, ...) may take
//! 1 GiB together, and evaluating them at most 2^34 steps. A model has at most 2^20 nodes after functions
//! are inlined and loops are unrolled.
//!
//! ```
//! use paring_format::{ReadOptions, Source};
//!
//! let damaged = Source { path: "damaged.onnx".into(), bytes: vec![0xFF; 64].into() };
//! let error = paring_format_onnx::read(&damaged, &ReadOptions::default()).unwrap_err();
//! assert!(error.to_string().contains("damaged.onnx"));
//! ```
#![forbid(unsafe_code)]

mod attrs;
mod build;
mod control;
mod cx;
mod ops;
mod proto;
mod reader;
mod reject;
mod tensor;
mod write;

use paring_format::FormatError;
use reject::Reject;

pub use reader::read;
pub use write::write;

/// Reads one serialized tensor (a `TensorProto`, as the test data of ONNX models has).
///
/// # Errors
/// If the bytes are no tensor or its element type is not supported.
pub fn read_tensor(source: &paring_format::Source) -> Result<paring_tensor::Tensor, FormatError> {
    let proto = <proto::TensorProto as prost::Message>::decode(source.bytes.clone())
        .map_err(|e| source.malformed("the file", format!("is not an ONNX tensor: {e}")))?;
    tensor::read(&proto, &mut tensor::External::new(source)).map_err(|e| {
        let (Reject::Malformed(why) | Reject::Unsupported(why)) = e;
        source.malformed(format!("tensor `{}`", proto.name), why)
    })
}

paring_format::register_format! {
    paring_format::Format {
        name: "onnx",
        summary: "ONNX models, operator sets 6 and later",
        extensions: &["onnx"],
        sniff: |_| false,
        read: Some(reader::read),
        write: Some(write::write),
    }
}

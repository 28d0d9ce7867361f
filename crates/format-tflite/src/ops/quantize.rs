//! Between real and stored numbers.

use super::Read;
use crate::error::ReadError;
use paring_ir::ops::{Dequantize, Quantize};

pub(super) const READERS: &[(&str, Read)] = &[
    ("QUANTIZE", |cx| {
        let x = cx.input(0)?;
        if cx.output_type(0)?.quant.is_none() {
            return Err(
                ReadError::malformed("the output has no quantization").at(|| "output 0".into())
            );
        }
        cx.emit(Quantize::default(), &[x])
    }),
    ("DEQUANTIZE", |cx| {
        let x = cx.input(0)?;
        cx.emit(Dequantize {}, &[x])
    }),
    // Constants keep their sparse storage; what reads them sees every element anyway.
    ("DENSIFY", |cx| {
        let x = cx.input(0)?;
        cx.forward(0, x)
    }),
];

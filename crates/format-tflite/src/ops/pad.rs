//! Paddings.

use super::{Read, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use paring_ir::ops::{Pad, PadMode};

pub(super) const READERS: &[(&str, Read)] = &[
    ("PAD", |cx| pad(cx, PadMode::Constant(0.0))),
    ("PADV2", |cx| {
        let value = cx.known(2)?;
        let ty = cx.input(2).map(|v| cx.ty(v).clone())?;
        // Stored as the input is; the op wants the real number.
        let value = match &ty.quant {
            Some(quant) => quant.dequantize(&value)?,
            None => value,
        };
        match value.to_f64().as_slice() {
            [value] => pad(cx, PadMode::Constant(*value)),
            _ => Err(ReadError::malformed("the padding value is not one number")),
        }
    }),
    ("MIRROR_PAD", |cx| match required!(cx, MirrorPadOptions).mode()? {
        0 => pad(cx, PadMode::Reflect),
        1 => pad(cx, PadMode::Symmetric),
        other => Err(ReadError::malformed(format!("mirror mode {other} does not exist"))),
    }),
];

/// The second operand holds the elements before and after each axis.
fn pad(cx: &mut OpCx<'_, '_>, mode: PadMode) -> Result<()> {
    let x = cx.input(0)?;
    let numbers = cx.ints(1)?;
    let (pads, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || pads.as_flattened().iter().any(|n| *n < 0) {
        return Err(ReadError::malformed(format!("paddings {numbers:?}")));
    }
    cx.emit(Pad { pads: pads.to_vec(), mode }, &[x])
}

//! Paddings.

use super::{Read, Write, of, required, stored};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, MirrorPadOptions, NoOptions};
use paring_ir::ops::{Pad, PadMode};
use paring_tensor::Tensor;

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

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Pad>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Pad = cx.op()?;
    if op.pads.as_flattened().iter().any(|n| *n < 0) {
        return Err("the format cannot pad by negative numbers".to_owned());
    }
    let pads = op.pads.iter().flatten().map(|n| i32::try_from(*n).map_err(|e| e.to_string()));
    let pads = Tensor::from_vec([op.pads.len(), 2], pads.collect::<Result<Vec<_>, _>>()?);
    let pads = cx.constant("paddings", &pads.map_err(|e| e.to_string())?.into(), None)?;
    let (x, output) = (cx.input(0)?, cx.output(0)?);
    let mirror = |mode| BuiltinOptions::MirrorPadOptions(Box::new(MirrorPadOptions { mode }));
    match op.mode {
        PadMode::Constant(0.0) => {
            let options = BuiltinOptions::PadOptions(Box::new(NoOptions {}));
            cx.operator("PAD", Some(options), vec![x, pads], vec![output])
        }
        PadMode::Constant(value) => {
            let ty = cx.input_type(0)?;
            let value = cx.constant("value", &stored(ty, value)?.into(), ty.quant.as_ref())?;
            let options = BuiltinOptions::PadV2Options(Box::new(NoOptions {}));
            cx.operator("PADV2", Some(options), vec![x, pads, value], vec![output])
        }
        PadMode::Reflect => cx.operator("MIRROR_PAD", Some(mirror(0)), vec![x, pads], vec![output]),
        PadMode::Symmetric => {
            cx.operator("MIRROR_PAD", Some(mirror(1)), vec![x, pads], vec![output])
        }
        mode => Err(format!("the format cannot pad by {mode:?}")),
    }
}

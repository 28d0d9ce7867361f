//! Element types.

use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use crate::tensor;
use paring_ir::ops::Cast;
use paring_tensor::DType;

pub(super) const ENTRIES: &[Entry] = &[Entry::new("Cast", cast), Entry::new("CastLike", cast_like)];

fn cast(cx: &mut Cx<'_, '_>) -> Outcome {
    let to = cx.opt_int("to")?.ok_or_else(|| Reject::malformed("attribute `to` is missing"))?;
    let to = tensor::dtype(i32::try_from(to).unwrap_or(-1))?;
    convert(cx, to)
}

fn cast_like(cx: &mut Cx<'_, '_>) -> Outcome {
    let to = cx.input_type(1)?.dtype;
    convert(cx, to)
}

fn convert(cx: &mut Cx<'_, '_>, to: DType) -> Outcome {
    let ty = cx.input_type(0)?;
    if ty.dtype == to && ty.quant.is_none() {
        let val = cx.inputs[0].clone();
        cx.set_val(0, val);
        return Ok(());
    }
    let x = cx.input(0)?;
    let y = cx.emit(Cast { to }, &[x])?;
    cx.set(0, y);
    Ok(())
}

//! Softmax over the last axis.

use super::{Read, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use paring_ir::ops::Softmax;

pub(super) const READERS: &[(&str, Read)] = &[
    ("SOFTMAX", |cx| {
        let beta = required!(cx, SoftmaxOptions).beta()?;
        softmax(cx, beta, false)
    }),
    ("LOG_SOFTMAX", |cx| softmax(cx, 1.0, true)),
];

fn softmax(cx: &mut OpCx<'_, '_>, beta: f32, log: bool) -> Result<()> {
    if !beta.is_finite() {
        return Err(ReadError::malformed(format!("beta is {beta}")));
    }
    let x = cx.input(0)?;
    let axis = cx.shape(x)?.len().checked_sub(1);
    let axis = axis.ok_or_else(|| ReadError::malformed("the input is a scalar"))?;
    cx.emit(Softmax { axis, beta, log }, &[x])
}

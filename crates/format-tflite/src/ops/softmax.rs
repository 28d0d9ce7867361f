//! Softmax over the last axis.

use super::{Read, Write, of, required};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, NoOptions, SoftmaxOptions};
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

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Softmax>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Softmax = cx.op()?;
    if op.axis + 1 != cx.input_type(0)?.shape.rank() {
        return Err("the format normalizes along the last axis only".to_owned());
    }
    if !op.log {
        let options = SoftmaxOptions { beta: op.beta };
        return cx.simple("SOFTMAX", Some(BuiltinOptions::SoftmaxOptions(Box::new(options))));
    }
    if op.beta != 1.0 {
        return Err("the format's logarithm of softmax has no factor".to_owned());
    }
    cx.simple("LOG_SOFTMAX", Some(BuiltinOptions::LogSoftmaxOptions(Box::new(NoOptions {}))))
}

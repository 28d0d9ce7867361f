//! Pools. Averages do not count padded positions in this format.

use super::{
    Read, Write, activation, activation_code, ceiled, covers, explicit_pad, lowest, of, pad_before,
    padding, pair, required,
};
use crate::error::Result;
use crate::export::{NodeCx, Refused, int};
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, Pool2DOptions};
use paring_ir::ops::{Padding, Pool, PoolKind};

pub(super) const READERS: &[(&str, Read)] = &[
    ("AVERAGE_POOL_2D", |cx| pool(cx, PoolKind::Average)),
    ("MAX_POOL_2D", |cx| pool(cx, PoolKind::Max)),
    ("L2_POOL_2D", |cx| pool(cx, PoolKind::L2)),
];

fn pool(cx: &mut OpCx<'_, '_>, kind: PoolKind) -> Result<()> {
    let options = required!(cx, Pool2DOptions);
    let x = cx.input(0)?;
    let op = Pool {
        kind,
        kernel: pair("window", options.filter_height()?, options.filter_width()?)?,
        stride: pair("stride", options.stride_h()?, options.stride_w()?)?,
        pad: padding(options.padding()?)?,
        dilation: [1, 1],
        ceil: false,
        count_include_pad: false,
        activation: activation(options.fused_activation_function()?)?,
    };
    cx.emit(op, &[x])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Pool>, write)];

/// Padded elements never count in the format. So a maximum over other padding than the format's reads
/// an input padded by the smallest number, and an average that counts zeros an input padded by them.
fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Pool = cx.op()?;
    let ty = cx.input_type(0)?;
    let &[_, h, w, _] = cx.shape(ty)?.as_slice() else {
        return Err("the input is no image".to_owned());
    };
    if op.dilation != [1, 1] {
        return Err("the format has no dilated pools".to_owned());
    }
    let image = [h, w];
    let pad = op.pad.resolve(image, op.kernel, op.stride);
    let whole = ceiled(op, image, pad)?;
    let rule = [(op.pad == Padding::VALID, 1), (op.pad == Padding::SAME, 0)]
        .into_iter()
        .chain([(covers(image, op.kernel, op.stride, whole, Padding::VALID), 1)])
        .chain([(covers(image, op.kernel, op.stride, whole, Padding::SAME), 0)])
        // What the rule pads by does not count, like the part of a last window that is cut.
        .find(|(fits, code)| match code {
            0 => *fits && (!op.count_include_pad || pad == [0; 4]),
            _ => *fits && whole == pad,
        });
    let max = op.kind == PoolKind::Max;
    let (input, padding) = match rule {
        Some((_, code)) => (cx.input(0)?, code),
        None if max => {
            let fill = lowest(ty)?;
            explicit_pad(cx, Padding::Explicit(whole), image, op.kernel, op.stride, fill)?
        }
        // A last window that is cut counts what it has, which padding cannot state.
        None if op.count_include_pad && whole == pad => {
            pad_before(cx, Padding::Explicit(pad), image, op.kernel, op.stride, 0.0)?
        }
        None => return Err("an average over this padding cannot be stated in the format".into()),
    };
    let options = Pool2DOptions {
        padding,
        stride_w: int(op.stride[1])?,
        stride_h: int(op.stride[0])?,
        filter_width: int(op.kernel[1])?,
        filter_height: int(op.kernel[0])?,
        fused_activation_function: activation_code(op.activation),
    };
    let name = match op.kind {
        PoolKind::Max => "MAX_POOL_2D",
        PoolKind::Average => "AVERAGE_POOL_2D",
        PoolKind::L2 => "L2_POOL_2D",
        kind => return Err(format!("the format has no pool {kind:?}")),
    };
    let output = cx.output(0)?;
    let options = BuiltinOptions::Pool2DOptions(Box::new(options));
    cx.operator(name, Some(options), vec![input], vec![output])
}

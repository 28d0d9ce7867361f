//! Singular value decomposition filters.

use super::{Read, Write, activation, activation_code, of, real_weights, required};
use crate::error::Result;
use crate::export::{NodeCx, Refused, int};
use crate::import::OpCx;
use crate::model::natural;
use crate::schema::{BuiltinOptions, SvdfOptions};
use paring_ir::ops::Svdf;
use paring_tensor::{DType, Quant, Tensor};

pub(super) const READERS: &[(&str, Read)] = &[("SVDF", svdf)];

/// Operands are the input, the feature filters, the time filters, a bias that may be left out, and the
/// state.
fn svdf(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, SvdfOptions);
    let rank = natural("the rank", i64::from(options.rank()?))?;
    let op = Svdf { rank, activation: activation(options.fused_activation_function()?)? };
    let (x, feature, time) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let shape = cx.input_info(4).map(|i| i.shape.clone()).unwrap_or_default();
    let state = cx.state(4, &shape)?;
    let bias = match cx.optional(3)? {
        Some(bias) => bias,
        None => {
            let units = cx.shape(feature)?.first().copied().unwrap_or(0) / rank.max(1);
            let scale = |q: &Option<Quant>| q.as_ref().and_then(Quant::as_per_tensor).map(|q| q.0);
            let scales = scale(&cx.ty(state).quant).zip(scale(&cx.ty(time).quant));
            let quantized = cx.ty(x).quant.is_some();
            let dtype = if quantized { DType::I32 } else { cx.ty(x).dtype };
            let quant = scales.filter(|_| quantized).map(|(a, b)| Quant::per_tensor(a * b, 0));
            cx.import.budget.take(units.saturating_mul(4))?;
            cx.constant("bias", Tensor::zeros(dtype, [units])?, quant)?
        }
    };
    let feature = real_weights(cx, x, feature)?;
    let time = real_weights(cx, x, time)?;
    let state_type = cx.ty(state).clone();
    let inputs = [x, feature, time, bias, state];
    let y = cx.result_type(0, &op, &inputs)?;
    let outputs = cx.results(op, &inputs, vec![y, state_type])?;
    cx.set_state(4, outputs[1])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Svdf>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Svdf = cx.op()?;
    let state = cx.value(4)?;
    let shape = cx.shape(cx.ty(state))?;
    cx.export.state(state, &shape)?;
    cx.in_place(1, 4)?;
    let (inputs, output) = (cx.inputs()?, cx.output(0)?);
    let options = SvdfOptions {
        rank: int(op.rank)?,
        fused_activation_function: activation_code(op.activation),
        ..Default::default()
    };
    cx.operator("SVDF", Some(BuiltinOptions::SvdfOptions(Box::new(options))), inputs, vec![output])
}

//! Fully connected layers.

use super::{Read, Write, activation, activation_code, of, required, weights};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, FullyConnectedOptions};
use paring_ir::ops::{Dense, Reshape};

pub(super) const READERS: &[(&str, Read)] = &[("FULLY_CONNECTED", dense)];

/// Flattens its input to rows of the weights' length unless it is told to keep the axes.
fn dense(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, FullyConnectedOptions);
    if options.weights_format()? != 0 {
        return Err(ReadError::unsupported("shuffled weights"));
    }
    let (mut x, w) = (cx.input(0)?, cx.input(1)?);
    let (shape, &[_, depth]) = (cx.shape(x)?, cx.shape(w)?.as_slice()) else {
        return Err(ReadError::malformed("the weights are not [outputs, inputs]"));
    };
    let keep = options.keep_num_dims()? && shape.last() == Some(&depth);
    if !keep && shape != [shape.first().copied().unwrap_or(0), depth] {
        let total = cx.ty(x).shape.elements();
        let rows = total.and_then(|n| n.checked_div(depth).filter(|r| r * depth == n));
        let rows = rows.ok_or_else(|| {
            ReadError::malformed(format!("an input {shape:?} for weights over {depth} inputs"))
        })?;
        x = cx.before("flat", Reshape::to(&[rows, depth]), &[x])?;
    }
    let op = Dense { activation: activation(options.fused_activation_function()?)? };
    let integers = weights(cx, x, w)?;
    // Weights that stay integers beside real numbers: each row is quantized as it comes, by its range.
    let by_range = options.asymmetric_quantize_inputs()?;
    if integers == w && cx.ty(w).quant.is_some() && cx.ty(x).dtype.is_float() && !by_range {
        return Err(ReadError::unsupported(
            "integer weights beside real inputs that are quantized by their magnitude \
             (`asymmetric_quantize_inputs` is false); convert the model again with inputs quantized by their \
             range, or with weights of real numbers",
        ));
    }
    let mut inputs = vec![x, integers];
    inputs.extend(cx.optional(2)?);
    cx.emit(op, &inputs)
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Dense>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Dense = cx.op()?;
    let (x, w) = (cx.input_type(0)?, cx.input_type(1)?);
    let options = FullyConnectedOptions {
        fused_activation_function: activation_code(op.activation),
        keep_num_dims: x.shape.rank() != 2,
        // Real rows below integer weights are quantized by their range, not by their magnitude.
        asymmetric_quantize_inputs: x.dtype.is_float() && w.quant.is_some(),
        ..Default::default()
    };
    let inputs = vec![cx.input(0)?, cx.input(1)?, cx.optional(2)?];
    let output = cx.output(0)?;
    let options = BuiltinOptions::FullyConnectedOptions(Box::new(options));
    cx.operator("FULLY_CONNECTED", Some(options), inputs, vec![output])
}

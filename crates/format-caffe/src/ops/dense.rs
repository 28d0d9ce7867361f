//! The fully connected layer, and the table.

use crate::layer::{Layer, Outputs, Reject, axis, number, switch};
use paring_ir::ops::{Binary, BinaryFn, Cast, Dense, Gather};
use paring_tensor::DType;

pub(super) fn inner_product(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("inner_product_param");
    let outputs: usize = number(text, "num_output", 0)?;
    let x = layer.bottom()?;
    let shape = layer.shape(x);
    let first = axis(text, "axis", 1, shape.len())?;
    let inputs: usize = shape[first..].iter().product();
    let mut flat = shape[..first].to_vec();
    flat.push(inputs);
    let x = layer.reshape(x, &flat)?;
    let blob = layer.blob(0, "weights")?;
    let fail = |_| {
        Reject::Malformed(format!(
            "weights of {:?} where {outputs} outputs of {inputs} inputs are needed",
            blob.shape()
        ))
    };
    let weights = if switch(text, "transpose", false) {
        blob.reshape([inputs, outputs]).map_err(fail)?.transpose(&[1, 0])?
    } else {
        blob.reshape([outputs, inputs]).map_err(fail)?
    };
    let mut operands = vec![x, layer.constant("weights", weights)?];
    if switch(text, "bias_term", true) {
        let bias = layer.blob(1, "bias")?.reshape([outputs])?;
        operands.push(layer.constant("bias", bias)?);
    }
    Ok(vec![layer.emit(Dense::default(), &operands)?])
}

/// Rows of a table.
pub(super) fn embed(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("embed_param");
    let (rows, width): (usize, usize) =
        (number(text, "input_dim", 0)?, number(text, "num_output", 0)?);
    let table = layer.blob(0, "weights")?.reshape([rows, width])?;
    let table = layer.constant("weights", table)?;
    let x = layer.bottom()?;
    let at = layer.aux(Cast { to: DType::I32 }, &[x])?;
    let y = layer.emit(Gather { axis: 0, batch_dims: 0 }, &[table, at])?;
    if !switch(text, "bias_term", true) {
        return Ok(vec![y]);
    }
    let bias = layer.blob(1, "bias")?.reshape([width])?;
    let bias = layer.constant("bias", bias)?;
    Ok(vec![layer.aux(Binary::new(BinaryFn::Add), &[y, bias])?])
}

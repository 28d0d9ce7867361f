//! Readers of the operators, one file a family.

mod binary;
mod conv;
mod dense;
mod fill;
mod gather;
mod join;
mod lstm;
mod matmul;
mod normalize;
mod order;
mod pad;
mod pool;
mod quantize;
mod reduce;
mod reshape;
mod resize;
mod select;
mod slice;
mod softmax;
mod svdf;
mod unary;
mod variable;

use crate::builtin;
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused, int};
use crate::import::OpCx;
use crate::schema::BuiltinOptions;
use paring_ir::ops::{Activation, Dequantize, Lstm, Padding, Pool, Svdf};
use paring_ir::{Def, ValueId};
use paring_tensor::{ConstData, Tensor, TensorType};
use std::any::TypeId;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Writes one node.
pub(crate) type Write = fn(&mut NodeCx<'_, '_>) -> Result<(), Refused>;

/// The identity of an op's type, when it is asked for.
pub(crate) type Key = fn() -> TypeId;

/// The [`Key`] of an op.
fn of<T: 'static>() -> TypeId {
    TypeId::of::<T>()
}

/// Every op that is written.
const WRITERS: [&[(Key, Write)]; 21] = [
    binary::WRITERS,
    conv::WRITERS,
    dense::WRITERS,
    fill::WRITERS,
    gather::WRITERS,
    join::WRITERS,
    lstm::WRITERS,
    matmul::WRITERS,
    normalize::WRITERS,
    order::WRITERS,
    pad::WRITERS,
    pool::WRITERS,
    quantize::WRITERS,
    reduce::WRITERS,
    reshape::WRITERS,
    resize::WRITERS,
    select::WRITERS,
    slice::WRITERS,
    softmax::WRITERS,
    svdf::WRITERS,
    unary::WRITERS,
];

/// The writer of an op's type.
pub(crate) fn writer(key: TypeId) -> Option<Write> {
    let all = WRITERS.iter().copied().flatten();
    all.filter(|(own, _)| own() == key).map(|(_, write)| *write).next()
}

/// Whether an op keeps its own state in the format.
pub(crate) fn keeps_state(key: TypeId) -> bool {
    key == of::<Lstm>() || key == of::<Svdf>()
}

/// Reads one operator.
pub(crate) type Read = fn(&mut OpCx<'_, '_>) -> Result<()>;

/// Every operator that is read, by its published name.
const READERS: [&[(&str, Read)]; 22] = [
    binary::READERS,
    conv::READERS,
    dense::READERS,
    fill::READERS,
    gather::READERS,
    join::READERS,
    lstm::READERS,
    matmul::READERS,
    normalize::READERS,
    order::READERS,
    pad::READERS,
    pool::READERS,
    quantize::READERS,
    reduce::READERS,
    reshape::READERS,
    resize::READERS,
    select::READERS,
    slice::READERS,
    softmax::READERS,
    svdf::READERS,
    unary::READERS,
    variable::READERS,
];

/// The reader of an operator code.
pub(crate) fn reader(code: i32) -> Option<Read> {
    static BY_CODE: LazyLock<HashMap<i32, Read>> = LazyLock::new(|| {
        let all = READERS.iter().copied().flatten();
        all.filter_map(|(name, read)| Some((builtin::code_of(name)?, *read))).collect()
    });
    BY_CODE.get(&code).copied()
}

/// The options of an operator, if it has any; those of another operator are an error.
macro_rules! options {
    ($cx:expr, $variant:ident) => {
        match $cx.table.builtin_options()? {
            Some(crate::schema::BuiltinOptionsRef::$variant(options)) => Some(options),
            None => None,
            Some(_) => {
                return Err(crate::error::ReadError::malformed("has options of another operator"));
            }
        }
    };
}

/// As [`options!`], for operators that do nothing without.
macro_rules! required {
    ($cx:expr, $variant:ident) => {
        $crate::ops::options!($cx, $variant)
            .ok_or_else(|| crate::error::ReadError::malformed("has no options"))?
    };
}
use {options, required};

/// A clamp, or the functions that only some kernels have fused.
fn activation(code: i8) -> Result<Activation> {
    match code {
        0 => Ok(Activation::None),
        1 => Ok(Activation::Relu),
        2 => Ok(Activation::ReluN1To1),
        3 => Ok(Activation::Relu6),
        4 => Err(ReadError::unsupported("a fused hyperbolic tangent")),
        5 => Err(ReadError::unsupported("a fused sign bit")),
        other => Err(ReadError::malformed(format!("activation {other} does not exist"))),
    }
}

fn padding(code: i8) -> Result<Padding> {
    match code {
        0 => Ok(Padding::SAME),
        1 => Ok(Padding::VALID),
        other => Err(ReadError::malformed(format!("padding {other} does not exist"))),
    }
}

/// A height and width that are at least 1.
fn pair(what: &str, h: i32, w: i32) -> Result<[usize; 2]> {
    match (usize::try_from(h), usize::try_from(w)) {
        (Ok(h), Ok(w)) if h > 0 && w > 0 => Ok([h, w]),
        _ => Err(ReadError::malformed(format!("the {what} is {h} by {w}"))),
    }
}

/// An axis that counts from the end where it is negative.
fn axis(axis: i64, rank: usize) -> Result<usize> {
    let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(from_start)
        .ok()
        .filter(|a| *a < rank)
        .ok_or_else(|| ReadError::malformed(format!("axis {axis} of a value of rank {rank}")))
}

/// Weights as the graph stores them: the axes of a constant in another order. A dequantized constant
/// is reordered before its dequantization, so that it stays stored as it is; anything else gets a
/// transpose.
fn reorder(
    cx: &mut OpCx<'_, '_>,
    value: ValueId,
    perm: &[usize],
    shape: &[usize],
    key: &'static str,
) -> Result<ValueId> {
    if let Some(done) = cx.import.rearranged.get(&(value, key)) {
        return Ok(*done);
    }
    let graph = &cx.import.graph;
    let stored = graph.producer(value).filter(|n| n.op_as::<Dequantize>().is_some());
    let stored = stored.and_then(|n| n.inputs().first().copied());
    let done = if let Def::Const(data) = graph.value(value).def() {
        let (data, name, ty) =
            (data.clone(), graph.value(value).name.clone(), cx.ty(value).clone());
        cx.import.budget.take(ty.byte_len().unwrap_or(usize::MAX))?;
        let dense = data.dense().transpose(perm)?.reshape(shape)?;
        let data = match &data {
            // Pruned weights stay pruned: the mask is found again in the new order.
            ConstData::Sparse(s) if s.block().iter().all(|b| *b == 1) => {
                let block = vec![1; shape.len()];
                ConstData::Sparse(paring_tensor::Sparse::from_dense(&dense, &block, s.fill())?)
            }
            _ => dense.into(),
        };
        let quant = reordered_quant(ty.quant, perm)?;
        let name = cx.import.fresh(&name)?;
        cx.import.graph.add_const(name, data, quant)?
    } else if let Some(stored) = stored {
        let stored = reorder(cx, stored, perm, shape, key)?;
        cx.before("weights", Dequantize {}, &[stored])?
    } else {
        let turned = paring_ir::ops::Transpose { perm: perm.to_vec() };
        let turned = cx.before("weights", turned, &[value])?;
        cx.before("filters", paring_ir::ops::Reshape::to(shape), &[turned])?
    };
    cx.import.rearranged.insert((value, key), done);
    let name = cx.import.graph.value(value).name.clone();
    cx.import.heirs.push((done, name));
    Ok(done)
}

fn reordered_quant(
    quant: Option<paring_tensor::Quant>,
    perm: &[usize],
) -> Result<Option<paring_tensor::Quant>> {
    use paring_tensor::Quant;
    match quant {
        Some(Quant::PerAxis { axis, scales, zero_points }) => {
            let axis = perm.iter().position(|p| *p == axis).unwrap_or(axis);
            Ok(Some(Quant::PerAxis { axis, scales, zero_points }))
        }
        Some(Quant::PerBlock { .. }) => {
            Err(ReadError::unsupported("block-quantized weights in this place"))
        }
        other => Ok(other),
    }
}

/// Weights of a convolution or fully connected layer. With a real input they stay integers where the
/// dynamic-range kernels take them: signed, with zero points of zero.
fn weights(cx: &mut OpCx<'_, '_>, input: ValueId, weights: ValueId) -> Result<ValueId> {
    let ty = cx.ty(weights);
    let symmetric = ty.quant.as_ref().is_some_and(paring_tensor::Quant::is_symmetric);
    if symmetric && matches!(ty.dtype, paring_tensor::DType::I4 | paring_tensor::DType::I8) {
        return Ok(weights);
    }
    real_weights(cx, input, weights)
}

/// Weights as real numbers where the input is real. Such "dynamic range" models store their weights
/// as integers to be small.
fn real_weights(cx: &mut OpCx<'_, '_>, input: ValueId, weights: ValueId) -> Result<ValueId> {
    let real = cx.ty(input).dtype.is_float() && cx.ty(input).quant.is_none();
    if !real || cx.ty(weights).quant.is_none() {
        return Ok(weights);
    }
    if let Some(done) = cx.import.rearranged.get(&(weights, "real")) {
        return Ok(*done);
    }
    let done = cx.before("weights", Dequantize {}, &[weights])?;
    cx.import.rearranged.insert((weights, "real"), done);
    Ok(done)
}

fn activation_code(activation: Activation) -> i8 {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::ReluN1To1 => 2,
        Activation::Relu6 => 3,
    }
}

/// Adds the operator that computes the node's result, with another one for the activation if there is
/// one that the operator cannot fuse.
fn clamp_after(
    cx: &mut NodeCx<'_, '_>,
    activation: Activation,
    name: &str,
    options: Option<BuiltinOptions>,
    inputs: Vec<i32>,
) -> Result<(), Refused> {
    let output = cx.output(0)?;
    let clamp = match activation {
        Activation::None => return cx.operator(name, options, inputs, vec![output]),
        Activation::Relu => "RELU",
        Activation::Relu6 => "RELU6",
        Activation::ReluN1To1 => "RELU_N1_TO_1",
    };
    let ty = cx.output_type(0)?;
    let shape = cx.shape(ty)?;
    let open = cx.between("open", ty.dtype, &shape, ty.quant.as_ref())?;
    cx.operator(name, options, inputs, vec![open])?;
    cx.operator(clamp, None, vec![open], vec![output])
}

/// A real number as a type stores it, without axes.
fn stored(ty: &TensorType, real: f64) -> Result<Tensor, Refused> {
    let real = Tensor::scalar(real as f32);
    match &ty.quant {
        Some(quant) => quant.quantize(&real, ty.dtype).map_err(|e| e.to_string()),
        None => Ok(real.cast(ty.dtype)),
    }
}

/// The smallest real number of a type, which no maximum picks.
fn lowest(ty: &TensorType) -> Result<f64, Refused> {
    let limits = (ty.dtype.int_range(), ty.quant.as_ref().and_then(|q| q.as_per_tensor()));
    match limits {
        (Some((low, _)), Some((scale, zero))) => {
            Ok(f64::from(scale) * (low - i64::from(zero)) as f64)
        }
        _ if ty.dtype.is_float() => Ok(f64::from(f32::MIN)),
        _ => Err(format!("the smallest {} is not known", ty.dtype)),
    }
}

/// Whether a rule of the format pads an image so.
fn covers(
    image: [usize; 2],
    window: [usize; 2],
    stride: [usize; 2],
    pad: [usize; 4],
    rule: Padding,
) -> bool {
    let positions = |pad: [usize; 4], axis: usize| {
        let padded = image[axis] + pad[axis] + pad[axis + 2];
        padded.checked_sub(window[axis]).map(|room| room / stride[axis].max(1) + 1)
    };
    let by_rule = rule.resolve(image, window, stride);
    // What lies behind the last window does not matter.
    [0, 1]
        .into_iter()
        .all(|axis| by_rule[axis] == pad[axis] && positions(by_rule, axis) == positions(pad, axis))
}

/// The operand of a sliding window and the number of its padding. Padding that follows no rule of the
/// format becomes an operator before it.
fn explicit_pad(
    cx: &mut NodeCx<'_, '_>,
    pad: Padding,
    image: [usize; 2],
    window: [usize; 2],
    stride: [usize; 2],
    fill: f64,
) -> Result<(i32, i8), Refused> {
    let exact = pad.resolve(image, window, stride);
    let rules = [(0, Padding::SAME), (1, Padding::VALID)];
    let named = rules.iter().find(|(_, rule)| pad == *rule);
    // The rule without padding is the plainer one where both fit.
    let fits = || rules.iter().rev().find(|(_, r)| covers(image, window, stride, exact, *r));
    match named.or_else(fits) {
        Some((code, _)) => Ok((cx.input(0)?, *code)),
        None => pad_before(cx, pad, image, window, stride, fill),
    }
}

/// As [`explicit_pad`], with an operator even where a rule would do.
fn pad_before(
    cx: &mut NodeCx<'_, '_>,
    pad: Padding,
    image: [usize; 2],
    window: [usize; 2],
    stride: [usize; 2],
    fill: f64,
) -> Result<(i32, i8), Refused> {
    let [top, left, bottom, right] = pad.resolve(image, window, stride);
    if [top, left, bottom, right] == [0; 4] {
        return Ok((cx.input(0)?, 1));
    }
    let ty = cx.input_type(0)?;
    let mut shape = cx.shape(ty)?;
    shape[1] += top + bottom;
    shape[2] += left + right;
    let numbers = [0, 0, top, bottom, left, right, 0, 0];
    let numbers = numbers.into_iter().map(int).collect::<Result<Vec<_>, _>>()?;
    let pads = Tensor::from_vec([4, 2], numbers).map_err(|e| e.to_string())?;
    let pads = cx.constant("paddings", &pads.into(), None)?;
    let padded = cx.between("padded", ty.dtype, &shape, ty.quant.as_ref())?;
    let x = cx.input(0)?;
    if fill == 0.0 {
        cx.operator("PAD", None, vec![x, pads], vec![padded])?;
    } else {
        let value = cx.constant("value", &stored(ty, fill)?.into(), ty.quant.as_ref())?;
        cx.operator("PADV2", None, vec![x, pads, value], vec![padded])?;
    }
    Ok((padded, 1))
}

/// The padding with what a last window that does not fit reaches beyond the image.
fn ceiled(op: &Pool, image: [usize; 2], mut pad: [usize; 4]) -> Result<[usize; 4], Refused> {
    if !op.ceil {
        return Ok(pad);
    }
    for axis in 0..2 {
        let (kernel, stride) = (op.kernel[axis], op.stride[axis].max(1));
        let padded = image[axis] + pad[axis] + pad[axis + 2];
        let room = padded.checked_sub(kernel).ok_or("the window does not fit")?;
        let positions = room / stride + 1;
        if room % stride != 0 && positions * stride < image[axis] + pad[axis] {
            pad[axis + 2] += positions * stride + kernel - padded;
        }
    }
    Ok(pad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_is_of_one_published_operator() {
        let all: Vec<_> = READERS.iter().copied().flatten().collect();
        for (name, _) in &all {
            assert!(builtin::code_of(name).is_some(), "{name} is not an operator");
            assert_eq!(all.iter().filter(|(n, _)| n == name).count(), 1, "{name} is read twice");
        }
    }
}

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
use crate::import::OpCx;
use paring_ir::ops::{Activation, Dequantize, Padding};
use paring_ir::{Def, ValueId};
use paring_tensor::ConstData;
use std::collections::HashMap;
use std::sync::LazyLock;

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
            Some(crate::schema::tflite::BuiltinOptionsRef::$variant(options)) => Some(options),
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

//! Functions of many values.

use super::Read;
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Concat};
use paring_tensor::Tensor;

pub(super) const READERS: &[(&str, Read)] = &[
    ("Add", |cx| merge(cx, BinaryFn::Add)),
    ("Subtract", |cx| merge(cx, BinaryFn::Sub)),
    ("Multiply", |cx| merge(cx, BinaryFn::Mul)),
    ("Maximum", |cx| merge(cx, BinaryFn::Max)),
    ("Minimum", |cx| merge(cx, BinaryFn::Min)),
    ("Average", |cx| {
        let share = 1.0 / cx.inputs.len().max(1) as f32;
        let inputs = cx.inputs.clone();
        let sum = chain(cx, BinaryFn::Add, &inputs, true)?;
        let share = cx.constant("share", Tensor::scalar(share))?;
        cx.node(Binary::new(BinaryFn::Mul), &[sum, share])
    }),
    ("Concatenate", |cx| {
        let x = cx.x()?;
        let rank = cx.shape(x)?.len();
        let axis = cx.layer.list("axis")?.and_then(|a| a.first().copied()).unwrap_or(-1);
        let axis = super::shape::axis(cx, axis, rank)?;
        let inputs = cx.inputs.clone();
        cx.node(Concat { axis }, &inputs)
    }),
];

fn merge(cx: &mut LayerCx<'_>, f: BinaryFn) -> Result<ValueId> {
    let inputs = cx.inputs.clone();
    chain(cx, f, &inputs, false)
}

/// `f` of all values, from the first on; the last node has the layer's name unless it is a part.
fn chain(cx: &mut LayerCx<'_>, f: BinaryFn, inputs: &[ValueId], part: bool) -> Result<ValueId> {
    let [first, between @ .., last] = inputs else { return cx.x() };
    let mut value = *first;
    for v in between {
        value = cx.side("part", Binary::new(f), &[value, *v])?;
    }
    match part {
        true => cx.side("part", Binary::new(f), &[value, *last]),
        false => cx.node(Binary::new(f), &[value, *last]),
    }
}

//! Functions of many values.

use super::Read;
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Concat, Einsum, LpNormalize, Reduce, ReduceFn};

pub(super) const READERS: &[(&str, Read)] = &[
    ("Add", |cx| merge(cx, BinaryFn::Add)),
    ("Subtract", |cx| merge(cx, BinaryFn::Sub)),
    ("Multiply", |cx| merge(cx, BinaryFn::Mul)),
    ("Maximum", |cx| merge(cx, BinaryFn::Max)),
    ("Minimum", |cx| merge(cx, BinaryFn::Min)),
    ("Average", average),
    ("Concatenate", |cx| concatenate(cx, "axis")),
    ("Dot", |cx| {
        let axes = cx.layer.list("axes")?;
        dot(cx, axes, cx.layer.flag("normalize", false))
    }),
    // Keras 1
    ("Merge", |cx| match cx.layer.text("mode").unwrap_or("sum") {
        "sum" => merge(cx, BinaryFn::Add),
        "mul" => merge(cx, BinaryFn::Mul),
        "max" => merge(cx, BinaryFn::Max),
        "ave" => average(cx),
        "concat" => concatenate(cx, "concat_axis"),
        "dot" => {
            let axes = cx.layer.list("dot_axes")?;
            dot(cx, axes, false)
        }
        other => Err(cx.layer.unsupported(format!("merging by `{other}`"))),
    }),
];

fn average(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let share = 1.0 / cx.inputs.len().max(1) as f32;
    let inputs = cx.inputs.clone();
    let sum = chain(cx, BinaryFn::Add, &inputs, true)?;
    let share = cx.scalar("share", share)?;
    cx.node(Binary::new(BinaryFn::Mul), &[sum, share])
}

pub(super) fn concatenate(cx: &mut LayerCx<'_, '_>, key: &str) -> Result<ValueId> {
    let x = cx.x()?;
    let rank = cx.shape(x)?.len();
    let axis = cx.layer.list(key)?.and_then(|a| a.first().copied()).unwrap_or(-1);
    let axis = super::shape::axis(cx, axis, rank)?;
    let inputs = cx.inputs.clone();
    cx.node(Concat { axis }, &inputs)
}

pub(super) fn merge(cx: &mut LayerCx<'_, '_>, f: BinaryFn) -> Result<ValueId> {
    let inputs = cx.inputs.clone();
    if inputs.len() < 2 {
        return Err(cx.layer.bad("has one input where it merges many"));
    }
    chain(cx, f, &inputs, false)
}

/// `f` of all values, from the first on; the last node has the layer's name unless it is a part.
fn chain(cx: &mut LayerCx<'_, '_>, f: BinaryFn, inputs: &[ValueId], part: bool) -> Result<ValueId> {
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

/// Products along one axis of each of two values, sample by sample.
fn dot(cx: &mut LayerCx<'_, '_>, given: Option<Vec<i64>>, normalize: bool) -> Result<ValueId> {
    let &[a, b] = cx.inputs.as_slice() else {
        return Err(cx.layer.bad("has not two inputs"));
    };
    let given = given.unwrap_or_else(|| vec![-1]);
    let (Some(first), Some(last)) = (given.first(), given.last()) else {
        return Err(cx.layer.bad("`axes` is empty"));
    };
    let mut values = [a, b];
    let mut terms = Vec::new();
    // The batch is `a`; the axis that is summed over is `b`; the others have letters of their own.
    let mut free = 'c'..='z';
    let mut result = String::from("a");
    let mut ranks = Vec::new();
    for (value, axis) in values.iter_mut().zip([*first, *last]) {
        let rank = cx.shape(*value)?.len();
        let axis = super::shape::axis(cx, axis, rank)?;
        if axis == 0 {
            return Err(cx.layer.unsupported("products along the batch"));
        }
        if normalize {
            *value = cx.side("unit", LpNormalize { axis, p: 2, epsilon: 1e-12 }, &[*value])?;
        }
        let mut term = String::from("a");
        for i in 1..rank {
            if i == axis {
                term.push('b');
            } else {
                let letter = free.next().ok_or_else(|| cx.layer.bad("too many axes"))?;
                term.push(letter);
                result.push(letter);
            }
        }
        terms.push(term);
        ranks.push(rank);
    }
    if ranks == [2, 2] {
        let product = cx.side("products", Binary::new(BinaryFn::Mul), &values)?;
        return cx.node(Reduce { f: ReduceFn::Sum, axes: vec![1], keep_dims: true }, &[product]);
    }
    cx.node(Einsum { equation: format!("{}->{result}", terms.join(",")) }, &values)
}

//! Layers around other layers.

use super::{ReadMany, recurrent};
use crate::build::{LayerCx, Mask, Masked};
use crate::config::Layer;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Concat, Reshape, Reverse};
use serde_json::Value;

pub(super) const READERS: &[(&str, ReadMany)] = &[
    ("Bidirectional", bidirectional),
    ("TimeDistributed", distributed),
    // The kernel that is saved is normalized.
    ("SpectralNormalization", |cx| {
        let inner = wrapped(cx)?;
        let inputs = operands(cx);
        let outputs = cx.inner(&inner, "layer", (0, usize::MAX), inputs)?;
        Ok(outputs.into_iter().map(|(value, _)| value).collect())
    }),
];

fn wrapped(cx: &LayerCx<'_, '_>) -> Result<Layer> {
    cx.layer.inner("layer", cx.store().version)?.ok_or_else(|| cx.layer.bad("`layer` is missing"))
}

fn operands(cx: &LayerCx<'_, '_>) -> Vec<Masked> {
    cx.inputs.iter().copied().zip(cx.masks.iter().copied()).collect()
}

/// One layer reads the sequence forward, another one backward.
fn bidirectional(cx: &mut LayerCx<'_, '_>) -> Result<Vec<ValueId>> {
    let forward = wrapped(cx)?;
    let sequences = forward.flag("return_sequences", false);
    let returns = forward.flag("return_state", false);
    let opposite = Value::Bool(!forward.flag("go_backwards", false));
    let backward = match cx.layer.inner("backward_layer", cx.store().version)? {
        Some(stated) => stated,
        None => Layer {
            name: format!("backward_{}", forward.name),
            ..forward.with("go_backwards", opposite)
        },
    };
    let zero = Value::Bool(sequences);
    let name = format!("forward_{}", forward.name.trim_start_matches("forward_"));
    let forward = Layer { name, ..forward.with("zero_output_for_mask", zero.clone()) };
    let backward = backward.with("zero_output_for_mask", zero);
    let turned = backward.flag("go_backwards", false);
    let backward = match turned {
        true => backward.with(recurrent::IN_INPUT_ORDER, Value::Bool(true)),
        false => backward,
    };
    let count = cx.store().count(&cx.at.weights);
    let half = weights_of(&forward).unwrap_or(count / 2);
    let all = operands(cx);
    let Some((x, states)) = all.split_first() else { return Err(cx.layer.bad("has no inputs")) };
    // States that are given are the forward layer's, then the backward one's.
    let (first, second) = states.split_at(states.len() / 2);
    let operands = |own: &[Masked]| [std::slice::from_ref(x), own].concat();
    let run = |cx: &mut LayerCx<'_, '_>, layer: &Layer, part, range, own: &[Masked]| {
        let outputs = cx.inner(layer, part, range, operands(own))?;
        Ok::<Vec<ValueId>, crate::error::KerasError>(outputs.into_iter().map(|o| o.0).collect())
    };
    let ahead = run(cx, &forward, "forward_layer", (0, half), first)?;
    let back = run(cx, &backward, "backward_layer", (half, usize::MAX), second)?;
    let (Some(&a), Some(&b)) = (ahead.first(), back.first()) else {
        return Err(cx.layer.bad("computes nothing"));
    };
    let b = match sequences && !turned {
        true => cx.side("backward_in_order", Reverse { axis: 1, batch_axis: None }, &[b])?,
        false => b,
    };
    let mode = match cx.layer.config.get("merge_mode") {
        Some(Value::Null) => "none",
        _ => cx.layer.text("merge_mode").unwrap_or("concat"),
    };
    let axis = cx.shape(a)?.len().saturating_sub(1);
    let mut outputs = match mode {
        "none" => vec![a, b],
        "concat" => vec![cx.node(Concat { axis }, &[a, b])?],
        "sum" => vec![cx.node(Binary::new(BinaryFn::Add), &[a, b])?],
        "mul" => vec![cx.node(Binary::new(BinaryFn::Mul), &[a, b])?],
        "ave" => {
            let sum = cx.side("sum", Binary::new(BinaryFn::Add), &[a, b])?;
            let half = cx.scalar("half", 0.5)?;
            vec![cx.node(Binary::new(BinaryFn::Mul), &[sum, half])?]
        }
        other => return Err(cx.layer.unsupported(format!("merging by `{other}`"))),
    };
    if returns {
        outputs.extend(ahead.iter().skip(1).chain(back.iter().skip(1)));
    }
    cx.mask = if sequences { cx.masks.first().copied().flatten() } else { None };
    Ok(outputs)
}

/// How many weights a recurrent layer has, if it is plain.
fn weights_of(layer: &Layer) -> Option<usize> {
    let plain = recurrent::is_cell(&layer.class) && layer.class != "RNN";
    let old = layer.config.contains_key("output_dim");
    (plain && !old).then(|| if layer.flag("use_bias", true) { 3 } else { 2 })
}

/// A layer for each step: steps become samples of the batch.
fn distributed(cx: &mut LayerCx<'_, '_>) -> Result<Vec<ValueId>> {
    let inner = wrapped(cx)?;
    let x = cx.x()?;
    let shape = cx.shape(x)?;
    let [batch, time, rest @ ..] = shape.as_slice() else {
        return Err(cx.layer.bad("the input is no sequence"));
    };
    let Some(samples) = batch.checked_mul(*time) else {
        return Err(cx.layer.bad("the input is too large"));
    };
    if inner.flag("stateful", false) {
        return Err(cx.layer.unsupported("a layer with a state for each step"));
    }
    let mut folded = vec![samples];
    folded.extend(rest);
    let x = cx.side("samples", Reshape::to(&folded), &[x])?;
    let outputs = cx.inner(&inner, "layer", (0, usize::MAX), vec![(x, None)])?;
    let mut results = Vec::with_capacity(outputs.len());
    for (value, _) in outputs {
        let shape = cx.shape(value)?;
        let mut unfolded = vec![*batch, *time];
        unfolded.extend(shape.iter().skip(1));
        results.push(cx.node(Reshape::to(&unfolded), &[value])?);
    }
    if cx.mask == Some(Mask::Joined) {
        cx.mask = None;
    }
    Ok(results)
}

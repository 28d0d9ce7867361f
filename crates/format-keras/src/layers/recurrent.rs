//! Recurrent layers: cells over the steps of a sequence.
//!
//! Steps that are masked leave the state as it is. They are moved behind all others (in order), the
//! sequence gets a length, and the results move back.

use super::{ReadMany, steps};
use crate::build::{LayerCx, tree_names};
use crate::config::Layer;
use crate::error::Result;
use crate::store::Weights;
use paring_ir::ValueId;
use paring_ir::ops::{
    Binary, BinaryFn, Cast, CumSum, Direction, GateFn, Gather, Gru, Lstm, Reduce, ReduceFn,
    Reshape, Reverse, Rnn, TopK, Unary,
};
use paring_tensor::{DType, Tensor, TensorType};

pub(super) const READERS: &[(&str, ReadMany)] =
    &[("LSTM", layer), ("GRU", layer), ("SimpleRNN", layer), ("RNN", layer)];

/// An attribute that a wrapper gives to a layer: its results stand in the order of its input.
pub(super) const IN_INPUT_ORDER: &str = "in_input_order";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lstm,
    Gru,
    Simple,
}

fn kind(class: &str) -> Option<Kind> {
    Some(match class {
        "LSTM" | "LSTMCell" => Kind::Lstm,
        "GRU" | "GRUCell" => Kind::Gru,
        "SimpleRNN" | "SimpleRNNCell" => Kind::Simple,
        _ => return None,
    })
}

pub(super) fn is_cell(class: &str) -> bool {
    kind(class).is_some() || class == "StackedRNNCells"
}

impl Kind {
    fn states(self) -> usize {
        if self == Self::Lstm { 2 } else { 1 }
    }
}

/// What a recurrent layer computes.
pub(super) struct Run {
    /// The results of all steps, in the order of the input's steps.
    pub(super) all: ValueId,
    /// The result of the step that is read last.
    pub(super) last: ValueId,
    /// The states after it.
    pub(super) states: Vec<ValueId>,
}

/// The part of a layer of which there are many in a stack.
struct Cell<'l> {
    layer: &'l Layer,
    kind: Kind,
    weights: Weights,
}

fn layer(cx: &mut LayerCx<'_, '_>) -> Result<Vec<ValueId>> {
    let layer = cx.layer;
    let run = run(cx, layer.flag("zero_output_for_mask", false))?;
    let all = layer.flag("return_sequences", false);
    let read_order = layer.flag("go_backwards", false) && !layer.flag(IN_INPUT_ORDER, false);
    let first = match (all, read_order) {
        (false, _) => run.last,
        (true, false) => run.all,
        // The layer gives the steps in the order in which it reads them.
        (true, true) => cx.side("read_order", Reverse { axis: 1, batch_axis: None }, &[run.all])?,
    };
    cx.mask = if all { cx.masks.first().copied().flatten() } else { None };
    if all && read_order && cx.mask.is_some() {
        // Its mask is not in that order.
        cx.mask = Some(crate::build::Mask::Joined);
    }
    let mut outputs = vec![first];
    if layer.flag("return_state", false) {
        outputs.extend(run.states);
    }
    Ok(outputs)
}

/// Reads the layer's cells and lets them run over its input.
pub(super) fn run(cx: &mut LayerCx<'_, '_>, zero_masked: bool) -> Result<Run> {
    let layer = cx.layer;
    let (backwards, keeps) = (layer.flag("go_backwards", false), layer.flag("stateful", false));
    if layer.flag("time_major", false) {
        return Err(layer.unsupported("time before the batch"));
    }
    let stack;
    let inner;
    let cells: Vec<Cell<'_>> = if layer.class == "RNN" {
        inner = layer
            .inner("cell", cx.store().version)?
            .ok_or_else(|| layer.bad("`cell` is missing"))?;
        let weights = cx.at.weights.part("cell", 0, usize::MAX);
        if inner.class == "StackedRNNCells" {
            stack = inner.inner_list("cells")?;
            let mut from = 0;
            let mut cells = Vec::with_capacity(stack.len());
            for (cell, name) in stack.iter().zip(tree_names(stack.iter())) {
                let count = if cell.flag("use_bias", true) { 3 } else { 2 };
                cells.push(one(cell, weights.part(&format!("cells/{name}"), from, count))?);
                from += count;
            }
            cells
        } else {
            vec![one(&inner, weights)?]
        }
    } else {
        vec![one(layer, cx.at.weights.part("cell", 0, usize::MAX))?]
    };
    let given: Vec<ValueId> = cx.inputs.iter().skip(1).copied().collect();
    let wanted: usize = cells.iter().map(|c| c.kind.states()).sum();
    if !given.is_empty() && given.len() != wanted {
        return Err(layer.bad(format!("{} states where there are {wanted}", given.len())));
    }
    let mut given = given.into_iter();
    let mask = steps(cx, 0)?;
    let mut x = cx.x()?;
    let mut outcome = None;
    let mut states = Vec::new();
    for (i, cell) in cells.iter().enumerate() {
        let start: Vec<ValueId> = given.by_ref().take(cell.kind.states()).collect();
        let key = if cells.len() > 1 { format!("cell_{i}") } else { String::new() };
        let run = pass(cx, cell, x, &start, &key, (backwards, keeps, mask, zero_masked))?;
        states.extend(run.states.iter().copied());
        x = run.all;
        outcome = Some(run);
    }
    let run = outcome.ok_or_else(|| layer.bad("has no cells"))?;
    Ok(Run { states, ..run })
}

fn one(layer: &Layer, weights: Weights) -> Result<Cell<'_>> {
    let kind = kind(&layer.class);
    let kind = kind.ok_or_else(|| layer.unsupported("the reader does not know this cell"))?;
    Ok(Cell { layer, kind, weights })
}

/// One cell over a whole sequence `[batch, time, inputs]`.
fn pass(
    cx: &mut LayerCx<'_, '_>,
    cell: &Cell<'_>,
    x: ValueId,
    start: &[ValueId],
    key: &str,
    (backwards, keeps, mask, zero_masked): (bool, bool, Option<ValueId>, bool),
) -> Result<Run> {
    let &[batch, time, _] = cx.shape(x)?.as_slice() else {
        return Err(cx.layer.bad("the input is no sequence"));
    };
    let (weights, units) = weights(cx, cell, key)?;
    let state = |n: &str| match key {
        "" => format!("state_{n}"),
        key => format!("{key}_state_{n}"),
    };
    let mut held = Vec::new();
    for i in 0..cell.kind.states() {
        let shape = [1, batch, units];
        held.push(match (start.get(i), keeps) {
            (Some(given), _) => cx.side("initial", Reshape::to(&shape), &[*given])?,
            (None, true) => {
                let name = format!("{}/{}", cx.at.name, state(&i.to_string()));
                cx.graph().add_state(name, TensorType::new(DType::F32, shape.to_vec()))?
            }
            (None, false) => {
                let zeros = Tensor::zeros(DType::F32, shape)?;
                cx.constant(&state(&i.to_string()), zeros)?
            }
        });
    }
    let mut sequence = x;
    let mut masked = None;
    if let Some(mask) = mask {
        let mut mask = cx.side("steps", Cast { to: DType::F32 }, &[mask])?;
        if backwards {
            let reverse = Reverse { axis: 1, batch_axis: None };
            sequence = cx.side("reversed", reverse.clone(), &[sequence])?;
            mask = cx.side("reversed_steps", reverse, &[mask])?;
        }
        let order = TopK { k: time, axis: 1, largest: true, to: DType::I32 };
        let name = format!("{}/order", cx.at.name);
        let order = cx.graph().add_node(name, order, &[mask])?;
        let order = order.get(1).copied().ok_or_else(|| cx.layer.bad("computes nothing"))?;
        sequence = cx.side("together", Gather { axis: 1, batch_dims: 1 }, &[sequence, order])?;
        let sum = Reduce { f: ReduceFn::Sum, axes: vec![1], keep_dims: false };
        let length = cx.side("count", sum, &[mask])?;
        let length = cx.side("length", Cast { to: DType::I32 }, &[length])?;
        masked = Some((mask, length));
    }
    let mut inputs = vec![sequence];
    inputs.extend(weights);
    inputs.extend(&held);
    if let Some((_, length)) = masked {
        if cell.kind == Kind::Lstm {
            let none = Tensor::zeros(DType::F32, [1, 3 * units])?;
            inputs.push(cx.constant("peepholes", none)?);
        }
        inputs.push(length);
    }
    let direction = match backwards && masked.is_none() {
        true => Direction::Reverse,
        false => Direction::Forward,
    };
    let outputs = node(cx, cell, direction, &inputs)?;
    let (Some(all), Some(hidden)) = (outputs.first(), outputs.get(1)) else {
        return Err(cx.layer.bad("computes nothing"));
    };
    let mut all = cx.side("sequence", Reshape::to(&[batch, time, units]), &[*all])?;
    let last = cx.side("last", Reshape::to(&[batch, units]), &[*hidden])?;
    let mut states = vec![last];
    if let Some(inner) = outputs.get(2) {
        states.push(cx.side("last_cell", Reshape::to(&[batch, units]), &[*inner])?);
    }
    if keeps {
        for (current, next) in held.iter().zip(&outputs[1..]) {
            let zeros = Tensor::zeros(DType::F32, [1, batch, units])?;
            cx.graph().set_state(*current, *next, zeros);
        }
    }
    if let Some((mask, _)) = masked {
        all = apart(cx, all, mask, zero_masked)?;
        if backwards {
            all = cx.side("input_order", Reverse { axis: 1, batch_axis: None }, &[all])?;
        }
    }
    Ok(Run { all, last, states })
}

/// Moves the results of the steps that count to where they were; a step that does not count repeats
/// the one before it, or is zero.
fn apart(
    cx: &mut LayerCx<'_, '_>,
    all: ValueId,
    mask: ValueId,
    zero_masked: bool,
) -> Result<ValueId> {
    let sum = CumSum { axis: 1, exclusive: false, reverse: false };
    let count = cx.side("running_count", sum, &[mask])?;
    let one = cx.scalar("one", 1.0)?;
    let at = cx.side("position", Binary::new(BinaryFn::Sub), &[count, one])?;
    let at = cx.side("bounded", Unary::Clip { min: 0.0, max: f32::INFINITY }, &[at])?;
    let at = cx.side("index", Cast { to: DType::I32 }, &[at])?;
    let spread = cx.side("apart", Gather { axis: 1, batch_dims: 1 }, &[all, at])?;
    let counts = match zero_masked {
        true => mask,
        // Before the first step that counts there is nothing to repeat.
        false => cx.side("begun", Unary::Clip { min: 0.0, max: 1.0 }, &[count])?,
    };
    let shape = cx.shape(counts)?;
    let &[b, t] = shape.as_slice() else { return Err(cx.layer.bad("its mask is no sequence")) };
    let counts = cx.side("weights", Reshape::to(&[b, t, 1]), &[counts])?;
    cx.side("kept", Binary::new(BinaryFn::Mul), &[spread, counts])
}

fn node(
    cx: &mut LayerCx<'_, '_>,
    cell: &Cell<'_>,
    direction: Direction,
    inputs: &[ValueId],
) -> Result<Vec<ValueId>> {
    let outer = gate(cx, cell.layer, "activation", "tanh")?;
    let default = if cx.store().version == 1 { "hard_sigmoid" } else { "sigmoid" };
    // The name in Keras 1 differs.
    let key = match cell.layer.config.contains_key("inner_activation") {
        true => "inner_activation",
        false => "recurrent_activation",
    };
    let batch_major = true;
    match cell.kind {
        Kind::Lstm => {
            let inner = gate(cx, cell.layer, key, default)?;
            let usual = (inner, outer) == (GateFn::Sigmoid, GateFn::Tanh);
            let functions = if usual { Vec::new() } else { vec![[inner, outer, outer]] };
            let (clip, cell_clip, input_forget) = (0.0, 0.0, false);
            let op = Lstm { direction, batch_major, functions, clip, cell_clip, input_forget };
            cx.nodes(op, inputs)
        }
        Kind::Gru => {
            let inner = gate(cx, cell.layer, key, default)?;
            let usual = (inner, outer) == (GateFn::Sigmoid, GateFn::Tanh);
            let functions = if usual { Vec::new() } else { vec![[inner, outer]] };
            let linear_before_reset = cell.layer.flag("reset_after", false);
            let op = Gru { direction, batch_major, functions, clip: 0.0, linear_before_reset };
            cx.nodes(op, inputs)
        }
        Kind::Simple => {
            let functions = if outer == GateFn::Tanh { Vec::new() } else { vec![outer] };
            cx.nodes(Rnn { direction, batch_major, functions, clip: 0.0 }, inputs)
        }
    }
}

/// A function of a gate.
fn gate(cx: &LayerCx<'_, '_>, layer: &Layer, key: &str, default: &str) -> Result<GateFn> {
    let name = match layer.config.get(key) {
        Some(serde_json::Value::Null) => "linear",
        _ => layer.text(key).unwrap_or(default),
    };
    Ok(match name {
        "linear" => GateFn::Affine { alpha: 1.0, beta: 0.0 },
        "sigmoid" => GateFn::Sigmoid,
        "tanh" => GateFn::Tanh,
        "relu" => GateFn::Relu,
        "elu" => GateFn::Elu { alpha: 1.0 },
        "softsign" => GateFn::Softsign,
        "softplus" => GateFn::Softplus,
        "leaky_relu" => GateFn::LeakyRelu { alpha: 0.2 },
        "hard_sigmoid" if cx.store().version >= 3 => {
            GateFn::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }
        }
        "hard_sigmoid" => GateFn::HardSigmoid { alpha: 0.2, beta: 0.5 },
        other => return Err(layer.unsupported(format!("`{key}` `{other}`"))),
    })
}

/// The constants of a cell as the graph has them, and its number of units.
fn weights(cx: &mut LayerCx<'_, '_>, cell: &Cell<'_>, key: &str) -> Result<(Vec<ValueId>, usize)> {
    let (gates, names): (usize, &[&str]) = match cell.kind {
        Kind::Lstm => (4, &["i", "c", "f", "o"]),
        Kind::Gru => (3, &["z", "r", "h"]),
        Kind::Simple => (1, &[]),
    };
    // The oldest version has a kernel, a recurrent kernel and a bias for each gate.
    let apart = matches!(&cell.weights, Weights::Flat(all) if gates > 1 && all.len() == 3 * gates);
    let (kernel, recurrent, bias) = if apart {
        let order: &[usize] = if gates == 4 { &[0, 2, 1, 3] } else { &[0, 1, 2] };
        let part = |cx: &LayerCx<'_, '_>, what: usize| {
            let read = |gate: &usize| {
                let letter = ["W", "U", "b"][what];
                let name = format!("{letter}_{}", names[*gate]);
                cx.weight_of(&cell.weights, &name, 3 * gate + what)
            };
            order.iter().map(read).collect::<Result<Vec<_>>>()
        };
        (joined(cx, &part(cx, 0)?)?, joined(cx, &part(cx, 1)?)?, Some(joined(cx, &part(cx, 2)?)?))
    } else {
        let kernel = cx.weight_of(&cell.weights, "kernel", 0)?;
        let recurrent = cx.weight_of(&cell.weights, "recurrent_kernel", 1)?;
        let biased = cell.layer.flag("use_bias", true);
        let bias = biased.then(|| cx.weight_of(&cell.weights, "bias", 2)).transpose()?;
        (kernel, recurrent, bias)
    };
    let (&[inputs, rows], &[units, again]) = (kernel.shape(), recurrent.shape()) else {
        return Err(cx.layer.bad("its kernels are no matrices"));
    };
    if rows != again || units.checked_mul(gates) != Some(rows) {
        let why = format!("kernels of {:?} and {:?}", kernel.shape(), recurrent.shape());
        return Err(cx.layer.bad(why));
    }
    let kernel = kernel.transpose(&[1, 0])?.reshape([1, rows, inputs])?;
    let recurrent = recurrent.transpose(&[1, 0])?.reshape([1, rows, units])?;
    // Both biases of a gated unit stand in one row.
    let wanted = if cell.kind == Kind::Gru { 2 * rows } else { rows };
    let mut numbers = bias.map(|b| b.to_f32()).unwrap_or_default();
    if ![0, rows, wanted].contains(&numbers.len()) {
        return Err(cx.layer.bad(format!("{} biases for {rows} rows", numbers.len())));
    }
    numbers.resize(wanted, 0.0);
    let bias = Tensor::from_vec([1, wanted], numbers)?;
    let name = |n: &str| if key.is_empty() { n.to_owned() } else { format!("{key}/{n}") };
    let values = vec![
        cx.constant(&name("kernel"), kernel)?,
        cx.constant(&name("recurrent_kernel"), recurrent)?,
        cx.constant(&name("bias"), bias)?,
    ];
    Ok((values, units))
}

/// Tensors one after another along their last axis.
fn joined(cx: &LayerCx<'_, '_>, parts: &[Tensor]) -> Result<Tensor> {
    let shape = parts.first().map(|p| p.shape().to_vec()).unwrap_or_default();
    let Some((last, lead)) = shape.split_last() else {
        return Err(cx.layer.bad("a gate has no weights"));
    };
    if parts.iter().any(|p| p.shape() != shape) {
        return Err(cx.layer.bad("gates of different shapes"));
    }
    let rows: usize = lead.iter().product();
    let numbers: Vec<Vec<f32>> = parts.iter().map(Tensor::to_f32).collect();
    let mut all = Vec::with_capacity(rows * last * parts.len());
    for row in 0..rows {
        for part in &numbers {
            all.extend_from_slice(&part[row * last..(row + 1) * last]);
        }
    }
    let mut shape = lead.to_vec();
    shape.push(last * parts.len());
    Ok(Tensor::from_vec(shape, all)?)
}

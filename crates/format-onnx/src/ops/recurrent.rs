//! Recurrent layers.

use super::constant::filled;
use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Concat, Direction, GateFn, Gru, Lstm, Rnn, Slice};
use paring_tensor::Tensor;

pub(super) const ENTRIES: &[Entry] =
    &[Entry::new("LSTM", lstm), Entry::new("GRU", gru), Entry::new("RNN", rnn)];

/// What the three layers state alike.
struct Layer {
    direction: Direction,
    batch_major: bool,
    clip: f32,
    functions: Vec<GateFn>,
    directions: usize,
    cells: usize,
    batch: usize,
}

impl Layer {
    /// `defaults` are the functions of one direction.
    fn read(cx: &Cx<'_, '_>, defaults: &[&str]) -> Result<Self, Reject> {
        let direction = match cx.text("direction", "forward")? {
            "forward" => Direction::Forward,
            "reverse" => Direction::Reverse,
            "bidirectional" => Direction::Both,
            other => return Err(Reject::malformed(format!("direction `{other}`"))),
        };
        let directions = direction.count();
        let batch_major = cx.flag("layout", false)?;
        let (x, r) = (cx.input_shape(0)?, cx.input_shape(2)?);
        let (&[first, second, _], &[_, _, cells]) = (x.as_slice(), r.as_slice()) else {
            return Err(Reject::malformed(format!("an input of {x:?} and weights of {r:?}")));
        };
        let stated = cx.opt_int("hidden_size")?;
        if stated.is_some_and(|h| usize::try_from(h) != Ok(cells)) {
            let why = format!("hidden_size {stated:?} but weights of {r:?}");
            return Err(Reject::malformed(why));
        }
        let functions = match cx.texts("activations")? {
            None => Vec::new(),
            Some(names) if names.len() == directions * defaults.len() => {
                let plain = names.iter().zip(defaults.iter().cycle());
                let usual = plain.clone().all(|(n, d)| n.eq_ignore_ascii_case(d));
                if usual { Vec::new() } else { functions(cx, &names)? }
            }
            Some(names) => {
                return Err(Reject::malformed(format!(
                    "{} activations for {directions} directions",
                    names.len()
                )));
            }
        };
        let batch = if batch_major { first } else { second };
        let clip = cx.float("clip", 0.0)?;
        Ok(Self { direction, batch_major, clip, functions, directions, cells, batch })
    }

    /// An initial state, `[directions, batch, cells]`; zeros if it is left out.
    fn state(&self, cx: &mut Cx<'_, '_>, input: usize) -> Result<ValueId, Reject> {
        match cx.opt_input(input)? {
            Some(id) if self.batch_major => cx.transpose(id, &[1, 0, 2]),
            Some(id) => Ok(id),
            None => {
                let shape = [self.directions, self.batch, self.cells];
                zeros(cx, &shape)
            }
        }
    }

    /// Sets the outputs: all hidden states, then last states.
    fn finish(&self, cx: &mut Cx<'_, '_>, outputs: &[ValueId]) -> Outcome {
        for (i, id) in outputs.iter().enumerate() {
            // An op has all outputs; the transposes of those that nobody reads would be waste.
            if !cx.wants(i) {
                continue;
            }
            let id = if i > 0 && self.batch_major { cx.transpose(*id, &[1, 0, 2])? } else { *id };
            cx.set(i, id);
        }
        Ok(())
    }
}

fn zeros(cx: &mut Cx<'_, '_>, shape: &[usize]) -> Result<ValueId, Reject> {
    let dtype = cx.input_type(0)?.dtype;
    let zeros = filled(cx, shape, &Tensor::scalar(0.0_f32).cast(dtype))?;
    cx.konst("zeros", zeros)
}

/// Activations with their parameters, which are taken in turn by the functions that have any.
fn functions(cx: &Cx<'_, '_>, names: &[&str]) -> Result<Vec<GateFn>, Reject> {
    let mut alphas = cx.floats("activation_alpha")?.unwrap_or(&[]).iter().copied();
    let mut betas = cx.floats("activation_beta")?.unwrap_or(&[]).iter().copied();
    let mut alpha = |default: f32| alphas.next().unwrap_or(default);
    let mut beta = |default: f32| betas.next().unwrap_or(default);
    let one = |name: &&str| {
        Ok(match name.to_ascii_lowercase().as_str() {
            "sigmoid" => GateFn::Sigmoid,
            "tanh" => GateFn::Tanh,
            "relu" => GateFn::Relu,
            "hardsigmoid" => GateFn::HardSigmoid { alpha: alpha(0.2), beta: beta(0.5) },
            "leakyrelu" => GateFn::LeakyRelu { alpha: alpha(0.01) },
            "thresholdedrelu" => GateFn::ThresholdedRelu { alpha: alpha(1.0) },
            "scaledtanh" => GateFn::ScaledTanh { alpha: alpha(1.0), beta: beta(1.0) },
            "elu" => GateFn::Elu { alpha: alpha(1.0) },
            "affine" => GateFn::Affine { alpha: alpha(1.0), beta: beta(0.0) },
            "softsign" => GateFn::Softsign,
            "softplus" => GateFn::Softplus,
            other => return Err(Reject::unsupported(format!("activation `{other}`"))),
        })
    };
    names.iter().map(one).collect()
}

/// Parts of `cells` rows along an axis of an input, in another order.
fn parts(
    cx: &mut Cx<'_, '_>,
    input: usize,
    axis: usize,
    cells: usize,
    order: &[usize],
) -> Result<ValueId, Reject> {
    let shape = cx.input_shape(input)?;
    let count = order.iter().max().map_or(0, |m| m + 1);
    if shape.len() <= axis || shape[axis] < count.saturating_mul(cells) {
        return Err(Reject::malformed(format!("input {input} is {shape:?}")));
    }
    if let Some(t) = cx.constant(input).cloned() {
        let outer: usize = shape[..axis].iter().product();
        let inner = shape[axis + 1..].iter().product::<usize>() * t.dtype().size();
        let mut data = Vec::new();
        for o in 0..outer {
            for part in order {
                let from = (o * shape[axis] + part * cells) * inner;
                data.extend_from_slice(&t.bytes()[from..from + cells * inner]);
            }
        }
        let mut new = shape;
        new[axis] = order.len() * cells;
        let tensor = Tensor::new(t.dtype(), new, data.into())?;
        return cx.konst(&format!("input{input}"), tensor);
    }
    let id = cx.input(input)?;
    let mut pieces = Vec::new();
    for part in order {
        let mut len = shape.clone();
        let mut start = vec![0; shape.len()];
        (start[axis], len[axis]) = (part * cells, cells);
        let step = vec![1; shape.len()];
        pieces.push(cx.aux(Slice { start, len, step }, &[id])?);
    }
    match pieces.as_slice() {
        [one] => Ok(*one),
        many => cx.aux(Concat { axis }, many),
    }
}

/// The two biases, that of the input and that of the state, added.
fn bias(cx: &mut Cx<'_, '_>, layer: &Layer, order: &[usize]) -> Result<ValueId, Reject> {
    let gates = order.len();
    if !cx.has(3) {
        return zeros(cx, &[layer.directions, gates * layer.cells]);
    }
    let second: Vec<usize> = order.iter().map(|g| g + gates).collect();
    let first = parts(cx, 3, 1, layer.cells, order)?;
    let second = parts(cx, 3, 1, layer.cells, &second)?;
    match (cx.build.plain_const(first), cx.build.plain_const(second)) {
        (Some(a), Some(b)) => {
            let sum = a.to_f32().iter().zip(b.to_f32()).map(|(a, b)| a + b).collect();
            let sum = Tensor::from_vec(a.shape(), sum)?.cast(a.dtype());
            cx.konst("bias", sum)
        }
        _ => cx.aux(Binary::new(BinaryFn::Add), &[first, second]),
    }
}

fn lstm(cx: &mut Cx<'_, '_>) -> Outcome {
    // The file's order is input, output, forget, cell.
    const ORDER: [usize; 4] = [0, 2, 3, 1];
    let layer = Layer::read(cx, &["sigmoid", "tanh", "tanh"])?;
    let x = cx.input(0)?;
    let mut operands = vec![
        x,
        parts(cx, 1, 1, layer.cells, &ORDER)?,
        parts(cx, 2, 1, layer.cells, &ORDER)?,
        bias(cx, &layer, &ORDER)?,
        layer.state(cx, 5)?,
        layer.state(cx, 6)?,
    ];
    let lengths = cx.opt_input(4)?;
    if cx.has(7) {
        operands.push(parts(cx, 7, 1, layer.cells, &[0, 2, 1])?);
    } else if lengths.is_some() {
        operands.push(zeros(cx, &[layer.directions, 3 * layer.cells])?);
    }
    operands.extend(lengths);
    let functions = layer.functions.chunks_exact(3).map(|f| [f[0], f[1], f[2]]).collect();
    let op = Lstm {
        direction: layer.direction,
        batch_major: layer.batch_major,
        functions,
        clip: layer.clip,
        cell_clip: 0.0,
        input_forget: cx.flag("input_forget", false)?,
    };
    let outputs = cx.emit_many(op, &operands)?;
    layer.finish(cx, &outputs)
}

fn gru(cx: &mut Cx<'_, '_>) -> Outcome {
    let layer = Layer::read(cx, &["sigmoid", "tanh"])?;
    let (x, w, r) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let b = match cx.opt_input(3)? {
        Some(b) => b,
        None => zeros(cx, &[layer.directions, 6 * layer.cells])?,
    };
    let mut operands = vec![x, w, r, b, layer.state(cx, 5)?];
    operands.extend(cx.opt_input(4)?);
    let functions = layer.functions.chunks_exact(2).map(|f| [f[0], f[1]]).collect();
    let op = Gru {
        direction: layer.direction,
        batch_major: layer.batch_major,
        functions,
        clip: layer.clip,
        linear_before_reset: cx.flag("linear_before_reset", false)?,
    };
    let outputs = cx.emit_many(op, &operands)?;
    layer.finish(cx, &outputs)
}

fn rnn(cx: &mut Cx<'_, '_>) -> Outcome {
    let layer = Layer::read(cx, &["tanh"])?;
    let (x, w, r) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let mut operands = vec![x, w, r, bias(cx, &layer, &[0])?, layer.state(cx, 5)?];
    operands.extend(cx.opt_input(4)?);
    let op = Rnn {
        direction: layer.direction,
        batch_major: layer.batch_major,
        functions: layer.functions.clone(),
        clip: layer.clip,
    };
    let outputs = cx.emit_many(op, &operands)?;
    layer.finish(cx, &outputs)
}

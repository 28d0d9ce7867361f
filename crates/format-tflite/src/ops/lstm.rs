//! Long short-term memory.
//!
//! Operands: 0 the input; 1 to 4 weights of the input and 5 to 8 of the hidden state, for the input,
//! forget, cell and output gates; 9 to 11 peepholes of the input, forget and output gates; 12 to 15
//! biases; 16 and 17 a projection; 18 the hidden and 19 the cell state; 20 to 23 layer normalization.
//! Without weights of the input gate, that gate is one less the forget gate.

use super::{Read, Write, of, real_weights, required};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, UnidirectionalSequenceLstmOptions};
use paring_ir::ValueId;
use paring_ir::ops::{Direction, GateFn, Lstm, Reshape};
use paring_tensor::{ConstData, DType, Quant, Tensor};

pub(super) const READERS: &[(&str, Read)] = &[
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", |cx| {
        let options = required!(cx, UnidirectionalSequenceLstmOptions);
        if options.diagonal_recurrent_tensors()? {
            return Err(ReadError::unsupported("diagonal recurrent weights"));
        }
        let settings = Settings {
            function: options.fused_activation_function()?,
            cell_clip: options.cell_clip()?,
            batch_major: !options.time_major()?,
        };
        let x = cx.input(0)?;
        lstm(cx, x, &settings)
    }),
    ("LSTM", |cx| {
        let options = required!(cx, LstmOptions);
        if options.kernel_type()? != 0 {
            return Err(ReadError::unsupported(
                "the basic kernel; convert the model with a current converter",
            ));
        }
        let settings = Settings {
            function: options.fused_activation_function()?,
            cell_clip: options.cell_clip()?,
            batch_major: false,
        };
        // One step: time becomes an axis.
        let x = cx.input(0)?;
        let mut shape = cx.shape(x)?;
        shape.insert(0, 1);
        let x = cx.before("step", Reshape::to(&shape), &[x])?;
        lstm(cx, x, &settings)
    }),
];

struct Settings {
    function: i8,
    cell_clip: f32,
    batch_major: bool,
}

/// The functions of the gates, of the cell's input and of its output; the usual ones are not stated.
fn functions(code: i8) -> Result<Vec<[GateFn; 3]>> {
    let f = match code {
        4 => return Ok(Vec::new()),
        0 => GateFn::Affine { alpha: 1.0, beta: 0.0 },
        1 => GateFn::Relu,
        _ => return Err(ReadError::unsupported(format!("activation {code} inside of the cell"))),
    };
    Ok(vec![[GateFn::Sigmoid, f, f]])
}

fn lstm(cx: &mut OpCx<'_, '_>, x: ValueId, settings: &Settings) -> Result<()> {
    let here = |cx: &OpCx<'_, '_>, k: usize| cx.input_info(k).is_some();
    if (16..18).any(|k| here(cx, k)) {
        return Err(ReadError::unsupported("a projection"));
    }
    if (20..24).any(|k| here(cx, k)) {
        return Err(ReadError::unsupported("layer normalization"));
    }
    let coupled = !here(cx, 1);
    let quantized = cx.ty(x).quant.is_some();
    let peepholes = here(cx, 10);
    if quantized && (coupled || peepholes || settings.function != 4) {
        return Err(ReadError::unsupported(
            "coupled gates, peepholes or another function than tanh in integers",
        ));
    }
    if !settings.cell_clip.is_finite() || settings.cell_clip < 0.0 {
        return Err(ReadError::malformed(format!("the cell is clipped at {}", settings.cell_clip)));
    }
    let cells = cx.input_info(2).and_then(|i| i.shape.first().copied());
    let cells = cells.ok_or_else(|| ReadError::malformed("has no weights of the forget gate"))?;
    let batch_axis = usize::from(!settings.batch_major);
    let (&[first, second, depth], shape) = (cx.shape(x)?.as_slice(), cx.shape(x)?) else {
        return Err(ReadError::malformed("the input is not a batch of sequences"));
    };
    let batch = shape[batch_axis];
    let rows = cells.checked_mul(4).ok_or_else(|| ReadError::malformed("too many cells"))?;

    let w = gates(cx, 1, coupled, &[1, rows, depth], "input_weights")?;
    let r = gates(cx, 5, coupled, &[1, rows, cells], "hidden_weights")?;
    let b = gates(cx, 12, coupled, &[1, rows], "biases")?;
    let h = cx.state(18, &[1, batch, cells])?;
    let c = cx.state(19, &[1, batch, cells])?;
    // The hidden state before a projection; without one it is the state.
    let hidden = if quantized { cx.intermediate(4)?.and_then(|ty| ty.quant) } else { None };
    if hidden.is_some() && hidden != cx.ty(h).quant {
        return Err(ReadError::unsupported("a hidden state quantized unlike the output"));
    }
    let mut inputs = vec![x, real_weights(cx, x, w)?, real_weights(cx, x, r)?, b, h, c];
    if peepholes {
        let absent = Tensor::zeros(paring_tensor::DType::F32, [cells])?;
        let input = match (here(cx, 9), coupled) {
            (true, _) => cx.known(9)?,
            // As the other parameters of coupled gates, see `gates`.
            (false, true) => {
                let forget = cx.known(10)?.to_f32().into_iter().map(|x| -x).collect();
                Tensor::from_vec([cells], forget)?
            }
            (false, false) => absent,
        };
        let parts = [(input, None), (cx.known(10)?, None), (cx.known(11)?, None)];
        inputs.push(stack(cx, parts.into(), &[1, 3 * cells], "peepholes")?);
    }
    let op = Lstm {
        direction: Default::default(),
        batch_major: settings.batch_major,
        functions: functions(settings.function)?,
        clip: 0.0,
        cell_clip: settings.cell_clip,
        input_forget: coupled,
    };
    let mut all = cx.result_type(0, &op, &inputs)?;
    all.shape = if settings.batch_major {
        [first, second, 1, cells].into()
    } else {
        [first, 1, second, cells].into()
    };
    let types = vec![all, cx.ty(h).clone(), cx.ty(c).clone()];
    let outputs = cx.before_as("steps", op, &inputs, types)?;
    cx.set_state(18, outputs[1])?;
    cx.set_state(19, outputs[2])?;
    let result: Vec<usize> = cx.output_info(0)?.shape.clone();
    let total = first.checked_mul(second).and_then(|n| n.checked_mul(cells));
    let result = match result.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)) == total {
        true => result,
        false => vec![first, second, cells],
    };
    cx.emit(Reshape::to(&result), &[outputs[0]])
}

/// A gate's parameters and, where they are quantized, their scale.
type Part = (Tensor, Option<f32>);

/// The parameters of the four gates that begin at operand `k`, one under another.
///
/// With coupled gates the graph's op takes the forget gate from the input gate. So the input gate gets
/// the forget gate's parameters with the other sign: `sigmoid(-z)` is one less `sigmoid(z)`.
fn gates(
    cx: &mut OpCx<'_, '_>,
    k: usize,
    coupled: bool,
    shape: &[usize],
    name: &str,
) -> Result<ValueId> {
    let mut parts = Vec::with_capacity(4);
    for gate in 0..4 {
        if gate == 0 && coupled {
            let (forget, _) = part(cx, k + 1)?;
            if forget.dtype() != paring_tensor::DType::F32 {
                return Err(ReadError::unsupported("coupled gates of quantized weights"));
            }
            let negative = forget.to_f32().into_iter().map(|x| -x).collect();
            parts.push((Tensor::from_vec(forget.shape(), negative)?, None));
        } else {
            parts.push(part(cx, k + gate)?);
        }
    }
    stack(cx, parts, shape, name)
}

fn part(cx: &mut OpCx<'_, '_>, k: usize) -> Result<Part> {
    let value = cx.input(k)?;
    let tensor = cx.known(k)?;
    match &cx.ty(value).quant {
        None => Ok((tensor, None)),
        Some(quant) => match quant.as_per_tensor() {
            Some((scale, 0)) => Ok((tensor, Some(scale))),
            _ => Err(ReadError::unsupported(format!("input {k} is not quantized symmetrically"))),
        },
    }
}

/// One constant of several, with one scale for the rows of each.
fn stack(cx: &mut OpCx<'_, '_>, parts: Vec<Part>, shape: &[usize], name: &str) -> Result<ValueId> {
    let dtype = parts[0].0.dtype();
    if parts.iter().any(|(t, _)| t.dtype() != dtype || t.len() != parts[0].0.len()) {
        return Err(ReadError::malformed(format!(
            "the {name} of the gates differ in size or type"
        )));
    }
    let total: usize = parts.iter().map(|(t, _)| t.bytes().len()).sum();
    cx.import.budget.take(total)?;
    let bytes = parts.iter().flat_map(|(t, _)| t.bytes().iter().copied()).collect();
    let rows = shape.get(1).copied().unwrap_or(0) / parts.len();
    let scales: Option<Vec<f32>> = parts.iter().map(|(_, scale)| *scale).collect();
    let quant = scales.map(|scales| {
        let each = scales.iter().flat_map(|s| std::iter::repeat_n(*s, rows)).collect();
        Quant::symmetric(1, each)
    });
    cx.constant(name, Tensor::new(dtype, shape, bytes)?, quant)
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Lstm>, write)];

/// A constant operand, or the stored numbers behind a dequantized one.
fn weights<'g>(
    cx: &NodeCx<'_, 'g>,
    k: usize,
) -> Result<(&'g ConstData, Option<&'g Quant>), Refused> {
    let graph = cx.export.graph;
    let value = cx.value(k)?;
    let stored = graph.producer(value).and_then(|n| n.inputs().first().copied()).unwrap_or(value);
    let data = graph.constant(stored).ok_or_else(|| format!("operand {k} is not constant"))?;
    Ok((data, graph.ty(stored).quant.as_ref()))
}

/// The gates in the order of their parameters.
const GATES: [&str; 4] = ["input", "forget", "cell", "output"];

/// The parameters of each gate as a tensor of their own.
fn unstack(
    cx: &mut NodeCx<'_, '_>,
    k: usize,
    shape: &[usize],
    what: &str,
    gates: &[&str],
) -> Result<Vec<i32>, Refused> {
    let coupled = cx.op::<Lstm>()?.input_forget;
    let (data, quant) = weights(cx, k)?;
    let dense = data.dense();
    let bytes = dense.bytes().len() / gates.len();
    let rows = shape.first().copied().unwrap_or(0);
    let mut tensors = Vec::with_capacity(gates.len());
    for (gate, name) in gates.iter().enumerate() {
        if coupled && gate == 0 {
            tensors.push(-1);
            continue;
        }
        // The forget gate of coupled ones is one less the input gate: `sigmoid(-z)` for `sigmoid(z)`.
        let negative = coupled && gate == 1;
        let from = if negative { 0 } else { gate };
        let part = dense.bytes().slice(from * bytes..(from + 1) * bytes);
        let mut part = Tensor::new(dense.dtype(), shape, part).map_err(|e| e.to_string())?;
        if negative {
            if dense.dtype() != DType::F32 {
                return Err("coupled gates of quantized weights".to_owned());
            }
            let numbers = part.to_f32().into_iter().map(|x| -x).collect();
            part = Tensor::from_vec(shape, numbers).map_err(|e| e.to_string())?;
        }
        let fail = || "the format has one scale for the weights of a gate".to_owned();
        let quant = match quant {
            None => None,
            Some(quant) => {
                let all = quant.scales();
                let own = if all.len() == 1 { all } else { &all[gate * rows..(gate + 1) * rows] };
                let scale = *own.first().ok_or_else(fail)?;
                if own.iter().any(|s| *s != scale) || !quant.is_symmetric() {
                    return Err(fail());
                }
                Some(Quant::per_tensor(scale, 0))
            }
        };
        tensors.push(cx.constant(&format!("{name}_{what}"), &part.into(), quant.as_ref())?);
    }
    Ok(tensors)
}

/// The states lose their axis of directions.
fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Lstm = cx.op()?;
    if op.direction != Direction::Forward || op.clip != 0.0 {
        return Err("the format has plain forward layers only".to_owned());
    }
    if cx.node.inputs().len() > 7 {
        return Err("the format has no lengths of sequences".to_owned());
    }
    let fused_activation_function = match op.functions.as_slice() {
        [] | [[GateFn::Sigmoid, GateFn::Tanh, GateFn::Tanh]] => 4,
        [[GateFn::Sigmoid, GateFn::Relu, GateFn::Relu]] => 1,
        other => return Err(format!("the format has no cells of {other:?}")),
    };
    let graph = cx.export.graph;
    let states = cx.node.outputs().iter().skip(1);
    if states.into_iter().any(|v| !graph.value(*v).uses().is_empty()) {
        return Err("the last state is read, which the format does not give".to_owned());
    }
    let x = cx.shape(cx.input_type(0)?)?;
    let r = cx.shape(cx.input_type(2)?)?;
    let (&[first, second, depth], &[_, _, cells]) = (x.as_slice(), r.as_slice()) else {
        return Err("operands have other shapes than the op wants".to_owned());
    };
    let batch = if op.batch_major { first } else { second };
    let w = unstack(cx, 1, &[cells, depth], "weights", &GATES)?;
    let r = unstack(cx, 2, &[cells, cells], "recurrent_weights", &GATES)?;
    let b = unstack(cx, 3, &[cells], "bias", &GATES)?;
    let peepholes = match cx.node.inputs().len() {
        7 => unstack(cx, 6, &[cells], "peephole", &["input", "forget", "output"])?,
        _ => vec![-1; 3],
    };
    let (h, c) = (cx.value(4)?, cx.value(5)?);
    let h = cx.export.state(h, &[batch, cells])?;
    let c = cx.export.state(c, &[batch, cells])?;
    let mut inputs = vec![cx.input(0)?];
    inputs.extend(w);
    inputs.extend(r);
    inputs.extend(peepholes);
    inputs.extend(b);
    inputs.extend([-1, -1, h, c, -1, -1, -1, -1]);
    let ty = cx.output_type(0)?;
    // The format's output has no axis of directions. A reshape that takes it away is written with it.
    let flat = [first, second, cells];
    let reshape = cx.node.outputs().first().and_then(|v| graph.only_user(*v)).filter(|n| {
        let shape = n.outputs().first().map(|v| &graph.ty(*v).shape);
        n.op_as::<Reshape>().is_some() && shape == Some(&flat.into())
    });
    let all = match reshape.and_then(|n| n.outputs().first()) {
        Some(value) => cx.export.tensor(*value)?,
        None => cx.between("all", ty.dtype, &flat, ty.quant.as_ref())?,
    };
    let options = UnidirectionalSequenceLstmOptions {
        fused_activation_function,
        cell_clip: op.cell_clip,
        time_major: !op.batch_major,
        ..Default::default()
    };
    let options = BuiltinOptions::UnidirectionalSequenceLstmOptions(Box::new(options));
    cx.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", Some(options), inputs, vec![all])?;
    if ty.quant.is_some() {
        // Runtimes expect five tensors here; only the scale of the hidden state matters.
        let mut own = Vec::with_capacity(5);
        for i in 0..4 {
            own.push(cx.between(&format!("intermediate_{i}"), DType::F32, &[0], None)?);
        }
        let hidden = cx.input_type(4)?;
        own.push(cx.between("hidden", hidden.dtype, &[0], hidden.quant.as_ref())?);
        cx.export.intermediates(own);
    }
    if let Some(reshape) = reshape {
        cx.export.done.insert(reshape.id);
        return Ok(());
    }
    let shape = cx.shape(ty)?;
    let (shape, output) = (cx.sizes(&shape)?, cx.output(0)?);
    cx.operator("RESHAPE", None, vec![all, shape], vec![output])
}

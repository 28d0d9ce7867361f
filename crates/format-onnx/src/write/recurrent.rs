//! Recurrent layers.

use super::{Layout, Refused, Writer, Written, attribute, float, int, text, writers};
use crate::proto::AttributeProto;
use paring_ir::Node;
use paring_ir::ops::{Direction, GateFn, Gru, Lstm, Rnn};
use paring_tensor::Tensor;

writers! {
    Lstm => lstm,
    Gru => gru,
    Rnn => rnn,
}

/// What the layers state alike.
struct Layer<'a> {
    op: &'static str,
    direction: Direction,
    batch_major: bool,
    clip: f32,
    functions: Vec<GateFn>,
    /// For each gate of the file, the gate of ours.
    order: &'a [usize],
    /// Whether the bias has a part for the state already.
    two_biases: bool,
    /// Operands that are states.
    states: usize,
    peepholes: bool,
}

/// Rows of gates in the file's order.
fn reordered(t: &Tensor, cells: usize, order: &[usize]) -> Result<Tensor, Refused> {
    let shape = t.shape().to_vec();
    let row = shape[2..].iter().product::<usize>() * t.dtype().size() * cells;
    let gates = shape[1] / cells.max(1);
    let mut data = Vec::with_capacity(t.bytes().len());
    for d in 0..shape[0] {
        for g in order {
            let from = (d * gates + g) * row;
            data.extend_from_slice(&t.bytes()[from..from + row]);
        }
    }
    Ok(Tensor::new(t.dtype(), shape, data.into())?)
}

fn write(
    w: &mut Writer<'_>,
    node: &Node,
    layer: &Layer<'_>,
    mut attributes: Vec<AttributeProto>,
) -> Written {
    if node.inputs().iter().chain(node.outputs()).any(|v| w.graph.ty(*v).quant.is_some()) {
        return Err(Refused("a quantized recurrent layer; dequantize it first".to_owned()));
    }
    let constant = |w: &Writer<'_>, i: usize| {
        let value = w.value(node.inputs()[i]);
        value
            .constant()
            .map(|c| (value.name.clone(), c.dense()))
            .ok_or_else(|| Refused(format!("weights that are computed (operand {i})")))
    };
    let cells = w.extents(node.inputs()[2])?[2];
    // Time is outside in the file: ONNX Runtime has no kernels for the other layout.
    let x = w.operand(node, 0)?;
    let mut operands = vec![if layer.batch_major { w.transpose(&x, &[1, 0, 2]) } else { x }];
    for i in [1, 2] {
        let (name, t) = constant(w, i)?;
        let t = reordered(&t, cells, layer.order)?;
        operands.push(w.constant(&name, &t));
    }
    let (name, b) = constant(w, 3)?;
    let b = if layer.two_biases {
        b
    } else {
        let b = reordered(&b, cells, layer.order)?;
        let (directions, n) = (b.shape()[0], b.shape()[1]);
        let values = b.to_f32();
        let both = values.chunks_exact(n.max(1)).flat_map(|row| {
            row.iter().copied().chain(std::iter::repeat_n(0.0, n)).collect::<Vec<f32>>()
        });
        Tensor::from_vec([directions, 2 * n], both.collect())?
    };
    operands.push(w.constant(&name, &b));
    let optional = 4 + layer.states;
    let lengths = optional + usize::from(layer.peepholes);
    operands.push(if node.inputs().len() > lengths {
        w.stored(node.inputs()[lengths], Layout::Own)?
    } else {
        String::new()
    });
    for i in 4..optional {
        operands.push(w.operand(node, i)?);
    }
    if layer.peepholes && node.inputs().len() > optional {
        let (name, p) = constant(w, optional)?;
        let p = reordered(&p, cells, &[0, 2, 1])?;
        operands.push(w.constant(&name, &p));
    }
    let direction = match layer.direction {
        Direction::Forward => "forward",
        Direction::Reverse => "reverse",
        Direction::Both => "bidirectional",
    };
    attributes.push(text("direction", direction));
    attributes.push(int("hidden_size", cells as i64));
    if layer.clip != 0.0 {
        attributes.push(float("clip", layer.clip));
    }
    if !layer.functions.is_empty() {
        attributes.extend(functions(&layer.functions));
    }
    let names: Vec<String> =
        node.outputs().iter().map(|v| w.fresh(&w.graph.value(*v).name.clone())).collect();
    let inputs: Vec<&str> = operands.iter().map(String::as_str).collect();
    let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
    w.push(layer.op, &inputs, &outputs, attributes);
    w.name_last(node);
    for (i, (v, name)) in node.outputs().iter().zip(&names).enumerate() {
        let turned = i == 0 && layer.batch_major;
        let name = if turned { w.transpose(name, &[2, 0, 1, 3]) } else { name.clone() };
        w.names.insert((*v, Layout::Own), name);
    }
    Ok(())
}

fn functions(list: &[GateFn]) -> Vec<AttributeProto> {
    let (mut names, mut alphas, mut betas) = (Vec::new(), Vec::new(), Vec::new());
    for f in list {
        let (name, alpha, beta) = match *f {
            GateFn::Sigmoid => ("Sigmoid", None, None),
            GateFn::Tanh => ("Tanh", None, None),
            GateFn::Relu => ("Relu", None, None),
            GateFn::HardSigmoid { alpha, beta } => ("HardSigmoid", Some(alpha), Some(beta)),
            GateFn::LeakyRelu { alpha } => ("LeakyRelu", Some(alpha), None),
            GateFn::ThresholdedRelu { alpha } => ("ThresholdedRelu", Some(alpha), None),
            GateFn::ScaledTanh { alpha, beta } => ("ScaledTanh", Some(alpha), Some(beta)),
            GateFn::Elu { alpha } => ("Elu", Some(alpha), None),
            GateFn::Affine { alpha, beta } => ("Affine", Some(alpha), Some(beta)),
            GateFn::Softsign => ("Softsign", None, None),
            GateFn::Softplus => ("Softplus", None, None),
        };
        names.push(bytes::Bytes::from_static(name.as_bytes()));
        alphas.extend(alpha);
        betas.extend(beta);
    }
    // Lists of strings and of floats, by the numbers of `AttributeProto.AttributeType`.
    let floats = |name: &str, list: Vec<f32>| AttributeProto { floats: list, ..attribute(name, 6) };
    vec![
        AttributeProto { strings: names, ..attribute("activations", 8) },
        floats("activation_alpha", alphas),
        floats("activation_beta", betas),
    ]
}

fn lstm(w: &mut Writer<'_>, op: &Lstm, node: &Node) -> Written {
    if op.cell_clip != 0.0 {
        return Err(Refused("a bound on the cell state".to_owned()));
    }
    let layer = Layer {
        op: "LSTM",
        direction: op.direction,
        batch_major: op.batch_major,
        clip: op.clip,
        functions: op.functions.concat(),
        // Input, output, forget, cell.
        order: &[0, 3, 1, 2],
        two_biases: false,
        states: 2,
        peepholes: node.inputs().len() > 6,
    };
    write(w, node, &layer, vec![int("input_forget", i64::from(op.input_forget))])
}

fn gru(w: &mut Writer<'_>, op: &Gru, node: &Node) -> Written {
    let layer = Layer {
        op: "GRU",
        direction: op.direction,
        batch_major: op.batch_major,
        clip: op.clip,
        functions: op.functions.concat(),
        order: &[0, 1, 2],
        two_biases: true,
        states: 1,
        peepholes: false,
    };
    let linear = i64::from(op.linear_before_reset);
    write(w, node, &layer, vec![int("linear_before_reset", linear)])
}

fn rnn(w: &mut Writer<'_>, op: &Rnn, node: &Node) -> Written {
    let layer = Layer {
        op: "RNN",
        direction: op.direction,
        batch_major: op.batch_major,
        clip: op.clip,
        functions: op.functions.clone(),
        order: &[0],
        two_biases: false,
        states: 1,
        peepholes: false,
    };
    write(w, node, &layer, Vec::new())
}

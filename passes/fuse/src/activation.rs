use paring_ir::ops::{Activation, Binary, BinaryFn, Conv2d, Dense, Pool, Unary};
use paring_ir::{Graph, GraphError, Node, OpRef, Patch, ValueId};
use paring_pass::{Verdict, consts};
use paring_tensor::DType;
use std::sync::Arc;

/// The bounds of a clamp of plain numbers and what it clamps.
fn clamp_of(graph: &Graph, node: &Node) -> Option<(f32, f32, ValueId)> {
    let &output = node.outputs().first()?;
    if graph.ty(output).dtype != DType::F32 {
        return None;
    }
    if let Some(unary) = node.op_as::<Unary>() {
        let (low, high) = match unary {
            Unary::Relu => Activation::Relu.bounds(),
            Unary::Relu6 => Activation::Relu6.bounds(),
            Unary::ReluN1To1 => Activation::ReluN1To1.bounds(),
            Unary::Clip { min, max } => (*min, *max),
            _ => return None,
        };
        return Some((low, high, node.inputs()[0]));
    }
    let binary = node.op_as::<Binary>()?;
    let &[a, b] = node.inputs() else { return None };
    let (x, bound) = match (consts::splat(graph, a), consts::splat(graph, b)) {
        (None, Some(c)) => (a, c),
        (Some(c), None) => (b, c),
        _ => return None,
    };
    if graph.ty(x).shape != graph.ty(output).shape {
        return None;
    }
    let (low, high) = match binary.f {
        BinaryFn::Max => (bound, f32::INFINITY),
        BinaryFn::Min => (f32::NEG_INFINITY, bound),
        _ => return None,
    };
    let (l, h) = binary.activation.bounds();
    Some((low.clamp(l, h), high.clamp(l, h), x))
}

/// The fused activation with these bounds.
fn named(low: f32, high: f32) -> Option<Activation> {
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::ReluN1To1]
        .into_iter()
        .find(|a| a.bounds() == (low, high))
}

/// Writes maxima, minima and chains of clamps as the one unary op that they are.
pub(crate) fn canonical(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some((mut low, mut high, mut x)) = clamp_of(graph, node) else {
        return Ok(Verdict::NoMatch);
    };
    if let Some((l, h, inner)) = graph.producer(x).and_then(|n| clamp_of(graph, n)) {
        (low, high) = (l.clamp(low, high), h.clamp(low, high));
        x = inner;
    }
    if low.is_nan() || high.is_nan() || low > high {
        return Ok(Verdict::NoMatch);
    }
    let op = match named(low, high) {
        Some(Activation::Relu) => Unary::Relu,
        Some(Activation::Relu6) => Unary::Relu6,
        Some(Activation::ReluN1To1) => Unary::ReluN1To1,
        _ => Unary::Clip { min: low, max: high },
    };
    if node.op_as::<Unary>() == Some(&op) && node.inputs() == [x] {
        return Ok(Verdict::NoMatch);
    }
    let mut patch = Patch::new(graph, "clamp");
    let new = patch.node(graph, &node.name, op, &[x])?;
    patch.replace(node.outputs()[0], new[0]);
    Ok(Verdict::Patch(patch))
}

/// Makes a clamp the activation of the layer before it.
pub(crate) fn fuse(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some((low, high, x)) = clamp_of(graph, node) else { return Ok(Verdict::NoMatch) };
    let Some(layer) = graph.producer(x).filter(|_| graph.only_user(x).is_some()) else {
        return Ok(Verdict::NoMatch);
    };
    let Some(before) = activation_of(layer) else { return Ok(Verdict::NoMatch) };
    let (l, h) = before.bounds();
    let merged = (l.clamp(low, high), h.clamp(low, high));
    let Some(op) = named(merged.0, merged.1).and_then(|a| with_activation(layer, a)) else {
        return Ok(Verdict::NoMatch);
    };
    let mut patch = Patch::new(graph, "fuse-activation");
    let new = patch.node(graph, &layer.name, &op, layer.inputs())?;
    patch.replace(node.outputs()[0], new[0]);
    Ok(Verdict::Patch(patch))
}

fn activation_of(node: &Node) -> Option<Activation> {
    if let Some(op) = node.op_as::<Conv2d>() {
        Some(op.activation)
    } else if let Some(op) = node.op_as::<Dense>() {
        Some(op.activation)
    } else if let Some(op) = node.op_as::<Pool>() {
        Some(op.activation)
    } else {
        let op = node.op_as::<Binary>()?;
        arithmetic(op.f).then_some(op.activation)
    }
}

fn arithmetic(f: BinaryFn) -> bool {
    matches!(f, BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul | BinaryFn::Div)
}

fn with_activation(node: &Node, activation: Activation) -> Option<OpRef> {
    Some(if let Some(op) = node.op_as::<Conv2d>() {
        Arc::new(Conv2d { activation, ..op.clone() })
    } else if node.op.is::<Dense>() {
        Arc::new(Dense { activation })
    } else if let Some(op) = node.op_as::<Pool>() {
        Arc::new(Pool { activation, ..op.clone() })
    } else {
        Arc::new(Binary { activation, ..node.op_as::<Binary>()?.clone() })
    })
}

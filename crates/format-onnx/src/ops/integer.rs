//! Integer forms of operators that stand between dequantization and quantization.

use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ops::{
    Activation, Binary, BinaryFn, Concat, Conv2d, ConvTranspose2d, Dense, Dequantize, MatMul, Pool,
    PoolKind, Quantize, Reduce, ReduceFn, Reshape, Resize, ResizeMethod, Softmax, Transpose, Unary,
};
use paring_ir::{NodeId, OpRef, ValueId};
use paring_tensor::{DType, Quant, Tensor, TensorType};
use std::sync::Arc;

/// The quantized value that a value is the real numbers of, if it is one with a single scale.
pub(super) fn stored(cx: &Cx<'_, '_>, x: ValueId) -> Option<ValueId> {
    let graph = &cx.build.graph;
    let node = graph.producer(x).filter(|n| n.op.is::<Dequantize>())?;
    let from = node.inputs()[0];
    graph.ty(from).quant.as_ref()?.as_per_tensor().map(|_| from)
}

/// `x`, real numbers that a float node computes from dequantized values, computed in integers instead
/// and quantized as `ty` says. `None` where there is no integer form. The float node is left behind
/// and goes if nothing else reads it.
pub(super) fn form(
    cx: &mut Cx<'_, '_>,
    x: ValueId,
    ty: &TensorType,
) -> Result<Option<ValueId>, Reject> {
    let Some(quant) = &ty.quant else { return Ok(None) };
    if quant.as_per_tensor().is_none() || !matches!(ty.dtype, DType::I8 | DType::U8 | DType::I16) {
        return Ok(None);
    }
    // What comes between the node that computes and the quantization: moves, and a clamp.
    let mut moves: Vec<OpRef> = Vec::new();
    let mut activation = Activation::None;
    let mut at = x;
    let node = loop {
        let Some(node) = cx.build.graph.producer(at) else { return Ok(None) };
        let clamp = match node.op_as::<Unary>() {
            Some(Unary::Relu) => Activation::Relu,
            Some(Unary::Relu6) => Activation::Relu6,
            Some(Unary::ReluN1To1) => Activation::ReluN1To1,
            _ => Activation::None,
        };
        let through = node.op.is::<Transpose>() || node.op.is::<Reshape>();
        let input = node.inputs().first().copied();
        match input {
            // A clamp of a dequantized value is a node of its own.
            Some(from)
                if !clamp.is_none() && activation.is_none() && stored(cx, from).is_none() =>
            {
                activation = clamp;
                at = from;
            }
            Some(from) if through => {
                moves.push(node.op.clone());
                at = from;
            }
            _ => break node.id,
        }
    };
    let Some(mut y) = compute(cx, node, activation, ty)? else { return Ok(None) };
    for op in moves.into_iter().rev() {
        y = cx.emit(op, &[y])?;
    }
    Ok(Some(y))
}

/// The node itself on stored numbers.
fn compute(
    cx: &mut Cx<'_, '_>,
    node: NodeId,
    activation: Activation,
    ty: &TensorType,
) -> Result<Option<ValueId>, Reject> {
    let (op, inputs, name, shape) = {
        let node = cx.build.graph.node(node);
        let shape = node.outputs().first().map(|o| cx.ty(*o).shape.clone()).unwrap_or_default();
        (node.op.clone(), node.inputs().to_vec(), node.name.clone(), shape)
    };
    let clamped = |own: Activation| own.is_none() || activation.is_none();
    let either = |own: Activation| if own.is_none() { activation } else { own };
    let plain = activation.is_none();
    let mut same_scale = false;
    let (op, operands): (OpRef, Vec<ValueId>) = if let Some(o) = op.downcast_ref::<Conv2d>() {
        let Some(operands) = weighted(cx, &inputs, &name)? else { return Ok(None) };
        (Arc::new(Conv2d { activation: either(o.activation), ..o.clone() }), operands)
    } else if let Some(o) = op.downcast_ref::<ConvTranspose2d>() {
        let Some(operands) = weighted(cx, &inputs, &name)? else { return Ok(None) };
        (Arc::new(ConvTranspose2d { activation: either(o.activation), ..o.clone() }), operands)
    } else if let Some(o) = op.downcast_ref::<Dense>() {
        let Some(operands) = weighted(cx, &inputs, &name)? else { return Ok(None) };
        (Arc::new(Dense { activation: either(o.activation) }), operands)
    } else {
        let all: Option<Vec<ValueId>> = inputs.iter().map(|v| stored(cx, *v)).collect();
        let Some(all) = all else { return Ok(None) };
        if let Some(o) = op.downcast_ref::<Binary>() {
            let arithmetic = matches!(o.f, BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul);
            if !arithmetic || !clamped(o.activation) {
                return Ok(None);
            }
            (Arc::new(Binary { activation: either(o.activation), ..o.clone() }), all)
        } else if let Some(o) = op.downcast_ref::<Pool>() {
            if o.kind != PoolKind::Average || !clamped(o.activation) {
                return Ok(None);
            }
            same_scale = true;
            (Arc::new(Pool { activation: either(o.activation), ..o.clone() }), all)
        } else if let Some(o) = op.downcast_ref::<Resize>() {
            if o.method == ResizeMethod::Cubic || !plain {
                return Ok(None);
            }
            same_scale = true;
            (op, all)
        } else if plain
            && (op.is::<MatMul>()
                || op.is::<Concat>()
                || op.is::<Softmax>()
                || op.downcast_ref::<Reduce>().is_some_and(|r| r.f == ReduceFn::Mean)
                || op.downcast_ref::<Unary>().is_some_and(|u| !matches!(u, Unary::Not)))
        {
            (op, all)
        } else {
            return Ok(None);
        }
    };
    let of_input = operands.first().map(|v| cx.ty(*v).clone());
    let softmax = op.is::<Softmax>().then(|| match ty.dtype {
        DType::I16 => Quant::per_tensor(1.0 / 32768.0, 0),
        DType::U8 => Quant::per_tensor(1.0 / 256.0, 0),
        _ => Quant::per_tensor(1.0 / 256.0, -128),
    });
    let computed = match of_input {
        // The integer softmax has one scale for its result.
        _ if softmax.is_some() => TensorType { shape, quant: softmax, ..ty.clone() },
        // These give numbers on the scale of their input, which are brought to another afterwards.
        Some(input) if same_scale => TensorType { shape, ..input },
        _ => TensorType { shape, ..ty.clone() },
    };
    cx.build.graph.rename_node(node, format!("{name}.float"));
    let output = (format!("{name}.stored"), computed.clone());
    let outputs = cx.build.graph.add_typed_node(name, &op, &operands, vec![output])?;
    let Some(&y) = outputs.first() else { return Ok(None) };
    if (computed.dtype, &computed.quant) == (ty.dtype, &ty.quant) {
        return Ok(Some(y));
    }
    requantized(cx, y, ty).map(Some)
}

/// A quantized value on another scale.
pub(super) fn requantized(
    cx: &mut Cx<'_, '_>,
    x: ValueId,
    ty: &TensorType,
) -> Result<ValueId, Reject> {
    let ty = TensorType { shape: cx.ty(x).shape.clone(), ..ty.clone() };
    let name = format!("{}.requantize", cx.name);
    let op = Quantize { ties_even: false };
    let outputs = cx.build.graph.add_typed_node(name.clone(), op, &[x], vec![(name, ty)])?;
    outputs.first().copied().ok_or_else(|| Reject::malformed("no output"))
}

/// Operands of a convolution or dense layer: stored input, stored weights, bias in `i32`.
fn weighted(
    cx: &mut Cx<'_, '_>,
    inputs: &[ValueId],
    name: &str,
) -> Result<Option<Vec<ValueId>>, Reject> {
    let &[x, w, ..] = inputs else { return Ok(None) };
    let Some(x) = stored(cx, x) else { return Ok(None) };
    let graph = &cx.build.graph;
    let Some(from) = graph.producer(w).filter(|n| n.op.is::<Dequantize>()) else {
        return Ok(None);
    };
    let w = from.inputs()[0];
    let (tx, tw) = (graph.ty(x), graph.ty(w));
    let (Some((x_scale, _)), Some(quant)) =
        (tx.quant.as_ref().and_then(Quant::as_per_tensor), &tw.quant)
    else {
        return Ok(None);
    };
    let eight = |d: DType| matches!(d, DType::I4 | DType::I8 | DType::U8);
    let zeros = quant.zero_points();
    let fits = match quant {
        Quant::PerTensor { .. } => true,
        Quant::PerAxis { axis: 0, .. } => zeros.windows(2).all(|w| w[0] == w[1]),
        _ => false,
    };
    if !fits || !eight(tw.dtype) || !(eight(tx.dtype) || tx.dtype == DType::I16) {
        return Ok(None);
    }
    let scales: Vec<f32> = quant.scales().iter().map(|s| s * x_scale).collect();
    let mut operands = vec![x, w];
    if let Some(&bias) = inputs.get(2) {
        let Some(real) = real_constant(cx, bias) else { return Ok(None) };
        let quant = match scales.as_slice() {
            [one] => Quant::per_tensor(*one, 0),
            _ => Quant::symmetric(0, scales),
        };
        let kept = cx.build.graph.producer(bias).map(|n| n.inputs()[0]).filter(|b| {
            let ty = cx.ty(*b);
            ty.dtype == DType::I32 && ty.quant.as_ref() == Some(&quant)
        });
        let stored = match kept {
            Some(b) => b,
            None => {
                let data = match quant.quantize(&real, DType::I32) {
                    Ok(data) => data,
                    Err(_) => return Ok(None),
                };
                cx.build.graph.add_const(format!("{name}.bias"), data, Some(quant))?
            }
        };
        operands.push(stored);
    }
    Ok(Some(operands))
}

/// The real numbers of a constant, or of one behind a dequantization.
fn real_constant(cx: &Cx<'_, '_>, id: ValueId) -> Option<Tensor> {
    let graph = &cx.build.graph;
    if let Some(data) = graph.constant(id) {
        return Some(data.dense());
    }
    let node = graph.producer(id).filter(|n| n.op.is::<Dequantize>())?;
    let value = graph.value(node.inputs()[0]);
    value.ty.quant.as_ref()?.dequantize(&value.constant()?.dense()).ok()
}

use paring_ir::ops::{
    Binary, BinaryFn, Concat, Pad, Pool, PoolKind, Quantize, Reshape, Slice, Transpose,
};
use paring_ir::{Graph, GraphError, Node, Patch};
use paring_pass::{Verdict, consts};
use paring_tensor::{DType, Tensor};

/// Removes nodes that give their operand back.
pub(crate) fn drop_identity(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let &[output] = node.outputs() else { return Ok(Verdict::NoMatch) };
    let Some(input) = unchanged(graph, node) else { return Ok(Verdict::NoMatch) };
    if graph.ty(input) != graph.ty(output) {
        return Ok(Verdict::NoMatch);
    }
    // An output of the graph stays something that is computed.
    if graph.is_visible(output) && graph.producer(input).is_none() {
        return Ok(Verdict::NoEffect);
    }
    let mut patch = Patch::new(graph, "drop-identity");
    patch.replace(output, input);
    if graph.value(input).range.is_none() {
        patch.set_range(input, graph.value(output).range);
    }
    Ok(Verdict::Patch(patch))
}

/// The operand that a node gives back bit for bit, if it does.
fn unchanged(graph: &Graph, node: &Node) -> Option<paring_ir::ValueId> {
    let &input = node.inputs().first()?;
    let ty = graph.ty(input);
    let same = if node.op.is::<Reshape>() {
        true
    } else if let Some(t) = node.op_as::<Transpose>() {
        t.perm.iter().enumerate().all(|(i, p)| i == *p)
    } else if let Some(p) = node.op_as::<Pad>() {
        p.pads.iter().all(|p| *p == [0, 0])
    } else if let Some(s) = node.op_as::<Slice>() {
        s.step.iter().zip(&s.len).all(|(step, len)| *step == 1 || *len == 1)
    } else if node.op.is::<Concat>() {
        node.inputs().len() == 1
    } else if let Some(p) = node.op_as::<Pool>() {
        p.kernel == [1, 1]
            && matches!(p.kind, PoolKind::Max | PoolKind::Average)
            && p.activation.is_none()
    } else if node.op.is::<Quantize>() {
        // Equal types, so the numbers are already those of the output's quantization. A
        // dequantization to those numbers in between changes nothing either.
        return match graph.producer(input) {
            Some(real) if real.op.is::<paring_ir::ops::Dequantize>() => {
                real.inputs().first().copied()
            }
            _ => ty.quant.is_some().then_some(input),
        };
    } else if let Some(b) = node.op_as::<Binary>() {
        let neutral = match b.f {
            BinaryFn::Mul | BinaryFn::Div => 1.0,
            BinaryFn::Sub => 0.0,
            _ => return None,
        };
        let &second = node.inputs().get(1)?;
        let plain = b.activation.is_none() && ty.dtype == DType::F32;
        let is_neutral =
            |v| consts::splat(graph, v).is_some_and(|c| c.to_bits() == f32::to_bits(neutral));
        if plain && b.f == BinaryFn::Mul && is_neutral(input) {
            return Some(second);
        }
        plain && is_neutral(second)
    } else {
        false
    };
    same.then_some(input)
}

/// Multiplies where a division by powers of two gives the same bits: backends have more kernels for products.
pub(crate) fn multiply_instead(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let (&[dividend, divisor], &[output]) = (node.inputs(), node.outputs()) else {
        return Ok(Verdict::NoMatch);
    };
    let Some(op) = node.op_as::<Binary>().filter(|b| b.f == BinaryFn::Div) else {
        return Ok(Verdict::NoMatch);
    };
    let is_power = |x: &f32| x.to_bits() << 9 == 0 && x.is_normal() && x.recip().is_normal();
    let powers = consts::dense_f32(graph, divisor).filter(|all| all.iter().all(is_power));
    let (Some(powers), Some(shape)) = (powers, graph.ty(divisor).shape.fixed()) else {
        return Ok(Verdict::NoMatch);
    };
    let factors: Vec<f32> = powers.into_iter().map(f32::recip).collect();
    let Ok(factors) = Tensor::from_vec(shape, factors) else { return Ok(Verdict::NoMatch) };
    let mut patch = Patch::new(graph, "multiply-instead");
    let factors =
        patch.constant(format!("{}/reciprocal", graph.value(divisor).name), factors, None);
    let product = Binary { f: BinaryFn::Mul, ..op.clone() };
    let new = patch.node(graph, &graph.value(output).name, product, &[dividend, factors])?;
    patch.set_range(new[0], graph.value(output).range);
    patch.replace(output, new[0]);
    Ok(Verdict::Patch(patch))
}

/// Merges reshapes of reshapes and transposes of transposes; turns transposes that keep the order of
/// all axes longer than 1 into reshapes.
pub(crate) fn merge_chain(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let (&[input], &[output]) = (node.inputs(), node.outputs()) else {
        return Ok(Verdict::NoMatch);
    };
    let name = &graph.value(output).name;
    if let Some(outer) = node.op_as::<Transpose>() {
        if let Some(inner) = graph.producer(input).and_then(|n| {
            let inner = n.op_as::<Transpose>()?;
            Some((inner.perm.clone(), *n.inputs().first()?))
        }) {
            let perm = outer.perm.iter().filter_map(|&p| inner.0.get(p).copied()).collect();
            let mut patch = Patch::new(graph, "merge-transposes");
            let new = patch.node(graph, name, Transpose { perm }, &[inner.1])?;
            patch.replace(output, new[0]);
            return Ok(Verdict::Patch(patch));
        }
        let long: Vec<usize> = outer
            .perm
            .iter()
            .copied()
            .filter(|&p| graph.ty(input).shape.dims()[p].fixed() != Some(1))
            .collect();
        let moves = long.windows(2).any(|w| w[0] > w[1]);
        let quantized_per_axis =
            graph.ty(input).quant.as_ref().is_some_and(|q| q.as_per_tensor().is_none());
        let identity = outer.perm.iter().enumerate().all(|(i, p)| i == *p);
        if !moves && !identity && !quantized_per_axis {
            let Some(shape) = target(graph, output) else { return Ok(Verdict::NoMatch) };
            let mut patch = Patch::new(graph, "transpose-to-reshape");
            let new = patch.node(graph, name, Reshape { shape }, &[input])?;
            patch.replace(output, new[0]);
            return Ok(Verdict::Patch(patch));
        }
    }
    if node.op.is::<Reshape>()
        && let Some(inner) = graph.producer(input).filter(|n| n.op.is::<Reshape>())
        && let Some(shape) = target(graph, output)
    {
        let mut patch = Patch::new(graph, "merge-reshapes");
        let new = patch.node(graph, name, Reshape { shape }, inner.inputs())?;
        patch.replace(output, new[0]);
        return Ok(Verdict::Patch(patch));
    }
    Ok(Verdict::NoMatch)
}

/// The shape of a value as a reshape states it, with -1 for its one symbol.
fn target(graph: &Graph, value: paring_ir::ValueId) -> Option<Vec<i64>> {
    let dims = graph.ty(value).shape.dims();
    if dims.iter().filter(|d| d.fixed().is_none()).count() > 1 {
        return None;
    }
    dims.iter().map(|d| d.fixed().map_or(Some(-1), |n| i64::try_from(n).ok())).collect()
}

use crate::link::{Link, channels};
use paring_ir::ops::{
    Binary, BinaryFn, Pad, PadMode, Pool, PoolKind, Quantize, Reduce, ReduceFn, Reshape, Resize,
    Slice, Unary,
};
use paring_ir::{Graph, Node, NodeId, ValueId};
use paring_tensor::DType;
use std::collections::HashMap;

/// For each value, the stored number that each of its channels has at every position, where there is
/// one.
pub type Constants = HashMap<ValueId, Vec<Option<f64>>>;

/// Follows constant channels from the layers that make them.
pub(crate) fn find(graph: &Graph, links: &HashMap<NodeId, Link>) -> Constants {
    let mut found = Constants::new();
    for id in graph.topological() {
        let node = graph.node(id);
        let Some(link) = links.get(&id) else { continue };
        let &output = &node.outputs()[0];
        let of = |v: ValueId| -> Vec<Option<f64>> {
            let blank = || vec![None; channels(graph, v).unwrap_or(0)];
            found.get(&v).cloned().unwrap_or_else(blank)
        };
        let x = of(node.inputs()[0]);
        let result: Vec<Option<f64>> = match link {
            Link::Layer(layer) | Link::Depthwise(layer, _) => {
                let depthwise = match link {
                    Link::Depthwise(_, multiplier) => Some(*multiplier),
                    _ => None,
                };
                (0..layer.outputs())
                    .map(|o| {
                        let mut sum = 0.0;
                        for i in 0..layer.reads() {
                            if layer.uses(o, i) {
                                let channel = depthwise.map_or(i, |m| o / m.max(1));
                                sum += layer.as_bias(o, i, x[channel]?)?;
                            }
                        }
                        layer.result(o, sum)
                    })
                    .collect()
            }
            Link::Concat => {
                // Operands of another scale are rescaled, which only the zero survives for certain.
                let part = |v: &ValueId| -> Vec<Option<f64>> {
                    of(*v).into_iter().map(|n| moved(graph, *v, output, n)).collect()
                };
                node.inputs().iter().flat_map(part).collect()
            }
            Link::Flatten => {
                let width = channels(graph, output).unwrap_or(0);
                (0..width).map(|i| x[i % x.len().max(1)]).collect()
            }
            Link::Same => same(graph, node, output, &of),
        };
        if result.iter().any(Option::is_some) {
            found.insert(output, result);
        }
    }
    found
}

/// The stored number that stands for zero in a value.
fn zero(graph: &Graph, v: ValueId) -> f64 {
    let quant = graph.ty(v).quant.as_ref().and_then(|q| q.as_per_tensor());
    quant.map_or(0.0, |(_, zero)| f64::from(zero))
}

/// A number that is taken over from one value to another.
fn moved(graph: &Graph, from: ValueId, to: ValueId, number: Option<f64>) -> Option<f64> {
    let number = number?;
    let (a, b) = (graph.ty(from), graph.ty(to));
    if a.dtype == b.dtype && a.quant == b.quant {
        return Some(number);
    }
    (number == zero(graph, from)).then(|| zero(graph, to))
}

fn same(
    graph: &Graph,
    node: &Node,
    output: ValueId,
    of: &dyn Fn(ValueId) -> Vec<Option<f64>>,
) -> Vec<Option<f64>> {
    let x = node.inputs()[0];
    let width = channels(graph, output).unwrap_or(0);
    let none = vec![None; width];
    let numbers = of(x);
    if numbers.len() != width {
        return none;
    }
    let each = |f: &dyn Fn(f64) -> Option<f64>| -> Vec<Option<f64>> {
        numbers.iter().map(|n| f((*n)?)).collect()
    };
    let carried = |n: f64| moved(graph, x, output, Some(n));
    let only_zero = |n: f64| (n == zero(graph, x)).then(|| zero(graph, output));
    if let Some(op) = node.op_as::<Unary>() {
        let clamp = match op {
            Unary::Relu => (0.0, f64::INFINITY),
            Unary::Relu6 => (0.0, 6.0),
            Unary::ReluN1To1 => (-1.0, 1.0),
            Unary::LeakyRelu { .. } | Unary::Abs | Unary::Neg | Unary::HardSwish => {
                return each(&only_zero);
            }
            _ => return none,
        };
        if graph.ty(x).dtype == DType::F32 {
            return each(&|n| Some(n.max(clamp.0).min(clamp.1)));
        }
        return each(&only_zero);
    }
    if let Some(op) = node.op_as::<Pool>() {
        return match op.kind {
            PoolKind::Max if op.activation.is_none() => each(&carried),
            PoolKind::Average if !op.count_include_pad && op.activation.is_none() => {
                // The mean of equal integers is that integer; sums of floats round.
                if graph.ty(x).dtype == DType::F32 { each(&only_zero) } else { each(&carried) }
            }
            PoolKind::Max | PoolKind::Average => each(&only_zero),
            _ => none,
        };
    }
    if let Some(op) = node.op_as::<Pad>() {
        let blank = op.pads.iter().all(|p| p[0] <= 0 && p[1] <= 0);
        return match op.mode {
            PadMode::Constant(c) if !blank => {
                if c == 0.0 {
                    each(&only_zero)
                } else {
                    none
                }
            }
            _ => each(&carried),
        };
    }
    if let Some(op) = node.op_as::<Reduce>() {
        return match op.f {
            ReduceFn::Max | ReduceFn::Min => each(&carried),
            ReduceFn::Mean | ReduceFn::Sum => each(&only_zero),
            _ => none,
        };
    }
    if node.op.is::<Reshape>() || node.op.is::<Slice>() {
        return each(&carried);
    }
    if node.op.is::<Resize>() || node.op.is::<Quantize>() {
        return each(&only_zero);
    }
    if let Some(op) = node.op_as::<Binary>()
        && op.f == BinaryFn::Add
    {
        // Zero and zero is zero, in any scale and under any clamp.
        let &[a, b] = node.inputs() else { return none };
        let (p, q) = (of(a), of(b));
        if p.len() != width || q.len() != width {
            return none;
        }
        let is_zero = |v: ValueId, n: Option<f64>| n == Some(zero(graph, v));
        return (0..width)
            .map(|c| (is_zero(a, p[c]) && is_zero(b, q[c])).then(|| zero(graph, output)))
            .collect();
    }
    if node.op.is::<paring_ir::ops::Concat>() {
        let all: Vec<Vec<Option<f64>>> = node
            .inputs()
            .iter()
            .map(|v| of(*v).into_iter().map(|n| moved(graph, *v, output, n)).collect())
            .collect();
        return (0..width)
            .map(|c| {
                let first = all[0][c]?;
                all.iter().all(|v| v[c] == Some(first)).then_some(first)
            })
            .collect();
    }
    none
}

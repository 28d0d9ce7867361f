//! Random networks of 16-bit activations and weights of 8 bits.

use crate::random::Random;
use paring_ir::ops::{
    Activation, Binary, BinaryFn, Conv2d, Dense, Dequantize, Padding, Pool, PoolKind, Quantize,
    Reduce, ReduceFn, Softmax,
};
use paring_ir::{Graph, OpRef, ValueId};
use paring_tensor::{DType, Quant, Tensor, TensorType};
use std::sync::Arc;

fn sixteen_bits(scale: f32, shape: &[usize]) -> TensorType {
    TensorType::new(DType::I16, shape).with_quant(Quant::per_tensor(scale, 0))
}

/// Convolutions of every kind and dense layers of `i16` with weights of `i8`, one after another; some have so many
/// weights that their sums may leave 32 bits.
///
/// # Panics
/// Never: the layers fit each other.
pub fn products(seed: u64) -> Graph {
    let mut r = Random(seed);
    r.next();
    let mut graph = Graph::new("sixteen");
    let mut c = r.of(&[1, 3, 8, 16, 20, 33, 48, 1100]);
    let side = if c > 100 { 3 } else { 20 };
    let shape = [r.of(&[1, 1, 2]), r.below(side) + 1, r.below(side) + 1, c];
    let mut x = graph.add_input("x", sixteen_bits(0.002, &shape)).unwrap();
    for i in 0..1 + r.below(4) {
        let Some((y, filters)) = product(&mut graph, &mut r, x, c, i) else { break };
        (x, c) = (y, filters);
    }
    graph.add_output("y", x);
    graph
}

/// A convolution or a dense layer on a value of `c` channels, and how many its result has.
fn product(
    graph: &mut Graph,
    r: &mut Random,
    x: ValueId,
    c: usize,
    i: usize,
) -> Option<(ValueId, usize)> {
    let dense = r.below(6) == 0;
    let depthwise = !dense && r.below(2) == 0;
    let groups = if c.is_multiple_of(4) && r.below(5) == 0 { 4 } else { 1 };
    let filters = if depthwise { c } else { r.of(&[4, 16, 20, 32, 40, 72]) };
    let k = if dense { 1 } else { r.of(&[1, 1, 2, 3, 3, 5, 7]) };
    let stride = if dense { 1 } else { r.of(&[1, 1, 1, 2, 3]) };
    let groups = if depthwise { c } else { groups };
    let depth = if dense { c } else { c / groups };
    let shape = if dense { vec![filters, depth] } else { vec![filters, k, k, depth] };
    let n: usize = shape.iter().product();
    let quant = Quant::symmetric(0, (0..filters).map(|_| 0.001 + 0.01 * r.real().abs()).collect());
    let quant = if r.below(9) == 0 { Quant::symmetric(0, vec![1.5; filters]) } else { quant };
    let w = Tensor::from_vec(shape, r.bytes(n)).unwrap();
    let w = graph.add_const(format!("w{i}"), w, Some(quant)).unwrap();
    let bias: Vec<i64> = (0..filters).map(|_| r.next() as i64 % 4_000_000 - 2_000_000).collect();
    let b = graph.add_const(format!("b{i}"), Tensor::from_vec([filters], bias).unwrap(), None);
    let activation = r.of(&[Activation::None, Activation::Relu, Activation::Relu6]);
    let pad = r.of(&[Padding::SAME, Padding::SAME, Padding::Explicit([k / 2, 0, k, k / 2])]);
    let op: OpRef = if dense {
        Arc::new(Dense { activation })
    } else {
        let dilation = r.of(&[1, 1, 1, 2]);
        Arc::new(Conv2d { stride: [stride; 2], pad, dilation: [dilation; 2], groups, activation })
    };
    let y = add(graph, &format!("y{i}"), &op, &[x, w, b.unwrap()], 0.002)?;
    Some((y, filters))
}

/// Sums, differences and products of two values of 16 bits, the second of which may have one element, with scales that
/// are equal, powers of two apart or neither.
///
/// # Panics
/// Never: the values fit each other.
pub fn pairs(seed: u64) -> Graph {
    let mut r = Random(seed);
    r.next();
    let mut graph = Graph::new("pairs");
    let n = 1 + r.below(60);
    let (a, more) = (0.002, r.of(&[1.0, 1.0, 0.5, 4.0, 1.37, 0.003]));
    let (b, m) = (a * more, if r.below(6) == 0 { 1 } else { n });
    let x = graph.add_input("a", sixteen_bits(a, &[2, n])).unwrap();
    let z = graph.add_input("b", sixteen_bits(b, &[2, m])).unwrap();
    let f = r.of(&[BinaryFn::Add, BinaryFn::Add, BinaryFn::Sub, BinaryFn::Mul]);
    let activation = r.of(&[Activation::None, Activation::Relu, Activation::Relu6]);
    let least = if f == BinaryFn::Mul { a * b * 3000.0 } else { a.max(b) };
    let scale = least * r.of(&[0.3, 1.0, 1.9, 70.0]);
    let op: OpRef = Arc::new(Binary { f, activation });
    let y = add(&mut graph, "y", &op, &[x, z], scale).unwrap();
    graph.add_output("y", y);
    graph
}

/// Adds a node with a result of 16 bits.
fn add(
    graph: &mut Graph,
    name: &str,
    op: &OpRef,
    inputs: &[ValueId],
    scale: f32,
) -> Option<ValueId> {
    let types: Vec<&TensorType> = inputs.iter().map(|v| graph.ty(*v)).collect();
    let shape = op.infer(&types).ok()?.first()?.shape.fixed()?;
    if shape.iter().product::<usize>() == 0 {
        return None;
    }
    let outputs = vec![(name.to_owned(), sixteen_bits(scale, &shape))];
    Some(graph.add_typed_node(name, op, inputs, outputs).unwrap()[0])
}

/// A small network of one sample: products, sums, pools and means of 16 bits, with 8 bits at its ends or between.
///
/// # Panics
/// Never: the layers fit each other.
pub fn small(seed: u64) -> Graph {
    let mut r = Random(seed);
    r.next();
    let mut graph = Graph::new("sixteen");
    let mut c = r.of(&[1, 2, 3, 4, 5, 8, 12, 130]);
    let side = if c > 100 { 3 } else { 7 };
    let shape = [1, r.below(side) + 1, r.below(side) + 1, c];
    let eight = |shape: &[usize], scale: f32, zero: i32| {
        TensorType::new(DType::I8, shape).with_quant(Quant::per_tensor(scale, zero))
    };
    let mut x = if r.below(2) == 0 {
        let from = graph.add_input("x", eight(&shape, 0.05, 7)).unwrap();
        let widen: OpRef = Arc::new(Quantize { ties_even: false });
        let scale = r.of(&[0.000_2, 0.05, 0.002]);
        add(&mut graph, "widened", &widen, &[from], scale).unwrap()
    } else {
        graph.add_input("x", sixteen_bits(0.002, &shape)).unwrap()
    };
    let mut before: Option<ValueId> = None;
    for i in 0..1 + r.below(4) {
        let scale = |graph: &Graph, x| {
            graph.ty(x).quant.as_ref().and_then(Quant::as_per_tensor).map_or(1.0, |q| q.0)
        };
        let (name, shape) = (format!("y{i}"), graph.ty(x).shape.clone());
        let other = before.filter(|v| graph.ty(*v).shape == shape);
        let y = match (r.below(8), other) {
            (0, _) => {
                let kind = r.of(&[PoolKind::Max, PoolKind::Average]);
                let pool = Pool {
                    kind,
                    kernel: [2, 2],
                    stride: r.of(&[[1, 1], [2, 2]]),
                    pad: Padding::VALID,
                    dilation: [1, 1],
                    ceil: false,
                    count_include_pad: false,
                    activation: Activation::None,
                };
                let scale = scale(&graph, x);
                add(&mut graph, &name, &(Arc::new(pool) as OpRef), &[x], scale)
            }
            (1 | 2, Some(other)) => {
                let f = r.of(&[BinaryFn::Add, BinaryFn::Add, BinaryFn::Sub, BinaryFn::Mul]);
                let activation = r.of(&[Activation::None, Activation::Relu, Activation::Relu6]);
                let sum: OpRef = Arc::new(Binary { f, activation });
                let scale = r.of(&[0.003, 0.000_5]);
                add(&mut graph, &name, &sum, &[x, other], scale)
            }
            (3, _) => {
                let scale = r.of(&[0.000_7, 0.004]);
                let rescale: OpRef = Arc::new(Quantize { ties_even: false });
                add(&mut graph, &name, &rescale, &[x], scale)
            }
            _ => product(&mut graph, &mut r, x, c, i).map(|(y, filters)| {
                c = filters;
                y
            }),
        };
        let Some(y) = y else { break };
        (before, x) = (Some(x), y);
    }
    graph.add_output("wide", x);
    let shape = graph.ty(x).shape.fixed().unwrap();
    if shape.len() == 4 && r.below(2) == 0 {
        let mean: OpRef = Arc::new(Reduce { f: ReduceFn::Mean, axes: vec![1, 2], keep_dims: true });
        x = add(&mut graph, "mean", &mean, &[x], 0.001).unwrap();
    }
    let shape = graph.ty(x).shape.fixed().unwrap();
    if r.below(3) == 0 {
        let softmax: OpRef = Arc::new(Softmax { axis: shape.len() - 1, beta: 1.0, log: false });
        let y = add(&mut graph, "softmax", &softmax, &[x], 1.0 / 32768.0).unwrap();
        graph.add_output("softmax", y);
    }
    let (op, ty): (OpRef, TensorType) = if r.below(3) == 0 {
        (Arc::new(Dequantize {}), TensorType::new(DType::F32, shape))
    } else {
        (Arc::new(Quantize { ties_even: false }), eight(&shape, 0.04, -5))
    };
    let y = graph.add_typed_node("end", &op, &[x], vec![("end".into(), ty)]).unwrap();
    graph.add_output("end", y[0]);
    graph
}

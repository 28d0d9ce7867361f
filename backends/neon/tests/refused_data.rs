//! Inputs that have no result: in process and from a package there is the reference's error, and no number.

use paring_backend::{Backend, ExecOptions};
use paring_engine::runtime::{Model, RunError};
use paring_ir::ops::{
    Binary, BinaryFn, Gather, GatherElements, GatherNd, Reverse, ScatterElements, ScatterFn,
    ScatterNd,
};
use paring_ir::{ExecError, Executor, Graph, OpArg, ValueId};
use paring_kernels::Kernels;
use paring_neon::{Level, Neon, NeonKernels};
use paring_tensor::{Tensor, TensorType};

/// Runs an op of inputs by every way; `None` where there is a result, which is the same in all of them.
fn refusal(op: impl Into<OpArg>, inputs: &[&Tensor]) -> Option<String> {
    let mut graph = Graph::new("one");
    let mut input = |(i, x): (usize, &&Tensor)| {
        graph.add_input(format!("x{i}"), TensorType::new(x.dtype(), x.shape())).unwrap()
    };
    let operands: Vec<ValueId> = inputs.iter().enumerate().map(&mut input).collect();
    let y = graph.add_node("node", op, &operands).unwrap()[0];
    graph.add_output("y", y);
    let tensors: Vec<Tensor> = inputs.iter().map(|x| (*x).clone()).collect();
    let options = ExecOptions::default();
    let run = |executor: &dyn Executor| {
        let mut session = executor.prepare(graph.verified().unwrap()).unwrap();
        session.run(&tensors)
    };
    let reference = run(&*paring_reference::Reference.executor(options).unwrap());
    let engine = Neon.executor_at(Level::Baseline, options);
    let kernels = NeonKernels::new(Level::Baseline);
    let program = engine.program(graph.verified().unwrap()).unwrap();
    let last = program.runs.len() - 1;
    let model = Model::load(program.to_package(kernels.family()), Box::new(kernels)).unwrap();
    let mut out = vec![0; model.outputs()[0].len];
    let bytes: Vec<&[u8]> = inputs.iter().map(|x| &**x.bytes()).collect();
    let packed = model.runner().run(&bytes, &mut [&mut out]);
    match reference {
        Ok(y) => {
            assert_eq!(run(&engine).unwrap(), y);
            packed.unwrap();
            assert_eq!(out, **y[0].bytes());
            None
        }
        Err(ExecError::Data { node, why }) => {
            let named = |e: ExecError| matches!(&e, ExecError::Data { node: n, why: w } if (n, w) == (&node, &why));
            assert!(named(run(&engine).unwrap_err()), "{why}");
            assert_eq!(packed, Err(RunError::Data { step: last, why: why.clone() }));
            Some(why)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn integers_are_not_divided_by_zero() {
    let a = Tensor::from_vec([2, 3], vec![7_i32, -7, 0, i32::MIN, 5, -1]).unwrap();
    for f in [BinaryFn::Div, BinaryFn::FloorDiv, BinaryFn::Mod, BinaryFn::Fmod] {
        let by = |b: [i32; 3]| {
            refusal(Binary::new(f), &[&a, &Tensor::from_vec([3], b.to_vec()).unwrap()])
        };
        assert_eq!(by([2, -3, 4]), None, "{f:?}");
        assert_eq!(by([2, -3, 0]).as_deref(), Some("division of an integer by zero"), "{f:?}");
    }
}

#[test]
fn rows_are_not_taken_from_outside() {
    let a = Tensor::from_vec([3, 2], vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let at = |i: [i64; 2]| {
        let i = Tensor::from_vec([2], i.to_vec()).unwrap();
        refusal(Gather { axis: 0, batch_dims: 0 }, &[&a, &i])
    };
    assert_eq!(at([2, -3]), None);
    assert_eq!(at([0, 3]).as_deref(), Some("index 3 into 3 elements"));
    assert_eq!(at([-4, 0]).as_deref(), Some("index -4 into 3 elements"));
    assert_eq!(at([i64::MIN, 0]), Some(format!("index {} into 3 elements", i64::MIN)));
}

#[test]
fn elements_and_slices_are_not_taken_from_outside_nor_put_there() {
    let a = Tensor::from_vec([3, 2], vec![1_i16, 2, 3, 4, 5, 6]).unwrap();
    let new = Tensor::from_vec([2, 2], vec![7_i16, -8, 9, -10]).unwrap();
    let two = |i: [i32; 4]| Tensor::from_vec([2, 2], i.to_vec()).unwrap();
    let right = two([0, -1, 1, -2]);
    for axis in [0, 1] {
        assert_eq!(refusal(GatherElements { axis }, &[&a, &right]), None);
        for reduction in [ScatterFn::Replace, ScatterFn::Add, ScatterFn::Min] {
            let op = ScatterElements { axis, reduction };
            assert_eq!(refusal(op.clone(), &[&a, &right, &new]), None);
            let why = format!("index -7 into {} elements", [3, 2][axis]);
            assert_eq!(refusal(op, &[&a, &two([0, -7, 9, 0]), &new]), Some(why));
        }
    }
    assert_eq!(
        refusal(GatherElements { axis: 1 }, &[&a, &two([0, 2, 0, 5])]).as_deref(),
        Some("index 2 into 2 elements")
    );
    assert_eq!(refusal(GatherNd { batch_dims: 0 }, &[&a, &right]), None);
    assert_eq!(
        refusal(GatherNd { batch_dims: 0 }, &[&a, &two([2, 1, 3, 0])]).as_deref(),
        Some("index 3 into 3 elements")
    );
    let rows = Tensor::from_vec([2, 1], vec![2_i32, -3]).unwrap();
    let put = |reduction| ScatterNd { reduction };
    for reduction in [ScatterFn::Replace, ScatterFn::Mul, ScatterFn::Max] {
        assert_eq!(refusal(put(reduction), &[&a, &rows, &new]), None);
    }
    let rows = Tensor::from_vec([2, 1], vec![2_i32, 3]).unwrap();
    assert_eq!(
        refusal(put(ScatterFn::Add), &[&a, &rows, &new]).as_deref(),
        Some("index 3 into 3 elements")
    );
}

#[test]
fn lengths_are_within_their_axis() {
    let a = Tensor::from_vec([3, 2], vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let by = |n: [i64; 2]| {
        let n = Tensor::from_vec([2], n.to_vec()).unwrap();
        refusal(Reverse { axis: 0, batch_axis: Some(1) }, &[&a, &n])
    };
    assert_eq!(by([3, 0]), None);
    assert_eq!(by([2, 1]), None);
    assert_eq!(by([2, 4]).as_deref(), Some("a length of 4 in an axis of 3"));
    assert_eq!(by([-1, 4]).as_deref(), Some("a length of -1 in an axis of 3"));
}

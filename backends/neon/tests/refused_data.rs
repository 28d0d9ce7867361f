//! Inputs that have no result: in process and from a package there is the reference's error, and no number.

use paring_backend::{Backend, ExecOptions};
use paring_engine::runtime::{Model, RunError};
use paring_ir::ops::{Binary, BinaryFn, Gather};
use paring_ir::{ExecError, Executor, Graph, OpArg};
use paring_kernels::Kernels;
use paring_neon::{Level, Neon, NeonKernels};
use paring_tensor::{Tensor, TensorType};

/// Runs an op of two inputs by every way; `None` where there is a result, which is the same in all of them.
fn refusal(op: impl Into<OpArg>, a: &Tensor, b: &Tensor) -> Option<String> {
    let mut graph = Graph::new("one");
    let mut input = |name: &str, x: &Tensor| {
        graph.add_input(name, TensorType::new(x.dtype(), x.shape())).unwrap()
    };
    let operands = [input("a", a), input("b", b)];
    let y = graph.add_node("node", op, &operands).unwrap()[0];
    graph.add_output("y", y);
    let inputs = [a.clone(), b.clone()];
    let options = ExecOptions::default();
    let run = |executor: &dyn Executor| {
        let mut session = executor.prepare(graph.verified().unwrap()).unwrap();
        session.run(&inputs)
    };
    let reference = run(&*paring_reference::Reference.executor(options).unwrap());
    let engine = Neon.executor_at(Level::Baseline, options);
    let kernels = NeonKernels::new(Level::Baseline);
    let program = engine.program(graph.verified().unwrap()).unwrap();
    let model = Model::load(program.to_package(kernels.family()), Box::new(kernels)).unwrap();
    let mut out = vec![0; model.outputs()[0].len];
    let packed = model.runner().run(&[a.bytes(), b.bytes()], &mut [&mut out]);
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
            assert_eq!(packed, Err(RunError::Data { step: 0, why: why.clone() }));
            Some(why)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn integers_are_not_divided_by_zero() {
    let a = Tensor::from_vec([2, 3], vec![7_i32, -7, 0, i32::MIN, 5, -1]).unwrap();
    for f in [BinaryFn::Div, BinaryFn::FloorDiv, BinaryFn::Mod, BinaryFn::Fmod] {
        let by =
            |b: [i32; 3]| refusal(Binary::new(f), &a, &Tensor::from_vec([3], b.to_vec()).unwrap());
        assert_eq!(by([2, -3, 4]), None, "{f:?}");
        assert_eq!(by([2, -3, 0]).as_deref(), Some("division of an integer by zero"), "{f:?}");
    }
}

#[test]
fn rows_are_not_taken_from_outside() {
    let a = Tensor::from_vec([3, 2], vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let at = |i: [i64; 2]| {
        refusal(Gather { axis: 0, batch_dims: 0 }, &a, &Tensor::from_vec([2], i.to_vec()).unwrap())
    };
    assert_eq!(at([2, -3]), None);
    assert_eq!(at([0, 3]).as_deref(), Some("index 3 into 3 elements"));
    assert_eq!(at([-4, 0]).as_deref(), Some("index -4 into 3 elements"));
    assert_eq!(at([i64::MIN, 0]), Some(format!("index {} into 3 elements", i64::MIN)));
}

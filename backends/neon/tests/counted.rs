//! Outputs with an extent that depends on the data: packages tell it, and what reads such a value is refused.

use paring_backend::{Backend, ExecOptions};
use paring_engine::runtime::Model;
use paring_ir::ops::{Cast, NonMaxSuppression, NonZero};
use paring_ir::{Executor, Graph, OpArg, ValueId};
use paring_kernels::Kernels;
use paring_neon::{Level, Neon, NeonKernels};
use paring_tensor::{DType, Tensor, TensorType};

/// A graph of one node.
fn one(op: impl Into<OpArg>, inputs: &[&Tensor]) -> (Graph, ValueId) {
    let mut graph = Graph::new("one");
    let mut operands = Vec::new();
    for (i, x) in inputs.iter().enumerate() {
        let ty = TensorType::new(x.dtype(), x.shape());
        operands.push(graph.add_input(format!("x{i}"), ty).unwrap());
    }
    let y = graph.add_node("node", op, &operands).unwrap()[0];
    (graph, y)
}

fn model(graph: &Graph) -> Model {
    let engine = Neon.executor_at(Level::Baseline, ExecOptions::default());
    let kernels = NeonKernels::new(Level::Baseline);
    let program = engine.program(graph.verified().unwrap()).unwrap();
    Model::load(program.to_package(kernels.family()), Box::new(kernels)).unwrap()
}

/// Runs each sample by a package and in process, and compares with the reference; the extents that came out.
fn check(graph: &Graph, samples: &[Vec<Tensor>], most: &[usize]) -> Vec<Vec<usize>> {
    let options = ExecOptions::default();
    let verified = || graph.verified().unwrap();
    let mut reference =
        paring_reference::Reference.executor(options).unwrap().prepare(verified()).unwrap();
    let mut engine = Neon.executor_at(Level::Baseline, options).prepare(verified()).unwrap();
    let model = model(graph);
    assert_eq!(model.outputs()[0].shape, most);
    let mut runner = model.runner();
    let mut shapes = Vec::new();
    for inputs in samples {
        let want = reference.run(inputs).unwrap();
        assert_eq!(engine.run(inputs).unwrap(), want);
        let mut out = vec![0; model.outputs()[0].len];
        let bytes: Vec<&[u8]> = inputs.iter().map(|x| &**x.bytes()).collect();
        runner.run(&bytes, &mut [&mut out]).unwrap();
        let shape = runner.shape(0).unwrap();
        assert_eq!(shape, want[0].shape());
        assert_eq!(out[..want[0].bytes().len()], **want[0].bytes());
        shapes.push(shape.to_vec());
    }
    shapes
}

#[test]
fn indices_are_counted_run_by_run() {
    let of = |x: [f32; 6]| vec![Tensor::from_vec([2, 3], x.to_vec()).unwrap()];
    let samples = [
        of([0.0, 1.0, -0.0, f32::NAN, 0.0, -2.0]),
        of([0.0; 6]),
        of([1.0; 6]),
        of([0.0, 0.0, 0.0, 0.0, 0.0, 1e-40]),
    ];
    let (mut graph, y) = one(NonZero { count: "found".into() }, &[&samples[0][0]]);
    graph.add_output("y", y);
    let shapes = check(&graph, &samples, &[2, 6]);
    assert_eq!(shapes, [[2, 3], [2, 0], [2, 6], [2, 1]]);
}

#[test]
fn boxes_are_counted_run_by_run() {
    let corners: Vec<f32> = (0..5).flat_map(|i| [i as f32, 0.0, i as f32 + 1.5, 1.0]).collect();
    let boxes = Tensor::from_vec([1, 5, 4], corners).unwrap();
    let scores = |s: [f32; 10]| Tensor::from_vec([1, 2, 5], s.to_vec()).unwrap();
    let samples: Vec<Vec<Tensor>> =
        [[0.9, 0.8, 0.7, 0.6, 0.5, 0.1, 0.2, 0.2, 0.9, f32::NAN], [0.0; 10], [0.5; 10]]
            .map(|s| vec![boxes.clone(), scores(s)])
            .into();
    for (iou_threshold, most) in [(0.1, 3), (0.5, 9)] {
        let op = NonMaxSuppression {
            max_per_class: most,
            iou_threshold,
            score_threshold: 0.3,
            center_boxes: false,
            count: "picked".into(),
        };
        let (mut graph, y) = one(op, &[&samples[0][0], &samples[0][1]]);
        graph.add_output("y", y);
        let shapes = check(&graph, &samples, &[2 * most.min(5), 3]);
        assert_eq!(shapes[1], [0, 3]);
        assert!(shapes[0][0] > 1 && shapes[0] != shapes[2], "{shapes:?}");
    }
}

#[test]
fn what_reads_such_a_value_is_refused_by_name() {
    let x = Tensor::from_vec([4], vec![1.0_f32, 0.0, 2.0, 0.0]).unwrap();
    let (mut graph, found) = one(NonZero { count: "found".into() }, &[&x]);
    let y = graph.add_node("narrow", Cast { to: DType::I32 }, &[found]).unwrap()[0];
    graph.add_output("y", y);
    let engine = Neon.executor_at(Level::Baseline, ExecOptions::default());
    let why = engine.program(graph.verified().unwrap()).unwrap_err().to_string();
    assert!(why.contains("narrow") && why.contains("depend on the data"), "{why}");
}

//! The shared TFLite models against what LiteRT's reference kernels and TFLite Micro computed: integers
//! to the byte, real numbers within 1e-4 of the largest.

use paring_backend::{Backend, ExecOptions, Rounding};
use paring_data::npy::Npz;
use paring_format::{ReadOptions, Source};
use paring_ir::{Graph, Session};
use paring_shared::data;
use paring_tensor::Tensor;
use std::path::Path;

fn read(path: &Path) -> Graph {
    let source = Source::open(path).unwrap();
    paring_format_tflite::read(&source, &ReadOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn session(graph: &Graph, rounding: Rounding) -> Box<dyn Session> {
    let executor = paring_reference::Reference.executor(ExecOptions { rounding }).unwrap();
    executor.prepare(graph.verified().unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

/// One sample of a stack, in the shape that the graph has.
fn sample(stack: &Tensor, i: usize, shape: &[usize]) -> Tensor {
    let count = stack.shape()[0];
    let bytes = stack.bytes().len() / count;
    let data = stack.bytes().slice(i * bytes..(i + 1) * bytes);
    Tensor::new(stack.dtype(), shape, data).unwrap()
}

/// Largest difference over the largest magnitude; for integers, largest difference in units.
fn difference(got: &Tensor, wanted: &Tensor) -> f64 {
    assert_eq!(got.dtype(), wanted.dtype());
    let pairs = || got.to_f64().into_iter().zip(wanted.to_f64());
    let worst = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if got.dtype().is_float() {
        worst / pairs().map(|(_, b)| b.abs()).fold(f64::MIN_POSITIVE, f64::max)
    } else {
        worst
    }
}

/// Runs every sample and compares with the recorded outputs; the number of comparisons.
fn compare(dir: &Path, name: &str, rounding: Rounding, prefix: &str) -> usize {
    let graph = read(&dir.join(format!("models/tflite/{name}.tflite")));
    let npz = Npz::open(&dir.join(format!("expected/{name}.npz"))).unwrap();
    let names = npz.names();
    if !names.iter().any(|n| n.starts_with(prefix)) {
        return 0;
    }
    let mut run = session(&graph, rounding);
    let inputs: Vec<Tensor> =
        (0..graph.inputs().len()).map(|k| npz.get(&format!("input_{k}")).unwrap()).collect();
    let (mut checked, mut worst) = (0, 0.0_f64);
    for i in 0..inputs[0].shape()[0] {
        let fed: Vec<Tensor> = inputs
            .iter()
            .zip(graph.inputs())
            .map(|(x, port)| sample(x, i, &graph.ty(port.value).shape.fixed().unwrap()))
            .collect();
        run.reset();
        let outputs = run.run(&fed).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (k, got) in outputs.iter().enumerate() {
            let wanted = npz.get(&format!("{prefix}{k}")).unwrap();
            let difference = difference(got, &sample(&wanted, i, got.shape()));
            worst = worst.max(difference);
            checked += 1;
        }
    }
    println!("{name} {rounding:?}: worst difference {worst:e}");
    let bound = if graph.ty(graph.outputs()[0].value).dtype.is_float() { 1e-4 } else { 0.0 };
    assert!(worst <= bound, "{name} with {rounding:?} rounding differs from {prefix} by {worst}");
    checked
}

/// Every shared model with recorded outputs; one that fails does not hide the others.
fn all(rounding: Rounding, prefix: &str) {
    let Some(dir) = data() else { return };
    let mut failed = Vec::new();
    let mut models = 0;
    let mut names: Vec<String> = std::fs::read_dir(dir.join("models/tflite"))
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in names {
        match std::panic::catch_unwind(|| compare(&dir, &name, rounding, prefix)) {
            Ok(0) => {}
            Ok(_) => models += 1,
            Err(_) => failed.push(name),
        }
    }
    assert!(failed.is_empty(), "{models} models agree, these do not: {}", failed.join(", "));
    assert!(models >= 18, "{models} models");
}

#[test]
fn single_rounding_equals_litert() {
    all(Rounding::Single, "output_ref_");
}

#[test]
fn double_rounding_equals_tflite_micro() {
    all(Rounding::Double, "output_tflm_");
}

//! Real models import and give the outputs that Keras gives.

use paring_backend::{Backend, ExecOptions};
use paring_data::npy::Npz;
use paring_format::{ReadOptions, Source};
use paring_ir::Graph;
use paring_shared::data;
use paring_tensor::Tensor;
use std::path::Path;

fn read(path: &Path) -> Graph {
    let source = Source::open(path).unwrap();
    paring_format_keras::read(&source, &ReadOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// The largest difference relative to the largest magnitude of a sample's output.
fn difference(graph: &Graph, expected: &Npz, samples: usize) -> f64 {
    let executor = paring_reference::Reference.executor(ExecOptions::default()).unwrap();
    let mut session = executor.prepare(graph.verified().unwrap()).unwrap();
    let (inputs, outputs) = (expected.get("input_0").unwrap(), expected.get("output_0").unwrap());
    let part = |all: &Tensor, i: usize, shape: &[usize]| {
        let bytes = all.bytes().len() / all.shape()[0];
        Tensor::new(all.dtype(), shape, all.bytes().slice(i * bytes..(i + 1) * bytes)).unwrap()
    };
    let shape = graph.ty(graph.inputs()[0].value).shape.fixed().unwrap();
    let mut worst = 0.0_f64;
    for i in 0..inputs.shape()[0].min(samples) {
        session.reset();
        let got = session.run(&[part(&inputs, i, &shape)]).unwrap().swap_remove(0);
        let wanted = part(&outputs, i, got.shape()).to_f64();
        let scale = wanted.iter().fold(1e-6_f64, |m, x| m.max(x.abs()));
        for (a, b) in wanted.iter().zip(got.to_f64()) {
            worst = worst.max((a - b).abs() / scale);
        }
    }
    worst
}

#[test]
fn every_shared_model_computes_what_keras_computes() {
    let Some(data) = data() else { return };
    let samples = if cfg!(debug_assertions) { 1 } else { 16 };
    let mut paths: Vec<_> =
        std::fs::read_dir(data.join("models/keras")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10);
    let mut failures = Vec::new();
    for path in paths {
        let id = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = Npz::open(&data.join(format!("expected/{id}.npz"))).unwrap();
        let worst = difference(&read(&path), &expected, samples);
        println!("{}: {worst:.3e}", path.file_name().unwrap().display());
        if worst > 1e-4 {
            failures.push(format!("{}: {worst:.3e}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

//! Real models give the outputs that their runtimes give.

mod common;

use common::read;
use paring_backend::{Backend, ExecOptions};
use paring_data::npy::Npz;
use paring_qmath::Rounding;
use paring_shared::data;
use paring_tensor::Tensor;
use std::path::Path;

/// Sample `i` of stacked samples, in this shape.
fn sample(stacked: &Tensor, i: usize, shape: &[usize]) -> Tensor {
    let bytes = stacked.bytes().len() / stacked.shape()[0].max(1);
    let slice = stacked.bytes().slice(i * bytes..(i + 1) * bytes);
    Tensor::new(stacked.dtype(), shape, slice).unwrap()
}

/// The largest difference between outputs of the model and the expected ones, in units of the stored
/// numbers, and relative to the largest magnitude of the expected output for real numbers.
fn difference(model: &Path, expected: &Npz, key: &str, rounding: Rounding, samples: usize) -> f64 {
    let graph = read(model, None).unwrap_or_else(|e| panic!("{e}"));
    let options = ExecOptions { rounding };
    let executor = paring_reference::Reference.executor(options).unwrap();
    let mut session = executor.prepare(graph.verified().unwrap()).unwrap();
    let mut worst = 0.0_f64;
    let inputs: Vec<Tensor> =
        (0..graph.inputs().len()).map(|k| expected.get(&format!("input_{k}")).unwrap()).collect();
    let outputs: Vec<Tensor> =
        (0..graph.outputs().len()).map(|k| expected.get(&format!("{key}_{k}")).unwrap()).collect();
    let all = inputs[0].shape()[0].min(samples);
    for i in 0..all {
        let inputs: Vec<Tensor> = graph
            .inputs()
            .iter()
            .zip(&inputs)
            .map(|(port, all)| sample(all, i, &graph.ty(port.value).shape.fixed().unwrap()))
            .collect();
        session.reset();
        for (output, wanted) in session.run(&inputs).unwrap().iter().zip(&outputs) {
            let wanted = sample(wanted, i, output.shape());
            assert_eq!(wanted.dtype(), output.dtype());
            let (wanted, got) = (wanted.to_f64(), output.to_f64());
            let scale = match output.dtype().is_float() {
                true => wanted.iter().fold(0.0_f64, |m, x| m.max(x.abs())).max(1e-6),
                false => 1.0,
            };
            for (a, b) in wanted.iter().zip(&got) {
                worst = worst.max((a - b).abs() / scale);
            }
        }
    }
    worst
}

#[test]
fn every_shared_model_computes_what_its_runtimes_compute() {
    let Some(data) = data() else { return };
    // The reference interpreter is slow without optimization; a release build looks at more.
    let samples = if cfg!(debug_assertions) { 2 } else { 16 };
    let mut failures = Vec::new();
    let mut models: Vec<_> =
        std::fs::read_dir(data.join("models/tflite")).unwrap().map(|e| e.unwrap().path()).collect();
    models.sort();
    for path in models {
        let id = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = Npz::open(&data.join(format!("expected/{id}.npz"))).unwrap();
        let cases = [("output_ref", Rounding::Single), ("output_tflm", Rounding::Double)];
        for (key, rounding) in cases {
            if !expected.has(&format!("{key}_0")) {
                continue;
            }
            let worst = difference(&path, &expected, key, rounding, samples);
            let integer = !expected.get(&format!("{key}_0")).unwrap().dtype().is_float();
            println!("{id} {key}: {worst:.3e}");
            // Its runtimes quantize on the fly what meets its integer weights; the graph states the
            // dequantization of the weights and computes with real numbers.
            let hybrid = id == "kws_dscnn_float";
            if worst > if integer { 0.0 } else { 1e-4 } && !hybrid {
                failures.push(format!("{id} {key}: {worst:.3e}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

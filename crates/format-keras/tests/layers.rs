//! Every layer computes what Keras computes: small models of `data/`, which `data/make.py` made.

use paring_backend::{Backend, ExecOptions};
use paring_data::npy::Npz;
use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::Graph;
use paring_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest difference of an output, relative to its largest element.
const TOLERANCE: f64 = 1e-5;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(path: &Path) -> Result<Graph, FormatError> {
    let dimensions = BTreeMap::from([("batch".to_owned(), 2)]);
    let options = ReadOptions { dimensions: &dimensions, ..Default::default() };
    paring_format_keras::read(&Source::open(path)?, &options)
}

fn difference(wanted: &Tensor, got: &Tensor) -> f64 {
    if wanted.shape() != got.shape() {
        println!("shape {:?} where {:?} belongs", got.shape(), wanted.shape());
        return f64::INFINITY;
    }
    let wanted = wanted.to_f64();
    let scale = wanted.iter().fold(1e-6_f64, |m, x| m.max(x.abs()));
    let each = wanted.iter().zip(got.to_f64()).map(|(a, b)| (a - b).abs() / scale);
    each.fold(0.0, f64::max)
}

/// Compares every output of every model of a folder that has one of these names.
fn agree(name: &str) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "h5" || e == "keras"))
        .filter(|p| p.file_stem().is_some_and(|s| s != "stateful"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut failures = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let truth = Npz::open(&path.with_extension("npz")).unwrap();
        let graph = match read(&path) {
            Ok(graph) => graph,
            Err(error) => {
                failures.push(error.to_string());
                continue;
            }
        };
        let executor = paring_reference::Reference.executor(ExecOptions::default()).unwrap();
        let mut session = executor.prepare(graph.verified().unwrap()).unwrap();
        let inputs: Vec<Tensor> =
            (0..graph.inputs().len()).map(|i| truth.get(&format!("input_{i}")).unwrap()).collect();
        let outputs = session.run(&inputs).unwrap();
        assert!(!truth.has(&format!("output_{}", outputs.len())), "{file} has more outputs");
        let mut worst = 0.0_f64;
        for (i, (got, port)) in outputs.iter().zip(graph.outputs()).enumerate() {
            let wanted = truth.get(&format!("output_{i}")).unwrap();
            let d = difference(&wanted, got);
            worst = worst.max(d);
            if d.is_nan() || d > TOLERANCE {
                failures.push(format!("{file}: output {i} ({}) differs by {d:.2e}", port.name));
            }
        }
        println!("{name}/{file}: {} outputs, {worst:.1e}", outputs.len());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn keras_3() {
    agree("keras3");
}

#[test]
fn keras_2() {
    agree("keras2");
}

#[test]
fn keras_1() {
    agree("keras1");
}

#[test]
fn weights_and_configuration_in_two_files() {
    for (name, weights) in [("two", "two_weights.h5"), ("three", "three.weights.h5")] {
        let truth = Npz::open(&folder("beside").join(format!("{name}.npz"))).unwrap();
        for file in [weights.to_owned(), format!("{name}.json")] {
            let graph = read(&folder("beside").join(&file)).unwrap_or_else(|e| panic!("{e}"));
            let executor = paring_reference::Reference.executor(ExecOptions::default()).unwrap();
            let mut session = executor.prepare(graph.verified().unwrap()).unwrap();
            let outputs = session.run(&[truth.get("input_0").unwrap()]).unwrap();
            for (i, got) in outputs.iter().enumerate() {
                let d = difference(&truth.get(&format!("output_{i}")).unwrap(), got);
                assert!(d <= TOLERANCE, "{file} output {i} differs by {d:.2e}");
            }
        }
    }
    let alone = tempfile::tempdir().unwrap();
    let path = alone.path().join("two_weights.h5");
    std::fs::copy(folder("beside").join("two_weights.h5"), &path).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("model.to_json()"));
}

#[test]
fn every_layer_that_is_not_read_is_named() {
    let Err(FormatError::Unsupported { refused, .. }) = read(&folder("refused.h5")) else {
        panic!("was read");
    };
    let all: Vec<_> = refused.iter().map(|r| (r.node.as_str(), r.op.as_str())).collect();
    assert_eq!(all, [("doubled", "Lambda"), ("loop", "ConvLSTM2D")]);
    assert!(refused[0].why.contains("Python"), "{}", refused[0].why);
}

#[test]
fn layers_that_keep_their_state_go_on_from_it() {
    for (name, file) in [("keras3", "stateful.keras"), ("keras2", "stateful.h5")] {
        let graph = read(&folder(name).join(file)).unwrap_or_else(|e| panic!("{e}"));
        let truth = Npz::open(&folder(name).join("stateful.npz")).unwrap();
        let executor = paring_reference::Reference.executor(ExecOptions::default()).unwrap();
        let mut session = executor.prepare(graph.verified().unwrap()).unwrap();
        for run in 0..2 {
            let x = truth.get(&format!("run_{run}_input")).unwrap();
            let outputs = session.run(&[x]).unwrap();
            for (i, got) in outputs.iter().enumerate() {
                let d = difference(&truth.get(&format!("run_{run}_output_{i}")).unwrap(), got);
                assert!(d <= TOLERANCE, "{name} run {run} output {i} differs by {d:.2e}");
            }
        }
    }
}

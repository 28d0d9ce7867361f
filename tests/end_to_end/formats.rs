//! Operators of every format through the command line.

mod paring;

use paring_data::npy::{Npz, write_npz};
use paring_format::Source;
use paring_tensor::Tensor;
use std::path::Path;

/// The tensors `KIND_0.pb`, `KIND_1.pb`, ... of a folder.
fn tensors(folder: &Path, kind: &str) -> Vec<Tensor> {
    (0..)
        .map(|k| folder.join(format!("{kind}_{k}.pb")))
        .take_while(|p| p.is_file())
        .map(|p| paring_format_onnx::read_tensor(&Source::open(&p).unwrap()).unwrap())
        .collect()
}

/// One sample, or the samples without their axis.
fn stacked(t: &Tensor) -> Tensor {
    let shape: Vec<usize> = std::iter::once(1).chain(t.shape().to_vec()).collect();
    t.reshape(shape).unwrap()
}

/// Runs a case in a folder of its own.
fn case(folder: &Path, dir: &Path) -> Result<(), String> {
    let set = folder.join("test_data_set_0");
    let (inputs, outputs) = (tensors(&set, "input"), tensors(&set, "output"));
    let (x, y) = (dir.join("x.npz"), dir.join("y.npz"));
    let named: Vec<(String, Tensor)> =
        inputs.iter().enumerate().map(|(k, t)| (format!("input_{k}"), stacked(t))).collect();
    write_npz(&x, named.iter().map(|(n, t)| (n.as_str(), t))).map_err(|e| e.to_string())?;
    let model = folder.join("model.onnx");
    let output = paring::paring(&[
        "run",
        model.to_str().unwrap(),
        "--input",
        x.to_str().unwrap(),
        "--output",
        y.to_str().unwrap(),
    ]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let got = Npz::open(&y).map_err(|e| e.to_string())?;
    for (k, want) in outputs.iter().enumerate() {
        let got = got.get(&format!("output_{k}")).map_err(|e| e.to_string())?;
        if got.dtype() != want.dtype() || got.shape() != stacked(want).shape() {
            return Err(format!("output {k}: {got:?}, expected {want:?}"));
        }
        let near = |(g, w): (&f64, &f64)| {
            g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() < 1e-7 + 1e-3 * w.abs()
        };
        if !got.to_f64().iter().zip(&want.to_f64()).all(near) {
            return Err(format!("output {k}: {got:?}, expected {want:?}"));
        }
    }
    Ok(())
}

/// Every operator case of ONNX, also those whose shapes and axes are inputs of the model.
#[test]
fn operator_cases_run() {
    let Some(data) = paring::shared() else { return };
    let mut folders: Vec<_> = std::fs::read_dir(data.join("onnx-conformance/node"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    folders.sort();
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for folder in &folders {
        if let Err(why) = case(folder, dir.path()) {
            wrong.push(format!("{}: {why}", folder.file_name().unwrap().display()));
        }
    }
    println!("{} of {} cases pass", folders.len() - wrong.len(), folders.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! The operator cases of ONNX's own backend tests, PyTorch's converted ones, and the light topologies,
//! run by the reference interpreter.
//!
//! What does not pass is listed in `known-gaps.toml` with its reason; a listed case that passes fails
//! this test, and so does one that is not listed and fails.

mod common;

use common::{compare, read, run, tensor, tensors};
use paring_shared::data;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Tolerances of ONNX's own runner.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-7;

/// Cases that fail, and why.
fn gaps() -> BTreeMap<String, String> {
    toml::from_str(include_str!("known-gaps.toml")).expect("known-gaps.toml is a table of reasons")
}

fn case(folder: &Path) -> Result<(), String> {
    let set = folder.join("test_data_set_0");
    let (inputs, outputs) = (tensors(&set, "input"), tensors(&set, "output"));
    let graph = read(&folder.join("model.onnx"), &inputs)?;
    let got = run(&graph, &inputs)?;
    if got.len() != outputs.len() {
        return Err(format!("{} outputs, expected {}", got.len(), outputs.len()));
    }
    for (i, (got, want)) in got.iter().zip(&outputs).enumerate() {
        compare(got, want, RELATIVE, ABSOLUTE).map_err(|e| format!("output {i}: {e}"))?;
    }
    again(&graph, &inputs, &got)
}

/// What can be written reads back as a network that computes the same.
fn again(
    graph: &paring_ir::Graph,
    inputs: &[paring_tensor::Tensor],
    outputs: &[paring_tensor::Tensor],
) -> Result<(), String> {
    let bytes = match paring_format_onnx::write(graph, &paring_format::WriteOptions::default()) {
        Ok(bytes) => bytes,
        Err(e) if e.is_unsupported() => return Ok(()),
        Err(e) => return Err(format!("written: {e}")),
    };
    let graph = common::read_bytes(bytes, inputs).map_err(|e| format!("read again: {e}"))?;
    let got = run(&graph, inputs).map_err(|e| format!("run again: {e}"))?;
    for (i, (got, want)) in got.iter().zip(outputs).enumerate() {
        compare(got, want, RELATIVE, 1e-6).map_err(|e| format!("output {i} again: {e}"))?;
    }
    Ok(())
}

/// The light topologies have inputs of a rule: `i / elements`, as ONNX's runner makes them.
fn light(model: &Path) -> Result<(), String> {
    let graph = read(model, &[])?;
    let inputs: Vec<_> = graph
        .inputs()
        .iter()
        .map(|p| {
            let shape = graph.ty(p.value).shape.fixed().unwrap_or_default();
            let n: usize = shape.iter().product();
            let data = (0..n).map(|i| i as f32 / n as f32).collect();
            paring_tensor::Tensor::from_vec(shape, data).expect("as many as the shape has")
        })
        .collect();
    let got = run(&graph, &inputs)?;
    let want = tensor(&model.with_file_name(format!(
        "{}_output_0.pb",
        model.file_stem().unwrap_or_default().display()
    )));
    compare(&got[0], &want, RELATIVE, ABSOLUTE)
}

/// Judges the cases of a kind against the list of gaps and says how many pass.
fn judge(kind: &str, cases: Vec<(String, Result<(), String>)>) {
    let gaps = gaps();
    let total = cases.len();
    let mut wrong = Vec::new();
    let mut passed = 0;
    for (name, outcome) in cases {
        match (outcome, gaps.contains_key(&name)) {
            (Ok(()), false) => passed += 1,
            (Ok(()), true) => wrong.push(format!("{name}: passes, but is a known gap")),
            (Err(_), true) => {}
            (Err(e), false) => wrong.push(format!("{name}: {e}")),
        }
    }
    println!("{kind}: {passed} of {total} pass");
    assert!(wrong.is_empty(), "{} surprises:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed * 100 >= total * 95, "{kind}: {passed} of {total} pass");
}

fn folders(kind: &str) -> Option<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(data()?.join("onnx-conformance").join(kind))
        .expect("the folder of cases")
        .map(|e| e.expect("an entry").path())
        .collect();
    found.sort();
    Some(found)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn all(kind: &str) {
    let Some(found) = folders(kind) else { return };
    let cases = found.into_iter().filter(|p| p.is_dir());
    judge(kind, cases.map(|p| (name(&p), case(&p))).collect());
}

#[test]
fn operators() {
    all("node");
}

#[test]
fn pytorch_converted() {
    all("pytorch-converted");
}

#[test]
fn pytorch_operators() {
    all("pytorch-operator");
}

#[test]
fn light_topologies() {
    let Some(found) = folders("light") else { return };
    let models = found.into_iter().filter(|p| p.extension().is_some_and(|e| e == "onnx"));
    judge("light", models.map(|p| (name(&p), light(&p))).collect());
}

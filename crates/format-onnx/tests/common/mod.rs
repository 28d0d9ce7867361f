//! What the tests share: the data folder, reading with the reference interpreter, comparing.
#![allow(dead_code)]

use paring_backend::{Backend, ExecOptions};
use paring_format::{ReadOptions, Source};
use paring_ir::{Executor, Graph};
use paring_tensor::Tensor;
use std::path::Path;

/// The reference interpreter.
pub fn executor() -> Box<dyn Executor> {
    paring_reference::Reference.executor(ExecOptions::default()).expect("it runs in process")
}

/// Reads and verifies a model; `values` are those of its inputs, if known.
pub fn read(path: &Path, values: &[Tensor]) -> Result<Graph, String> {
    import(&Source::open(path).map_err(|e| e.to_string())?, values)
}

/// Reads and verifies a model in memory.
pub fn read_bytes(bytes: Vec<u8>, values: &[Tensor]) -> Result<Graph, String> {
    import(&Source { path: "model.onnx".into(), bytes: bytes.into() }, values)
}

fn import(source: &Source, values: &[Tensor]) -> Result<Graph, String> {
    let executor = executor();
    let options = ReadOptions { executor: Some(&*executor), values, ..Default::default() };
    let graph = paring_format_onnx::read(source, &options).map_err(|e| e.to_string())?;
    graph.verified().map_err(|e| e.to_string())?;
    Ok(graph)
}

/// Runs a graph once.
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let verified = graph.verified().map_err(|e| e.to_string())?;
    let mut session = executor().prepare(verified).map_err(|e| e.to_string())?;
    session.run(inputs).map_err(|e| e.to_string())
}

/// Compares as ONNX's own test runner does: floats within a relative and an absolute tolerance,
/// everything else exactly.
pub fn compare(got: &Tensor, want: &Tensor, relative: f64, absolute: f64) -> Result<(), String> {
    if got.dtype() != want.dtype() || got.shape() != want.shape() {
        return Err(format!("got {got:?}, expected {want:?}"));
    }
    if !want.dtype().is_float() {
        return if got == want { Ok(()) } else { Err(format!("got {got:?}, expected {want:?}")) };
    }
    let (got, want) = (got.to_f64(), want.to_f64());
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan());
        if !same
            && (g - w).abs().partial_cmp(&(absolute + relative * w.abs()))
                != Some(std::cmp::Ordering::Less)
        {
            return Err(format!("element {i}: got {g}, expected {w}"));
        }
    }
    Ok(())
}

/// The tensors `KIND_0.pb`, `KIND_1.pb`, ... of a folder.
pub fn tensors(folder: &Path, kind: &str) -> Vec<Tensor> {
    (0..)
        .map(|k| folder.join(format!("{kind}_{k}.pb")))
        .take_while(|p| p.is_file())
        .map(|p| tensor(&p))
        .collect()
}

/// One serialized tensor.
pub fn tensor(path: &Path) -> Tensor {
    let source = Source::open(path).expect("a tensor file");
    paring_format_onnx::read_tensor(&source).expect("a tensor")
}

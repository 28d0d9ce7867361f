//! Real networks against the reference interpreter, at every level and in both roundings.

use paring_backend::{Backend, ExecOptions};
use paring_format_onnx as _;
use paring_format_tflite as _;
use paring_ir::{Executor, Graph, ValueId};
use paring_opsuite::random::{Random, compare, difference, input};
use paring_qmath::Rounding;
use paring_tensor::Tensor;
use paring_x86::{Level, X86};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn models() -> Vec<PathBuf> {
    let data = paring_shared::folder();
    let mut all = Vec::new();
    for folder in ["models/tflite", "models/onnx"] {
        let Ok(entries) = std::fs::read_dir(data.join(folder)) else { continue };
        all.extend(entries.filter_map(|e| Some(e.ok()?.path())));
    }
    all.retain(|p| p.extension().is_some_and(|e| e == "tflite" || e == "onnx"));
    all.sort();
    if all.is_empty() {
        eprintln!("skipped: there are no models in {} (set PARING_DATA)", data.display());
    }
    all
}

/// How far a layer's result may be from the reference's on the same operands, as a fraction of its largest
/// number. A sum of `n` products, rounded to nearest in any order, is off by at most `n * 2^-24` times the
/// sum of their magnitudes; two such sums by twice that. For `n = 9 * 64` that would be 7e-5: the bound
/// here asks for what rounding errors of random signs leave, their square root.
const LAYER: f32 = 2e-6;

/// Each node alone, on what the reference computed before it.
fn layer_by_layer(
    graph: &Graph,
    reference: &dyn Executor,
    tested: &dyn Executor,
) -> Result<(), String> {
    let verified = graph.verified().map_err(|e| e.to_string())?;
    let mut random = Random(2);
    let inputs: Vec<Tensor> =
        graph.inputs().iter().map(|p| input(&mut random, graph.ty(p.value))).collect();
    let mut values: BTreeMap<ValueId, Tensor> = BTreeMap::new();
    let mut session = reference.prepare(verified).map_err(|e| e.to_string())?;
    session
        .run_observed(&inputs, &mut |v, x| drop(values.insert(v, x.clone())))
        .map_err(|e| e.to_string())?;
    for node in graph.nodes() {
        let mut alone = Graph::new("alone");
        let (mut operands, mut given) = (Vec::new(), Vec::new());
        for (i, v) in node.inputs().iter().enumerate() {
            let (name, ty) = (format!("x{i}"), graph.ty(*v).clone());
            let new = match (graph.constant(*v), values.get(v)) {
                (Some(data), _) => alone.add_const(name, data.clone(), ty.quant),
                (None, Some(x)) => {
                    given.push(x.clone());
                    alone.add_input(name, ty)
                }
                (None, None) => {
                    return Err(format!("`{}` has an operand without a value", node.name));
                }
            };
            operands.push(new.map_err(|e| e.to_string())?);
        }
        let ty = |v: &ValueId| (graph.value(*v).name.clone(), graph.ty(*v).clone());
        let outputs = node.outputs().iter().map(ty).collect();
        let outputs = alone.add_typed_node(&*node.name, &node.op, &operands, outputs);
        for (i, v) in outputs.map_err(|e| e.to_string())?.into_iter().enumerate() {
            alone.add_output(format!("y{i}"), v);
        }
        let mut session = tested
            .prepare(alone.verified().map_err(|e| e.to_string())?)
            .map_err(|e| e.to_string())?;
        let results = session.run(&given).map_err(|e| e.to_string())?;
        for (v, got) in node.outputs().iter().zip(&results) {
            let want = values.get(v).ok_or("a result is missing")?;
            if let Some(why) = difference(got, want, LAYER) {
                return Err(format!("`{}` alone: {why}", node.name));
            }
        }
    }
    Ok(())
}

#[test]
fn real_models_equal_the_reference() {
    let only = std::env::var("PARING_MODEL").unwrap_or_default();
    let mut failures = Vec::new();
    for path in models() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let reference = paring_reference::Reference.executor(ExecOptions::default());
        let executor = reference.as_deref();
        let options = paring_format::ReadOptions { executor, ..Default::default() };
        let graph = match paring_format::read(&path, &options) {
            Ok(graph) => graph,
            Err(e) => {
                eprintln!("{name}: not read: {e}");
                continue;
            }
        };
        for rounding in [Rounding::Double, Rounding::Single] {
            let options = ExecOptions { rounding };
            let reference = paring_reference::Reference.executor(options).unwrap();
            for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
                // What one layer adds is held to `LAYER`. In a network the errors of the layers before come
                // in as well: were they only added, they could grow to as many times that as there are
                // layers, a dozen and more here; five times is what is allowed.
                let tested = X86.executor_at(level, options);
                let layers = layer_by_layer(&graph, &*reference, &tested);
                let whole = compare(&graph, &mut Random(1), &*reference, &tested, 5.0 * LAYER);
                match layers.and(whole) {
                    Ok(()) => eprintln!("{name}: equal"),
                    Err(why) => {
                        failures.push(format!("{name}, {}, {rounding:?}: {why}", level.name()));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

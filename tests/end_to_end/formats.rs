//! Operators of every format through the command line.

use crate::{graphs, paring};
use paring_data::npy::{Npz, write_npz};
use paring_format::Source;
use paring_format::WriteOptions;
use paring_ir::text::{Large, print};
use paring_ir::{Executor, Graph};
use paring_tensor::Tensor;
use std::collections::BTreeMap;
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

fn reference() -> Box<dyn Executor> {
    paring_bundle::executor(paring_bundle::REFERENCE, Default::default()).unwrap()
}

fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let verified = graph.verified().map_err(|e| e.to_string())?;
    let mut session = reference().prepare(verified).map_err(|e| e.to_string())?;
    session.run(inputs).map_err(|e| e.to_string())
}

/// Writes a graph to a file and reads it.
fn through(graph: &Graph, path: &Path) -> Result<Option<Graph>, String> {
    match paring_format::write(graph, path, &WriteOptions::default()) {
        Ok(()) => {}
        Err(e) if e.is_unsupported() => return Ok(None),
        Err(e) => return Err(format!("writing: {e}")),
    }
    let read = paring_bundle::read_model(path, &BTreeMap::new());
    read.map(Some).map_err(|e| format!("reading: {e}"))
}

fn quantized(graph: &Graph) -> bool {
    graph.outputs().iter().any(|p| graph.ty(p.value).quant.is_some())
}

/// The text of a graph with its values numbered and its nodes without names: ONNX has nodes more for
/// what the graph's ops do besides, which have names of their own.
fn unnamed(text: &str) -> String {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = String::new();
    for line in text.lines() {
        let line = line.split(" @\"").next().unwrap_or_default();
        let mut rest = line;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            let inside = |c: char| c.is_alphanumeric() || "._:/".contains(c);
            let len = match rest.strip_prefix('"') {
                Some(quoted) => quoted.find('"').map_or(rest.len(), |n| n + 2),
                None => rest.find(|c| !inside(c)).unwrap_or(rest.len()),
            };
            let next = numbers.len();
            out.push_str(&numbers.entry(rest[..len].to_owned()).or_insert(next).to_string());
            rest = &rest[len..];
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
}

/// What is written is read as a graph that computes the same, and that graph is written and read as it
/// is.
fn round_trip(case: &graphs::Case, path: &Path) -> Result<bool, String> {
    let Some(once) = through(&case.graph, path)? else { return Ok(false) };
    let (before, after) = (run(&case.graph, &case.inputs)?, run(&once, &case.inputs)?);
    for (k, (a, b)) in before.iter().zip(&after).enumerate() {
        let near = |(a, b): (&f64, &f64)| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 2e-6 + 1e-5 * a.abs()
        };
        // ONNX states integers as real numbers between quantizations, whose rounding is another one.
        let steps = if quantized(&case.graph) && path.extension().is_some_and(|e| e == "onnx") {
            1.0
        } else {
            0.0
        };
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= steps;
        let (x, y) = (a.to_f64(), b.to_f64());
        let same = a.shape() == b.shape()
            && a.dtype() == b.dtype()
            && match a.dtype().is_float() {
                true => x.iter().zip(&y).all(near),
                false => x.iter().zip(&y).all(close),
            };
        if !same {
            return Err(format!("result {k}: {a:?} became {b:?}"));
        }
    }
    let twice = through(&once, path)?.ok_or("what was read is not written")?;
    let onnx = path.extension().is_some_and(|e| e == "onnx");
    let text = |g: &Graph| {
        let text = print(g, Large::Inline).text;
        if onnx { unnamed(&text) } else { text }
    };
    let (once, twice) = (text(&once), text(&twice));
    if once != twice {
        let line = once.lines().zip(twice.lines()).find(|(a, b)| a != b);
        return Err(format!("read again it is another graph: {line:?}"));
    }
    Ok(true)
}

/// Cases that TFLite has no operator for, or none with these operands.
const NOT_TFLITE: &[&str] = &[
    "concat/i8",
    "binary/prelu_scalar",
    "binary/prelu_both",
    "binary/atan2_scalar",
    "binary/atan2_channel",
    "binary/atan2_both",
    "arg/tie_true",
    "binary/bitand_i32",
    "binary/bitor_i32",
    "binary/fmod_both",
    "binary/fmod_channel",
    "binary/fmod_i32",
    "binary/fmod_same",
    "binary/fmod_scalar",
    "binary/shiftleft_u8",
    "binary/xor",
    "conv_transpose2d/cut",
    "conv_transpose2d/dilated",
    "conv_transpose2d/grouped",
    "depth_to_space/Crd",
    "dynamic_quantize/*",
    "einsum/*",
    "gather_elements/*",
    "gather_nd/batch",
    "gru/*",
    "hardmax/*",
    "lp_normalize/1_1",
    "lp_normalize/1_2",
    "lp_normalize/2_1",
    "lrn/size_4",
    "lstm/both",
    "lstm/forward",
    "lstm/i8_*",
    "lstm/reverse",
    "non_max_suppression/*",
    "non_zero/*",
    "normalize/*",
    "one_hot/negative",
    "one_hot/off",
    "pad/cut",
    "pad/edge",
    "pad/wrap",
    "pool/average_ceil",
    "pool/average_dilated",
    "pool/average_padded",
    "pool/l2_ceil",
    "pool/l2_dilated",
    "pool/l2_padded",
    "pool/lp(3)_ceil",
    "pool/lp(3)_counted",
    "pool/lp(3)_dilated",
    "pool/lp(3)_padded",
    "pool/lp(3)_plain",
    "pool/max_dilated",
    "reduce/l1_1",
    "reduce/l1_2",
    "reduce/l1_3",
    "reduce/l2_1",
    "reduce/l2_2",
    "reduce/l2_3",
    "reduce/logsum_1",
    "reduce/logsum_2",
    "reduce/logsum_3",
    "reduce/logsumexp_1",
    "reduce/logsumexp_2",
    "reduce/logsumexp_3",
    "reduce/sumsquare_1",
    "reduce/sumsquare_2",
    "reduce/sumsquare_3",
    "resize/cubic_aligncorners",
    "resize/cubic_asymmetric",
    "resize/cubic_halfpixel",
    "resize/nearest_aligncorners",
    "resize/nearest_halfpixel",
    "rnn/*",
    "scatter_elements/*",
    "scatter_nd/*",
    "softmax/1_false",
    "softmax/1_true",
    "softmax/2_true",
    "svdf/kept_*",
    "svdf/rank_2",
    "top_k/1_false",
    "top_k/1_true",
    "top_k/2_false",
    "trilu/*",
    "unary/acos",
    "unary/acosh",
    "unary/asin",
    "unary/asinh",
    "unary/atan",
    "unary/atanh",
    "unary/bit_not",
    "unary/celu",
    "unary/cosh",
    "unary/elu",
    "unary/erf",
    "unary/hard_sigmoid",
    "unary/is_nan",
    "unary/is_negative_inf",
    "unary/mish",
    "unary/reciprocal",
    "unary/selu",
    "unary/sinh",
    "unary/softplus",
    "unary/softsign",
    "unary/tan",
    "unary/thresholded",
];

/// Cases that ONNX has no operator for.
const NOT_ONNX: &[&str] = &[
    "binary/atan2_both",
    "binary/atan2_channel",
    "binary/atan2_same",
    "binary/atan2_scalar",
    "binary/floordiv_i32",
    "gather/batch",
    "lstm/i8_*",
    "one_hot/off",
    "pad/symmetric",
    "pool/l2_ceil",
    "pool/l2_counted",
    "pool/l2_dilated",
    "pool/l2_padded",
    "pool/l2_plain",
    "svdf/kept_*",
    "svdf/rank_2",
];

#[test]
fn every_op_round_trips() {
    let dir = tempfile::tempdir().unwrap();
    let cases = graphs::cases();
    let mut wrong = Vec::new();
    for (extension, refused) in [("tflite", NOT_TFLITE), ("onnx", NOT_ONNX)] {
        let path = dir.path().join(format!("case.{extension}"));
        let mut written = 0;
        for case in &cases {
            let listed = refused.iter().any(|r| {
                r.strip_suffix('*').map_or(*r == case.name, |start| case.name.starts_with(start))
            });
            match round_trip(case, &path) {
                Ok(true) if listed => {
                    wrong.push(format!("{extension}: {} is listed as refused", case.name));
                }
                Ok(true) => written += 1,
                Ok(false) if listed => {}
                Ok(false) => wrong.push(format!("{extension}: {} is refused", case.name)),
                Err(why) => wrong.push(format!("{extension}: {}: {why}", case.name)),
            }
        }
        println!("{extension}: {written} of {} cases are written", cases.len());
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// Networks whose tails are not images keep a transpose there.
const TRANSPOSES_LEFT: [(&str, u64); 0] = [];

#[test]
fn no_transposes_are_left_in_ordinary_networks() {
    let Some(data) = paring::shared() else { return };
    for folder in ["onnx", "tflite", "keras"] {
        for entry in std::fs::read_dir(data.join("models").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let seen = paring::json(&["inspect", path.to_str().unwrap()]);
            let id = path.file_name().unwrap().to_string_lossy().into_owned();
            let known = TRANSPOSES_LEFT.iter().find(|(name, _)| *name == id);
            let left = seen["transposes_after_layout"].as_u64();
            println!("{id}: {} transposes, {left:?} after the layout pass", seen["transposes"]);
            assert_eq!(left, Some(known.map_or(0, |(_, n)| *n)), "{id}");
        }
    }
}

//! What `paring convert` writes loads in LiteRT, TFLite Micro and ONNX Runtime, and computes there what
//! the model computed.
//!
//! The runtimes come from PyPI into a virtual environment of the test's own, which is kept under the
//! target folder. Without Python, the index or the shared models the test says so and checks nothing.

use crate::runtimes::{Job, Python};
use crate::{graphs, paring};
use std::path::Path;

/// The largest relative difference of real numbers: runtimes add in another order.
const REAL: f64 = 1e-4;

/// A model to convert.
struct Model {
    path: std::path::PathBuf,
    expected: std::path::PathBuf,
}

fn models(data: &Path, folder: &str) -> Vec<Model> {
    let mut found: Vec<_> = std::fs::read_dir(data.join("models").join(folder))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let id = path.file_stem().unwrap().to_string_lossy().into_owned();
            let expected = data.join(format!("expected/{id}.npz"));
            Model { path, expected }
        })
        .collect()
}

/// Converts a model, and gives the file or what is refused.
fn convert(model: &Path, to: &Path) -> Result<(), String> {
    let output = paring::paring(&["convert", model.to_str().unwrap(), "-o", to.to_str().unwrap()]);
    let code = output.status.code();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(code == Some(0) || code == Some(3), "{}: {text}", model.display());
    if code == Some(0) { Ok(()) } else { Err(text) }
}

#[test]
fn converted_models_compute_the_same_in_other_runtimes() {
    let Some(data) = paring::shared() else { return };
    let Some(python) = Python::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut jobs = Vec::new();
    let mut refused = Vec::new();
    for folder in ["tflite", "onnx", "keras"] {
        for model in models(&data, folder) {
            let name = model.path.file_name().unwrap().to_string_lossy().into_owned();
            let archive = paring_data::npy::Npz::open(&model.expected).unwrap();
            let mut add = |runtime: &'static str, file: &Path, key: &'static str| {
                if archive.has(&format!("{key}_0")) {
                    let (model, inputs) = (file.to_owned(), model.expected.clone());
                    jobs.push(Job { id: name.clone(), runtime, model, inputs, key });
                }
            };
            let tflite = dir.path().join(format!("{name}.tflite"));
            match convert(&model.path, &tflite) {
                Err(why) => refused.push((format!("{name} as TFLite"), why)),
                Ok(()) if folder == "tflite" => {
                    add("litert_ref", &tflite, "output_ref");
                    add("tflm", &tflite, "output_tflm");
                }
                Ok(()) => add("litert", &tflite, "output"),
            }
            let onnx = dir.path().join(format!("{name}.onnx"));
            match convert(&model.path, &onnx) {
                Err(why) => refused.push((format!("{name} as ONNX"), why)),
                Ok(()) if archive.has("output_ref_0") => add("onnxruntime", &onnx, "output_ref"),
                Ok(()) if folder == "tflite" => add("onnxruntime", &onnx, "output_tflm"),
                Ok(()) => add("onnxruntime", &onnx, "output"),
            }
        }
    }
    let mut wrong = Vec::new();
    for (job, found) in jobs.iter().zip(python.run(&jobs, 4)) {
        println!("{} in {}: {found}", job.id, job.runtime);
        let (worst, scale) = (found["worst"].as_f64(), found["scale"].as_f64());
        let bound = bound(job, scale.unwrap_or(0.0));
        if worst.is_none_or(|worst| worst > bound) {
            wrong.push(format!("{} in {}, bound {bound}: {found}", job.id, job.runtime));
        }
    }
    refused.retain(|(name, _)| !REFUSED.contains(&name.as_str()));
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The largest difference that a model may have in a runtime.
fn bound(job: &Job, scale: f64) -> f64 {
    match job.runtime {
        // The same kernels on the same model.
        "litert_ref" | "tflm" => 0.0,
        "litert" => REAL * scale,
        _ => {
            let known =
                ONNX_INTEGER.iter().find(|(id, _)| job.id.strip_suffix(".tflite") == Some(id));
            known.map_or(REAL * scale, |(_, bound)| *bound)
        }
    }
}

/// Integer models in ONNX Runtime, by how many units of the output they may differ. It requantizes sums
/// with a product of real numbers, rounded to even, where TFLite has fixed-point multipliers: a sum that
/// lies at a half comes out one unit apart, which a softmax or many layers after it enlarge. Its quantized
/// addition, global average and softmax are real arithmetic, too. XNNPACK differs from TFLite's own
/// reference by as much.
const ONNX_INTEGER: [(&str, f64); 13] = [
    ("ad_autoencoder_int8", 0.0),
    ("conv_fc_mnist_int8", 1.0),
    ("hello_world_int8", 0.0),
    ("ic_resnet8_int8", 29.0),
    ("kws_dscnn_int8", 1.0),
    // Its runtime quantizes the input of each layer on the fly; the file states real arithmetic.
    ("kws_dscnn_float", 0.005),
    ("mcunet_320kb_int8", 8.0),
    ("micro_speech_int8", 0.0),
    ("mobilenet_v1_025_128_uint8", 12.0),
    ("person_detect_int8", 3.0),
    ("rock_paper_scissors_int8", 0.0),
    ("sww_int8", 0.0),
    ("vww_mnv1_int8", 0.0),
];

/// What cannot be written, and that is right: ONNX has no values that live from one run to the next.
const REFUSED: [&str; 1] = ["mnist_lstm_int8.tflite as ONNX"];

/// What a runtime has no kernel for, or another meaning of, by case and runtime.
const ELSEWHERE: &[(&str, &str)] = &[
    // Conversion of numbers that the type does not hold is not defined in ONNX.
    ("cast/saturates", "onnxruntime"),
    // Indices from the end are not in the format; these are not constant.
    ("gather/middle", "litert_ref"),
    ("gather_nd/slices", "litert_ref"),
    // The kernel leaves out the last channel of the window.
    ("lrn/size_1", "litert_ref"),
    ("lrn/size_3", "litert_ref"),
    // Kernels for windows of an odd size only, and for cubic images whose outer axes stay.
    ("lrn/size_4", "onnxruntime"),
    ("resize/cubic_aligncorners", "onnxruntime"),
];

#[test]
fn every_written_op_computes_the_same_in_other_runtimes() {
    let Some(python) = Python::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut jobs = Vec::new();
    let mut integer = Vec::new();
    let options = paring_backend::ExecOptions { rounding: paring_backend::Rounding::Single };
    let reference = paring_bundle::executor(paring_bundle::REFERENCE, options).unwrap();
    for (i, case) in graphs::cases().into_iter().enumerate() {
        let mut session = reference.prepare(case.graph.verified().unwrap()).unwrap();
        let outputs = session.run(&case.inputs).unwrap();
        let archive = dir.path().join(format!("{i}.npz"));
        let mut named = Vec::new();
        for (kind, tensors) in [("input", &case.inputs), ("output", &outputs)] {
            for (k, t) in tensors.iter().enumerate() {
                let shape: Vec<usize> = std::iter::once(1).chain(t.shape().to_vec()).collect();
                named.push((format!("{kind}_{k}"), t.reshape(shape).unwrap()));
            }
        }
        let list = named.iter().map(|(n, t)| (n.as_str(), t));
        if paring_data::npy::write_npz(&archive, list).is_err() {
            continue;
        }
        for (extension, runtime) in [("tflite", "litert_ref"), ("onnx", "onnxruntime")] {
            let file = dir.path().join(format!("{i}.{extension}"));
            if paring_format::write(&case.graph, &file, &Default::default()).is_ok() {
                let id = case.name.clone();
                integer.push(
                    case.graph.outputs().iter().any(|p| case.graph.ty(p.value).quant.is_some()),
                );
                jobs.push(Job { id, runtime, model: file, inputs: archive.clone(), key: "output" });
            }
        }
    }
    let mut wrong = Vec::new();
    let mut right = 0;
    for ((job, integer), found) in jobs.iter().zip(&integer).zip(python.run(&jobs, 1)) {
        let scale = found["scale"].as_f64().unwrap_or(0.0);
        let bound = match (job.runtime, integer) {
            ("litert_ref", true) => 0.0,
            (_, true) => 1.0,
            _ => 1e-5 + 1e-4 * scale,
        };
        let good = found["worst"].as_f64().is_some_and(|worst| worst <= bound);
        let listed = ELSEWHERE.contains(&(job.id.as_str(), job.runtime));
        match (good, listed) {
            (true, false) => right += 1,
            (false, true) => {}
            (true, true) => wrong.push(format!("{} in {} is listed", job.id, job.runtime)),
            (false, false) => wrong.push(format!("{} in {}: {found}", job.id, job.runtime)),
        }
    }
    println!("{right} of {} files compute the same", jobs.len());
    assert!(wrong.is_empty(), "{} {}", wrong.len(), wrong.join("\n"));
}

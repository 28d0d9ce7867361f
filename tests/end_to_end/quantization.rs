//! What the quantization recipes keep of real networks.

use crate::paring::{json, paring, shared};
use serde_json::Value;
use std::path::Path;

/// Compresses a model and measures it against the original.
fn measure(model: &Path, recipe: &str, calib: &str, data: &str, out: &Path) -> (Value, Value) {
    let (model, out) = (model.to_str().unwrap(), out.to_str().unwrap());
    let report = json(&["compress", model, "--recipe", recipe, "--calib", calib, "-o", out]);
    let done = format!("{out}/model.paring");
    let scores = json(&["eval", &done, "--data", data, "--against", model]);
    (report, scores)
}

fn at_least(scores: &Value, key: &str, least: f64) {
    let found = scores[key].as_f64().unwrap();
    assert!(found >= least, "{key} is {found}, below {least}");
}

/// The rows of a step's table of layers.
fn layers<'r>(report: &'r Value, pass: &str) -> &'r Vec<Value> {
    let passes = report["passes"].as_array().unwrap();
    let step = passes.iter().find(|p| p["pass"] == pass).unwrap();
    step["layers"].as_array().unwrap()
}

#[test]
fn resnet8_in_int8_agrees_with_float() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let cifar = shared.join("datasets/cifar10");
    let model = shared.join("models/keras/ic_resnet8.h5");
    let calib = format!("cifar10:{}:train,shuffle=1,limit=512", cifar.display());
    let test = format!("cifar10:{}:test", cifar.display());
    let (report, scores) = measure(&model, "int8", &calib, &test, dir.path());
    at_least(&scores, "top1", 87.9);
    at_least(&scores, "agreement", 99.2);
    let quantized = layers(&report, "quantize");
    assert_eq!(quantized.iter().filter(|l| l["op"] == "conv2d").count(), 9);
    for layer in quantized {
        assert!(layer["result"].as_str().unwrap().starts_with("i8"), "{layer}");
    }
    let rounded = layers(&report, "gptq");
    assert!(rounded.iter().all(|l| l["result_db"].as_f64().unwrap() > 40.0));
}

#[test]
fn keyword_spotting_in_int8_keeps_its_accuracy() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = shared.join("models/keras/kws_dscnn.h5");
    let data = format!("kws01:{}", shared.join("datasets/kws01").display());
    let calib = format!("{data},limit=100");
    let (_, scores) = measure(&model, "int8", &calib, &data, dir.path());
    at_least(&scores, "top1", 91.0);
}

#[test]
fn small_weights_below_real_activations_need_no_data_and_keep_the_accuracy() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = shared.join("models/keras/kws_dscnn.h5");
    let data = format!("kws01:{}", shared.join("datasets/kws01").display());
    // Bytes of a weight, and the least signal to noise of the scores in decibels.
    for (recipe, width, least) in [("weights8", 1.0, 30.0), ("float16", 2.0, 60.0)] {
        let (source, out) = (model.to_str().unwrap(), dir.path().join(recipe));
        let report = json(&["compress", source, "--recipe", recipe, "-o", out.to_str().unwrap()]);
        let bytes = report["after"]["weight_bytes"].as_f64().unwrap();
        let weights = report["after"]["parameters"].as_f64().unwrap();
        assert!(bytes < weights * (width + 0.2), "{recipe}: {bytes} bytes for {weights} weights");
        let written = out.join("model.tflite");
        let (done, written) = (out.join("model.paring"), written.to_str().unwrap());
        let output = paring(&["convert", done.to_str().unwrap(), "-o", written]);
        assert!(output.status.success());
        for form in [done.to_str().unwrap(), written] {
            let scores = json(&["eval", form, "--data", &data, "--against", source]);
            at_least(&scores, "top1", 91.0);
            at_least(&scores, "snr_db", least);
        }
    }
}

#[test]
fn sensitivity_leaves_the_network_and_names_every_layer() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = shared.join("models/keras/kws_dscnn.h5");
    let data = format!("kws01:{},limit=32", shared.join("datasets/kws01").display());
    let (report, scores) = measure(&model, "sensitivity", &data, &data, dir.path());
    at_least(&scores, "agreement", 100.0);
    let layers = layers(&report, "sensitivity");
    let weighted = layers.iter().filter(|l| l["weights_db"].as_f64().is_some()).count();
    assert_eq!(weighted, 10, "{layers:?}");
}

#[test]
fn quantizing_again_gives_the_same_bytes_on_any_number_of_threads() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = shared.join("models/keras/kws_dscnn.h5");
    let data = format!("kws01:{},limit=40", shared.join("datasets/kws01").display());
    let once = |threads: &str| {
        let out = dir.path().join(threads);
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_paring"))
            .args(["compress", model.to_str().unwrap(), "--recipe", "int8", "--calib", &data])
            .args(["--quiet", "-o", out.to_str().unwrap()])
            .env("RAYON_NUM_THREADS", threads)
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::read(out.join("model.paring")).unwrap()
    };
    let first = once("1");
    assert!(first == once("2") && first == once("5"));
}

#[test]
fn a_layer_that_a_recipe_names_in_vain_is_an_error() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = shared.join("models/keras/kws_dscnn.h5");
    let data = format!("kws01:{},limit=8", shared.join("datasets/kws01").display());
    let recipe = dir.path().join("r.toml");
    let text = "version = 1\n[[pass]]\nuse = \"fold-bn\"\n[[pass]]\nuse = \"gptq\"\n\
                activations = \"f32\"\nonly = [\"no_such_layer\"]\n";
    std::fs::write(&recipe, text).unwrap();
    let args = ["compress", model.to_str().unwrap(), "--recipe", recipe.to_str().unwrap()];
    let out = dir.path().join("out");
    let output = paring(&[&args[..], &["--calib", &data, "-o", out.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no_such_layer"));
}

/// Networks whose outputs are no classes: the least ratio of signal to error of every output in int8, in
/// decibels, on pictures that did not calibrate.
#[test]
fn every_output_of_other_networks_stays_close_in_int8() {
    let Some(shared) = shared() else { return };
    let pictures = shared.join("datasets/imagenet200");
    for (model, how, outputs, least) in [
        ("keras/fer2013_mini_xception.h5", "color=gray,range=-1..1,size=64x64", 1, 15.0),
        ("tflite/face_detection_short_range_fp16w.tflite", "range=-1..1,size=128x128", 2, 15.0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let model = shared.join("models").join(model);
        let (model, out) = (model.to_str().unwrap(), dir.path().to_str().unwrap());
        let data = format!("images:{},{how}", pictures.display());
        let calib = format!("{data},offset=0,stride=2,limit=24");
        let judge = format!("{data},offset=1,stride=2,limit=12");
        let on = ["--backend", "auto"];
        let args = ["compress", model, "--recipe", "int8", "--calib", &calib, "-o", out];
        let report = json(&[&args[..], &on].concat());
        for layer in layers(&report, "quantize") {
            let result = layer["result"].as_str().unwrap();
            assert!(result.starts_with("i8"), "{layer}");
        }
        let done = format!("{out}/model.paring");
        let args = ["eval", &done, "--data", &judge, "--against", model];
        let scores = json(&[&args[..], &on].concat());
        let found = scores["outputs"].as_array().unwrap();
        assert_eq!(found.len(), outputs);
        for output in found {
            let db = output["snr_db"].as_f64().unwrap();
            assert!(db >= least, "{model}: {output}");
            assert!(output["psnr_db"].as_f64().unwrap() >= db);
        }
    }
}

/// Where 8 bits of activations cost the most, 16 cost little, and everything computes the same bits.
#[test]
fn a_network_with_wide_places_is_closer_to_the_original_than_in_int8() {
    let Some(shared) = shared() else { return };
    let model = shared.join("models/keras/vww_mnv1.h5");
    let model = model.to_str().unwrap();
    let pictures = shared.join("datasets/imagenet200");
    let data = format!("images:{},size=96,range=0..1", pictures.display());
    let calib = format!("{data},offset=0,stride=2,limit=16");
    let judge = format!("{data},offset=1,stride=2,limit=32");
    let on = ["--backend", "auto"];
    let mut found = Vec::new();
    for recipe in ["int8", "int8-wide"] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().to_str().unwrap();
        let args = ["compress", model, "--recipe", recipe, "--calib", &calib, "-o", out];
        let report = json(&[&args[..], &on].concat());
        let wide = layers(&report, "quantize")
            .iter()
            .filter(|l| l["result"].as_str().unwrap().starts_with("i16"))
            .count();
        assert_eq!(wide > 0, recipe == "int8-wide");
        let done = format!("{out}/model.paring");
        let args = ["eval", &done, "--data", &judge, "--against", model];
        let scores = json(&[&args[..], &on].concat());
        let plain = json(&[&args[..], &["--backend", "reference"]].concat());
        assert_eq!(scores["snr_db"], plain["snr_db"]);
        found.push(scores["snr_db"].as_f64().unwrap());
    }
    assert!(found[1] > found[0] + 3.0, "{found:?}");
}

//! What networks take on a target, estimated, and as an aim.

use crate::paring::{emulator, json, paring, shared};
use serde_json::Value;
use std::path::Path;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn cycles(model: &Path, target: &str) -> u64 {
    let found = json(&["inspect", text(model), "--target", target]);
    found["estimate"]["sizes"]["cycles"].as_u64().unwrap_or_else(|| panic!("{found}"))
}

#[test]
fn inspect_says_what_compile_says() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = data.join("models/tflite/kws_dscnn_int8.tflite");
    let found = json(&["inspect", text(&model), "--target", "cortex-m33"]);
    let out = dir.path().join("c");
    let package = json(&["compile", text(&model), "--target", "cortex-m33", "-o", text(&out)]);
    assert_eq!(found["estimate"]["assumed_integers"], false);
    for key in ["cycles", "ram_bytes", "weight_bytes", "layers"] {
        assert_eq!(found["estimate"]["sizes"][key], package[key], "{key}");
    }
}

#[test]
fn real_numbers_count_as_the_integers_that_they_become() {
    let Some(data) = shared() else { return };
    for name in ["vww_mnv1", "ad_autoencoder", "ic_resnet8"] {
        let integers = data.join(format!("models/tflite/{name}_int8.tflite"));
        let real = data.join(format!("models/tflite/{name}_float.tflite"));
        let found = json(&["inspect", text(&real), "--target", "cortex-m4"]);
        assert_eq!(found["estimate"]["assumed_integers"], true, "{name}");
        let (guess, known) = (cycles(&real, "cortex-m4"), cycles(&integers, "cortex-m4"));
        // The publisher's file leaves out what its converter found to be always zero.
        assert!(guess.abs_diff(known) * 50 <= known, "{name}: {guess} for {known}");
    }
}

#[test]
fn what_is_not_known_is_said() {
    let Some(data) = shared() else { return };
    let model = data.join("models/tflite/mnist_lstm_int8.tflite");
    let found = json(&["inspect", text(&model), "--target", "cortex-m4"]);
    let why = found["estimate"]["error"].as_str().unwrap();
    assert!(why.contains("lstm") || why.contains("cannot be compiled"), "{why}");
}

/// Prunes the channels of a network by a recipe that quantizes it in the end.
fn pruned(data: &Path, dir: &Path, step: &str) -> Result<Value, String> {
    let recipe = dir.join("recipe.toml");
    let mut file = String::from("version = 1\n");
    for pass in ["cleanup", "layout", "fold-bn", "fuse", "remove-dead-channels"] {
        file += &format!("[[pass]]\nuse = \"{pass}\"\n");
    }
    file += step;
    for pass in ["calibrate", "quantize", "cleanup"] {
        file += &format!("[[pass]]\nuse = \"{pass}\"\n");
    }
    std::fs::write(&recipe, file).unwrap();
    let model = data.join("models/keras/kws_dscnn.h5");
    let calib = format!("npz:{}", data.join("expected/kws_dscnn.npz").display());
    let args = ["compress", text(&model), "--recipe", text(&recipe), "--calib", &calib, "-o"];
    let out = dir.join("out");
    let output = paring(&[&args[..], &[text(&out), "--json"]].concat());
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn an_aim_of_latency_holds_after_compiling() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let before = cycles(&data.join("models/keras/kws_dscnn.h5"), "cortex-m4");
    for (step, allowed) in [
        ("[[pass]]\nuse = \"prune-channels\"\nlatency = \"30ms@80MHz\"\n", 2_400_000),
        (
            "[[pass]]\nuse = \"prune\"\nlatency = 0.85\ncriterion = \"magnitude\"\n",
            before * 85 / 100,
        ),
    ] {
        let step = format!("{step}target = \"cortex-m4\"\n");
        let report = pruned(&data, dir.path(), &step).unwrap_or_else(|e| panic!("{e}"));
        let model = dir.path().join("out/model.paring");
        let package = json(&[
            "compile",
            text(&model),
            "--target",
            "cortex-m4",
            "-o",
            text(&dir.path().join("c")),
        ]);
        let compiled = package["cycles"].as_u64().unwrap();
        let passes = report["passes"].as_array().unwrap();
        let notes = passes.iter().flat_map(|p| p["notes"].as_array().unwrap());
        let after = |note: &Value| {
            let note = note.as_str()?.strip_prefix("`cortex-m4`: about ")?;
            note.strip_suffix(" cycles after")?.parse::<u64>().ok()
        };
        let estimate = notes.filter_map(after).next_back().unwrap();
        // Ranges that are calibrated differ from those that made-up inputs give.
        assert!(estimate.abs_diff(compiled) * 200 <= compiled, "{estimate} for {compiled}");
        assert!(estimate <= allowed && estimate * 10 > allowed * 8, "{estimate} of {allowed}");
        if emulator() {
            let report = json(&["verify", text(&model), "--target", "cortex-m4"]);
            let counted = report["cycles"].as_u64().unwrap();
            assert!(counted.abs_diff(estimate) * 20 <= counted, "{estimate} for {counted}");
        }
    }
}

#[test]
fn aims_that_cannot_be_reached_are_refused_with_a_reason() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let why = |step: &str| pruned(&data, dir.path(), step).expect_err(step);
    let step = "[[pass]]\nuse = \"prune\"\ncriterion = \"magnitude\"\nlatency = 0.5\n";
    let said = why(&format!("{step}target = \"cortex-m0\"\n"));
    assert!(said.contains("cannot be reached") && said.contains("prune-channels"), "{said}");
    let said = why(&format!("{step}target = \"aarch64\"\n"));
    assert!(said.contains("not known without running it"), "{said}");
    let said = why(&format!("{step}target = \"toaster\"\n"));
    assert!(said.contains("unknown target `toaster`"), "{said}");
}

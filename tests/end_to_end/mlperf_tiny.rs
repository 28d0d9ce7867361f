//! The four MLPerf Tiny networks: the interpreter against two runtimes, and the emitted C against the
//! interpreter.

use crate::paring::{emulator, json, shared};
use paring_data::npy::Npz;
use std::path::Path;

const MODELS: [&str; 4] =
    ["ic_resnet8_int8", "kws_dscnn_int8", "vww_mnv1_int8", "ad_autoencoder_int8"];

fn outputs(path: &Path, name: &str) -> Vec<u8> {
    Npz::open(path).unwrap().get(name).unwrap().bytes().to_vec()
}

#[test]
fn the_interpreter_equals_litert_and_tflite_micro() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    for name in MODELS {
        let model = data.join(format!("models/tflite/{name}.tflite"));
        let expected = data.join(format!("expected/{name}.npz"));
        for (rounding, member) in [("single", "output_ref_0"), ("double", "output_tflm_0")] {
            let out = dir.path().join(format!("{name}-{rounding}.npz"));
            json(&[
                "run",
                model.to_str().unwrap(),
                "--input",
                expected.to_str().unwrap(),
                "--rounding",
                rounding,
                "--output",
                out.to_str().unwrap(),
            ]);
            assert_eq!(outputs(&out, "output_0"), outputs(&expected, member), "{name} {rounding}");
        }
    }
}

/// What a network may take on a core: RAM, flash, instructions.
struct Bounds {
    name: &'static str,
    /// TensorFlow Lite Micro's arena and 60 % of its flash (for the autoencoder, whose weights alone are
    /// more, 280,000), on every core.
    peers: [u64; 2],
    m4: [u64; 3],
    /// Instructions with Helium.
    m55: u64,
}

const BOUNDS: [Bounds; 4] = [
    Bounds {
        name: "ic_resnet8_int8",
        peers: [54_996, 141_632 * 6 / 10],
        m4: [36_000, 88_000, 12_600_000],
        m55: 2_200_000,
    },
    Bounds {
        name: "kws_dscnn_int8",
        peers: [22_820, 99_908 * 6 / 10],
        m4: [12_000, 34_000, 3_300_000],
        m55: 850_000,
    },
    Bounds {
        name: "vww_mnv1_int8",
        peers: [100_708, 379_260 * 6 / 10],
        m4: [40_000, 46_000, 5_800_000],
        m55: 1_600_000,
    },
    Bounds {
        name: "ad_autoencoder_int8",
        peers: [2_580, 280_000],
        m4: [800, 275_000, 300_000],
        m55: 50_000,
    },
];

#[test]
fn the_emitted_c_equals_the_interpreter_and_fits() {
    let Some(data) = shared() else { return };
    if !emulator() {
        return;
    }
    let mut failures = Vec::new();
    for Bounds { name, peers, m4, m55 } in BOUNDS {
        for target in ["cortex-m3", "cortex-m4", "cortex-m7", "cortex-m55"] {
            let model = data.join(format!("models/tflite/{name}.tflite"));
            let inputs = data.join(format!("expected/{name}.npz"));
            let seen = json(&[
                "verify",
                model.to_str().unwrap(),
                "--target",
                target,
                "--inputs",
                inputs.to_str().unwrap(),
                "--limit",
                "4",
            ]);
            let number = |key: &str| seen[key].as_u64().unwrap();
            let [ram, flash, instructions] = match target {
                "cortex-m4" => m4,
                "cortex-m55" => [peers[0], peers[1], m55],
                _ => [peers[0], peers[1], u64::MAX],
            };
            let fits = seen["equal"] == true
                && number("ram_bytes") <= ram
                && number("flash_bytes") <= flash
                && number("instructions") <= instructions;
            if !fits {
                failures.push(format!("{name} on {target}: {seen}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn resnet8_keeps_its_accuracy_in_int8() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = data.join("models/tflite/ic_resnet8_float.tflite");
    let model = model.to_str().unwrap();
    let cifar = data.join("datasets/cifar10").display().to_string();
    let test = format!("cifar10:{cifar}:test");
    let float = json(&["eval", model, "--data", &test]);
    assert_eq!(float["samples"], 1017);
    let percent = float["top1"].as_f64().unwrap();
    assert!((percent - 88.00).abs() < 0.01, "float: {percent} %");
    let out = dir.path().join("int8");
    let calib = format!("cifar10:{cifar}:train,limit=512");
    json(&["compress", model, "--recipe", "int8", "--calib", &calib, "-o", out.to_str().unwrap()]);
    let small = out.join("model.paring");
    let int8 = json(&["eval", small.to_str().unwrap(), "--data", &test, "--against", model]);
    assert!(int8["top1"].as_f64().unwrap() >= 87.5, "{int8}");
}

#[test]
fn dead_channels_of_the_visual_wake_words_network_go() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = data.join("models/tflite/vww_mnv1_int8.tflite");
    let inputs = data.join("expected/vww_mnv1_int8.npz");
    let recipe = dir.path().join("dead.toml");
    std::fs::write(&recipe, "version = 1\n[[pass]]\nuse = \"remove-dead-channels\"\n").unwrap();
    let out = dir.path().join("out");
    let report = json(&[
        "compress",
        model.to_str().unwrap(),
        "--recipe",
        recipe.to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
    ]);
    assert!(report["before"]["macs"].as_u64().unwrap() > 7_480_000, "{report}");
    assert!(report["after"]["macs"].as_u64().unwrap() <= 3_735_000, "{report}");
    let run = |model: &Path, name: &str| {
        let y = dir.path().join(name);
        let (model, inputs) = (model.to_str().unwrap(), inputs.to_str().unwrap());
        json(&["run", model, "--input", inputs, "--output", y.to_str().unwrap()]);
        outputs(&y, "output_0")
    };
    assert_eq!(run(&model, "a.npz"), run(&out.join("model.paring"), "b.npz"));
}

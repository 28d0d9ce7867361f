//! Packages for 64-bit Arm: verified under the emulator, and used by the examples.

use crate::paring::{json, paring, root, shared};
use paring_data::npy::Npz;
use paring_emulator::{Cpu, Runtime, cross_build, cross_compile_c, run_program};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether the cross toolchain and the emulator are installed; says so if not.
fn toolchain() -> bool {
    let missing = paring_emulator::missing_aarch64_packages();
    if !missing.is_empty() {
        eprintln!("skipped: not installed: {}", missing.join(" "));
    }
    missing.is_empty()
}

fn shapes() -> String {
    root().join("tests/models/shapes.onnx").display().to_string()
}

fn verify(model: &str, cpu: &str, more: &[&str]) -> serde_json::Value {
    let result = json(&[&["verify", model, "--target", "aarch64", "--cpu", cpu], more].concat());
    assert_eq!(result["equal"], true, "{model}, {cpu}: {result}");
    assert_eq!(result["cpu"], cpu);
    result
}

#[test]
fn the_own_network_on_every_processor() {
    if !toolchain() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("int8");
    json(&[
        "compress",
        &shapes(),
        "--recipe",
        "int8",
        "--calib",
        "shapes:train,limit=32",
        "-o",
        out.to_str().unwrap(),
    ]);
    let int8 = out.join("model.paring").display().to_string();
    let mut counts = Vec::new();
    for cpu in ["cortex-a53", "cortex-a72", "cortex-a76", "max"] {
        let float = verify(&shapes(), cpu, &[]);
        let result = verify(&int8, cpu, &[]);
        assert_eq!(result["max_relative_error"], 0.0, "{result}");
        let dot = ["cortex-a76", "max"].contains(&cpu);
        assert_eq!(result["level"] == "neon", !dot, "{result}");
        counts.push([&float, &result].map(|r| r["instructions"].as_u64().unwrap()));
    }
    for [float, int8] in &counts {
        assert!((100_000..2_000_000).contains(float) && int8 < float, "{counts:?}");
    }
    assert!(counts[2][1] < counts[1][1], "the dot product saves nothing: {counts:?}");
}

#[test]
fn real_networks_within_their_instructions() {
    let Some(data) = shared() else { return };
    if !toolchain() {
        return;
    }
    for (name, most) in [
        ("ic_resnet8_int8", 3_400_000),
        ("vww_mnv1_int8", 1_600_000),
        ("kws_dscnn_int8", 1_200_000),
        ("ad_autoencoder_int8", 300_000),
    ] {
        let model = data.join(format!("models/tflite/{name}.tflite"));
        let inputs = data.join(format!("expected/{name}.npz"));
        let more = ["--inputs", inputs.to_str().unwrap(), "--limit", "2"];
        let result = verify(model.to_str().unwrap(), "cortex-a72", &more);
        let instructions = result["instructions"].as_u64().unwrap();
        assert!(instructions <= most, "{name}: {instructions} instructions, at most {most}");
    }
    for name in [
        "tflite/ic_resnet8_float.tflite",
        "tflite/kws_dscnn_float.tflite",
        "keras/vww_mnv1.h5",
        "onnx/lenet5.onnx",
    ] {
        let model = data.join("models").join(name);
        verify(model.to_str().unwrap(), "cortex-a53", &["--limit", "2"]);
    }
}

#[test]
fn what_is_missing_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_paring"))
        .args(["verify", &shapes(), "--target", "aarch64", "--quiet"])
        .env("PATH", "")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for word in ["apt-get install", "qemu-user", "gcc-aarch64-linux-gnu"] {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
    let output = paring(&["verify", &shapes(), "--target", "aarch64", "--cpu", "z80"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cortex-a76"));
}

fn member(file: &Path, name: &str) -> Vec<u8> {
    Npz::open(file).unwrap().get(name).unwrap().bytes().to_vec()
}

/// What the examples print of scores: the first largest and what it stands for.
fn line(scores: &[u8]) -> String {
    let scores: Vec<i8> = scores.iter().map(|b| *b as i8).collect();
    let most = *scores.iter().max().unwrap();
    let class = scores.iter().position(|s| *s == most).unwrap();
    format!("{class} {:.4}", (i32::from(most) + 128) as f32 / 256.0)
}

/// An example in Rust and in C, the latter with the shared library.
fn built(name: &str, dir: &Path) -> [PathBuf; 2] {
    let runtime = Runtime::build(&root()).unwrap_or_else(|e| panic!("{e}"));
    let rust = cross_build(&root(), &["-p", "paring-examples", "--bins"]);
    let library = runtime.shared_library();
    let c = dir.join(format!("{name}_c"));
    let args = [
        "-std=c11".to_owned(),
        "-O2".to_owned(),
        "-Wall".to_owned(),
        "-Wextra".to_owned(),
        "-Werror".to_owned(),
        format!("-I{}", root().join("crates/embed/include").display()),
        root().join(format!("examples/c/{name}.c")).display().to_string(),
        library.display().to_string(),
        format!("-Wl,-rpath,{}", library.parent().unwrap().canonicalize().unwrap().display()),
        "-lm".to_owned(),
        "-o".to_owned(),
        c.display().to_string(),
    ];
    cross_compile_c(dir, &args).unwrap_or_else(|e| panic!("{e}"));
    [rust.unwrap_or_else(|e| panic!("{e}")).join(name), c]
}

fn compile(data: &Path, model: &str, dir: &Path) {
    let model = data.join(format!("models/tflite/{model}.tflite"));
    let (model, dir) = (model.to_str().unwrap(), dir.to_str().unwrap());
    json(&["compile", model, "--target", "aarch64", "-o", dir]);
}

#[test]
fn camera_frames_are_classified() {
    let Some(data) = shared() else { return };
    if !toolchain() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    compile(&data, "vww_mnv1_int8", dir);
    let expected = data.join("expected/vww_mnv1_int8.npz");
    let (frames, scores) = (member(&expected, "input_0"), member(&expected, "output_tflm_0"));
    let programs = built("classify_frame", dir);
    for (frame, scores) in frames.chunks(96 * 96 * 3).zip(scores.chunks(2)).take(3) {
        let pixels: Vec<u8> = frame.iter().map(|b| b ^ 0x80).collect();
        // As it is, and in the middle of a wider frame at twice the size.
        let plain = [b"P6 96 96 255\n", &pixels[..]].concat();
        let mut wide = b"P6\n# twice the size\n204 192\n255\n".to_vec();
        for y in 0..192 {
            for x in 0..204_usize {
                let at = x.checked_sub(6).map_or(0, |x| (x / 2).min(95));
                wide.extend(&pixels[3 * (96 * (y / 2) + at)..][..3]);
            }
        }
        for (name, bytes) in [("plain.ppm", plain), ("wide.ppm", wide)] {
            std::fs::write(dir.join(name), bytes).unwrap();
            for program in &programs {
                let said = run_program(program, &["model.prt", name], dir, Cpu::CortexA72, None);
                let said = said.unwrap_or_else(|e| panic!("{}: {e}", program.display()));
                assert_eq!(said.trim(), line(scores), "{}, {name}", program.display());
            }
        }
    }
}

#[test]
fn keywords_are_spotted() {
    let Some(data) = shared() else { return };
    if !toolchain() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    compile(&data, "kws_dscnn_int8", dir);
    let expected = data.join("expected/kws_dscnn_int8.npz");
    let (windows, scores) = (member(&expected, "input_0"), member(&expected, "output_tflm_0"));
    let (mut args, mut wanted) = (vec!["model.prt".to_owned()], Vec::new());
    for (i, (window, scores)) in windows.chunks(490).zip(scores.chunks(12)).enumerate() {
        std::fs::write(dir.join(i.to_string()), window).unwrap();
        args.push(i.to_string());
        wanted.push(line(scores));
    }
    assert!(wanted.len() > 4);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    for program in built("keyword_spotting", dir) {
        let said = run_program(&program, &args, dir, Cpu::CortexA72, None);
        let said = said.unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        let got: Vec<String> = said
            .lines()
            .map(|l| l.rsplit_once(' ').map_or(l, |(numbers, _)| numbers).to_owned())
            .collect();
        assert_eq!(got, wanted, "{}", program.display());
    }
}

//! Runtimes from PyPI load what is written and compute the same from it.
//!
//! The test makes a virtual environment of its own. Without Python, pip or a network it says so and
//! checks nothing.

mod common;

use common::{data, read};
use paring_format::WriteOptions;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Python of a fresh environment with a package, or why there is none.
fn python(package: &str) -> Result<PathBuf, String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("venv-{package}"));
    let python = dir.join("bin/python");
    let run = |command: &mut Command| {
        let output = command.output().map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(text) }
    };
    if !dir.join("ready").exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
        let install = ["-m", "pip", "install", "--quiet", "--pre", "numpy", package];
        run(Command::new(&python).args(install))?;
        std::fs::write(dir.join("ready"), "").map_err(|e| e.to_string())?;
    }
    Ok(python)
}

/// Rewrites every shared model and compares both files in a runtime.
fn compare(runtime: &str, package: &str) {
    let Some(data) = data() else { return };
    let python = match python(package) {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: no environment with {package}: {why}");
            return;
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let mut arguments = Vec::new();
    for entry in std::fs::read_dir(data.join("models/tflite")).unwrap() {
        let path = entry.unwrap().path();
        let graph = read(&path, None).unwrap_or_else(|e| panic!("{e}"));
        let bytes = paring_format_tflite::write(&graph, &WriteOptions::default()).unwrap();
        let again = dir.path().join(path.file_name().unwrap());
        std::fs::write(&again, bytes).unwrap();
        arguments.extend([path, again]);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/compare.py");
    let output = Command::new(python).arg(script).arg(runtime).args(&arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut count, mut worst) = (0, Vec::new());
    for line in text.lines().filter_map(|l| l.strip_prefix("difference ")) {
        count += 1;
        // Its runtimes quantize what meets its integer weights on the fly; the rewritten model states
        // the dequantization of the weights and computes with real numbers.
        let hybrid = line.ends_with("kws_dscnn_float.tflite");
        if !line.starts_with("0.0 ") && !hybrid {
            worst.push(line);
        }
    }
    assert!(count > 0, "no model was compared");
    assert!(worst.is_empty(), "{worst:#?}");
}

#[test]
fn litert_computes_the_same_from_rewritten_models() {
    compare("litert", "ai-edge-litert");
}

#[test]
fn tflite_micro_computes_the_same_from_rewritten_models() {
    compare("tflm", "tflite-micro");
}

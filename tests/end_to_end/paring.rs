//! Runs the program.

pub use paring_shared::data as shared;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether the emulator is installed; says so if not.
pub fn emulator() -> bool {
    let missing = paring_emulator::missing_packages();
    if !missing.is_empty() {
        eprintln!("skipped: not installed: {}", missing.join(" "));
    }
    missing.is_empty()
}

/// Runs `paring` with arguments.
pub fn paring(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paring")).args(args).arg("--quiet").output().unwrap()
}

/// Runs `paring ... --json`, which has to succeed, and parses what it prints.
pub fn json(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_paring"))
        .args(args)
        .args(["--json", "--quiet"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "paring {}: {errors}", args.join(" "));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

//! `cargo xtask bench-quantization`: the table in docs/quantization.md, made anew.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// What the comparison needs from the Python package index.
const PACKAGES: &[&str] =
    &["numpy", "ai-edge-quantizer", "ai-edge-litert", "onnx", "onnxruntime", "sympy"];

/// Sets up a Python of its own below `target`, builds the program, and compares: for all tables of the
/// page, or those named.
pub fn run(root: &Path, tables: &[String]) -> Result<()> {
    let data = paring_shared::folder();
    ensure!(data.is_dir(), "there is no {} (set PARING_DATA)", data.display());
    let work = root.join("target/bench-quantization");
    let python = work.join("venv/bin/python");
    std::fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    if !python.is_file() {
        super::run(Command::new("python3").args(["-m", "venv"]).arg(work.join("venv")))?;
    }
    super::run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    super::run(
        Command::new(cargo).args(["build", "--release", "-p", "paring-cli"]).current_dir(root),
    )?;
    super::run(
        Command::new(&python)
            .arg(root.join("tools/xtask/python/compare_quantizers.py"))
            .arg(root.join("target/release/paring"))
            .arg(data.canonicalize()?)
            .arg(&work)
            .arg(root.join("docs/quantization.md"))
            .args(tables),
    )
}

//! The most memory that a process has while it runs a network from a mapped package.
//!
//! The measured process is a program of its own with nothing but the runtime and the kernels, linked
//! statically, as small programs for devices are; the operating system counts its pages, those of the mapped
//! weights among them.

use anyhow::{Context, Result, ensure};
use paring_backend::ExecOptions;
use paring_ir::Graph;
use paring_kernels::Kernels;
use paring_x86::{Level, X86, X86Kernels};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a network needs, and what a process had that ran it.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes of the constants.
    pub weights: usize,
    /// The most bytes of values that are there at once when nodes run in order.
    pub activations: usize,
    /// Bytes of the package.
    pub package: usize,
    /// Bytes of the arena.
    pub arena: usize,
    /// The most bytes that the process had.
    pub peak: usize,
    /// Microseconds from opening the file to a model that is ready.
    pub load_us: usize,
}

impl Memory {
    /// The bound that the project has set itself: weights, 1.3 times the activations, and 2 MB for all else.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.weights + self.activations * 13 / 10 + 2_000_000
    }
}

/// Bytes of the constants, and the most bytes of values that are there at once when nodes run in order.
fn needed(graph: &Graph) -> Result<(usize, usize)> {
    let verified = graph.verified()?;
    let bytes = |v| graph.ty(v).byte_len().unwrap_or(0);
    let (mut weights, mut last, order) = (HashMap::new(), HashMap::new(), verified.order());
    for (i, id) in order.iter().enumerate() {
        for v in graph.node(*id).inputs() {
            match graph.constant(*v) {
                Some(_) => drop(weights.insert(*v, bytes(*v))),
                None => drop(last.insert(*v, i)),
            }
        }
    }
    for port in graph.outputs() {
        last.insert(port.value, order.len());
    }
    let mut live: Vec<_> = graph.inputs().iter().map(|p| p.value).collect();
    let mut most = 0;
    for (i, id) in order.iter().enumerate() {
        live.extend(graph.node(*id).outputs());
        most = most.max(live.iter().map(|v| bytes(*v)).sum());
        live.retain(|v| last.get(v).is_some_and(|last| *last > i));
    }
    Ok((weights.values().sum(), most))
}

/// Builds the program that [`measure`] starts.
///
/// # Errors
/// If it cannot be built.
pub fn program() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let name = "measure_package";
    let profile = ["--profile", "embed", "--package", "paring-x86-kernels", "--example", name];
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&root).args(["rustc", "--quiet"]).args(profile);
    // Variables of a build around this one are not for it.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let target = root.join("target/measure");
    command.arg("--target-dir").arg(&target).args(["--", "-C", "target-feature=+crt-static"]);
    let status = command.status().context("starting cargo")?;
    ensure!(status.success(), "building `{name}` failed");
    Ok(target.join("embed/examples").join(name))
}

/// Measures with the program that [`program`] builds; the package is written to `path`.
///
/// # Errors
/// If the runtime has no step for a node, or the process fails.
pub fn measure(graph: &Graph, program: &Path, path: &Path) -> Result<Memory> {
    let (weights, activations) = needed(graph)?;
    let kernels = X86Kernels::new(Level::detect());
    let engine = X86.executor_at(Level::detect(), ExecOptions::default());
    let planned = engine.program(graph.verified()?)?;
    let package = planned.to_package(kernels.family());
    std::fs::write(path, &package)?;
    let output = Command::new(program).arg(path).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let (peak, load_us) = text.trim().split_once(' ').context("two numbers")?;
    Ok(Memory {
        weights,
        activations,
        package: package.len(),
        arena: planned.arena,
        peak: 1024 * peak.parse::<usize>()?,
        load_us: load_us.parse()?,
    })
}

//! The project's chores.
//!
//! `cargo xtask setup` installs what the tests need besides Rust, or says how; `cargo xtask test` does
//! that and then runs every check: formatting, lints, documentation and all tests.
//! `cargo xtask bench-mcu` measures the benchmark networks on every emulated Cortex-M and writes
//! `docs/benchmarks-cortex-m.md`; `cargo xtask bench-x86` measures the x86 engine beside other runtimes and writes
//! `docs/bench-x86.md`; `cargo xtask bench-aarch64` counts what packages take on emulated processors and writes
//! `docs/aarch64.md`. `cargo xtask bench-quantization` compares the quantization recipes with other tools.
#![forbid(unsafe_code)]

mod bench_mcu;
mod bench_quantization;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A program that the tests use, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
    ("qemu-system-arm", "qemu-system-arm"),
    ("gcc", "gcc"),
    ("cmake", "cmake"),
    ("make", "make"),
    ("qemu-aarch64", "qemu-user"),
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    ("llvm-mca-19", "llvm-19"),
];

/// Packages without a program of their own, and a file that shows they are there.
const LIBRARIES: &[(&str, &str)] = &[
    ("/usr/lib/arm-none-eabi/include/stdint.h", "libnewlib-arm-none-eabi"),
    ("/usr/include/newlib/c++/", "libstdc++-arm-none-eabi-newlib"),
    ("/usr/aarch64-linux-gnu/lib/libc.so.6", "libc6-dev-arm64-cross"),
    // Debian's own Rust has the sources of the standard library that a build for aarch64 takes.
    ("/usr/bin/rustc", "rustc-web"),
    ("/usr/lib/rustlib/src/rust/library/Cargo.toml", "rust-web-src"),
];

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("setup") => setup(),
        Some("test") => {
            if let Err(e) = setup() {
                eprintln!("{e:#}\nTests that need these programs skip themselves and say so.");
            }
            test()
        }
        Some("bench-mcu") => bench_mcu::run(&root()),
        Some("bench-x86") => bench(),
        Some("bench-aarch64") => {
            let bench = ["--package", "paring-bench", "--bin", "paring-bench-aarch64"];
            run(cargo(&["run", "--release", "--quiet"]).args(bench))
        }
        Some("bench-quantization") => {
            bench_quantization::run(&root(), &std::env::args().skip(2).collect::<Vec<_>>())
        }
        _ => bail!(
            "usage: cargo xtask setup | test | bench-mcu | bench-x86 | bench-aarch64 | \
             bench-quantization [TABLE...]"
        ),
    }
}

/// Compares the x86 engine with other runtimes and writes the page; further arguments go to it.
fn bench() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bench-x86.md");
    let mut command = cargo(&["run", "--release", "--quiet", "--package", "paring-bench", "--"]);
    let given: Vec<String> = std::env::args().skip(2).collect();
    if given.is_empty() {
        command.arg("--page").arg(page);
    }
    run(command.args(given))
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Installs what is missing where that is possible without asking, and names it elsewhere.
fn setup() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    if !root || !found("apt-get") {
        bail!("missing: {list}\nOn Debian or Ubuntu: sudo apt-get install {list}");
    }
    println!("installing {list}");
    // An outdated list of packages is no reason to stop: the install below says what it lacks.
    let _ = Command::new("apt-get").args(["update", "-qq"]).status();
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null()))
}

fn missing() -> Vec<&'static str> {
    let programs = PROGRAMS.iter().filter(|(p, _)| !found(p)).map(|(_, package)| *package);
    let files =
        LIBRARIES.iter().filter(|(f, _)| !Path::new(f).exists()).map(|(_, package)| *package);
    programs.chain(files).collect()
}

fn found(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| dir.join(program).is_file())
}

/// Runs every check and reports all that failed, not only the first.
fn test() -> Result<()> {
    let mut failed = Vec::new();
    let mut check = |what: &str, command: &mut Command| {
        let start = Instant::now();
        println!("\n=== {what}");
        let result = run(command);
        println!("=== {what}: {:.0} s", start.elapsed().as_secs_f64());
        if let Err(e) = result {
            eprintln!("{e:#}");
            failed.push(what.to_owned());
        }
    };
    check("formatting", &mut cargo(&["fmt", "--all", "--check"]));
    check(
        "lints",
        &mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
    );
    check(
        "documentation",
        cargo(&["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"),
    );
    check("tests", &mut cargo(&["test", "--workspace", "--no-fail-fast"]));
    if failed.is_empty() {
        println!("\nall checks passed");
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("starting {name}"))?;
    if status.success() {
        return Ok(());
    }
    let args: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    bail!("`{name} {}` failed", args.join(" "))
}

//! The runtime library on an emulated 64-bit Arm processor: built with Debian's Rust, run under user-mode
//! QEMU.

use crate::tools::{self, HOST_CC};
use crate::{EmulatorError, read, write};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

const QEMU: &str = "qemu-aarch64";
const CROSS_CC: &str = "aarch64-linux-gnu-gcc";
const RUSTC: &str = "/usr/bin/rustc";
const RUST_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/Cargo.toml";
const TRIPLE: &str = "aarch64-unknown-linux-gnu";
/// Where the cross compiler's libraries are.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";

/// An emulated processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// In order, baseline instructions.
    CortexA53,
    /// Raspberry Pi 4: baseline instructions.
    CortexA72,
    /// With the dot product of bytes.
    CortexA76,
    /// Everything that QEMU has.
    Max,
}

impl Cpu {
    /// Every processor.
    pub const ALL: [Self; 4] = [Self::CortexA53, Self::CortexA72, Self::CortexA76, Self::Max];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CortexA53 => "cortex-a53",
            Self::CortexA72 => "cortex-a72",
            Self::CortexA76 => "cortex-a76",
            Self::Max => "max",
        }
    }

    /// The level of instructions that it has, by the runtime's names.
    const fn level(self) -> &'static str {
        match self {
            Self::CortexA53 | Self::CortexA72 => "neon",
            Self::CortexA76 | Self::Max => "dot",
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The Debian packages that would have to be installed for [`run_package`]; empty when all is there.
#[must_use]
pub fn missing_aarch64_packages() -> Vec<&'static str> {
    let programs = [(QEMU, "qemu-user"), (CROSS_CC, "gcc-aarch64-linux-gnu"), (HOST_CC, "gcc")];
    let files = [
        (RUSTC, "rustc-web"),
        (RUST_SOURCE, "rust-web-src"),
        ("/usr/aarch64-linux-gnu/lib/libc.so.6", "libc6-dev-arm64-cross"),
    ];
    let lacking = programs.iter().filter(|(p, _)| tools::find(p).is_none());
    let absent = files.iter().filter(|(f, _)| !Path::new(f).exists());
    lacking.chain(absent).map(|(_, package)| *package).collect()
}

/// What a run of a package gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackageReport {
    /// The outputs of all samples, one after another.
    pub outputs: Vec<u8>,
    /// Instructions of one inference, start-up and warm-up cancelled.
    pub instructions: u64,
    /// The level of instructions that the runtime took.
    pub level: String,
    /// Bytes of the stripped shared library.
    pub library_bytes: u64,
}

/// Cross-builds a package of the workspace at `workspace`, in `target/aarch64` there; the result is the folder
/// of the artifacts.
///
/// # Errors
/// If tools are missing or the build fails.
pub fn build_runtime(workspace: &Path) -> Result<PathBuf, EmulatorError> {
    let missing = missing_aarch64_packages();
    if !missing.is_empty() {
        return Err(EmulatorError::MissingTools { packages: missing.join(" ") });
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = workspace.join("target/aarch64");
    let output = Command::new(&cargo)
        .args(["build", "--quiet", "-Zbuild-std", "--profile", "embed", "-p", "paring-embed"])
        .args(["--target", TRIPLE, "--target-dir"])
        .arg(&target)
        .current_dir(workspace)
        .env("RUSTC", RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", CROSS_CC)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .map_err(|source| EmulatorError::Start {
            tool: cargo.to_string_lossy().into_owned(),
            source,
        })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let kept: Vec<&str> = text.lines().take(40).collect();
        return Err(EmulatorError::Tool { tool: "cargo".into(), diagnostics: kept.join("\n") });
    }
    Ok(target.join(TRIPLE).join("embed"))
}

/// Builds the runtime of the workspace, runs a package on the samples, and counts the instructions of an
/// inference of the last one.
///
/// # Errors
/// If tools are missing, the build fails, or the program ends wrongly.
pub fn run_package(
    workspace: &Path,
    package: &[u8],
    samples: &[u8],
    cpu: Cpu,
) -> Result<PackageReport, EmulatorError> {
    let built = build_runtime(workspace)?;
    let temporary = tempfile::tempdir()
        .map_err(|source| EmulatorError::Io { path: std::env::temp_dir(), source })?;
    let dir = temporary.path();
    let plugin = tools::build_user_plugin(dir)?;
    write(&dir.join("model.prt"), package)?;
    write(&dir.join("inputs"), samples)?;
    let count = |repeat: u32| -> Result<(u64, String), EmulatorError> {
        let output = Command::new(QEMU)
            .args(["-cpu", cpu.name(), "-L", SYSROOT, "-plugin"])
            .arg(format!("{},out=count", plugin.display()))
            .arg(built.join("paring-rt-run"))
            .args(["model.prt", "inputs", "outputs", &repeat.to_string()])
            .current_dir(dir)
            .env("PARING_NEON", cpu.level())
            .output()
            .map_err(|source| EmulatorError::Start { tool: QEMU.into(), source })?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let what = format!("ended with {}: {text}", output.status);
            return Err(EmulatorError::Process { cpu, what });
        }
        let text = String::from_utf8_lossy(&read(&dir.join("count"))?).trim().to_owned();
        let n = text
            .parse()
            .map_err(|_| EmulatorError::Process { cpu, what: format!("was counted as {text}") })?;
        let said = String::from_utf8_lossy(&output.stdout);
        Ok((n, said.split_whitespace().next().unwrap_or_default().to_owned()))
    };
    // Both runs have warmed up by one inference; the difference is inferences alone.
    const MORE: u32 = 2;
    let (first, level) = count(1)?;
    let (second, _) = count(1 + MORE)?;
    let library = built.join("libparing_rt.so");
    let library_bytes = std::fs::metadata(&library)
        .map_err(|source| EmulatorError::Io { path: library, source })?
        .len();
    Ok(PackageReport {
        outputs: read(&dir.join("outputs"))?,
        instructions: second.saturating_sub(first) / u64::from(MORE),
        level,
        library_bytes,
    })
}

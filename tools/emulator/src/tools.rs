use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::EmulatorError;

pub(crate) const CROSS_GCC: &str = "arm-none-eabi-gcc";
pub(crate) const CROSS_NM: &str = "arm-none-eabi-nm";
pub(crate) const CROSS_SIZE: &str = "arm-none-eabi-size";
pub(crate) const CROSS_OBJDUMP: &str = "arm-none-eabi-objdump";
pub(crate) const QEMU: &str = "qemu-system-arm";
pub(crate) const HOST_CC: &str = "cc";

/// What has to be on the machine: the program and the Debian package that brings it.
const NEEDED: [(&str, &str); 6] = [
    (CROSS_GCC, "gcc-arm-none-eabi"),
    (CROSS_NM, "binutils-arm-none-eabi"),
    (CROSS_SIZE, "binutils-arm-none-eabi"),
    (CROSS_OBJDUMP, "binutils-arm-none-eabi"),
    (QEMU, "qemu-system-arm"),
    (HOST_CC, "gcc"),
];

/// The Debian packages that would have to be installed for [`run`](crate::run) to work here; empty
/// when everything is there.
#[must_use]
pub fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<&'static str> = NEEDED
        .iter()
        .filter(|(tool, _)| find(tool).is_none())
        .map(|&(_, package)| package)
        .collect();
    if find(CROSS_GCC).is_some() && !has_newlib() {
        missing.push("libnewlib-arm-none-eabi");
    }
    missing.dedup();
    missing
}

pub(crate) fn require() -> Result<(), EmulatorError> {
    let missing = missing_packages();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(EmulatorError::MissingTools { packages: missing.join(" ") })
    }
}

fn has_newlib() -> bool {
    Command::new(CROSS_GCC)
        .arg("-print-file-name=libc_nano.a")
        .output()
        .is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_absolute())
}

pub(crate) fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|d| d.join(tool)).find(|p| p.is_file())
}

/// Runs a program in `dir`, with its captured output; a failure carries its diagnostics.
pub(crate) fn call(tool: &str, dir: &Path, args: &[String]) -> Result<Output, EmulatorError> {
    let output = Command::new(tool)
        .args(args)
        .current_dir(dir)
        .output()
        .map_err(|source| EmulatorError::Start { tool: tool.into(), source })?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let kept: Vec<&str> = text.lines().take(40).collect();
    Err(EmulatorError::Tool { tool: tool.into(), diagnostics: kept.join("\n") })
}

/// Builds the plugin that counts between two addresses into `dir`.
pub(crate) fn build_plugin(dir: &Path) -> Result<PathBuf, EmulatorError> {
    plugin(dir, "emu_counter", include_str!("c/counter.c"))
}

/// Builds the plugin that counts a whole program into `dir`.
pub(crate) fn build_user_plugin(dir: &Path) -> Result<PathBuf, EmulatorError> {
    plugin(dir, "emu_total", include_str!("c/total.c"))
}

fn plugin(dir: &Path, name: &str, text: &str) -> Result<PathBuf, EmulatorError> {
    crate::write(&dir.join(format!("{name}.c")), text.as_bytes())?;
    let shared = format!("{name}.so");
    let args = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", &shared];
    let mut args: Vec<String> = args.iter().map(|s| (*s).to_string()).collect();
    args.push(format!("{name}.c"));
    call(HOST_CC, dir, &args)?;
    Ok(dir.join(shared))
}

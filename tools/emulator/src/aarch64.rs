//! The runtime library on an emulated 64-bit Arm processor: built with Debian's Rust, run under user-mode
//! QEMU.

use crate::tools::{self, HOST_CC};
use crate::{EmulatorError, a57, read, write};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
            Self::CortexA76 => "dot",
            Self::Max => "i8mm",
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The Debian packages that would have to be installed for [`Runtime`]; empty when all is there.
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

/// What the measured run of a package gave.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// What each step took, in the order in which they run.
    pub steps: Vec<StepCost>,
}

/// What a step took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepCost {
    /// Instructions.
    pub instructions: u64,
    /// Cycles on a Cortex-A57 or A72 by a model of the throughput of their units, everything in the cache.
    pub cycles: f64,
}

/// A board whose speed is estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Board {
    /// Its name.
    pub name: &'static str,
    /// The clock of its cores.
    pub clock_hz: f64,
    /// Bytes a second that one core is taken to read from memory: a third of what the memory can do.
    pub bytes_per_second: f64,
}

impl Board {
    /// The boards.
    pub const ALL: [Self; 2] = [
        // LPDDR4-3200, 32 bits.
        Self { name: "raspberry-pi-4", clock_hz: 1.5e9, bytes_per_second: 12.8e9 / 3.0 },
        // LPDDR4-3200, 64 bits.
        Self { name: "jetson-nano", clock_hz: 1.43e9, bytes_per_second: 25.6e9 / 3.0 },
    ];

    /// Milliseconds of an inference on one core: the cycles, and after them the reading of the package once.
    #[must_use]
    pub fn milliseconds(&self, cycles: f64, package_bytes: usize) -> f64 {
        1e3 * (cycles / self.clock_hz + package_bytes as f64 / self.bytes_per_second)
    }
}

/// A package and the inputs of its samples, one after another.
#[derive(Clone, Debug)]
pub struct Job {
    /// The package.
    pub package: Vec<u8>,
    /// The samples.
    pub samples: Vec<u8>,
}

/// Builds something of the workspace at `workspace` for aarch64, below `target/aarch64` there; `what` is what
/// `cargo build` is told to build. The result is the folder of the artifacts. What was built before is not
/// built again.
///
/// # Errors
/// If tools are missing or the build fails.
pub fn cross_build(workspace: &Path, what: &[&str]) -> Result<PathBuf, EmulatorError> {
    let missing = missing_aarch64_packages();
    if !missing.is_empty() {
        return Err(EmulatorError::MissingTools { packages: missing.join(" ") });
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = workspace.join("target/aarch64");
    let output = Command::new(&cargo)
        .args(["build", "--quiet", "-Zbuild-std", "--profile", "embed", "--target", TRIPLE])
        // Without what names the functions of a backtrace, a fifth of the library.
        .arg("-Zbuild-std-features=panic-unwind")
        .arg("--target-dir")
        .arg(&target)
        .args(what)
        .current_dir(workspace)
        .env("RUSTC", RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", CROSS_CC)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
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

/// Compiles and links a C program for aarch64: `args` are those of the compiler.
///
/// # Errors
/// If the compiler is missing or says no.
pub fn cross_compile_c(dir: &Path, args: &[String]) -> Result<(), EmulatorError> {
    tools::call(CROSS_CC, dir, args).map(|_| ())
}

/// How a program under the emulator ended.
fn ended(cpu: Cpu, output: &Output) -> Result<String, EmulatorError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(EmulatorError::Process { cpu, what: format!("ended with {}: {text}", output.status) })
}

/// Runs a program of aarch64 in `dir` with arguments and gives what it prints. `plugin` are the plugin's
/// file and its own arguments.
///
/// # Errors
/// If it does not end well.
pub fn run_program(
    program: &Path,
    args: &[&str],
    dir: &Path,
    cpu: Cpu,
    plugin: Option<&str>,
) -> Result<String, EmulatorError> {
    let mut command = Command::new(QEMU);
    command.args(["-cpu", cpu.name(), "-L", SYSROOT]);
    if let Some(plugin) = plugin {
        command.args(["-plugin", plugin]);
    }
    command.arg(program).args(args).current_dir(dir).env("PARING_NEON", cpu.level());
    let start = |source| EmulatorError::Start { tool: QEMU.into(), source };
    ended(cpu, &command.output().map_err(start)?)
}

/// The runtime library and its runner, built for aarch64.
#[derive(Clone, Debug)]
pub struct Runtime {
    built: PathBuf,
}

fn temporary() -> Result<tempfile::TempDir, EmulatorError> {
    tempfile::tempdir().map_err(|source| EmulatorError::Io { path: std::env::temp_dir(), source })
}

impl Runtime {
    /// Builds it from the workspace at `workspace`; see [`cross_build`].
    ///
    /// # Errors
    /// If tools are missing or the build fails.
    pub fn build(workspace: &Path) -> Result<Self, EmulatorError> {
        let built = cross_build(workspace, &["-p", "paring-embed", "--lib", "--bins"])?;
        Ok(Self { built })
    }

    /// The shared library.
    #[must_use]
    pub fn shared_library(&self) -> PathBuf {
        self.built.join("libparing_rt.so")
    }

    /// The static library.
    #[must_use]
    pub fn static_library(&self) -> PathBuf {
        self.built.join("libparing_rt.a")
    }

    fn runner(&self) -> PathBuf {
        self.built.join("paring-rt-run")
    }

    /// Runs many packages in one process: the outputs of each one's samples, or why there are none.
    ///
    /// # Errors
    /// If the process does not end well.
    pub fn run(
        &self,
        jobs: &[Job],
        cpu: Cpu,
    ) -> Result<Vec<Result<Vec<u8>, String>>, EmulatorError> {
        let temporary = temporary()?;
        let dir = temporary.path();
        let mut list = String::new();
        for (i, job) in jobs.iter().enumerate() {
            write(&dir.join(format!("{i}.prt")), &job.package)?;
            write(&dir.join(format!("{i}.in")), &job.samples)?;
            list += &format!("{i}.prt {i}.in {i}.out\n");
        }
        write(&dir.join("list"), list.as_bytes())?;
        let said = run_program(&self.runner(), &["--list", "list"], dir, cpu, None)?;
        let lines: Vec<&str> = said.lines().collect();
        if lines.len() != jobs.len() {
            let what = format!("said {} lines for {} packages", lines.len(), jobs.len());
            return Err(EmulatorError::Process { cpu, what });
        }
        let result = |(i, line): (usize, &&str)| match *line {
            "ok" => read(&dir.join(format!("{i}.out"))).map(Ok),
            why => Ok(Err(why.to_owned())),
        };
        lines.iter().enumerate().map(result).collect()
    }

    /// Runs a package on its samples and counts the instructions of an inference of the last one.
    ///
    /// # Errors
    /// If the process does not end well.
    pub fn measure(&self, job: &Job, cpu: Cpu) -> Result<PackageReport, EmulatorError> {
        let temporary = temporary()?;
        let dir = temporary.path();
        let plugin = tools::build_user_plugin(dir)?;
        write(&dir.join("model.prt"), &job.package)?;
        write(&dir.join("inputs"), &job.samples)?;
        let (counter, layers) = (
            format!("{},out=count", plugin.display()),
            format!("{},layers=layers", plugin.display()),
        );
        let count = |repeat: u32| -> Result<(u64, String), EmulatorError> {
            let args = ["model.prt", "inputs", "outputs", &repeat.to_string()];
            let said = run_program(&self.runner(), &args, dir, cpu, Some(&counter))?;
            let text = String::from_utf8_lossy(&read(&dir.join("count"))?).trim().to_owned();
            let what = || EmulatorError::Process { cpu, what: format!("was counted as {text}") };
            let n = text.parse().map_err(|_| what())?;
            Ok((n, said.split_whitespace().next().unwrap_or_default().to_owned()))
        };
        // Both runs have warmed up by one inference; the difference is inferences alone.
        const MORE: u32 = 2;
        let (first, level) = count(1)?;
        let (second, _) = count(1 + MORE)?;
        let outputs = read(&dir.join("outputs"))?;
        let args = ["--layers", "model.prt", "inputs", "outputs"];
        run_program(&self.runner(), &args, dir, cpu, Some(&layers))?;
        let steps = step_costs(&String::from_utf8_lossy(&read(&dir.join("layers"))?));
        let library = self.shared_library();
        let library_bytes = std::fs::metadata(&library)
            .map_err(|source| EmulatorError::Io { path: library, source })?
            .len();
        Ok(PackageReport {
            outputs,
            instructions: second.saturating_sub(first) / u64::from(MORE),
            level,
            library_bytes,
            steps,
        })
    }
}

/// What the plugin wrote of the blocks of each step, as costs.
fn step_costs(text: &str) -> Vec<StepCost> {
    let mut blocks: HashMap<&str, (u64, f64)> = HashMap::new();
    for line in text.lines().filter(|l| !l.starts_with('=')) {
        let mut fields = line.split(' ');
        let Some(number) = fields.next() else { continue };
        let words: Vec<u32> =
            fields.filter_map(|word| u32::from_str_radix(word, 16).ok()).collect();
        blocks.insert(number, (words.len() as u64, a57::cycles(&words)));
    }
    let step = |line: &str| {
        let fields: Vec<&str> = line.split(' ').skip(1).collect();
        let mut cost = StepCost::default();
        for pair in fields.chunks_exact(2) {
            let (n, cycles) = blocks.get(pair[0]).copied().unwrap_or_default();
            let times: u64 = pair[1].parse().unwrap_or(0);
            cost.instructions += n * times;
            cost.cycles += cycles * times as f64;
        }
        cost
    };
    // The first part is everything before the first step.
    text.lines().filter(|l| l.starts_with('=')).skip(1).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::{Board, step_costs};

    #[test]
    fn blocks_are_counted_in_their_steps() {
        // Two blocks: eight products of vectors, and two additions of integers.
        let fmla = "4f821020 ".repeat(8);
        let text =
            format!("= 0 5 1 9\n= 0 3\n= 0 1 1 10\n0 {}\n1 8b020020 8b020020\n", fmla.trim_end());
        let steps = step_costs(&text);
        assert_eq!(steps.len(), 2);
        assert_eq!((steps[0].instructions, steps[0].cycles), (24, 24.0));
        assert_eq!((steps[1].instructions, steps[1].cycles), (28, 18.0));
    }

    #[test]
    fn a_board_computes_and_then_reads() {
        let pi = Board::ALL[0];
        assert!((pi.milliseconds(1.5e6, 0) - 1.0).abs() < 1e-9);
        assert!((pi.milliseconds(0.0, 12_800_000) - 3.0).abs() < 1e-9);
    }
}

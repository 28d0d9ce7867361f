//! Builds C for a Cortex-M, runs it under QEMU and reports what it cost.
//!
//! The program under test is a set of C files and three statements: what to do before, inside and
//! after the counted region. The statements see `emu_in` and `emu_out`, two `uint8_t *` to the
//! current sample's bytes.
//!
//! Counted are executed instructions (exactly, by a TCG plugin), the program's linked code and
//! constants (the C library and compiler support it pulls in included; start-up and harness not),
//! its static RAM and the deepest stack.
//!
//! ```
//! use paring_emulator::{Build, Core, Entry, missing_packages, run};
//!
//! if missing_packages().is_empty() {
//!     let build = Build {
//!         files: vec![("twice.c".into(), "int twice(int x) { return 2 * x; }".into())],
//!         entry: Entry {
//!             includes: "int twice(int);".into(),
//!             invoke: "emu_out[0] = (uint8_t)twice(emu_in[0]);".into(),
//!             ..Entry::default()
//!         },
//!         output_bytes: 1,
//!         ..Build::new(Core::M4)
//!     };
//!     let report = run(&build, &[vec![4], vec![21]]).unwrap();
//!     assert_eq!(report.outputs, [[8], [42]]);
//!     assert!(report.instructions < 20);
//! }
//! ```
#![forbid(unsafe_code)]

mod a57;
mod aarch64;
mod board;
mod timing;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub use aarch64::{
    Board, Cpu, Job, PackageReport, Runtime, StepCost, cross_build, cross_compile_c,
    missing_aarch64_packages, run_program,
};
pub use paring_cortex_m_kernels::Core;
pub use tools::missing_packages;

/// What went wrong while building or running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// Programs this crate drives are not installed.
    #[error(
        "the emulator needs programs that are not installed; on Debian: apt-get install {packages}"
    )]
    MissingTools {
        /// The packages, separated by blanks.
        packages: String,
    },
    /// A program could not be started.
    #[error("cannot start {tool}: {source}")]
    Start {
        /// The program.
        tool: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program said no.
    #[error("{tool} failed:\n{diagnostics}")]
    Tool {
        /// The program.
        tool: String,
        /// The first lines it printed.
        diagnostics: String,
    },
    /// A file in the working directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The samples do not all have the same length.
    #[error("sample {index} has {found} bytes, sample 0 has {expected}: all must be of one size")]
    SampleSize {
        /// Which sample.
        index: usize,
        /// Its length.
        found: usize,
        /// The length of the first.
        expected: usize,
    },
    /// A source file's name is not a plain file name.
    #[error("`{0}` is not a plain file name")]
    FileName(String),
    /// A program on an emulated 64-bit processor ended wrongly.
    #[error("the program on the emulated {cpu} {what}")]
    Process {
        /// The processor.
        cpu: Cpu,
        /// How it ended.
        what: String,
    },
    /// The emulated program ended wrongly.
    #[error("the program on the emulated {core} {what}")]
    Program {
        /// The core.
        core: Core,
        /// How it ended.
        what: String,
    },
}

/// The three statements that drive the program under test.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Declarations or `#include` lines the statements need.
    pub includes: String,
    /// Run before the counted region, e.g. to copy `emu_in` into the model's input.
    pub prepare: String,
    /// The counted region.
    pub invoke: String,
    /// Run after it, e.g. to copy the model's output to `emu_out`.
    pub finish: String,
}

/// A program to build.
#[derive(Clone, Debug)]
pub struct Build {
    /// The core to compile for.
    pub core: Core,
    /// C files and headers: name and text. Names are plain file names.
    pub files: Vec<(String, String)>,
    /// How the program is called.
    pub entry: Entry,
    /// Bytes that `emu_out` holds after a run.
    pub output_bytes: usize,
    /// Objects and archives made elsewhere that are linked with the program.
    pub objects: Vec<PathBuf>,
    /// Optimization and other flags for the program's files.
    pub flags: Vec<String>,
    /// Seconds of wall-clock time after which the emulation is stopped.
    pub timeout: Duration,
    /// Where to build; a temporary directory, removed afterwards, when `None`.
    pub work_dir: Option<PathBuf>,
}

impl Build {
    /// An empty program for `core`, compiled with `-O2`.
    #[must_use]
    pub fn new(core: Core) -> Self {
        Self {
            core,
            files: Vec::new(),
            entry: Entry::default(),
            output_bytes: 0,
            objects: Vec::new(),
            flags: vec!["-O2".into()],
            timeout: Duration::from_secs(300),
            work_dir: None,
        }
    }
}

/// What a run cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// `emu_out` after each sample.
    pub outputs: Vec<Vec<u8>>,
    /// Instructions executed in the counted region, the largest over the samples.
    pub instructions: u64,
    /// Cycles estimated from what was executed, by the core's timing table and for memory without wait
    /// states, the largest over the samples. The M7 and M55 figures are rougher than the others.
    pub cycles: u64,
    /// What lies between the calls of `emu_mark(void *, int)`, which the program may make, in the
    /// first sample; the calls themselves are not counted.
    pub parts: Vec<Part>,
    /// Static RAM of the program: zeroed and initialised variables.
    pub ram_bytes: u64,
    /// The deepest stack over the samples, the harness's few words included.
    pub stack_bytes: u64,
    /// Linked flash: code, constants and the initial values of variables.
    pub flash_bytes: u64,
    /// The code in it.
    pub code_bytes: u64,
    /// The constants in it.
    pub weight_bytes: u64,
}

/// A part of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Instructions executed.
    pub instructions: u64,
    /// Cycles estimated.
    pub cycles: u64,
}

/// Builds the program, runs it once on every sample and measures.
///
/// # Errors
/// When a tool is missing or fails, the program does not compile, faults, or runs over its time.
pub fn run(build: &Build, samples: &[Vec<u8>]) -> Result<Report, EmulatorError> {
    tools::require()?;
    let input_bytes = samples.first().map_or(0, Vec::len);
    for (index, sample) in samples.iter().enumerate() {
        if sample.len() != input_bytes {
            return Err(EmulatorError::SampleSize {
                index,
                found: sample.len(),
                expected: input_bytes,
            });
        }
    }
    let temporary;
    let dir: &Path = match &build.work_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .map_err(|source| EmulatorError::Io { path: dir.clone(), source })?;
            dir
        }
        None => {
            temporary = tempfile::tempdir()
                .map_err(|source| EmulatorError::Io { path: std::env::temp_dir(), source })?;
            temporary.path()
        }
    };
    let mut report = compile(build, dir, input_bytes, samples.len())?;
    emulate(build, dir, samples, &mut report)?;
    Ok(report)
}

pub(crate) fn write(path: &Path, data: &[u8]) -> Result<(), EmulatorError> {
    std::fs::write(path, data).map_err(|source| EmulatorError::Io { path: path.into(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, EmulatorError> {
    std::fs::read(path).map_err(|source| EmulatorError::Io { path: path.into(), source })
}

fn compile(
    build: &Build,
    dir: &Path,
    input_bytes: usize,
    samples: usize,
) -> Result<Report, EmulatorError> {
    let board = board::board(build.core);
    let script = include_str!("c/board.ld")
        .replace("@VEC@", board.vectors)
        .replace("@FLASH@", board.flash)
        .replace("@FLASH_LENGTH@", board.flash_length)
        .replace("@RAM@", board.ram)
        .replace("@RAM_LENGTH@", board.ram_length);
    write(&dir.join("emu_board.ld"), script.as_bytes())?;
    write(&dir.join("emu_startup.c"), include_bytes!("c/startup.c"))?;
    let harness = include_str!("c/harness.c")
        .replace("@INPUT_BYTES@", &input_bytes.to_string())
        .replace("@OUTPUT_BYTES@", &build.output_bytes.to_string())
        .replace("@SAMPLES@", &samples.to_string())
        .replace("@INCLUDES@", &build.entry.includes)
        .replace("@PREPARE@", &build.entry.prepare)
        .replace("@INVOKE@", &build.entry.invoke)
        .replace("@FINISH@", &build.entry.finish);
    write(&dir.join("emu_harness.c"), harness.as_bytes())?;

    for (name, text) in &build.files {
        let plain = Path::new(name).file_name().is_some_and(|n| n == name.as_str());
        if !plain || name.starts_with("emu_") {
            return Err(EmulatorError::FileName(name.clone()));
        }
        write(&dir.join(name), text.as_bytes())?;
    }

    let base = |extra: &[&str]| -> Vec<String> {
        build.core.compiler_flags().iter().chain(extra).map(|s| (*s).to_string()).collect()
    };
    let own = ["-O1", "-ffreestanding", "-fno-tree-loop-distribute-patterns", "-I.", "-c"];
    let mut objects = Vec::new();
    for name in ["emu_startup", "emu_harness"] {
        let mut args = base(&own);
        args.extend([format!("{name}.c"), "-o".into(), format!("{name}.o")]);
        tools::call(tools::CROSS_GCC, dir, &args)?;
        objects.push(format!("{name}.o"));
    }
    for (name, _) in build.files.iter().filter(|(name, _)| name.ends_with(".c")) {
        let mut args = base(&["-std=c99", "-ffunction-sections", "-fdata-sections", "-I.", "-c"]);
        args.extend(build.flags.iter().cloned());
        let object = format!("{}.o", name.trim_end_matches(".c"));
        args.extend([name.clone(), "-o".into(), object.clone()]);
        tools::call(tools::CROSS_GCC, dir, &args)?;
        objects.push(object);
    }
    objects.extend(build.objects.iter().map(|path| path.display().to_string()));
    let mut args = base(&["-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections"]);
    args.extend(["-T".into(), "emu_board.ld".into(), "-o".into(), "emu.elf".into()]);
    args.extend(objects);
    tools::call(tools::CROSS_GCC, dir, &args)?;
    sizes(dir)
}

/// Reads the sizes of the program's output sections from the linked file.
fn sizes(dir: &Path) -> Result<Report, EmulatorError> {
    let args = ["-A".to_string(), "emu.elf".to_string()];
    let output = tools::call(tools::CROSS_SIZE, dir, &args)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let section = |wanted: &str| -> u64 {
        text.lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace();
                (fields.next() == Some(wanted)).then(|| fields.next()?.parse::<u64>().ok())?
            })
            .sum()
    };
    let (code, constants, data) =
        (section(".model_code"), section(".model_const"), section(".model_data"));
    Ok(Report {
        ram_bytes: data + section(".model_bss"),
        flash_bytes: code + constants + data,
        code_bytes: code,
        weight_bytes: constants,
        ..Report::default()
    })
}

fn emulate(
    build: &Build,
    dir: &Path,
    samples: &[Vec<u8>],
    report: &mut Report,
) -> Result<(), EmulatorError> {
    let plugin = tools::build_plugin(dir)?;
    let symbols = tools::call(tools::CROSS_NM, dir, &["emu.elf".to_string()])?;
    let symbols = String::from_utf8_lossy(&symbols.stdout);
    let address = |wanted: &str| -> Result<String, EmulatorError> {
        symbols
            .lines()
            .find(|line| line.split_whitespace().nth(2) == Some(wanted))
            .and_then(|line| line.split_whitespace().next())
            .map(str::to_string)
            .ok_or_else(|| EmulatorError::Tool {
                tool: tools::CROSS_NM.into(),
                diagnostics: format!("no symbol {wanted} in the linked program"),
            })
    };
    write(&dir.join("in.bin"), &samples.concat())?;
    let mut listing = vec!["-d".to_string(), "--no-show-raw-insn".into(), "emu.elf".into()];
    if build.core == Core::M55 {
        listing.extend(["-m".into(), "armv8.1-m.main".into()]);
    }
    let listing = tools::call(tools::CROSS_OBJDUMP, dir, &listing)?;
    let costs = timing::costs(build.core, &String::from_utf8_lossy(&listing.stdout));
    write(&dir.join("costs.txt"), costs.as_bytes())?;
    let argument = format!(
        "file={},start={},end={},mark={},costs={},out={}",
        plugin.display(),
        address("emu_begin")?,
        address("emu_end")?,
        address("emu_mark")?,
        dir.join("costs.txt").display(),
        dir.join("counts.txt").display()
    );
    let mut child = Command::new(tools::QEMU)
        .args(["-M", board::board(build.core).machine, "-nographic", "-monitor", "none"])
        .args(["-serial", "none", "-semihosting-config", "enable=on,target=native"])
        .args(["-kernel", "emu.elf", "-plugin", &argument])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| EmulatorError::Start { tool: tools::QEMU.into(), source })?;
    let status = wait(&mut child, build.timeout)
        .map_err(|source| EmulatorError::Start { tool: tools::QEMU.into(), source })?;
    let core = build.core;
    let program = |what: String| EmulatorError::Program { core, what };
    match status {
        None => return Err(program(format!("ran over {} s", build.timeout.as_secs()))),
        Some(status) if !status.success() => {
            let mut text = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
            }
            let first = text.lines().next().unwrap_or_default();
            return Err(program(match status.code() {
                Some(99) => "took a fault exception".into(),
                Some(97 | 98) => "could not reach its input and output files".into(),
                _ => format!("ended with {status} {first}"),
            }));
        }
        Some(_) => {}
    }
    let counts = read(&dir.join("counts.txt"))?;
    count(&String::from_utf8_lossy(&counts), report);
    let out = read(&dir.join("out.bin"))?;
    if out.len() != samples.len() * (build.output_bytes + 4) {
        return Err(program("wrote less than it should have".into()));
    }
    for chunk in out.chunks_exact(build.output_bytes + 4) {
        let (output, depth) = chunk.split_at(build.output_bytes);
        report.outputs.push(output.to_vec());
        let depth = depth.iter().rev().fold(0_u64, |sum, &byte| (sum << 8) | u64::from(byte));
        report.stack_bytes = report.stack_bytes.max(depth);
    }
    Ok(())
}

/// Instructions that a call of `emu_mark` with two arguments takes, its own included.
const MARK: Part = Part { instructions: 4, cycles: 8 };

/// Reads what the plugin wrote.
fn count(text: &str, report: &mut Report) {
    let mut marks: Vec<Part> = Vec::new();
    let mut first = true;
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let kind = fields.next();
        let mut number = || fields.next().and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        let at = Part { instructions: number(), cycles: number().div_ceil(10) };
        if kind == Some("mark") {
            if first {
                marks.push(at);
            }
            continue;
        }
        first = false;
        report.instructions = report.instructions.max(at.instructions);
        report.cycles = report.cycles.max(at.cycles);
    }
    let part = |pair: &[Part]| Part {
        instructions: (pair[1].instructions - pair[0].instructions)
            .saturating_sub(MARK.instructions),
        cycles: (pair[1].cycles - pair[0].cycles).saturating_sub(MARK.cycles),
    };
    report.parts = marks.windows(2).map(part).collect();
}

/// Waits for the process; kills it and gives `None` when it takes longer than `limit`.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

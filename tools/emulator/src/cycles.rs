//! Estimates of the cycles of an inference on 64-bit Arm processors.
//!
//! A QEMU plugin tells the blocks of instructions that inferences execute, and how often. LLVM's machine code analyser
//! says how many cycles each block takes when it follows itself; an estimate is the sum over the blocks. It holds for
//! data that lie in the first-level cache: what loads wait for is not in it.

use crate::aarch64::{Cpu, Job, Runtime, run_program, temporary};
use crate::{EmulatorError, read, tools, write};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

const MCA: &str = "llvm-mca-19";
const MC: &str = "llvm-mc-19";
const TRIPLE: &str = "-mtriple=aarch64";

/// Times that the analyser repeats a block.
const ITERATIONS: u32 = 50;
/// The share of the instructions that is analysed; the rest is taken to be like it.
const SHARE: f64 = 0.999;
/// Inferences that are told from the start of the program.
const MORE: u32 = 2;

/// What an inference takes on a processor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// Instructions.
    pub instructions: f64,
    /// Cycles.
    pub cycles: f64,
}

/// The Debian packages that would have to be installed for [`Runtime::estimate`], beside those for [`Runtime`].
#[must_use]
pub fn missing_analyser() -> Option<&'static str> {
    [MCA, MC].iter().any(|p| tools::find(p).is_none()).then_some("llvm-19")
}

/// Runs a tool of LLVM on a text.
fn llvm(tool: &str, args: &[&str], text: String) -> Result<String, EmulatorError> {
    let start = |source| EmulatorError::Start { tool: tool.into(), source };
    let mut child = Command::new(tool)
        .arg("-mattr=+dotprod")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(start)?;
    // Both ends at once: the text and the answer are larger than pipes.
    let input = child.stdin.take();
    let writer = std::thread::spawn(move || input.map(|mut i| i.write_all(text.as_bytes())));
    let output = child.wait_with_output().map_err(start)?;
    if let Ok(Some(Err(source))) = writer.join() {
        return Err(start(source));
    }
    if !output.status.success() {
        let diagnostics = format!("ended with {}", output.status);
        return Err(EmulatorError::Tool { tool: tool.into(), diagnostics });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Blocks of instructions, as hexadecimal digits, with how often they are executed.
type Blocks = HashMap<String, f64>;

fn parse(text: &str) -> Blocks {
    let mut blocks = Blocks::new();
    for (n, code) in text.lines().filter_map(|l| l.split_once(' ')) {
        *blocks.entry(code.to_owned()).or_default() += n.parse().unwrap_or(0.0);
    }
    blocks
}

/// Instructions of a block.
fn length(code: &str) -> f64 {
    (code.len() / 8) as f64
}

/// The blocks that most of the instructions are in, longest first, with the share that they are.
fn hottest(blocks: &Blocks) -> (Vec<(&str, f64)>, f64) {
    let mut all: Vec<(&str, f64)> = blocks.iter().map(|(code, n)| (code.as_str(), *n)).collect();
    let work = |b: &(&str, f64)| b.1 * length(b.0);
    all.sort_by(|a, b| work(b).total_cmp(&work(a)).then(a.0.cmp(b.0)));
    let total: f64 = all.iter().map(work).sum();
    let mut done = 0.0;
    let enough = all.iter().take_while(|b| {
        let more = done < SHARE * total;
        done += if more { work(b) } else { 0.0 };
        more
    });
    let n = enough.count();
    all.truncate(n);
    (all, if total > 0.0 { done / total } else { 1.0 })
}

/// The text of the blocks for the analyser, each a region.
fn regions(blocks: &[(&str, f64)]) -> Result<String, EmulatorError> {
    let mut bytes = String::new();
    for (code, _) in blocks {
        for i in (0..code.len() & !1).step_by(2) {
            let _ = write!(bytes, "0x{} ", code.get(i..i + 2).unwrap_or_default());
        }
        bytes.push('\n');
    }
    let listing = llvm(MC, &["-triple=aarch64", "--disassemble"], bytes)?;
    let mut lines = listing.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('.'));
    let mut text = String::new();
    for (i, (code, _)) in blocks.iter().enumerate() {
        let _ = writeln!(text, "# LLVM-MCA-BEGIN {i}");
        for line in lines.by_ref().take(code.len() / 8) {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "# LLVM-MCA-END {i}");
    }
    Ok(text)
}

/// Cycles of each region by its number.
fn cycles(report: &str) -> HashMap<usize, f64> {
    let mut found = HashMap::new();
    let mut region = None;
    for line in report.lines() {
        if let Some((_, name)) = line.split_once("Code Region - ") {
            region = name.trim().parse::<usize>().ok();
        } else if let (Some(n), Some(r)) = (line.strip_prefix("Total Cycles:"), region) {
            let n: f64 = n.trim().parse().unwrap_or(0.0);
            found.insert(r, n / f64::from(ITERATIONS));
        }
    }
    found
}

impl Runtime {
    /// Estimates an inference of a job's last sample with the instructions of `cpu` on each of the processors that
    /// LLVM knows by these names.
    ///
    /// # Errors
    /// If the process or a tool does not end well.
    pub fn estimate(
        &self,
        job: &Job,
        cpu: Cpu,
        models: &[&str],
    ) -> Result<Vec<Estimate>, EmulatorError> {
        if let Some(packages) = missing_analyser() {
            return Err(EmulatorError::MissingTools { packages: packages.to_owned() });
        }
        let temporary = temporary()?;
        let dir = temporary.path();
        let plugin = format!("{},out=blocks", tools::build_blocks_plugin(dir)?.display());
        write(&dir.join("model.prt"), &job.package)?;
        write(&dir.join("inputs"), &job.samples)?;
        let run = |repeat: u32| -> Result<Blocks, EmulatorError> {
            let args = ["model.prt", "inputs", "outputs", &repeat.to_string()];
            run_program(&self.runner(), &args, dir, cpu, Some(&plugin))?;
            Ok(parse(&String::from_utf8_lossy(&read(&dir.join("blocks"))?)))
        };
        // Both runs have warmed up by one inference; the difference is inferences alone.
        let (first, mut blocks) = (run(1)?, run(1 + MORE)?);
        for (code, n) in &mut blocks {
            *n = (*n - first.get(code).copied().unwrap_or(0.0)).max(0.0) / f64::from(MORE);
        }
        let (hot, share) = hottest(&blocks);
        let instructions = blocks.iter().map(|(code, n)| n * length(code)).sum();
        let text = regions(&hot)?;
        let estimate = |model: &&str| {
            let (cpu, iterations) = (format!("-mcpu={model}"), format!("-iterations={ITERATIONS}"));
            let args = [TRIPLE, &*cpu, &*iterations, "-instruction-info=0", "-resource-pressure=0"];
            let skip = ["-skip-unsupported-instructions=any"];
            let found = cycles(&llvm(MCA, &[&args[..], &skip].concat(), text.clone())?);
            let of = |(i, (_, n)): (usize, &(&str, f64))| found.get(&i).map_or(0.0, |c| c * n);
            let sum: f64 = hot.iter().enumerate().map(of).sum();
            Ok(Estimate { instructions, cycles: sum / share })
        };
        models.iter().map(estimate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_blocks_come_first_until_enough_is_told() {
        let blocks = parse("10 1f2003d5\n3000 1f2003d51f2003d5\n10 1f2003d5\nx");
        assert_eq!(blocks["1f2003d5"], 20.0);
        let (hot, share) = hottest(&blocks);
        assert_eq!(hot, [("1f2003d51f2003d5", 3000.0), ("1f2003d5", 20.0)]);
        assert_eq!(share, 1.0);
    }

    #[test]
    fn a_chain_of_products_takes_its_latency() {
        if missing_analyser().is_some() {
            eprintln!("skipped: install llvm-19");
            return;
        }
        // fmul s0, s0, s0
        let text = regions(&[("0008201e", 1.0)]).unwrap();
        let report = llvm(MCA, &[TRIPLE, "-mcpu=cortex-a72", "-iterations=50"], text).unwrap();
        assert!((4.0..6.0).contains(&cycles(&report)[&0]), "{report}");
    }
}

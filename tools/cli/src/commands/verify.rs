//! `paring verify`

use crate::commands::compile::{AARCH64, LowerArgs};
use crate::commands::run::read_inputs;
use crate::error::BoundFailed;
use crate::model::{ModelArgs, RoundingArg, prepare};
use crate::ui::{Ui, grouped};
use anyhow::{Context, Result, bail};
use paring_emulator::{Build, Core, Cpu, Entry};
use paring_ir::{Graph, text};
use paring_tensor::Tensor;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Build a model for a target, run it under the emulator and compare it with the reference
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    lower: LowerArgs,
    /// Inputs (`.npz` with `input_0`, ...); pseudo-random ones otherwise
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// The emulated processor, for aarch64: cortex-a53, cortex-a72, cortex-a76 or max
    #[arg(long, value_name = "CPU", default_value = "cortex-a72", value_parser = cpu)]
    cpu: Cpu,
    /// Use the first N samples of the inputs
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Build in this directory and keep it: the sources, objects and `emu.elf`
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn cpu(name: &str) -> Result<Cpu, String> {
    let names: Vec<_> = Cpu::ALL.iter().map(|c| c.name()).collect();
    let found = Cpu::ALL.into_iter().find(|c| c.name() == name);
    found.ok_or_else(|| format!("one of {} is expected", names.join(", ")))
}

/// What the emulator found.
pub struct Verified {
    /// Whether every byte of every output equals the reference's.
    pub equal: bool,
    /// Samples compared.
    pub samples: usize,
    /// Samples that differ.
    pub different: usize,
    /// Executed instructions of one inference.
    pub instructions: u64,
    /// Cycles estimated from them, for memory without wait states.
    pub cycles: u64,
    /// Bytes of the arena.
    pub ram_bytes: u64,
    /// The deepest stack.
    pub stack_bytes: u64,
    /// Linked flash.
    pub flash_bytes: u64,
    /// The code in it.
    pub code_bytes: u64,
    /// The constants in it.
    pub weight_bytes: u64,
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let graph = args.model.read()?;
    let mut samples = match &args.inputs {
        Some(path) => read_inputs(&graph, path)?,
        None => random_inputs(&graph, 4)?,
    };
    samples.truncate(args.limit.unwrap_or(usize::MAX));
    let reference = graph.clone();
    let graph = args.lower.prepare(graph)?;
    if args.lower.target == AARCH64 {
        return super::verify_aarch64::run(&graph, &reference, &args.lower, args.cpu, &samples, ui);
    }
    let v = verify(&graph, &reference, &args.lower, &samples, args.keep.as_deref(), ui)?;
    let object = json!({
        "equal": v.equal, "samples": v.samples, "different": v.different,
        "instructions": v.instructions, "cycles": v.cycles, "ram_bytes": v.ram_bytes, "stack_bytes": v.stack_bytes,
        "flash_bytes": v.flash_bytes, "code_bytes": v.code_bytes, "weight_bytes": v.weight_bytes,
        "target": args.lower.target,
    });
    ui.result(&object, || {
        format!(
            "{} samples on the emulated {}: {}\ninstructions {}, estimated cycles {}\nRAM {} bytes of arena, {} of \
             stack\nflash {} bytes: {} of code, {} of weights\n",
            v.samples,
            args.lower.target,
            if v.equal {
                "equal to the reference, bit for bit".to_owned()
            } else {
                format!("{} differ from the reference", v.different)
            },
            grouped(v.instructions),
            grouped(v.cycles),
            grouped(v.ram_bytes),
            grouped(v.stack_bytes),
            grouped(v.flash_bytes),
            grouped(v.code_bytes),
            grouped(v.weight_bytes),
        )
    });
    if v.equal {
        return args.lower.within(v.flash_bytes, Some(v.cycles));
    }
    Err(BoundFailed(format!("{} of {} outputs differ from the reference", v.different, v.samples))
        .into())
}

/// Compiles a graph, runs it under the emulator and compares every output byte with what the
/// reference interpreter computes of `reference`: the graph itself, or the one it was made from.
pub fn verify(
    graph: &Graph,
    reference: &Graph,
    lower: &LowerArgs,
    samples: &[Vec<Tensor>],
    keep: Option<&Path>,
    ui: &Ui,
) -> Result<Verified> {
    let package = lower.compile(graph, None)?;
    let Some(harness) = &package.harness else {
        bail!("packages for {} cannot be run under the emulator", lower.target);
    };
    let core: Core = lower.target.parse().map_err(anyhow::Error::msg)?;
    let is_source = |name: &str| name.ends_with(".c") || name.ends_with(".h");
    let files = package
        .files
        .iter()
        .filter(|(name, _)| is_source(name) && !name.contains('/'))
        .map(|(name, text)| Ok((name.clone(), String::from_utf8(text.clone())?)))
        .collect::<Result<_>>()?;
    let mut session = prepare(reference, paring_bundle::REFERENCE, RoundingArg::Double)?;
    let mut expected = Vec::with_capacity(samples.len());
    for inputs in samples {
        // The emulated program's states live on from sample to sample, as on a device.
        expected.push(joined(&session.run(inputs)?));
    }
    let given: Vec<Vec<u8>> = samples.iter().map(|s| joined(s)).collect();
    let mut build = Build::new(core);
    let keep = keep.map(|dir| std::path::absolute(dir).with_context(|| dir.display().to_string()));
    build.work_dir = keep.transpose()?;
    build.files = files;
    build.entry = Entry {
        includes: harness.includes.clone(),
        prepare: harness.prepare.clone(),
        invoke: harness.invoke.clone(),
        finish: harness.finish.clone(),
    };
    build.output_bytes = expected.first().map_or(0, Vec::len);
    if !harness.flags.is_empty() {
        build.flags.clone_from(&harness.flags);
    }
    let spinner = ui.spinner(&format!("building and running for {}", lower.target));
    let report = paring_emulator::run(&build, &given);
    spinner.finish_and_clear();
    let report = report?;
    let different = report.outputs.iter().zip(&expected).filter(|(a, b)| a != b).count()
        + expected.len().abs_diff(report.outputs.len());
    Ok(Verified {
        equal: different == 0 && !expected.is_empty(),
        samples: expected.len(),
        different,
        instructions: report.instructions,
        cycles: report.cycles,
        ram_bytes: package.sizes.ram_bytes as u64,
        stack_bytes: report.stack_bytes,
        flash_bytes: report.flash_bytes,
        code_bytes: report.code_bytes,
        weight_bytes: report.flash_bytes - report.code_bytes,
    })
}

pub(super) fn joined(tensors: &[Tensor]) -> Vec<u8> {
    tensors.iter().flat_map(|t| t.bytes().iter().copied()).collect()
}

/// Seeded inputs over the whole range of each input's element type.
pub fn random_inputs(graph: &Graph, count: u64) -> Result<Vec<Vec<Tensor>>> {
    (0..count)
        .map(|seed| {
            graph
                .inputs()
                .iter()
                .map(|port| {
                    let ty = graph.ty(port.value);
                    let shape = ty.shape.fixed().context("an input has unbound dimensions")?;
                    Ok(text::fill(seed, ty.dtype, &shape)?)
                })
                .collect()
        })
        .collect()
}

//! `paring compile`

use crate::error::BoundFailed;
use crate::model::ModelArgs;
use crate::ui::{Ui, grouped, table};
use anyhow::{Context, Result};
use paring_backend::{
    CompileOptions, Package, backend_for, parse_bytes, parse_energy, parse_latency,
};
use paring_ir::Graph;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The target for 64-bit Arm.
pub const AARCH64: &str = "aarch64";

/// Lower a model to code for a target
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    lower: LowerArgs,
    /// What the C is packed for: c (with CMake and Makefile fragments), zephyr, arduino or rust
    #[arg(long, value_name = "KIND")]
    package: Option<String>,
    /// Directory for the package
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// How a model is lowered.
#[derive(clap::Args)]
pub struct LowerArgs {
    /// Target, such as cortex-m4; `paring backends` lists them
    #[arg(long)]
    pub target: String,
    /// What generated files and symbols begin with
    #[arg(long, default_value = "model")]
    pub prefix: String,
    /// Lower the model as it is, without the recipe `exact` (for aarch64: `folded`) before
    #[arg(long)]
    pub as_is: bool,
    /// What to favour: balanced keeps compressed weights compressed unless that is far slower
    #[arg(long, value_name = "GOAL", value_parser = ["balanced", "speed", "size"])]
    pub optimize: Option<String>,
    /// Budget of flash such as 256K (code is estimated; `verify` checks what is linked)
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub flash: Option<String>,
    /// Budget of RAM for the arena such as 64K; `min` is as little as possible
    #[arg(long, value_name = "BYTES", value_parser = ram)]
    pub ram: Option<String>,
    /// Budget of time: estimated cycles (8M) or a time and a clock (20ms@120MHz)
    #[arg(long, value_name = "CYCLES", value_parser = latency)]
    pub latency: Option<String>,
    /// What a cycle costs: 237pJ, or as data sheets say it, 79uA/MHz@3V
    #[arg(long, value_name = "ENERGY", value_parser = energy)]
    pub energy: Option<String>,
    /// A setting of the backend
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
}

// Values go to the backend as they are written; these refuse wrong ones before a model is read.

fn bytes(text: &str) -> Result<String, String> {
    parse_bytes(text).map(|_| text.to_owned())
}

fn ram(text: &str) -> Result<String, String> {
    if text == "min" { Ok(text.to_owned()) } else { bytes(text) }
}

fn latency(text: &str) -> Result<String, String> {
    parse_latency(text).map(|_| text.to_owned())
}

fn energy(text: &str) -> Result<String, String> {
    parse_energy(text).map(|_| text.to_owned())
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl LowerArgs {
    /// The graph that is lowered: the model after a recipe of the target, unless it is to be lowered as it is.
    pub fn prepare(&self, graph: Graph) -> Result<Graph> {
        if self.as_is { Ok(graph) } else { Ok(paring_bundle::prepare(&graph, &self.target)?) }
    }

    /// Whether linked flash and counted cycles are within the budgets that are stated.
    pub fn within(&self, flash_bytes: u64, cycles: Option<u64>) -> Result<()> {
        if let Some(text) = &self.flash {
            let budget = parse_bytes(text).map_err(anyhow::Error::msg)? as u64;
            if flash_bytes > budget {
                let what = format!(
                    "over the flash budget: {flash_bytes} bytes are linked, {} more than {text} allow",
                    flash_bytes - budget
                );
                return Err(BoundFailed(what).into());
            }
        }
        if let (Some(text), Some(cycles)) = (&self.latency, cycles) {
            let budget = parse_latency(text).map_err(anyhow::Error::msg)?.cycles;
            if cycles > budget {
                let what = format!(
                    "over the latency budget: {cycles} cycles were counted, {} more than {text} allows",
                    cycles - budget
                );
                return Err(BoundFailed(what).into());
            }
        }
        Ok(())
    }

    /// The package for a graph.
    pub fn compile(&self, graph: &Graph, package: Option<&str>) -> Result<Package> {
        let backend = backend_for(&self.target).map_err(anyhow::Error::msg)?;
        let mut settings: BTreeMap<String, String> = self.settings.iter().cloned().collect();
        let goals = [
            ("optimize", &self.optimize),
            ("flash", &self.flash),
            ("ram", &self.ram),
            ("latency", &self.latency),
            ("energy", &self.energy),
            ("package", &package.map(str::to_owned)),
        ];
        for (key, value) in goals {
            if let Some(value) = value {
                settings.insert(key.to_owned(), value.clone());
            }
        }
        let (target, prefix) = (self.target.clone(), self.prefix.clone());
        let options = CompileOptions { target, prefix, settings };
        Ok(backend.compile(graph.verified()?, &options)?)
    }
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let graph = args.lower.prepare(args.model.read()?)?;
    let package = args.lower.compile(&graph, args.package.as_deref())?;
    package.write(&args.output).with_context(|| args.output.display().to_string())?;
    let files: Vec<_> = package.files.iter().map(|(name, _)| name).collect();
    let object = json!({
        "target": args.lower.target,
        "ram_bytes": package.sizes.ram_bytes,
        "weight_bytes": package.sizes.weight_bytes,
        "instructions": package.sizes.instructions,
        "cycles": package.sizes.cycles,
        "microjoules": package.sizes.microjoules,
        "picojoules_per_cycle": package.sizes.picojoules_per_cycle,
        "layers": package.sizes.layers,
        "files": files,
    });
    ui.result(&object, || {
        let rows: Vec<_> = package
            .sizes
            .layers
            .iter()
            .map(|l| {
                vec![
                    l.name.clone(),
                    l.kernel.clone(),
                    grouped(l.macs),
                    grouped(l.weight_bytes as u64),
                    grouped(l.live_bytes as u64),
                    l.weights.clone(),
                    l.instructions.map_or("?".into(), grouped),
                    l.cycles.map_or("?".into(), grouped),
                ]
            })
            .collect();
        let header = [
            "layer",
            "kernel",
            "MACs",
            "constants",
            "RAM in use",
            "weights",
            "instructions",
            "cycles",
        ];
        let mut out = table(&header, &rows);
        if let (Some(instructions), Some(cycles)) =
            (package.sizes.instructions, package.sizes.cycles)
        {
            out += &format!(
                "\nestimated, without wait states: {} instructions, {} cycles",
                grouped(instructions),
                grouped(cycles),
            );
            let sizes = &package.sizes;
            out += &match sizes.microjoules.zip(sizes.picojoules_per_cycle) {
                Some((all, each)) => format!(", {all:.1} microjoules at {each} pJ a cycle\n"),
                None => " (`--energy` states what a cycle costs)\n".to_owned(),
            };
        }
        out += &format!(
            "\narena {} bytes, constants {} bytes\nwritten: {}\n",
            grouped(package.sizes.ram_bytes as u64),
            grouped(package.sizes.weight_bytes as u64),
            args.output.display()
        );
        out
    });
    Ok(())
}

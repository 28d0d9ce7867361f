//! `paring compile`

use crate::host::CliHost;
use crate::model::ModelArgs;
use crate::recipes;
use crate::ui::{Ui, grouped, table};
use anyhow::{Context, Result};
use paring_backend::{CompileOptions, Package, backend_for};
use paring_ir::Graph;
use paring_pass::{Pipeline, RunOptions};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Lower the model as it is, without the recipe `exact` before
    #[arg(long)]
    pub as_is: bool,
    /// RAM that the activations may take, such as 64K
    #[arg(long, value_name = "BYTES")]
    pub ram: Option<String>,
    /// Flash that the network may take, such as 256K
    #[arg(long, value_name = "BYTES")]
    pub flash: Option<String>,
    /// A setting of the backend
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl LowerArgs {
    /// The graph that is lowered: the model after the recipe `exact`, which changes no output bit.
    pub fn prepare(&self, graph: Graph, ui: &Ui) -> Result<Graph> {
        if self.as_is {
            return Ok(graph);
        }
        let pipeline = Pipeline::parse(&recipes::load("exact")?)?;
        let host = CliHost::new(paring_bundle::REFERENCE, None, ui).map_err(anyhow::Error::msg)?;
        Ok(pipeline.run(&graph, &host, &mut RunOptions::default())?.graph)
    }

    /// The package for a graph.
    pub fn compile(&self, graph: &Graph, package: Option<&str>) -> Result<Package> {
        let backend = backend_for(&self.target).map_err(anyhow::Error::msg)?;
        let mut settings: BTreeMap<_, _> = self.settings.iter().cloned().collect();
        for (key, value) in
            [("ram", self.ram.as_deref()), ("flash", self.flash.as_deref()), ("package", package)]
        {
            settings.extend(value.map(|v| (key.to_owned(), v.to_owned())));
        }
        let options =
            CompileOptions { target: self.target.clone(), prefix: self.prefix.clone(), settings };
        Ok(backend.compile(graph.verified()?, &options)?)
    }
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let graph = args.lower.prepare(args.model.read()?, ui)?;
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
                    l.instructions.map_or("?".into(), grouped),
                    l.cycles.map_or("?".into(), grouped),
                ]
            })
            .collect();
        let header =
            ["layer", "kernel", "MACs", "constants", "RAM in use", "instructions", "cycles"];
        let mut out = table(&header, &rows);
        if let (Some(instructions), Some(cycles)) =
            (package.sizes.instructions, package.sizes.cycles)
        {
            out += &format!(
                "\nestimated, without wait states: {} instructions, {} cycles, {:.1} microjoules\n",
                grouped(instructions),
                grouped(cycles),
                package.sizes.microjoules.unwrap_or(0.0)
            );
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

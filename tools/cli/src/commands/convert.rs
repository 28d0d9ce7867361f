//! `paring convert`

use crate::model::ModelArgs;
use crate::ui::{Ui, grouped};
use anyhow::{Context, Result};
use paring_format::WriteOptions;
use paring_ir::Graph;
use paring_pass::{NoHost, Pipeline, RunOptions};
use serde_json::json;
use std::path::PathBuf;

/// Write a model in another format
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The file to write; its extension says the format
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let mut graph = args.model.read()?;
    let extension = args.output.extension().map(|e| e.to_ascii_lowercase());
    if extension.is_some_and(|e| e == "tflite" || e == "lite") {
        graph = channels_last(&graph)?;
    }
    paring_format::write(&graph, &args.output, &WriteOptions::default())?;
    let bytes =
        std::fs::metadata(&args.output).with_context(|| args.output.display().to_string())?.len();
    ui.result(&json!({ "output": args.output, "bytes": bytes }), || {
        format!("{} bytes written: {}\n", grouped(bytes), args.output.display())
    });
    Ok(())
}

/// The graph with images in the layout that TFLite's operators have; inputs and outputs stay as they are.
fn channels_last(graph: &Graph) -> Result<Graph> {
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"layout\"\nports = false")?;
    Ok(pipeline.run(graph, &NoHost, &mut RunOptions::default())?.graph)
}

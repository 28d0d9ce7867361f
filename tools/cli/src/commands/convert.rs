//! `paring convert`

use crate::model::ModelArgs;
use crate::ui::{Ui, grouped};
use anyhow::{Context, Result};
use paring_format::WriteOptions;
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
    let graph = args.model.read()?;
    paring_format::write(&graph, &args.output, &WriteOptions::default())?;
    let bytes =
        std::fs::metadata(&args.output).with_context(|| args.output.display().to_string())?.len();
    ui.result(&json!({ "output": args.output, "bytes": bytes }), || {
        format!("{} bytes written: {}\n", grouped(bytes), args.output.display())
    });
    Ok(())
}

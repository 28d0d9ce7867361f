//! `paring compress`

use crate::host::{CliHost, sha256};
use crate::model::ModelArgs;
use crate::ui::{Ui, grouped, table};
use crate::{html, recipes};
use anyhow::{Context, Result};
use paring_ir::Graph;
use paring_pass::{Done, Pipeline, RunOptions, Snapshot, StepReport};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Compress a model by a recipe
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A pipeline file, or the name of a recipe that ships: int8, ...
    #[arg(long, value_name = "FILE|NAME")]
    recipe: String,
    /// Calibration data; takes the place of what the recipe's steps name
    #[arg(long, value_name = "SPEC")]
    calib: Option<String>,
    /// Directory for model.paring, report.json, report.html and paring.lock
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Backend that runs the network for calibration; the reference gives the same bytes on every
    /// processor, `auto` is faster
    #[arg(long, default_value = paring_bundle::REFERENCE)]
    backend: String,
    /// Print the graph after this pass (or after `all`) on standard error
    #[arg(long, value_name = "PASS")]
    print_after: Vec<String>,
    /// Stop after so many rewrites, to find the one that breaks a network
    #[arg(long, value_name = "N")]
    stop_after: Option<usize>,
}

/// A compressed model and what is known of it.
pub struct Compressed {
    /// The graph before and after.
    pub before: Snapshot,
    /// What the pipeline did.
    pub done: Done,
    /// Bytes of `model.paring`.
    pub container_bytes: usize,
    /// The report as JSON.
    pub report: Value,
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let graph = args.model.read()?;
    let bytes = paring_tensor::map_file(&args.model.model)
        .with_context(|| args.model.model.display().to_string())?;
    let text = recipes::load(&args.recipe)?;
    let settings = Settings {
        recipe: &args.recipe,
        calib: args.calib.as_deref(),
        backend: &args.backend,
        print_after: &args.print_after,
        stop_after: args.stop_after,
        model_hash: sha256(&bytes),
    };
    let out = compress(&graph, &text, &settings, &args.output, ui)?;
    ui.result(&out.report, || {
        let rows: Vec<_> = out
            .done
            .report
            .steps
            .iter()
            .map(|s| {
                vec![
                    format!("{} {}", s.step, s.pass),
                    s.effect.to_string(),
                    s.rewrites.to_string(),
                    s.after.nodes.to_string(),
                    grouped(s.after.weight_bytes as u64),
                    s.after.macs.map_or("?".into(), grouped),
                    format!("{:.2}", s.seconds),
                ]
            })
            .collect();
        let mut text = table(
            &["step", "effect", "rewrites", "nodes", "weight bytes", "MACs", "seconds"],
            &rows,
        );
        for step in &out.done.report.steps {
            text += &layers(step);
        }
        let after = Snapshot::of(&out.done.graph);
        text += &format!(
            "\nweights {} -> {} bytes, multiply-accumulates {} -> {}\nwritten: {}\n",
            grouped(out.before.weight_bytes as u64),
            grouped(after.weight_bytes as u64),
            out.before.macs.map_or("?".into(), grouped),
            after.macs.map_or("?".into(), grouped),
            args.output.join("model.paring").display(),
        );
        text
    });
    Ok(())
}

/// What a step made of each layer, as a table, and what it noted.
fn layers(step: &StepReport) -> String {
    let title = format!("\nstep {}, {}\n", step.step, step.pass);
    let notes: String = step.notes.iter().map(|note| format!("{note}\n")).collect();
    if step.layers.is_empty() {
        return if notes.is_empty() { notes } else { title + &notes };
    }
    let decibels = |db: Option<f64>| db.map_or(String::new(), |db| format!("{db:.1}"));
    let rows: Vec<_> = step
        .layers
        .iter()
        .map(|l| {
            vec![
                l.node.clone(),
                l.op.clone(),
                l.weights.clone().unwrap_or_default(),
                decibels(l.weights_db),
                l.result.clone().unwrap_or_default(),
                decibels(l.result_db),
                l.note.clone(),
            ]
        })
        .collect();
    let header = ["layer", "op", "weights", "dB", "result", "dB", "note"];
    title + &table(&header, &rows) + &notes
}

/// How a model is compressed.
pub struct Settings<'a> {
    /// Name or path of the recipe.
    pub recipe: &'a str,
    /// Calibration data.
    pub calib: Option<&'a str>,
    /// Backend that runs networks.
    pub backend: &'a str,
    /// Passes after which the graph is printed.
    pub print_after: &'a [String],
    /// The most rewrites.
    pub stop_after: Option<usize>,
    /// SHA-256 of the model file.
    pub model_hash: String,
}

/// Runs a recipe and writes the results below `dir`.
pub fn compress(
    graph: &Graph,
    recipe: &str,
    settings: &Settings<'_>,
    dir: &Path,
    ui: &Ui,
) -> Result<Compressed> {
    let pipeline = Pipeline::parse(recipe).with_context(|| settings.recipe.to_owned())?;
    let known = |name: &String| {
        name == "all" || pipeline.steps.iter().any(|s| s.info.name == name.as_str())
    };
    if let Some(name) = settings.print_after.iter().find(|n| !known(n)) {
        anyhow::bail!("--print-after {name}: the recipe has no such pass");
    }
    let host = CliHost::new(settings.backend, settings.calib.map(str::to_owned), ui)
        .map_err(anyhow::Error::msg)?;
    let before = Snapshot::of(graph);
    let mut after = |step: &paring_pass::StepReport, graph: &Graph| {
        if settings.print_after.iter().any(|p| p == "all" || p == step.pass) {
            eprintln!("; after step {} ({})\n{graph}", step.step, step.pass);
        }
    };
    let mut options = RunOptions { after: Some(&mut after), stop_after: settings.stop_after };
    let done = pipeline.run(graph, &host, &mut options);
    host.finish();
    let done = done?;
    let size = Snapshot::of(&done.graph);
    let container = container(&done.graph)?;
    let used = host.used();
    let data: Vec<_> = used
        .iter()
        .map(|(spec, samples, hash)| json!({ "spec": spec, "samples": samples, "sha256": hash }))
        .collect();
    let bits = 8.0 * container.len() as f64 / size.parameters.max(1) as f64;
    let report = json!({
        "recipe": settings.recipe,
        "weight_bytes": size.weight_bytes,
        "container_bytes": container.len(),
        "bits_per_weight": bits,
        "before": before,
        "after": size,
        "passes": done.report.steps,
    });
    let mut lock = String::from(
        "# What this output was made from; the same again gives the same bytes.\nversion = 1\n",
    );
    lock += &format!("tool = \"paring {}\"\n", env!("CARGO_PKG_VERSION"));
    lock += &format!("model_sha256 = \"{}\"\n", settings.model_hash);
    lock += &format!("recipe_sha256 = \"{}\"\n", sha256(recipe.as_bytes()));
    lock += &format!("output_sha256 = \"{}\"\n", sha256(&container));
    for (spec, samples, hash) in &used {
        lock += &format!(
            "\n[[data]]\nspec = {}\nsamples = {samples}\nsha256 = \"{hash}\"\n",
            json!(spec)
        );
    }
    let full = {
        let mut full = report.clone();
        full["data"] = data.into();
        full
    };
    let pretty = serde_json::to_string_pretty(&full)? + "\n";
    let page = html::report(graph.name(), settings.recipe, before, &done, container.len());
    let container_bytes = container.len();
    let files = [
        ("model.paring".to_owned(), container),
        ("report.json".to_owned(), pretty.into_bytes()),
        ("report.html".to_owned(), page.into_bytes()),
        ("paring.lock".to_owned(), lock.into_bytes()),
    ];
    paring_tensor::write_dir(dir, &files).with_context(|| dir.display().to_string())?;
    Ok(Compressed { before, done, container_bytes, report })
}

/// The bytes of a graph's container file.
pub fn container(graph: &Graph) -> Result<Vec<u8>> {
    let format = paring_format::registered_formats()
        .into_iter()
        .find(|f| f.extensions.contains(&"paring"))
        .and_then(|f| f.write)
        .context("the program was built without the paring format")?;
    Ok(format(graph, &paring_format::WriteOptions::default())?)
}

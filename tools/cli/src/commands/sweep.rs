//! `paring sweep`

use crate::commands::compress::container;
use crate::commands::eval::evaluate;
use crate::host::CliHost;
use crate::model::{ModelArgs, RoundingArg};
use crate::recipes;
use crate::ui::{Ui, grouped, table};
use anyhow::{Context, Result, bail};
use paring_ir::Graph;
use paring_pass::{Pipeline, RunOptions, Snapshot};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// Compress a model by a recipe in several settings, and show size against accuracy
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A pipeline file, or the name of a recipe that ships
    #[arg(long, value_name = "FILE|NAME")]
    recipe: String,
    /// A setting of a pass with the values it takes, as rate.lambda=0.02,0.1; given several times, all
    /// combinations run. The value `-` leaves the setting out
    #[arg(long, value_name = "PASS.KEY=V,V,...", required = true)]
    vary: Vec<String>,
    /// Calibration data; takes the place of what the recipe's steps name
    #[arg(long, value_name = "SPEC")]
    calib: Option<String>,
    /// Labelled data for the accuracy
    #[arg(long, value_name = "SPEC")]
    data: String,
    /// Use the first N labelled samples
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Backend that runs networks
    #[arg(long, default_value = paring_bundle::AUTO)]
    backend: String,
    /// Directory for sweep.json and sweep.svg
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// A setting of a pass and the values that it takes.
struct Vary {
    pass: String,
    key: String,
    values: Vec<String>,
}

impl Vary {
    fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('=').and_then(|(what, values)| {
            let (pass, key) = what.split_once('.')?;
            let values: Vec<String> = values.split(',').map(|v| v.trim().to_owned()).collect();
            let named = !pass.is_empty() && !key.is_empty() && values.iter().all(|v| !v.is_empty());
            named.then(|| Self { pass: pass.to_owned(), key: key.to_owned(), values })
        });
        parts.with_context(|| format!("--vary {text}: write it as rate.lambda=0.02,0.1"))
    }
}

/// One combination and what it gave.
struct Row {
    settings: Vec<String>,
    bytes: usize,
    macs: Option<u64>,
    top1: f64,
    /// Whether no other row is both smaller and better.
    front: bool,
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let graph = args.model.read()?;
    let recipe = recipes::load(&args.recipe)?;
    let varied: Vec<Vary> = args.vary.iter().map(|v| Vary::parse(v)).collect::<Result<_>>()?;
    let mut rows = Vec::new();
    let total: usize = varied.iter().map(|v| v.values.len()).product();
    for index in 0..total {
        let mut rest = index;
        let mut settings = vec![String::new(); varied.len()];
        for (at, vary) in varied.iter().enumerate().rev() {
            settings[at].clone_from(&vary.values[rest % vary.values.len()]);
            rest /= vary.values.len();
        }
        rows.push(one(args, &graph, &recipe, &varied, settings, ui)?);
    }
    mark_front(&mut rows);
    let names: Vec<String> = varied.iter().map(|v| format!("{}.{}", v.pass, v.key)).collect();
    let object = json!({
        "recipe": args.recipe,
        "varied": names,
        "rows": rows.iter().map(|r| json!({
            "settings": r.settings, "container_bytes": r.bytes, "macs": r.macs, "top1": r.top1,
            "front": r.front,
        })).collect::<Vec<_>>(),
    });
    if let Some(dir) = &args.output {
        let files = [
            ("sweep.json".to_owned(), (serde_json::to_string_pretty(&object)? + "\n").into_bytes()),
            ("sweep.svg".to_owned(), plot(&rows).into_bytes()),
        ];
        paring_tensor::write_dir(dir, &files).with_context(|| dir.display().to_string())?;
    }
    ui.result(&object, || {
        let mut head: Vec<&str> = names.iter().map(String::as_str).collect();
        head.extend(["bytes", "MACs", "top-1 %", "front"]);
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|r| {
                let mut cells = r.settings.clone();
                cells.push(grouped(r.bytes as u64));
                cells.push(r.macs.map_or("?".into(), grouped));
                cells.push(format!("{:.2}", r.top1));
                cells.push(if r.front { "*".into() } else { String::new() });
                cells
            })
            .collect();
        table(&head, &cells)
    });
    Ok(())
}

fn one(
    args: &Args,
    graph: &Graph,
    recipe: &str,
    varied: &[Vary],
    settings: Vec<String>,
    ui: &Ui,
) -> Result<Row> {
    let mut file: toml::Table = recipe.parse().with_context(|| args.recipe.clone())?;
    for (vary, value) in varied.iter().zip(&settings) {
        let steps = file.get_mut("pass").and_then(|p| p.as_array_mut());
        let named = |t: &&mut toml::Table| {
            t.get("use").and_then(|u| u.as_str()) == Some(vary.pass.as_str())
        };
        let mut found = false;
        let tables = steps.into_iter().flatten().filter_map(|s| s.as_table_mut());
        for step in tables.filter(named) {
            found = true;
            if value == "-" {
                step.remove(&vary.key);
                continue;
            }
            // What is no TOML value is a string.
            let parsed = format!("v = {value}").parse::<toml::Table>().ok();
            let parsed = parsed.and_then(|t| t.get("v").cloned());
            let value = parsed.unwrap_or_else(|| toml::Value::String(value.clone()));
            step.insert(vary.key.clone(), value);
        }
        if !found {
            bail!("--vary {}.{}: the recipe has no such pass", vary.pass, vary.key);
        }
    }
    let pipeline = Pipeline::parse(&toml::to_string(&file)?)
        .with_context(|| format!("{} with {}", args.recipe, settings.join(", ")))?;
    let host = CliHost::new(&args.backend, args.calib.clone(), ui).map_err(anyhow::Error::msg)?;
    let done = pipeline.run(graph, &host, &mut RunOptions::default());
    host.finish();
    let done = done.with_context(|| settings.join(", "))?;
    let bytes = container(&done.graph)?.len();
    let backend = (args.backend.as_str(), RoundingArg::default());
    let scores = evaluate(&done.graph, &args.data, args.limit, backend, None, ui)?;
    let top1 = scores.top1.context("the data of a sweep have to be labelled")?;
    Ok(Row { settings, bytes, macs: Snapshot::of(&done.graph).macs, top1, front: false })
}

fn mark_front(rows: &mut [Row]) {
    let points: Vec<(usize, f64)> = rows.iter().map(|r| (r.bytes, r.top1)).collect();
    for row in rows {
        row.front = !points.iter().any(|&(bytes, top1)| {
            (bytes <= row.bytes && top1 > row.top1) || (bytes < row.bytes && top1 >= row.top1)
        });
    }
}

/// Bytes against accuracy; the front is joined by a line.
fn plot(rows: &[Row]) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 400.0;
    const EDGE: f64 = 56.0;
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if high > low { (low, high) } else { (low - 1.0, high + 1.0) }
    };
    let (left, right) = ends(&mut rows.iter().map(|r| r.bytes as f64));
    let (low, high) = ends(&mut rows.iter().map(|r| r.top1));
    let x = |bytes: f64| EDGE + (bytes - left) / (right - left) * (WIDTH - 2.0 * EDGE);
    let y = |top1: f64| HEIGHT - EDGE - (top1 - low) / (high - low) * (HEIGHT - 2.0 * EDGE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <path d=\"M{EDGE} {EDGE} V{bottom} H{end}\" fill=\"none\" stroke=\"black\"/>\n",
        bottom = HEIGHT - EDGE,
        end = WIDTH - EDGE,
    );
    let mut label = |x: f64, y: f64, anchor: &str, text: String| {
        let _ =
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    };
    for (value, at) in [(left, x(left)), (right, x(right))] {
        label(at, HEIGHT - EDGE + 18.0, "middle", grouped(value.max(0.0) as u64));
    }
    for (value, at) in [(low, y(low)), (high, y(high))] {
        label(EDGE - 6.0, at + 4.0, "end", format!("{value:.2}"));
    }
    label(WIDTH / 2.0, HEIGHT - 14.0, "middle", "container, bytes".into());
    label(EDGE, EDGE - 16.0, "middle", "top-1, %".into());
    let mut front: Vec<&Row> = rows.iter().filter(|r| r.front).collect();
    front.sort_by_key(|r| r.bytes);
    let points: Vec<String> =
        front.iter().map(|r| format!("{:.1},{:.1}", x(r.bytes as f64), y(r.top1))).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#0a6\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    for row in rows {
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{}\"><title>{} bytes, {:.2} %</title></circle>",
            x(row.bytes as f64),
            y(row.top1),
            if row.front { "#0a6" } else { "#888" },
            row.bytes,
            row.top1,
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bytes: usize, top1: f64) -> Row {
        Row { settings: Vec::new(), bytes, macs: None, top1, front: false }
    }

    #[test]
    fn the_front_is_what_nothing_beats() {
        let mut rows =
            vec![row(10, 80.0), row(20, 85.0), row(25, 84.0), row(20, 83.0), row(30, 90.0)];
        mark_front(&mut rows);
        let front: Vec<bool> = rows.iter().map(|r| r.front).collect();
        assert_eq!(front, [true, true, false, false, true]);
        let svg = plot(&rows);
        assert_eq!(svg.matches("<circle").count(), 5);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn settings_are_read() {
        let vary = Vary::parse("rate.lambda=0.02, 0.1").unwrap();
        assert_eq!((vary.pass.as_str(), vary.key.as_str()), ("rate", "lambda"));
        assert_eq!(vary.values, ["0.02", "0.1"]);
        for wrong in ["rate=1", "rate.lambda", ".x=1", "rate.x=1,,2"] {
            assert!(Vary::parse(wrong).is_err(), "{wrong}");
        }
    }
}

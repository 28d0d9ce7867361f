//! `paring bench`

mod energy;
mod profile;

use crate::commands::verify::random_inputs;
use crate::model::{BackendArgs, ModelArgs};
use crate::ui::Ui;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Instant;

/// Measure the latency of a model in this process
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    backend: BackendArgs,
    /// Runs to measure, after a tenth as many to warm up
    #[arg(long, default_value_t = 50)]
    runs: usize,
    /// Threads that a run may use
    #[arg(long)]
    threads: Option<usize>,
    /// Show what each layer takes, and its share of what the machine could do
    #[arg(long)]
    profile: bool,
}

/// The time of a run, in milliseconds, that a part of the runs does not exceed.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let index = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    ensure!(args.runs > 0, "--runs must be at least 1");
    let graph = args.model.read()?;
    let inputs = random_inputs(&graph, 1)?.pop().context("no inputs")?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(1)).build()?;
    pool.install(|| -> Result<()> {
        let start = Instant::now();
        let mut session = args.backend.prepare(&graph)?;
        let prepare_ms = start.elapsed().as_secs_f64() * 1e3;
        let warm = args.runs.div_ceil(10);
        let bar = ui.bar("measuring", warm + args.runs);
        let mut ms = Vec::with_capacity(args.runs);
        let mut meter = None;
        for i in 0..warm + args.runs {
            if i == warm {
                meter = Some(energy::Meter::start());
            }
            let start = Instant::now();
            session.run(&inputs)?;
            if i >= warm {
                ms.push(start.elapsed().as_secs_f64() * 1e3);
            }
            bar.inc(1);
        }
        let joules = meter.and_then(energy::Meter::joules).map(|j| j / args.runs as f64);
        bar.finish_and_clear();
        ms.sort_by(f64::total_cmp);
        let median = quantile(&ms, 0.5);
        let mut object = json!({
            "backend": args.backend.backend, "runs": ms.len(), "threads": pool.current_num_threads(),
            "prepare_ms": prepare_ms, "median_ms": median, "min_ms": quantile(&ms, 0.0),
            "mean_ms": ms.iter().sum::<f64>() / ms.len() as f64,
            "p90_ms": quantile(&ms, 0.9), "p95_ms": quantile(&ms, 0.95), "p99_ms": quantile(&ms, 0.99),
            "max_ms": quantile(&ms, 1.0), "runs_per_second": 1e3 / median,
            "joules_per_run": joules, "layers": Value::Null,
        });
        let mut text = format!(
            "{} runs on {}, {} thread(s): median {median:.3} ms, least {:.3}, 90 % {:.3}, 99 % {:.3}; \
             {:.1} runs a second\n",
            ms.len(),
            args.backend.backend,
            pool.current_num_threads(),
            quantile(&ms, 0.0),
            quantile(&ms, 0.9),
            quantile(&ms, 0.99),
            1e3 / median,
        );
        match joules {
            Some(joules) => writeln!(text, "energy of the processor: {:.3} mJ a run", joules * 1e3)?,
            None => writeln!(text, "energy: the system shows none (no readable powercap counters)")?,
        }
        if args.profile {
            let roof = profile::Roof::measure(&args.backend)?;
            match profile::layers(&graph, &mut *session, &inputs, args.runs, &roof)? {
                Some(layers) => {
                    profile::describe(&layers, &roof, &mut text)?;
                    object["roof"] = roof.json();
                    object["layers"] = layers.iter().map(profile::Layer::json).collect();
                }
                None => writeln!(text, "the backend does not measure its layers")?,
            }
        }
        ui.result(&object, || text);
        Ok(())
    })
}

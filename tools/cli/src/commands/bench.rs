//! `paring bench`

use crate::commands::verify::random_inputs;
use crate::model::{BackendArgs, ModelArgs};
use crate::ui::Ui;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

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
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    ensure!(args.runs > 0, "--runs must be at least 1");
    let graph = args.model.read()?;
    let inputs = random_inputs(&graph, 1)?.pop().context("no inputs")?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(1)).build()?;
    let times = pool.install(|| -> Result<Vec<Duration>> {
        let mut session = args.backend.prepare(&graph)?;
        let warm = args.runs.div_ceil(10);
        let bar = ui.bar("measuring", warm + args.runs);
        let mut times = Vec::with_capacity(args.runs);
        for i in 0..warm + args.runs {
            let start = Instant::now();
            session.run(&inputs)?;
            if i >= warm {
                times.push(start.elapsed());
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(times)
    })?;
    let mut ms: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    let at = |p: f64| ms[((ms.len() - 1) as f64 * p).round() as usize];
    let median = at(0.5);
    let object = json!({
        "backend": args.backend.backend, "runs": ms.len(),
        "threads": pool.current_num_threads(),
        "median_ms": median, "min_ms": at(0.0), "p90_ms": at(0.9), "p99_ms": at(0.99),
        "runs_per_second": 1e3 / median,
    });
    ui.result(&object, || {
        format!(
            "{} runs on {}: median {median:.3} ms, least {:.3}, 90 % {:.3}, 99 % {:.3}\n",
            ms.len(),
            args.backend.backend,
            at(0.0),
            at(0.9),
            at(0.99)
        )
    });
    Ok(())
}

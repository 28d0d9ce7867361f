//! `paring eval`

use crate::data::{Fitted, open};
use crate::error::BoundFailed;
use crate::model::{BackendArgs, ModelArgs, RoundingArg, prepare, read, real, to_external};
use crate::ui::Ui;
use anyhow::{Context, Result};
use paring_data::metrics::{Agreement, Difference, TopK};
use paring_ir::{Graph, Session};
use rayon::prelude::*;
use serde_json::json;
use std::path::PathBuf;

/// Measure a model on labelled data, or against another model
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    backend: BackendArgs,
    /// Data: npz:FILE, cifar10:DIR:test, mnist:DIR:test, images:DIR, kws01:DIR, shapes:test, with
    /// `,key=value` preprocessing
    #[arg(long, value_name = "SPEC")]
    data: String,
    /// Use the first N samples
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Another model to compare the outputs with
    #[arg(long, value_name = "MODEL")]
    against: Option<PathBuf>,
    /// Fail (exit code 1) if top-1 accuracy is below this many percent
    #[arg(long, value_name = "PERCENT")]
    min_top1: Option<f64>,
}

/// What an evaluation found.
pub struct Scores {
    /// Samples evaluated.
    pub samples: usize,
    /// Percent of labelled samples whose class has the highest score.
    pub top1: Option<f64>,
    /// Percent of labelled samples whose class is among the five highest scores.
    pub top5: Option<f64>,
    /// Mean over the samples of the mean square difference of the last output and the first input,
    /// where they have one size: the score of an autoencoder.
    pub reconstruction: Option<f64>,
    /// Comparison with another model.
    pub against: Option<Against>,
}

/// How a model's outputs differ from those of another one.
pub struct Against {
    /// Percent of samples for which the largest number of the first output is the same one.
    pub agreement: f64,
    /// Name and difference of each output.
    pub outputs: Vec<(String, Difference)>,
}

impl Against {
    fn json(&self) -> Vec<serde_json::Value> {
        let each = self.outputs.iter();
        each.map(|(name, d)| {
            json!({
                "name": name, "snr_db": d.snr_db(), "psnr_db": d.peak().and_then(|p| d.psnr_db(p)),
                "rmse": d.rmse(), "max_abs_difference": d.max_abs(),
            })
        })
        .collect()
    }

    fn text(&self) -> String {
        let mut out = format!("against the other model: agreement {:.2} %\n", self.agreement);
        let shown = |x: Option<f64>, digits: usize| match x {
            Some(x) => format!("{x:.digits$}"),
            None => "-".to_owned(),
        };
        for (name, d) in &self.outputs {
            out += &format!(
                "  `{name}`: SNR {} dB, PSNR {} dB (peak {}), RMSE {}, largest difference {}\n",
                shown(d.snr_db(), 2),
                shown(d.peak().and_then(|p| d.psnr_db(p)), 2),
                shown(d.peak(), 4),
                shown(d.rmse(), 6),
                shown(d.max_abs(), 6)
            );
        }
        out
    }
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let graph = args.model.read()?;
    let other = match &args.against {
        Some(path) => Some(read(path, &args.model.dims)?),
        None => None,
    };
    let scores = evaluate(
        &graph,
        &args.data,
        args.limit,
        (&args.backend.backend, args.backend.rounding),
        other.as_ref(),
        ui,
    )?;
    let against = scores.against.as_ref();
    let first = against.and_then(|a| a.outputs.first()).map(|(_, d)| d);
    let object = json!({
        "top1": scores.top1, "top5": scores.top5, "samples": scores.samples,
        "reconstruction_mse": scores.reconstruction,
        "agreement": against.map(|a| a.agreement), "snr_db": first.and_then(|d| d.snr_db()),
        "rmse": first.and_then(|d| d.rmse()), "max_abs_difference": first.and_then(|d| d.max_abs()),
        "outputs": against.map(Against::json),
    });
    ui.result(&object, || {
        let mut out = format!("{} samples\n", scores.samples);
        if let (Some(top1), Some(top5)) = (scores.top1, scores.top5) {
            out += &format!("top-1 {top1:.2} %\ntop-5 {top5:.2} %\n");
        }
        if let Some(mse) = scores.reconstruction {
            out += &format!("mean square reconstruction error {mse:.4}\n");
        }
        out += &against.map(Against::text).unwrap_or_default();
        out
    });
    match (args.min_top1, scores.top1) {
        (Some(bound), Some(top1)) if top1 < bound => {
            Err(BoundFailed(format!("top-1 is {top1:.2} %, below the stated {bound} %")).into())
        }
        (Some(_), None) => anyhow::bail!("--min-top1 needs labelled data"),
        _ => Ok(()),
    }
}

#[derive(Clone)]
struct Tally {
    top1: TopK,
    top5: TopK,
    mse: f64,
    mse_samples: usize,
    agreement: Agreement,
    differences: Vec<Difference>,
}

/// Evaluates a graph on data, on all cores.
pub fn evaluate(
    graph: &Graph,
    spec: &str,
    limit: Option<usize>,
    (backend, rounding): (&str, RoundingArg),
    other: Option<&Graph>,
    ui: &Ui,
) -> Result<Scores> {
    let data = Fitted::new(open(spec)?, graph)?;
    let other = match other {
        Some(other) => Some((other, Fitted::new(open(spec)?, other)?)),
        None => None,
    };
    let rival = match &other {
        Some((graph, _)) => Some(prepare(graph, backend, rounding)?),
        None => None,
    };
    if let Some((other, _)) = &other
        && other.outputs().len() != graph.outputs().len()
    {
        let (ours, theirs) = (graph.outputs().len(), other.outputs().len());
        anyhow::bail!("the model has {ours} outputs and the one to compare with {theirs}");
    }
    let count = data.len().min(limit.unwrap_or(usize::MAX));
    let session = prepare(graph, backend, rounding)?;
    let bar = ui.bar("evaluating", count);
    let workers = rayon::current_num_threads().clamp(1, count.max(1));
    type Worker = (usize, Box<dyn Session>, Option<Box<dyn Session>>);
    let sessions: Vec<Worker> =
        (0..workers).map(|w| (w, session.fork(), rival.as_ref().map(|s| s.fork()))).collect();
    let tally = sessions
        .into_par_iter()
        .map(|(worker, mut session, mut rival)| -> Result<Tally> {
            let mut tally = Tally {
                top1: TopK::new(1),
                top5: TopK::new(5),
                mse: 0.0,
                mse_samples: 0,
                agreement: Agreement::default(),
                differences: vec![Difference::default(); graph.outputs().len()],
            };
            for index in (worker..count).step_by(workers) {
                let sample = data.get(index)?;
                session.reset();
                let outputs = session.run(&data.stored(&sample)?)?;
                let numbers = numbers(graph, &outputs)?;
                let scores = numbers.first().context("the model has no outputs")?;
                if let Some(label) = sample.label {
                    tally.top1.push(scores, label);
                    tally.top5.push(scores, label);
                }
                if let [input] = sample.inputs.as_slice()
                    && input.len() == scores.len()
                {
                    let squares = input.to_f32().into_iter().zip(scores).map(|(a, b)| {
                        let d = f64::from(a) - f64::from(*b);
                        d * d
                    });
                    tally.mse += squares.sum::<f64>() / scores.len().max(1) as f64;
                    tally.mse_samples += 1;
                }
                if let (Some(rival), Some((other, fitted))) = (rival.as_mut(), other.as_ref()) {
                    let sample = fitted.get(index)?;
                    rival.reset();
                    let theirs = self::numbers(other, &rival.run(&fitted.stored(&sample)?)?)?;
                    tally.agreement.push(scores, theirs.first().context("no outputs")?);
                    for ((d, a), b) in tally.differences.iter_mut().zip(&theirs).zip(&numbers) {
                        d.push(a, b)?;
                    }
                }
                bar.inc(1);
            }
            Ok(tally)
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .reduce(|mut all, one| {
            all.top1.merge(&one.top1);
            all.top5.merge(&one.top5);
            all.mse += one.mse;
            all.mse_samples += one.mse_samples;
            all.agreement.merge(&one.agreement);
            all.differences.iter_mut().zip(&one.differences).for_each(|(a, b)| a.merge(b));
            all
        })
        .context("there are no samples")?;
    bar.finish_and_clear();
    let names = graph.outputs().iter().map(|port| port.name.clone());
    let against = other.is_some().then(|| Against {
        agreement: tally.agreement.percent().unwrap_or(f64::NAN),
        outputs: names.zip(tally.differences).collect(),
    });
    Ok(Scores {
        samples: count,
        top1: tally.top1.percent(),
        top5: tally.top5.percent(),
        reconstruction: (tally.mse_samples > 0).then(|| tally.mse / tally.mse_samples as f64),
        against,
    })
}

/// The real numbers of the outputs, in the model's own layout.
fn numbers(graph: &Graph, outputs: &[paring_tensor::Tensor]) -> Result<Vec<Vec<f32>>> {
    let ports = graph.outputs().iter().zip(outputs);
    ports.map(|(port, tensor)| real(&to_external(port, tensor)?, graph.ty(port.value))).collect()
}

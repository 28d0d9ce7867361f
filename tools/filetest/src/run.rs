//! Seeded runs on the reference interpreter.

use anyhow::{Context, Result, ensure};
use paring_backend::ExecOptions;
use paring_ir::{Executor, Graph, text};
use paring_pass::{Effect, Host, PassError, Samples};
use paring_tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A host with the reference executor and a few seeded samples.
pub struct SeededHost;

const SAMPLES: u64 = 8;

fn reference() -> Result<&'static dyn Executor, String> {
    static REFERENCE: OnceLock<Result<Box<dyn Executor>, String>> = OnceLock::new();
    let made = REFERENCE
        .get_or_init(|| paring_bundle::executor(paring_bundle::REFERENCE, ExecOptions::default()));
    made.as_deref().map_err(Clone::clone)
}

impl Host for SeededHost {
    fn executor(&self) -> Result<&dyn Executor, PassError> {
        reference().map_err(PassError::Input)
    }

    fn samples(&self, _: Option<&str>, graph: &Graph) -> Result<Arc<dyn Samples>, PassError> {
        let all = (0..SAMPLES)
            .map(|seed| inputs(graph, seed).map_err(|e| PassError::Input(e.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Seeded(all)))
    }
}

struct Seeded(Vec<Vec<Tensor>>);

impl Samples for Seeded {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Result<Vec<Tensor>, String> {
        self.0.get(index).cloned().ok_or_else(|| format!("there is no sample {index}"))
    }
}

/// Every symbol bound to 2.
fn bound(graph: &Graph) -> Result<Graph> {
    let sizes: BTreeMap<String, usize> = graph.symbols().into_iter().map(|s| (s, 2)).collect();
    Ok(graph.bind(&sizes)?)
}

fn inputs(graph: &Graph, seed: u64) -> Result<Vec<Tensor>> {
    let make = |(i, port): (usize, &paring_ir::Port)| {
        let ty = graph.ty(port.value);
        let shape = ty.shape.fixed().context("an input has unbound dimensions")?;
        Ok(text::fill(seed * 31 + i as u64, ty.dtype, &shape)?)
    };
    graph.inputs().iter().enumerate().map(make).collect()
}

/// The largest magnitude of an output of real numbers on the seeded inputs.
///
/// # Errors
/// If the graph does not run.
pub fn largest_output(graph: &Graph) -> Result<f64> {
    let graph = bound(graph)?;
    let executor = reference().map_err(anyhow::Error::msg)?;
    let mut session = executor.prepare(graph.verified()?)?;
    let mut peak = 0.0_f64;
    for seed in 0..SAMPLES {
        for output in session.run(&inputs(&graph, seed)?)? {
            peak = output.to_f64().into_iter().fold(peak, |m, x| m.max(x.abs()));
        }
    }
    Ok(peak)
}

/// The outputs on seeded inputs, written out.
///
/// # Errors
/// If the graph does not run.
pub fn outputs(graph: &Graph) -> Result<String> {
    let graph = bound(graph)?;
    let executor = reference().map_err(anyhow::Error::msg)?;
    let mut session = executor.prepare(graph.verified()?)?;
    let mut out = String::new();
    for (port, tensor) in graph.outputs().iter().zip(session.run(&inputs(&graph, 1)?)?) {
        out += &format!("{}: {:?} {:?}\n", port.name, tensor.shape(), tensor.to_f64());
    }
    Ok(out)
}

/// Runs two graphs on the same seeded inputs and judges the difference by the effect that a pass
/// states.
///
/// # Errors
/// The output that differs by more than the effect, or the stated limit, allows.
pub fn compare(before: &Graph, after: &Graph, effect: Effect, limit: Option<f64>) -> Result<()> {
    let (before, after) = (bound(before)?, bound(after)?);
    let executor = reference().map_err(anyhow::Error::msg)?;
    let mut one = executor.prepare(before.verified()?)?;
    let mut two = executor.prepare(after.verified()?).context("the graph after the pass")?;
    for seed in 0..SAMPLES {
        let given = inputs(&before, seed)?;
        let mut changed = Vec::with_capacity(given.len());
        for ((a, b), tensor) in before.inputs().iter().zip(after.inputs()).zip(&given) {
            let external = turn(tensor, a.external.as_deref())?;
            let mut input = turn_back(&external, b.external.as_deref())?;
            let ty = after.ty(b.value);
            if let Some(quant) = &ty.quant
                && input.dtype().is_float()
            {
                input = quant.quantize(&input, ty.dtype)?;
            }
            changed.push(input);
        }
        let (x, y) = (one.run(&given)?, two.run(&changed)?);
        ensure!(x.len() == y.len(), "the pass changed the number of outputs");
        let ports = before.outputs().iter().zip(after.outputs());
        for ((a, b), (x, y)) in ports.zip(x.iter().zip(&y)) {
            let x = turn(x, a.external.as_deref())?;
            let y = turn(y, b.external.as_deref())?;
            if effect == Effect::Exact {
                ensure!(x == y, "output `{}` changes: {x:?} became {y:?}", a.name);
                continue;
            }
            let real = |t: &Tensor, g: &Graph, p: &paring_ir::Port| -> Result<Vec<f32>> {
                Ok(match &g.ty(p.value).quant {
                    Some(q) => q.dequantize(t)?.to_f32(),
                    None => t.to_f32(),
                })
            };
            let (u, v) = (real(&x, &before, a)?, real(&y, &after, b)?);
            let peak = u.iter().fold(0.0_f64, |m, x| m.max(f64::from(x.abs())));
            let worst = u.iter().zip(&v).fold(0.0_f64, |m, (x, y)| m.max(f64::from((x - y).abs())));
            let finite = v.iter().all(|x| x.is_finite());
            ensure!(finite, "output `{}` has numbers that are not finite", a.name);
            let allowed = match effect {
                Effect::Lossy => limit,
                _ => Some(limit.unwrap_or(1e-4 * peak.max(1.0))),
            };
            if let Some(allowed) = allowed {
                ensure!(
                    worst <= allowed,
                    "output `{}` is off by {worst} (allowed {allowed})",
                    a.name
                );
            }
        }
    }
    Ok(())
}

fn turn(tensor: &Tensor, perm: Option<&[usize]>) -> Result<Tensor> {
    Ok(match perm {
        Some(perm) => tensor.transpose(perm)?,
        None => tensor.clone(),
    })
}

fn turn_back(tensor: &Tensor, perm: Option<&[usize]>) -> Result<Tensor> {
    let Some(perm) = perm else { return Ok(tensor.clone()) };
    let mut inverse = vec![0; perm.len()];
    for (i, &axis) in perm.iter().enumerate() {
        inverse[axis] = i;
    }
    Ok(tensor.transpose(&inverse)?)
}

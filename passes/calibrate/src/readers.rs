use crate::{All, Seen, search};
use paring_ir::ops::Softmax;
use paring_ir::{Def, Graph, Node, QuantRule, Session, ValueId};
use paring_layerwise::divergence;
use paring_pass::{PassContext, PassError, Stream, prepare};
use paring_tensor::{DType, Quant, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// Samples that ranges are judged on: as many as have so many numbers in all, within these bounds.
const NUMBERS: usize = 1 << 26;
const JUDGED: std::ops::RangeInclusive<usize> = 8..=64;

/// Parts of the whole range that candidates reach to, at either end.
const LOWS: [f32; 6] = [1.0, 0.8, 0.6, 0.4, 0.25, 0.1];
const HIGHS: [f32; 8] = [1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4];

/// A value whose range is judged by what rounding it does to the results of the nodes that read it.
struct Probe {
    value: ValueId,
    ranges: Vec<(f32, f32)>,
    quants: Vec<(f32, i32)>,
    /// What the readers take and give; the value itself comes first.
    inputs: Vec<ValueId>,
    results: Vec<ValueId>,
    /// For results that are probabilities, how many there are in a row; they are compared by divergence.
    rows: Vec<Option<usize>>,
}

/// What one lane has found of a probe: for each result its signal, and the loss of each range.
struct Found {
    session: Box<dyn Session>,
    signals: Vec<f64>,
    losses: Vec<Vec<f64>>,
}

/// What a lane holds: the values of the present sample, and its findings.
struct Lane {
    sample: usize,
    values: BTreeMap<ValueId, Tensor>,
    found: Vec<Found>,
    failed: Option<PassError>,
}

/// The ranges that are tried.
fn candidates(seen: &Seen) -> Vec<(f32, f32)> {
    let (low, high) = (seen.low.min(0.0), seen.high.max(0.0));
    let parts = |end: f32, parts: &[f32]| -> Vec<f32> {
        if end == 0.0 { vec![0.0] } else { parts.iter().map(|p| end * p).collect() }
    };
    let highs = parts(high, &HIGHS);
    let mut all: Vec<(f32, f32)> =
        parts(low, &LOWS).iter().flat_map(|l| highs.iter().map(|h| (*l, *h))).collect();
    all.extend(seen.histogram.as_ref().map(|h| search::mse(h, (seen.low, seen.high))));
    all
}

/// The results of the nodes that read a value, beyond those that only move its numbers.
fn results(graph: &Graph, v: ValueId, found: &mut BTreeSet<ValueId>) {
    for (id, _) in graph.value(v).uses() {
        let node = graph.node(*id);
        if moves(node) {
            node.outputs().iter().for_each(|v| results(graph, *v, found));
        } else {
            found.extend(node.outputs());
        }
    }
}

fn moves(node: &Node) -> bool {
    node.op.quant_rule() == QuantRule::Moves && node.inputs().len() == 1
}

fn probe(graph: &Graph, value: ValueId, seen: &Seen) -> Option<Probe> {
    let mut found = BTreeSet::new();
    results(graph, value, &mut found);
    let mut inputs = vec![value];
    let real = |v: &ValueId| graph.ty(*v).dtype == DType::F32;
    found.retain(real);
    for v in &found {
        let Def::Node(id, _) = graph.value(*v).def() else { continue };
        for v in graph.node(*id).inputs() {
            let moved = graph.producer(*v).is_some_and(|n| moves(n) && from(graph, n) == value);
            if graph.constant(*v).is_none() && !moved && !inputs.contains(v) {
                inputs.push(*v);
            }
        }
    }
    // States and odd values are left to the squared error.
    let known = |v: &ValueId| !matches!(graph.value(*v).def(), Def::State);
    if found.is_empty() || !inputs.iter().all(known) || seen.low == seen.high {
        return None;
    }
    let ranges = candidates(seen);
    let pair = |(l, h): &(f32, f32)| Quant::covering(*l, *h, DType::I8).as_per_tensor();
    let quants = ranges.iter().map(pair).collect::<Option<Vec<_>>>()?;
    let row = |v: &ValueId| {
        let softmax = graph.producer(*v)?.op_as::<Softmax>()?;
        let dims = graph.ty(*v).shape.dims();
        let last = softmax.axis + 1 == dims.len() && !softmax.log;
        dims.last().and_then(|d| d.fixed()).filter(|n| last && *n > 0)
    };
    let rows = found.iter().map(row).collect();
    Some(Probe { value, ranges, quants, inputs, results: found.into_iter().collect(), rows })
}

/// Where the numbers come from that a chain of nodes only moves.
fn from(graph: &Graph, node: &Node) -> ValueId {
    let v = node.inputs()[0];
    graph.producer(v).filter(|n| moves(n)).map_or(v, |n| from(graph, n))
}

impl Probe {
    fn judge(&self, values: &BTreeMap<ValueId, Tensor>, to: &mut Found) -> Result<(), PassError> {
        let held = |v: &ValueId| values.get(v).cloned();
        let Some(mut inputs) = self.inputs.iter().map(held).collect::<Option<Vec<_>>>() else {
            return Err(PassError::Internal("a value that was not shown".into()));
        };
        let real: Vec<f32> = inputs[0].to_f32();
        let originals: Vec<Vec<f32>> =
            self.results.iter().filter_map(|v| values.get(v)).map(Tensor::to_f32).collect();
        for (signal, original) in to.signals.iter_mut().zip(&originals) {
            *signal += original.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        }
        let shape = inputs[0].shape().to_vec();
        for ((scale, zero), losses) in self.quants.iter().zip(&mut to.losses) {
            let (low, high) = ((-128 - zero) as f32, (127 - zero) as f32);
            let rounded: Vec<f32> =
                real.iter().map(|x| (x / scale).round().clamp(low, high) * scale).collect();
            inputs[0] = Tensor::from_vec(shape.as_slice(), rounded)?;
            let given = to.session.run(&inputs)?;
            for (i, (original, given)) in originals.iter().zip(&given).enumerate() {
                let given = given.view::<f32>()?;
                losses[i] += match self.rows[i] {
                    Some(row) => {
                        let pairs = original.chunks(row).zip(given.chunks(row));
                        pairs.map(|(p, q)| divergence(p, q)).sum::<f64>().max(0.0)
                    }
                    None => {
                        let pairs = original.iter().zip(given.iter());
                        pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
                    }
                };
            }
        }
        Ok(())
    }

    /// The range with the least loss over all lanes.
    fn best(&self, lanes: &[Lane], at: usize) -> (f32, f32) {
        let loss = |range: usize| -> f64 {
            (0..self.results.len())
                .map(|i| {
                    let all = lanes.iter().map(|l| &l.found[at]);
                    let (loss, signal) = all.fold((0.0, 0.0), |(loss, signal), f| {
                        (loss + f.losses[range][i], signal + f.signals[i])
                    });
                    if self.rows[i].is_some() { loss } else { loss / signal.max(1e-300) }
                })
                .sum()
        };
        let losses = (0..self.ranges.len()).map(|i| (loss(i), i));
        let least = losses.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.ranges[least.map_or(0, |(_, i)| i)]
    }
}

/// For each value, the range with which the results of what reads it change least when the value alone
/// is rounded to 8 bits.
pub(crate) fn choose(
    graph: &Graph,
    all: &All,
    data: Option<&str>,
    samples: usize,
    cx: &PassContext<'_>,
) -> Result<BTreeMap<ValueId, (f32, f32)>, PassError> {
    let mut probes = Vec::new();
    for (&v, seen) in all {
        let usable = seen.any && seen.bad.is_none();
        if usable && graph.get_value(v).is_some() && !graph.producer(v).is_some_and(moves) {
            probes.extend(probe(graph, v, seen));
        }
    }
    let mut waiting: BTreeMap<ValueId, Vec<usize>> = BTreeMap::new();
    let mut sessions = Vec::with_capacity(probes.len());
    let mut held: BTreeSet<ValueId> = BTreeSet::new();
    for (i, probe) in probes.iter().enumerate() {
        probe.results.iter().for_each(|v| waiting.entry(*v).or_default().push(i));
        held.extend(probe.inputs.iter().chain(&probe.results));
        let (part, _) = graph.part(&probe.inputs, &probe.results);
        sessions.push(prepare(cx.host().executor()?, &part)?);
    }
    let elements = |v: &ValueId| -> Option<usize> {
        graph.ty(*v).shape.dims().iter().skip(1).map(|d| d.fixed()).product()
    };
    let numbers: usize = held.iter().filter_map(elements).sum();
    let judged = (NUMBERS / numbers.max(1)).clamp(*JUDGED.start(), *JUDGED.end());
    let mut stream = Stream::open(cx.host(), graph, data, Some(samples.min(judged)))?;
    let fresh = || -> Lane {
        let found = probes.iter().zip(&sessions).map(|(probe, session)| Found {
            session: session.fork(),
            signals: vec![0.0; probe.results.len()],
            losses: vec![vec![0.0; probe.results.len()]; probe.ranges.len()],
        });
        let found = found.collect();
        Lane { sample: usize::MAX, values: BTreeMap::new(), found, failed: None }
    };
    let mut lanes = stream.accumulators(fresh);
    let range = 0..stream.len();
    stream.run("judging ranges", range, &mut lanes, |lane, sample, v, tensor| {
        if lane.sample != sample {
            lane.sample = sample;
            lane.values.clear();
        }
        if !held.contains(&v) || lane.failed.is_some() {
            return;
        }
        lane.values.insert(v, tensor.clone());
        for &i in waiting.get(&v).into_iter().flatten() {
            if probes[i].results.iter().all(|v| lane.values.contains_key(v))
                && let Err(error) = probes[i].judge(&lane.values, &mut lane.found[i])
            {
                lane.failed = Some(error);
            }
        }
    })?;
    if let Some(error) = lanes.iter_mut().find_map(|l| l.failed.take()) {
        return Err(error);
    }
    let mut chosen: BTreeMap<ValueId, (f32, f32)> =
        probes.iter().enumerate().map(|(i, p)| (p.value, p.best(&lanes, i))).collect();
    // What ops only move has the range of where it came from.
    for id in graph.topological() {
        let node = graph.node(id);
        if let Some(range) = moves(node).then(|| chosen.get(&node.inputs()[0]).copied()).flatten() {
            chosen.extend(node.outputs().iter().map(|v| (*v, range)));
        }
    }
    Ok(chosen)
}

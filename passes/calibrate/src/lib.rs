//! The `calibrate` pass: runs the network on sample data and records, for every value of real
//! numbers, the range that a later quantization should cover.
//!
//! The observer decides what that range is:
//!
//! | setting | range |
//! |---|---|
//! | `"min-max"` | everything seen (the default) |
//! | `{ moving-average = 0.1 }` | running mean of each sample's smallest and largest number, each new sample weighing 0.1 |
//! | `{ percentile = 99.99 }` | without half of the remaining 0.01 % at each end |
//! | `"mse"` | the range whose 8-bit quantization has the least squared error |
//! | `"entropy"` | the range whose 8-bit quantization loses the least information (Kullback-Leibler) |
//! | `"readers"` | the range whose 8-bit quantization changes least what the nodes that read the value compute from it |
//!
//! Memory does not grow with the number of samples: the last four keep one histogram a value, whose
//! bins double in width when a number falls outside. A bin is `[i * 2^k, (i + 1) * 2^k)`, so a
//! histogram depends only on the numbers seen, not on their order, and the result is the same from
//! one thread or many.
//!
//! ```
//! let text = "version = 1\n[[pass]]\nuse = \"calibrate\"\nobserver = { percentile = 99.9 }";
//! use paring_pass_calibrate as _;
//! let pipeline = paring_pass::Pipeline::parse(text)?;
//! assert_eq!(pipeline.steps[0].info.gives, ["calibrated"]);
//! # Ok::<(), paring_pass::PipelineError>(())
//! ```
#![forbid(unsafe_code)]

mod histogram;
mod readers;
mod search;

use histogram::Histogram;
use paring_ir::{Def, Graph, Patch, Value, ValueId};
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, Stream, facts, register_pass};
use paring_tensor::{DType, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// Settings of the pass.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calibrate {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// What decides the range.
    pub observer: Observer,
    /// Whether values that have a range keep it.
    pub missing: bool,
}

/// What decides the range of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observer {
    /// Everything seen.
    #[default]
    MinMax,
    /// Running means of each sample's extremes, with the weight of a new sample.
    MovingAverage(f32),
    /// All but the outermost numbers: how many percent are kept.
    Percentile(f64),
    /// The least squared error of 8 bits.
    Mse,
    /// The least loss of information of 8 bits.
    Entropy,
    /// The least change of what the readers of the value compute.
    Readers,
}

register_pass!(
    Calibrate,
    PassInfo {
        name: "calibrate",
        summary: "record the ranges of all values from sample data",
        effect: Effect::Exact,
        needs: &[],
        gives: &[facts::CALIBRATED],
        breaks: &[],
    }
);

/// Samples whose extremes are kept until they enter the running means in order.
const BLOCK: usize = 64;

/// What one lane has seen of one value.
#[derive(Default)]
struct Seen {
    low: f32,
    high: f32,
    any: bool,
    histogram: Option<Histogram>,
    each: Vec<(usize, f32, f32)>,
    bad: Option<usize>,
}

impl Seen {
    fn add(&mut self, sample: usize, tensor: &Tensor, observer: Observer) {
        let Ok(numbers) = tensor.view::<f32>() else { return };
        if numbers.is_empty() {
            return;
        }
        let (low, high) = numbers
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), x| (l.min(*x), h.max(*x)));
        // `min` and `max` pass over NaN, which the sum shows.
        if !low.is_finite() || !high.is_finite() || numbers.iter().any(|x| x.is_nan()) {
            self.bad = Some(self.bad.map_or(sample, |b| b.min(sample)));
            return;
        }
        if self.any {
            (self.low, self.high) = (self.low.min(low), self.high.max(high));
        } else {
            (self.low, self.high, self.any) = (low, high, true);
        }
        match observer {
            Observer::MinMax => {}
            Observer::MovingAverage(_) => self.each.push((sample, low, high)),
            Observer::Percentile(_) | Observer::Mse | Observer::Entropy | Observer::Readers => {
                self.histogram.get_or_insert_default().add(&numbers, low, high);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        if other.any {
            if self.any {
                (self.low, self.high) = (self.low.min(other.low), self.high.max(other.high));
            } else {
                (self.low, self.high, self.any) = (other.low, other.high, true);
            }
        }
        if let Some(theirs) = other.histogram {
            match &mut self.histogram {
                Some(ours) => ours.merge(&theirs),
                None => self.histogram = Some(theirs),
            }
        }
        self.each.extend(other.each);
        self.bad = match (self.bad, other.bad) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

type All = BTreeMap<ValueId, Seen>;

impl Calibrate {
    fn check(&self) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        match self.observer {
            Observer::Percentile(p) if !(p > 50.0 && p <= 100.0) => {
                wrong("`percentile` is the share that is kept, over 50 and up to 100")
            }
            Observer::MovingAverage(w) if !(w > 0.0 && w <= 1.0) => {
                wrong("`moving-average` is the weight of a new sample, over 0 and up to 1")
            }
            _ if self.samples == Some(0) => wrong("`samples` must be at least 1"),
            _ => Ok(()),
        }
    }

    /// The values that get a range: not constants, packed or not.
    fn wanted(&self, graph: &Graph) -> BTreeSet<ValueId> {
        let given = |v: &Value| graph.outputs().iter().any(|port| port.value == v.id);
        let asked = |v: &&Value| {
            let lacking = v.range.is_none() && (!v.uses().is_empty() || given(v));
            v.ty.dtype == DType::F32 && (!self.missing || lacking)
        };
        let computed = |v: &&Value| match v.def() {
            Def::Const(_) => false,
            Def::Node(id, _) => {
                graph.node(*id).inputs().iter().any(|v| graph.constant(*v).is_none())
            }
            Def::Input | Def::State => true,
        };
        graph.values().filter(computed).filter(asked).map(|v| v.id).collect()
    }

    /// Runs the samples and merges what the lanes saw.
    fn observe(
        &self,
        stream: &mut Stream<'_>,
        wanted: &BTreeSet<ValueId>,
    ) -> Result<(All, Means), PassError> {
        let mut means = Means::default();
        let mut lanes: Vec<All> = stream.accumulators(All::default);
        let step = match self.observer {
            Observer::MovingAverage(_) => BLOCK,
            _ => stream.len(),
        };
        for from in (0..stream.len()).step_by(step.max(1)) {
            stream.run(
                "calibrating",
                from..from + step,
                &mut lanes,
                |seen, sample, v, tensor| {
                    if wanted.contains(&v) {
                        seen.entry(v).or_default().add(sample, tensor, self.observer);
                    }
                },
            )?;
            if let Observer::MovingAverage(weight) = self.observer {
                let mut block: BTreeMap<ValueId, Vec<(usize, f32, f32)>> = BTreeMap::new();
                for (v, seen) in lanes.iter_mut().flatten() {
                    block.entry(*v).or_default().append(&mut seen.each);
                }
                for (v, mut each) in block {
                    each.sort_by_key(|(sample, ..)| *sample);
                    for (_, low, high) in each {
                        let entry = means.entry(v).or_insert((low, high));
                        entry.0 += (low - entry.0) * weight;
                        entry.1 += (high - entry.1) * weight;
                    }
                }
            }
        }
        let mut all = All::default();
        for (v, seen) in lanes.into_iter().flatten() {
            match all.entry(v) {
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(seen);
                }
                std::collections::btree_map::Entry::Occupied(mut slot) => {
                    slot.get_mut().merge(seen);
                }
            }
        }
        Ok((all, means))
    }
}

type Means = BTreeMap<ValueId, (f32, f32)>;

impl Pass for Calibrate {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.check()?;
        let wanted = self.wanted(graph);
        if wanted.is_empty() {
            cx.note("all values have ranges");
            return Ok(());
        }
        let mut stream = Stream::open(cx.host(), graph, self.data.as_deref(), self.samples)?;
        let (all, means) = self.observe(&mut stream, &wanted)?;
        let judged = match self.observer {
            Observer::Readers => {
                readers::choose(graph, &all, self.data.as_deref(), stream.len(), cx)?
            }
            _ => BTreeMap::new(),
        };
        let mut patch = Patch::new(graph, "calibrate");
        let mut clipped = 0;
        for (v, seen) in &all {
            let Some(value) = graph.get_value(*v) else { continue };
            if let Some(sample) = seen.bad {
                return Err(PassError::Input(format!(
                    "value `{}` is infinite or not a number for sample {sample}, so it has no range",
                    value.name
                )));
            }
            if !seen.any {
                continue;
            }
            let whole = (seen.low, seen.high);
            let range = match (self.observer, &seen.histogram) {
                (Observer::MovingAverage(_), _) => means.get(v).copied().unwrap_or(whole),
                (Observer::Percentile(p), Some(h)) => search::percentile(h, whole, p),
                (Observer::Mse, Some(h)) => search::mse(h, whole),
                (Observer::Entropy, Some(h)) => search::entropy(h, whole),
                (Observer::Readers, Some(h)) => match judged.get(v) {
                    Some(range) => *range,
                    None => search::mse(h, whole),
                },
                _ => whole,
            };
            clipped += usize::from(range != whole);
            patch.set_range(*v, Some(range));
        }
        cx.note(format!(
            "{} values on {} samples; {clipped} ranges leave out some of what was seen",
            all.len(),
            stream.len()
        ));
        cx.apply(graph, patch)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Tuning a whole network: weights, biases and the ranges of activations together.

use super::learn::{Learned, Moments, update};
use super::{learned, store};
use crate::Gptq;
use paring_ir::{Graph, NodeId, Patch};
use paring_layerwise::gradient::{Adam, Program, Real, Slope, inputs, probabilities, reals, whole};
use paring_layerwise::{Random, Vary, decibels, divergence};
use paring_pass::{LayerReport, PassContext, PassError};
use paring_tensor::DType;
use rayon::prelude::*;

/// How a rounded network is tuned: all its integer weights, scales and biases and the ranges of its
/// activations take small steps that bring what the network computes in integers closer to what the
/// original computes, with slopes that pass through the rounding (straight-through estimates; for ranges
/// as LSQ: Esser and others, 2020). Labels are not needed.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tune {
    /// How many steps are taken.
    pub steps: usize,
    /// Samples between one step and the next.
    pub batch: usize,
    /// How far a step of a weight goes at first, in steps of the rounding.
    pub rate: f32,
    /// How far a step of an end of a range goes at first, in parts of the range.
    pub ranges: f32,
    /// How far a weight begins on the side of the integer where the real weight is, up to 0.5 where it
    /// would round otherwise.
    pub lean: f32,
    /// What errors on the way to the output count for, beside 1 for those of the output.
    pub inner: f32,
    /// What the divergence of probabilities counts for, where the output is a softmax.
    pub divergence: f32,
    /// The most samples that are learned and judged from.
    pub samples: usize,
    /// By how many pixels pictures, which are inputs of three channels, are moved at most, each time they are
    /// learned from; they are mirrored at random then, too. Left as they are if left out.
    pub vary: Option<usize>,
    /// The share of samples, 0 to 1, that are blended with another each time they are learned from, in parts
    /// that are drawn evenly.
    pub mix: f32,
}

impl Default for Tune {
    fn default() -> Self {
        Self {
            steps: 336,
            batch: 16,
            rate: 0.003,
            ranges: 0.0005,
            lean: 0.25,
            inner: 1.0,
            divergence: 0.5,
            samples: 1024,
            vary: None,
            mix: 0.0,
        }
    }
}

impl Tune {
    /// Whether the settings make sense.
    pub(crate) fn check(&self) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        if self.steps == 0 || self.batch == 0 {
            return wrong("`steps` and `batch` of `tune` must be at least 1");
        }
        if !(self.rate >= 0.0 && self.rate <= 1.0 && self.ranges >= 0.0 && self.ranges <= 0.1) {
            return wrong("`rate` of `tune` is from 0 to 1, and `ranges` from 0 to 0.1");
        }
        if ![self.inner, self.divergence].iter().all(|w| *w >= 0.0 && w.is_finite()) {
            return wrong("`inner` and `divergence` of `tune` are 0 or more");
        }
        if !(0.0..0.5).contains(&self.lean) || self.samples < 2 {
            return wrong("`lean` of `tune` is from 0 and below 0.5, and `samples` at least 2");
        }
        if !(0.0..=1.0).contains(&self.mix) {
            return wrong("`mix` of `tune` is a share: from 0 to 1");
        }
        Ok(())
    }
}

/// One sample in so many judges whether the network has come closer, and is not learned from.
const JUDGES: usize = 8;

/// Lanes that the samples of a batch are dealt to, so that sums come out the same on any number of
/// threads.
const LANES: usize = 8;

/// Samples that the signal of values is taken from.
const PROBES: usize = 64;

/// A value that is compared: where, what its error counts for, and its mean square sum.
struct Compared {
    slot: usize,
    weight: f32,
    power: f64,
}

/// What the network is to come close to.
struct Teacher {
    program: Program,
    real: Vec<Real>,
    compared: Vec<Compared>,
    /// Probabilities in a row of the output, and what their divergence counts for.
    row: Option<usize>,
    divergence: f32,
}

/// What is learned beside the weights.
struct Student {
    program: Program,
    layers: Vec<Learned>,
    /// The magnitude of the numbers that each layer computes.
    units: Vec<f32>,
}

/// What came of tuning.
pub(crate) struct Tuned {
    pub(crate) graph: Graph,
    pub(crate) reports: Vec<LayerReport>,
    pub(crate) note: String,
}

/// Tunes the layers that `rounded` has in integers, and gives it the tuned ranges; other values have none
/// then.
pub(crate) fn tune(
    settings: &Gptq,
    how: &Tune,
    original: &Graph,
    mut rounded: Graph,
    (layers, bits): (&[NodeId], &[u32]),
    cx: &PassContext<'_>,
) -> Result<Tuned, PassError> {
    let (teacher, program) =
        match (whole(original, DType::F32), whole(original, settings.activations)) {
            (Ok(teacher), Ok(student)) => (teacher, student),
            (Err(why), _) | (_, Err(why)) => {
                clear(&mut rounded)?;
                let note = format!("not tuned: {why}");
                return Ok(Tuned { graph: rounded, reports: Vec::new(), note });
            }
        };
    let samples = inputs(
        cx.host(),
        original,
        (
            settings.data.as_deref(),
            Some(settings.samples.map_or(how.samples, |n| n.min(how.samples))),
        ),
    )?;
    let Some(real) = reals(&teacher, original).filter(|_| samples.len() > 1) else {
        clear(&mut rounded)?;
        let note = "not tuned: it takes two samples or more, and constant weights".into();
        return Ok(Tuned { graph: rounded, reports: Vec::new(), note });
    };
    let mut own = Vec::with_capacity(program.layers().len());
    for id in program.layers() {
        let place = layers.iter().position(|l| l == id);
        let Some(mut layer) = learned(original, &rounded, *id, place.is_some(), how.lean) else {
            return Err(PassError::Internal("weights that are no constant".into()));
        };
        if let Some(place) = place {
            let (least, most) = crate::bits::limits(bits[place]);
            layer.limits = (least as f32, most as f32);
        }
        own.push(layer);
    }
    let teacher = teach(how, teacher, real, probabilities(original), &samples);
    let units = units(&teacher, &samples);
    let mut student = Student { program, layers: own, units };
    let judges: Vec<usize> = (0..samples.len()).step_by(JUDGES).collect();
    let mut order: Vec<usize> = (0..samples.len()).filter(|i| i % JUDGES != 0).collect();
    let before = judge(&teacher, &student, &samples, &judges);
    let start = Start::of(&student);
    let vary = Vary::of(original, how.vary, how.mix);
    let batch = how.batch.min(order.len());
    let mut moments = Steps::of(&student);
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut next = order.len();
    for step in 0..how.steps {
        if next + batch > order.len() {
            random.shuffle(&mut order);
            next = 0;
        }
        let part = &order[next..next + batch];
        next += batch;
        let form = |i: &usize| match &vary {
            Some(vary) => vary.sample(&samples, (*i, &order), &mut random),
            None => samples[*i].clone(),
        };
        let given: Vec<Vec<f32>> = part.iter().map(form).collect();
        let slopes = slopes(&teacher, &student, &given);
        let cosine = 0.5 * (1.0 + (std::f32::consts::PI * step as f32 / how.steps as f32).cos());
        let rates = (how.rate * cosine, how.ranges * cosine);
        student.step(&mut moments, (&slopes.0, &slopes.1), rates, step as i32 + 1);
        cx.host().progress("gptq: tuning the network", step + 1, how.steps);
    }
    let after = judge(&teacher, &student, &samples, &judges);
    let better = after.loss < before.loss;
    let changed: Vec<usize> = student
        .layers
        .iter()
        .zip(&start.ints)
        .map(|(l, old)| l.ints().zip(old).filter(|(a, b)| a != *b).count())
        .collect();
    if !better {
        start.restore(&mut student);
    }
    let mut reports = Vec::new();
    if better {
        for ((id, layer), changed) in
            student.program.layers().iter().zip(&student.layers).zip(changed)
        {
            if !layer.free {
                continue;
            }
            store(&mut rounded, *id, layer)?;
            let mut report = LayerReport::new(original.node(*id));
            report.note = format!(
                "tuned: {:.1} % of the weights moved to another integer",
                100.0 * changed as f64 / layer.latent.len().max(1) as f64
            );
            reports.push(report);
        }
    }
    clear(&mut rounded)?;
    let mut patch = Patch::new(&rounded, "tune");
    let ranges = student.program.ranges();
    for at in 0..ranges.len() {
        ranges.values(at).iter().for_each(|v| patch.set_range(*v, Some(ranges.ends(at))));
    }
    rounded.apply(patch)?;
    let note = format!(
        "{} on {} samples that were not learned from: output {:.1} dB, was {:.1} dB{}",
        if better { "tuned; judged" } else { "left as it was, since tuning did not help," },
        judges.len(),
        after.db,
        before.db,
        match teacher.row {
            Some(_) =>
                format!("; divergence {:.5}, was {:.5}", after.divergence, before.divergence),
            None => String::new(),
        }
    );
    Ok(Tuned { graph: rounded, reports, note })
}

/// Takes all ranges from a graph.
fn clear(graph: &mut Graph) -> Result<(), PassError> {
    let mut patch = Patch::new(graph, "tune");
    graph.values().filter(|v| v.range.is_some()).for_each(|v| patch.set_range(v.id, None));
    if !patch.is_empty() {
        graph.apply(patch)?;
    }
    Ok(())
}

fn squares(v: &[f32]) -> f64 {
    v.iter().map(|x| f64::from(*x).powi(2)).sum()
}

fn probes(samples: &[Vec<f32>]) -> Vec<&Vec<f32>> {
    samples.iter().step_by(samples.len().div_ceil(PROBES).max(1)).collect()
}

/// What is compared, and how large it is.
fn teach(
    how: &Tune,
    program: Program,
    real: Vec<Real>,
    row: Option<usize>,
    samples: &[Vec<f32>],
) -> Teacher {
    let cuts = program.cuts();
    let inner = cuts.iter().filter(|c| **c != program.output()).count();
    let share = how.inner / inner.max(1) as f32;
    let weight = |slot: usize| if slot == program.output() { 1.0 } else { share };
    let mut compared: Vec<Compared> = cuts
        .into_iter()
        .filter(|c| weight(*c) > 0.0)
        .map(|slot| Compared { slot, weight: weight(slot), power: 0.0 })
        .collect();
    let probes = probes(samples);
    let each: Vec<Vec<f64>> = probes
        .par_iter()
        .map(|x| {
            let run = program.run(x, &real);
            compared.iter().map(|c| squares(run.raw(c.slot))).collect()
        })
        .collect();
    for (i, c) in compared.iter_mut().enumerate() {
        let sum: f64 = each.iter().map(|v| v[i]).sum();
        c.power = (sum / probes.len().max(1) as f64).max(1e-30);
    }
    Teacher { program, real, compared, row, divergence: how.divergence }
}

/// The magnitudes of what layers compute.
fn units(teacher: &Teacher, samples: &[Vec<f32>]) -> Vec<f32> {
    let probes = probes(samples);
    let slots: Vec<usize> =
        (0..teacher.real.len()).map(|layer| teacher.program.result(layer)).collect();
    let each: Vec<Vec<f64>> = probes
        .par_iter()
        .map(|x| {
            let run = teacher.program.run(x, &teacher.real);
            slots.iter().map(|s| squares(run.raw(*s)) / run.raw(*s).len().max(1) as f64).collect()
        })
        .collect();
    let mean = |i: usize| each.iter().map(|v| v[i]).sum::<f64>() / each.len().max(1) as f64;
    (0..slots.len()).map(|i| (mean(i).sqrt() as f32).max(1e-20)).collect()
}

/// What the student is worth on some samples.
struct Verdict {
    loss: f64,
    db: f64,
    divergence: f64,
}

fn softmax(row: &[f32]) -> Vec<f32> {
    let most = row.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let parts: Vec<f32> = row.iter().map(|x| (x - most).exp()).collect();
    let sum: f32 = parts.iter().sum();
    parts.into_iter().map(|p| p / sum).collect()
}

fn judge(teacher: &Teacher, student: &Student, samples: &[Vec<f32>], judges: &[usize]) -> Verdict {
    let real = student.reals();
    let output = teacher.program.output();
    let each: Vec<[f64; 3]> = judges
        .par_iter()
        .map(|i| {
            let wanted = teacher.program.run(&samples[*i], &teacher.real);
            let run = student.program.run(&samples[*i], &real);
            let (a, b) = (wanted.raw(output), run.seen(output));
            let noise = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            let row = teacher.row.unwrap_or(a.len()).max(1);
            let rows = a.chunks(row).zip(b.chunks(row));
            [squares(a), noise, rows.map(|(a, b)| divergence(&softmax(a), &softmax(b))).sum()]
        })
        .collect();
    let sum = |i: usize| each.iter().map(|e| e[i]).sum::<f64>();
    let relative = sum(1) / sum(0).max(1e-300);
    let divergence = sum(2) / judges.len().max(1) as f64;
    let loss = match teacher.row {
        Some(_) => relative + f64::from(teacher.divergence) * divergence,
        None => relative,
    };
    Verdict { loss, db: decibels(sum(0), sum(1)), divergence }
}

/// The slopes of the loss of a batch, at weights and at ends of ranges.
fn slopes(teacher: &Teacher, student: &Student, given: &[Vec<f32>]) -> (Vec<Slope>, Vec<[f32; 2]>) {
    let real = student.reals();
    let program = &student.program;
    let fresh = || {
        let flat: Vec<Slope> = real.iter().map(Real::flat).collect();
        (flat, vec![[0.0_f32; 2]; program.ranges().len()])
    };
    let lanes: Vec<(Vec<Slope>, Vec<[f32; 2]>)> = (0..LANES.min(given.len()))
        .into_par_iter()
        .map(|lane| {
            let mut sum = fresh();
            for x in given.iter().skip(lane).step_by(LANES) {
                let wanted = teacher.program.run(x, &teacher.real);
                let run = program.run(x, &real);
                let one = |c: &Compared| {
                    let scale = 2.0 * c.weight / (c.power * given.len() as f64) as f32;
                    let (a, b) = (run.seen(c.slot), wanted.raw(c.slot));
                    let mut slope: Vec<f32> =
                        a.iter().zip(b).map(|(a, b)| (a - b) * scale).collect();
                    if let (true, Some(row)) = (c.slot == program.output(), teacher.row) {
                        let by = teacher.divergence / given.len() as f32;
                        let rows = a.chunks(row).zip(b.chunks(row)).zip(slope.chunks_mut(row));
                        for ((a, b), slope) in rows {
                            let pairs = softmax(a).into_iter().zip(softmax(b));
                            slope.iter_mut().zip(pairs).for_each(|(s, (q, p))| *s += by * (q - p));
                        }
                    }
                    (c.slot, slope)
                };
                let given = teacher.compared.iter().map(one).collect();
                program.back_to_ranges(&run, given, &real, (&mut sum.0, &mut sum.1));
            }
            sum
        })
        .collect();
    let mut total = fresh();
    for (layers, ends) in &lanes {
        for (to, from) in total.0.iter_mut().zip(layers) {
            to.weights.iter_mut().zip(&from.weights).for_each(|(t, f)| *t += f);
            to.bias.iter_mut().zip(&from.bias).for_each(|(t, f)| *t += f);
        }
        for (to, from) in total.1.iter_mut().zip(ends) {
            to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
        }
    }
    total
}

impl Student {
    fn reals(&self) -> Vec<Real> {
        let each = self.layers.iter().enumerate();
        each.map(|(i, l)| l.real(self.program.groups(i))).collect()
    }

    fn step(
        &mut self,
        moments: &mut Steps,
        (slopes, ends): (&[Slope], &[[f32; 2]]),
        (rate, by): (f32, f32),
        time: i32,
    ) {
        let each = self.layers.iter_mut().zip(slopes).zip(&mut moments.layers).zip(&self.units);
        for (((layer, slope), moments), unit) in each {
            if layer.free {
                update(layer, slope, moments, (rate, time), *unit);
            }
        }
        if by == 0.0 {
            return;
        }
        let ranges = self.program.ranges_mut();
        for (at, &[down, up]) in ends.iter().enumerate().take(ranges.len()) {
            let (low, high) = ranges.ends(at);
            let (low, high) = (low.min(0.0), high.max(0.0));
            let width = high - low;
            // An end at zero stays there: nothing lies beyond it.
            let step = |i: usize, end: f32, slope: f32, moments: &mut Adam| match end == 0.0 {
                true => 0.0,
                false => end + by * width * moments.step(2 * at + i, slope, time),
            };
            let low = step(0, low, down, &mut moments.ranges).min(0.0);
            let high = step(1, high, up, &mut moments.ranges).max(0.0);
            if high - low > 0.1 * width {
                ranges.set(at, (low, high));
            }
        }
    }
}

/// What steps were of late.
struct Steps {
    layers: Vec<Moments>,
    ranges: Adam,
}

impl Steps {
    fn of(student: &Student) -> Self {
        Self {
            layers: student.layers.iter().map(Learned::moments).collect(),
            ranges: Adam::new(2 * student.program.ranges().len()),
        }
    }
}

/// Where tuning began.
struct Start {
    layers: Vec<(Vec<f32>, Vec<f32>, Vec<f32>)>,
    ints: Vec<Vec<f32>>,
    ends: Vec<(f32, f32)>,
}

impl Start {
    fn of(student: &Student) -> Self {
        let ranges = student.program.ranges();
        let layers = student.layers.iter();
        Self {
            layers: layers
                .clone()
                .map(|l| (l.latent.clone(), l.scales.clone(), l.bias.clone()))
                .collect(),
            ints: layers.map(|l| l.ints().collect()).collect(),
            ends: (0..ranges.len()).map(|at| ranges.ends(at)).collect(),
        }
    }

    fn restore(self, student: &mut Student) {
        for (layer, (latent, scales, bias)) in student.layers.iter_mut().zip(self.layers) {
            (layer.latent, layer.scales, layer.bias) = (latent, scales, bias);
        }
        let ranges = student.program.ranges_mut();
        self.ends.into_iter().enumerate().for_each(|(at, ends)| ranges.set(at, ends));
    }
}

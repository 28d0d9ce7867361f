use crate::curvature::Curvature;
use crate::gradient::{Program, Real, Slope, inputs, reals, whole};
use crate::matrix::cholesky;
use crate::outcome::decibels;
use crate::vary::{Random, Vary};
use paring_ir::{Graph, NodeId};
use paring_pass::{Host, PassError};
use paring_tensor::DType;
use rayon::prelude::*;
use std::borrow::Cow;

/// How the weights of a whole network are brought closer to what the original network computes: by small
/// steps of all of them together, down the slope of the squared error of its outputs and of the values on
/// the way to them, measured by how that error curves (K-FAC: Martens and Grosse, 2015, with the inputs'
/// moments taken over what is left of each filter). No labels are needed.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Restore {
    /// How often all samples are gone through; 0 for not at all.
    pub epochs: usize,
    /// Samples between one step and the next, no more than an eighth of all; after fewer a step is shorter.
    pub batch: usize,
    /// How far a step goes at first, in parts of the way to where the error would be least if it curved as
    /// estimated. Where that leads astray, all begins anew with a quarter of it.
    pub rate: f32,
    /// What errors on the way to the outputs count for, beside 1 for those of the outputs.
    pub inner: f32,
    /// By how many pixels pictures, which are inputs of three channels, are moved at most, each time they are
    /// learned from; they are mirrored at random then, too. Left as they are if left out.
    pub vary: Option<usize>,
    /// The share of samples, 0 to 1, that are blended with another each time they are learned from, in parts
    /// that are drawn evenly.
    pub mix: f32,
    /// Samples that are learned and judged from; those that the pass looks at if left out.
    pub samples: Option<usize>,
}

impl Default for Restore {
    fn default() -> Self {
        Self { epochs: 4, batch: 256, rate: 0.06, inner: 1.0, vary: None, mix: 0.0, samples: None }
    }
}

impl Restore {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`PassError::Input`] with what does not.
    pub fn check(&self) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        if self.batch == 0 {
            return wrong("`batch` of `restore` must be at least 1");
        }
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            return wrong("`rate` of `restore` is over 0 and up to 1");
        }
        if !(self.inner >= 0.0 && self.inner.is_finite()) {
            return wrong("`inner` of `restore` is 0 or more");
        }
        if !(0.0..=1.0).contains(&self.mix) {
            return wrong("`mix` of `restore` is a share: from 0 to 1");
        }
        Ok(())
    }
}

/// A layer whose weights move; its biases do, too.
pub struct Movable {
    /// The layer.
    pub layer: NodeId,
    /// How they do.
    pub by: Movement,
}

/// How the weights of a layer move.
pub enum Movement {
    /// One by one, but for those that stay zero.
    Singly {
        /// Weights that stay zero.
        zero: Vec<bool>,
    },
    /// Those of a filter together, by a factor.
    Scaled,
}

/// Where the weights of a network have come to.
pub struct Restored {
    /// The weights and bias of each layer that moved.
    pub layers: Vec<(Vec<f32>, Vec<f32>)>,
    /// Error of the outputs in parts of their signal, before and after, on samples that were not learned
    /// from.
    pub error: (f64, f64),
    /// The rate that it took if the one that was asked for led astray.
    pub shorter: Option<f32>,
}

impl Restored {
    /// Whether the outputs have come closer.
    #[must_use]
    pub fn helped(&self) -> bool {
        self.error.1 < self.error.0
    }

    /// What is said of how well `what` was fitted.
    #[must_use]
    pub fn note(&self, what: &str) -> String {
        let (before, after) = self.error;
        if !after.is_finite() {
            return format!(
                "fitting {what} to the outputs went astray and was taken back: lower `rate` of `restore`"
            );
        }
        let shorter = self.shorter.map(|rate| format!("; a `rate` over {rate} led astray"));
        format!(
            "fitting {what} to the outputs: {:.1} dB above their error, from {:.1} dB{}{}",
            decibels(1.0, after),
            decibels(1.0, before),
            shorter.unwrap_or_default(),
            if self.helped() { "" } else { "; left as it was" }
        )
    }
}

/// How often all begins anew with shorter steps, and by what they are shorter.
const RETREATS: usize = 3;
const SHORTER: f32 = 4.0;

/// By how much the error may grow on the way; long steps at first make it larger before it falls.
const ASTRAY: f64 = 4.0;

/// One sample in so many judges whether the network has come closer, and is not learned from.
const JUDGES: usize = 8;

/// Lanes that the samples of a batch are dealt to, so that sums come out the same on any number of
/// threads.
const LANES: usize = 8;

/// What the values of all samples that are compared may take in memory; they are computed again for each
/// step where they are more.
const MOST_KEPT: usize = 1 << 29;

/// A value that is compared: where, what its error counts for, and its mean square sum.
struct Compared {
    slot: usize,
    weight: f32,
    power: f64,
}

/// What the original network makes of samples.
struct Wanted<'a> {
    program: &'a Program,
    original: &'a [Real],
    compared: Vec<Compared>,
    kept: Option<Vec<Vec<Vec<f32>>>>,
}

impl Wanted<'_> {
    fn compute(&self, input: &[f32]) -> Vec<Vec<f32>> {
        let run = self.program.run(input, self.original);
        self.compared.iter().map(|c| run.raw(c.slot).to_vec()).collect()
    }

    fn of(&self, lesson: &Lesson<'_>) -> Cow<'_, [Vec<f32>]> {
        match (&self.kept, lesson.sample) {
            (Some(kept), Some(sample)) => Cow::Borrowed(&kept[sample]),
            _ => Cow::Owned(self.compute(&lesson.input)),
        }
    }
}

/// A sample that is learned from: as it is, by its number, or in a form of its own.
struct Lesson<'a> {
    sample: Option<usize>,
    input: Cow<'a, [f32]>,
}

/// Brings the weights of some layers of a changed network closer to what the original network computes.
/// `Ok(Err(why))` if slopes of the network are not known.
///
/// # Errors
/// If there is no data, or what is wrong with it.
pub fn restore(
    how: &Restore,
    (original, changed): (&Graph, &Graph),
    movable: &[Movable],
    data: (Option<&str>, Option<usize>),
    (host, seed, what): (&dyn Host, u64, &str),
) -> Result<Result<Restored, String>, PassError> {
    let program = match whole(original, DType::F32) {
        Ok(program) => program,
        Err(why) => return Ok(Err(why)),
    };
    let (Some(dense), Some(start)) = (reals(&program, original), reals(&program, changed)) else {
        return Ok(Err("some weights are not constants of real numbers".into()));
    };
    let place = |id: &NodeId| program.layers().iter().position(|l| l == id);
    let Some(places) = movable.iter().map(|m| place(&m.layer)).collect::<Option<Vec<_>>>() else {
        return Ok(Err("some layers do not lead to the output".into()));
    };
    let inputs = inputs(host, original, (data.0, how.samples.or(data.1)))?;
    if inputs.len() < 2 {
        return Ok(Err("it takes two samples or more".into()));
    }
    let mut wanted = wanted(how, &program, &dense, &inputs);
    let vary = Vary::of(original, how.vary, how.mix);
    let judges: Vec<usize> = (0..inputs.len()).step_by(JUDGES).collect();
    let lessons: Vec<usize> = (0..inputs.len()).filter(|i| i % JUDGES != 0).collect();
    let before = error(&wanted, &start, &inputs, &judges);
    let batch = how.batch.min(lessons.len().div_ceil(8)).max(1);
    if vary.is_none() {
        wanted.keep(&inputs);
    }
    let total = how.epochs * lessons.len().div_ceil(batch);
    let mut rate = how.rate;
    let mut retreats = 0;
    'anew: loop {
        let mut now = start.clone();
        let mut layers = match layers(&wanted, &now, (&inputs, &lessons), (&places, movable), seed)
        {
            Ok(layers) => layers,
            Err(why) => return Ok(Err(why)),
        };
        // Slopes of fewer samples say less.
        let full = rate * batch as f32 / how.batch.max(batch) as f32;
        let (mut order, mut random) = (lessons.clone(), Random::new(seed));
        let (mut time, mut after) = (0, before);
        for epoch in 1..=how.epochs {
            random.shuffle(&mut order);
            for part in order.chunks(batch) {
                let lesson = |i: &usize| match &vary {
                    Some(vary) => {
                        let input = vary.sample(&inputs, (*i, &order), &mut random);
                        Lesson { sample: None, input: input.into() }
                    }
                    None => Lesson { sample: Some(*i), input: inputs[*i].as_slice().into() },
                };
                let given: Vec<Lesson<'_>> = part.iter().map(lesson).collect();
                let slopes = slopes(&wanted, &now, &given);
                let cosine = (std::f32::consts::PI * time as f32 / total as f32).cos();
                time += 1;
                // The first slopes say little: steps begin short.
                let begun = (time as f32 / START as f32).min(1.0);
                let step = full * begun * 0.5 * (1.0 + cosine);
                layers.par_iter_mut().for_each(|layer| layer.step(&slopes[layer.at], step));
                for layer in &layers {
                    now[layer.at] = layer.real();
                }
                host.progress(what, time, total);
            }
            after = error(&wanted, &now, &inputs, &judges);
            let most = if epoch == how.epochs { before } else { ASTRAY * before };
            if retreats < RETREATS && (after.is_nan() || after > most) {
                retreats += 1;
                rate /= SHORTER;
                continue 'anew;
            }
        }
        let layers = layers.into_iter().map(|l| (l.weights, l.bias)).collect();
        let shorter = (retreats > 0).then_some(rate);
        return Ok(Ok(Restored { layers, error: (before, after), shorter }));
    }
}

/// What is compared, and how large it is.
fn wanted<'a>(
    how: &Restore,
    program: &'a Program,
    original: &'a [Real],
    inputs: &[Vec<f32>],
) -> Wanted<'a> {
    let cuts = program.cuts();
    let inner = cuts.iter().filter(|c| **c != program.output()).count();
    let share = how.inner / inner.max(1) as f32;
    let weight = |slot: usize| if slot == program.output() { 1.0 } else { share };
    let one = |slot: usize| Compared { slot, weight: weight(slot), power: 0.0 };
    let compared = cuts.into_iter().filter(|c| weight(*c) > 0.0).map(one).collect();
    let mut wanted = Wanted { program, original, compared, kept: None };
    let probes: Vec<&Vec<f32>> = inputs.iter().step_by(inputs.len().div_ceil(64)).collect();
    let each: Vec<Vec<f64>> =
        probes.par_iter().map(|x| wanted.compute(x).iter().map(|v| squares(v)).collect()).collect();
    for (i, c) in wanted.compared.iter_mut().enumerate() {
        let sum: f64 = each.iter().map(|v| v[i]).sum();
        c.power = (sum / probes.len().max(1) as f64).max(1e-30);
    }
    wanted
}

impl Wanted<'_> {
    /// Keeps the values of all samples if they are not too many.
    fn keep(&mut self, inputs: &[Vec<f32>]) {
        let Some(first) = inputs.first() else { return };
        let one: usize = self.compute(first).iter().map(|v| size_of_val(v.as_slice())).sum();
        if one * inputs.len() <= MOST_KEPT {
            self.kept = Some(inputs.par_iter().map(|x| self.compute(x)).collect());
        }
    }
}

fn squares(v: &[f32]) -> f64 {
    v.iter().map(|x| f64::from(*x).powi(2)).sum()
}

/// The error of the outputs in parts of their signal.
fn error(wanted: &Wanted<'_>, now: &[Real], inputs: &[Vec<f32>], samples: &[usize]) -> f64 {
    let program = wanted.program;
    let each: Vec<(f64, f64)> = samples
        .par_iter()
        .map(|i| {
            let (a, b) = (program.run(&inputs[*i], wanted.original), program.run(&inputs[*i], now));
            let (a, b) = (a.raw(program.output()), b.raw(program.output()));
            let off: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            (off, squares(a))
        })
        .collect();
    let (off, all) = each.iter().fold((0.0, 0.0), |(o, a), e| (o + e.0, a + e.1));
    off / f64::max(all, 1e-300)
}

/// The slopes of the loss of a batch.
fn slopes(wanted: &Wanted<'_>, now: &[Real], lessons: &[Lesson<'_>]) -> Vec<Slope> {
    let program = wanted.program;
    let lanes: Vec<Vec<Slope>> = (0..LANES.min(lessons.len()))
        .into_par_iter()
        .map(|lane| {
            let mut sum: Vec<Slope> = now.iter().map(Real::flat).collect();
            for lesson in lessons.iter().skip(lane).step_by(LANES) {
                let targets = wanted.of(lesson);
                let run = program.run(&lesson.input, now);
                let given = wanted.compared.iter().zip(targets.iter()).map(|(c, target)| {
                    let scale = 2.0 * c.weight / (c.power * lessons.len() as f64) as f32;
                    let off = run.raw(c.slot).iter().zip(target).map(|(a, b)| (a - b) * scale);
                    (c.slot, off.collect())
                });
                program.back(&run, given.collect(), now, &mut sum);
            }
            sum
        })
        .collect();
    let mut total: Vec<Slope> = now.iter().map(Real::flat).collect();
    for lane in &lanes {
        for (to, from) in total.iter_mut().zip(lane) {
            to.weights.iter_mut().zip(&from.weights).for_each(|(t, f)| *t += f);
            to.bias.iter_mut().zip(&from.bias).for_each(|(t, f)| *t += f);
        }
    }
    total
}

/// How a filter moves, and how the error curves there.
struct Filter {
    /// The weights that move singly; `None` where all of them grow or shrink together.
    left: Option<Vec<usize>>,
    /// The lower factor of the curvature, row-major; the bias comes last.
    factor: Vec<f32>,
    /// The mean slope of late.
    mean: Vec<f32>,
}

/// A layer while its weights move.
struct Layer {
    at: usize,
    groups: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
    filters: Vec<Filter>,
}

/// Samples that the curvature is taken from.
const PROBES: usize = 256;

/// What is added to the mean square of each input, relative to the mean over inputs; and to the curvature of
/// each output, relative to the mean over outputs.
const DAMPING: f64 = 0.03;
const LEAST: f64 = 0.1;

/// Steps that begin short.
const START: usize = 5;

/// How much of the mean slope stays from one step to the next.
const INERTIA: f32 = 0.9;

/// Bytes that the moments of a layer's inputs and the factors of all filters may take.
const MOST_FACTORS: usize = 1 << 30;

/// The layers that move, and how the error curves with their weights.
fn layers(
    wanted: &Wanted<'_>,
    now: &[Real],
    (inputs, lessons): (&[Vec<f32>], &[usize]),
    (places, movable): (&[usize], &[Movable]),
    seed: u64,
) -> Result<Vec<Layer>, String> {
    let program = wanted.program;
    let depth = |real: &Real| real.weights().len() / real.bias().len().max(1);
    let moments = now.iter().enumerate().map(|(i, r)| program.groups(i) * (depth(r) + 1).pow(2));
    // Each lane has its own.
    let moments = moments.sum::<usize>() * 8 * size_of::<f64>();
    let size = |(at, m): (&usize, &Movable)| -> usize {
        let free = |zero: &[bool]| zero.iter().filter(|z| !**z).count() + 1;
        match &m.by {
            Movement::Singly { zero } => {
                zero.chunks(depth(&now[*at]).max(1)).map(|zero| free(zero).pow(2)).sum()
            }
            Movement::Scaled => 4 * now[*at].bias().len(),
        }
    };
    let factors = places.iter().zip(movable).map(size).sum::<usize>() * size_of::<f32>();
    if moments.max(factors) > MOST_FACTORS {
        return Err("its layers are too wide for that".into());
    }
    let probes: Vec<&Vec<f32>> = lessons.iter().take(PROBES).map(|i| &inputs[*i]).collect();
    let values: Vec<(usize, f32)> = wanted
        .compared
        .iter()
        .map(|c| (c.slot, (2.0 * f64::from(c.weight) / c.power) as f32))
        .collect();
    let curved = Curvature::of(program, now, &probes, (&values, true), seed);
    let one = |(at, m): (&usize, &Movable)| {
        let (real, curved, groups) = (&now[*at], &curved[*at], program.groups(*at));
        let (depth, outputs) = (depth(real), real.bias().len());
        let mean = curved.outputs.iter().sum::<f64>() / outputs.max(1) as f64;
        let filter = |o: usize| {
            let inputs = &curved.inputs[o * groups / outputs];
            let n = depth + 1;
            let trace: f64 = (0..n).map(|i| inputs[i * n + i]).sum();
            let damping = (DAMPING * trace / n as f64).max(1e-30);
            let strength = (curved.outputs[o] + LEAST * mean).max(1e-30);
            let at = |i: usize, j: usize| {
                strength * (inputs[i * n + j] + if i == j { damping } else { 0.0 })
            };
            let (left, own) = match &m.by {
                Movement::Singly { zero } => {
                    let zero = &zero[o * depth..(o + 1) * depth];
                    let left: Vec<usize> = (0..depth).filter(|i| !zero[*i]).collect();
                    let all: Vec<usize> = left.iter().copied().chain([depth]).collect();
                    let own = all.iter().flat_map(|i| all.iter().map(|j| at(*i, *j))).collect();
                    (Some(left), own)
                }
                Movement::Scaled => {
                    let row = &real.weights()[o * depth..(o + 1) * depth];
                    (None, along(row, &at))
                }
            };
            let every: Vec<usize> = (0..own.len().isqrt()).collect();
            let k = every.len();
            let factor = cholesky(&own, k, &every).into_iter().map(|x| x as f32).collect();
            Filter { left, factor, mean: vec![0.0; k] }
        };
        Layer {
            at: *at,
            groups,
            weights: real.weights().to_vec(),
            bias: real.bias().to_vec(),
            filters: (0..outputs).into_par_iter().map(filter).collect(),
        }
    };
    Ok(places.iter().zip(movable).map(one).collect())
}

/// The curvature where a filter's weights grow together, and where its bias does.
fn along(row: &[f32], at: &dyn Fn(usize, usize) -> f64) -> Vec<f64> {
    let n = row.len();
    let weight = |i: usize| f64::from(row[i]);
    let across: f64 = (0..n).map(|i| weight(i) * at(i, n)).sum();
    let both = |i: usize| weight(i) * (0..n).map(|j| weight(j) * at(i, j)).sum::<f64>();
    let whole: f64 = (0..n).map(both).sum();
    // A filter of zeros has nothing to grow.
    let whole = if whole > 0.0 { whole } else { 1.0 };
    vec![whole, across, across, at(n, n)]
}

impl Layer {
    fn step(&mut self, slope: &Slope, rate: f32) {
        let depth = (self.weights.len() / self.bias.len().max(1)).max(1);
        let rows = self.weights.chunks_exact_mut(depth).zip(slope.weights.chunks_exact(depth));
        let rows = rows.zip(self.bias.iter_mut().zip(&slope.bias)).zip(&mut self.filters);
        rows.par_bridge().for_each(|(((weights, slopes), (bias, slope)), filter)| {
            let mut given: Vec<f32> = match &filter.left {
                Some(left) => left.iter().map(|i| slopes[*i]).collect(),
                None => vec![weights.iter().zip(slopes).map(|(w, s)| w * s).sum()],
            };
            given.push(*slope);
            for (mean, s) in filter.mean.iter_mut().zip(given) {
                *mean = INERTIA * *mean + (1.0 - INERTIA) * s;
            }
            let mut way = filter.mean.clone();
            solve(&filter.factor, &mut way);
            match &filter.left {
                Some(left) => {
                    left.iter().zip(&way).for_each(|(i, step)| weights[*i] -= rate * step);
                }
                None => {
                    let factor = 1.0 - rate * way.first().copied().unwrap_or(0.0);
                    weights.iter_mut().for_each(|w| *w *= factor);
                }
            }
            *bias -= rate * way.last().copied().unwrap_or(0.0);
        });
    }

    fn real(&self) -> Real {
        Real::new(self.weights.clone(), self.bias.clone(), self.groups)
    }
}

/// Replaces `d` by the solution of `L Lᵀ y = d`.
fn solve(l: &[f32], d: &mut [f32]) {
    let n = d.len();
    for i in 0..n {
        let (before, rest) = d.split_at_mut(i);
        let row = &l[i * n..i * n + i];
        let known: f32 = row.iter().zip(before.iter()).map(|(l, y)| l * y).sum();
        rest[0] = (rest[0] - known) / l[i * n + i];
    }
    for i in (0..n).rev() {
        let (before, rest) = d.split_at_mut(i);
        rest[0] /= l[i * n + i];
        let row = &l[i * n..i * n + i];
        before.iter_mut().zip(row).for_each(|(d, l)| *d -= rest[0] * l);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_ir::Executor;
    use paring_pass::Samples;
    use paring_tensor::Tensor;
    use std::sync::Arc;

    /// Gives 128 samples of eight numbers.
    struct Given;

    impl Samples for Given {
        fn len(&self) -> usize {
            128
        }

        fn get(&self, i: usize) -> Result<Vec<Tensor>, String> {
            let number = |k: usize| ((i * 8 + k) * 2_654_435_761 % 1000) as f32 / 500.0 - 1.0;
            let x = (0..8).map(number).collect();
            Ok(vec![Tensor::from_vec([1, 8], x).map_err(|e| e.to_string())?])
        }
    }

    impl Host for Given {
        fn executor(&self) -> Result<&dyn Executor, PassError> {
            Err(PassError::Input("there is none".into()))
        }

        fn samples(&self, _: Option<&str>, _: &Graph) -> Result<Arc<dyn Samples>, PassError> {
            Ok(Arc::new(Given))
        }
    }

    fn network(first: &str) -> Graph {
        paring_ir::text::parse(&format!(
            "graph @g {{
               %x = input : f32[1,8]
               %w = const {first} : f32[2,8]
               %v = const fill(seed=2) : f32[12,2]
               %u = const fill(seed=3) : f32[4,12]
               %a = dense(%x, %w) : f32[1,2]
               %h = dense(%a, %v) {{ activation = \"relu\" }} : f32[1,12]
               %y = dense(%h, %u) : f32[1,4]
               output %y
             }}"
        ))
        .unwrap()
    }

    #[test]
    fn steps_that_are_too_long_are_taken_back_and_said() {
        let of = |after| Restored { layers: Vec::new(), error: (0.1, after), shorter: None };
        assert!(of(0.01).helped() && !of(0.2).helped() && !of(f64::NAN).helped());
        assert!(of(0.01).note("weights").ends_with("20.0 dB above their error, from 10.0 dB"));
        assert!(of(0.2).note("weights").ends_with("left as it was"));
        assert!(of(f64::NAN).note("weights").ends_with("lower `rate` of `restore`"));
    }

    #[test]
    fn the_outputs_come_closer_and_zeros_stay() {
        let dense = network(
            "[1.0, 0.1, -0.5, 0.2, 0.7, 0.1, 0.0, 0.4, 0.3, -0.2, 0.9, -0.7, 0.1, 0.2, 0.5, 0.0]",
        );
        let sparse = network(
            "[0.9, 0.0, -0.4, 0.0, 0.6, 0.0, 0.0, 0.3, 0.2, 0.0, 0.8, -0.6, 0.0, 0.0, 0.4, 0.0]",
        );
        let first = sparse.topological()[0];
        let data = sparse.constant(sparse.node(first).inputs()[1]).unwrap().dense().to_f32();
        let zero: Vec<bool> = data.iter().map(|w| *w == 0.0).collect();
        let movable = [Movable { layer: first, by: Movement::Singly { zero: zero.clone() } }];
        let how = Restore { epochs: 20, batch: 16, ..Restore::default() };
        let done =
            restore(&how, (&dense, &sparse), &movable, (None, None), (&Given, 7, "")).unwrap();
        let done = done.unwrap();
        assert!(done.error.1 < 0.5 * done.error.0, "{:?}", done.error);
        let (weights, bias) = &done.layers[0];
        assert!(weights.iter().zip(&zero).all(|(w, zero)| !zero || *w == 0.0), "{weights:?}");
        assert_eq!(bias.len(), 2);
        assert_eq!(done.shorter, None);
        // Steps that lead astray are taken back, and shorter ones tried.
        let how = Restore { rate: 16.0, ..how };
        let done =
            restore(&how, (&dense, &sparse), &movable, (None, None), (&Given, 7, "")).unwrap();
        let done = done.unwrap();
        assert!(done.helped() && done.shorter.is_some(), "{:?} {:?}", done.error, done.shorter);
        assert!(done.note("weights").contains("led astray"), "{}", done.note("weights"));
    }

    #[test]
    fn filters_that_have_grown_wrong_come_closer_as_a_whole() {
        let text = |by: [f32; 2]| {
            let row = [1.0, 0.1, -0.5, 0.2, 0.7, 0.1, 0.0, 0.4];
            let all: Vec<String> =
                by.iter().flat_map(|by| row.iter().map(move |w| (w * by).to_string())).collect();
            format!("[{}]", all.join(", "))
        };
        let (dense, grown) = (network(&text([1.0, -0.4])), network(&text([1.3, -0.3])));
        let first = dense.topological()[0];
        let movable = [Movable { layer: first, by: Movement::Scaled }];
        let how = Restore { epochs: 20, batch: 16, ..Restore::default() };
        let done =
            restore(&how, (&dense, &grown), &movable, (None, None), (&Given, 7, "")).unwrap();
        let done = done.unwrap();
        assert!(done.error.1 < 0.1 * done.error.0, "{:?}", done.error);
        let (weights, _) = &done.layers[0];
        for (wanted, rows) in [(1.0, &weights[..8]), (-0.4, &weights[8..])] {
            assert!((rows[0] - wanted).abs() < 0.1, "{rows:?}");
            assert!((rows[2] + 0.5 * rows[0]).abs() < 1e-4 && rows[6] == 0.0, "{rows:?}");
        }
    }
}

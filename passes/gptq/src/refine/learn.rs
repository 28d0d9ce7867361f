use paring_layerwise::gradient::{Adam, Program, Real, Slope};
use rayon::prelude::*;

/// Lanes that the samples of a batch are dealt to, so that sums come out the same on any number of
/// threads.
const LANES: usize = 8;

/// The weights of a layer while they are learned.
pub(crate) struct Learned {
    /// What the integers are rounded from, in steps of the scale.
    pub(crate) latent: Vec<f32>,
    /// One an output channel.
    pub(crate) scales: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    /// The least and the largest integer.
    pub(crate) limits: (f32, f32),
    /// Weights that stay zero.
    pub(crate) zero: Option<Vec<bool>>,
    /// Whether anything of the layer is learned.
    pub(crate) free: bool,
}

impl Learned {
    /// The integers.
    pub(crate) fn ints(&self) -> impl Iterator<Item = f32> + '_ {
        self.latent.iter().enumerate().map(|(i, x)| match &self.zero {
            Some(zero) if zero[i] => 0.0,
            _ => x.round().clamp(self.limits.0, self.limits.1),
        })
    }

    /// At rest.
    pub(crate) fn moments(&self) -> Moments {
        [self.latent.len(), self.scales.len(), self.bias.len()].map(Adam::new)
    }

    fn depth(&self) -> usize {
        (self.latent.len() / self.scales.len().max(1)).max(1)
    }

    /// The weights that the integers stand for; of a layer that is not rounded, its own.
    pub(crate) fn real(&self, groups: usize) -> Real {
        let depth = self.depth();
        let weights = match self.free {
            true => self.ints().enumerate().map(|(i, q)| q * self.scales[i / depth]).collect(),
            false => self.latent.clone(),
        };
        Real::new(weights, self.bias.clone(), groups)
    }
}

/// What steps of the weights, scales and biases of a layer were of late.
pub(crate) type Moments = [Adam; 3];

/// A sample of a block: what goes in, and what the original network makes of it.
pub(crate) struct Pair<'a> {
    pub(crate) input: &'a [f32],
    pub(crate) wanted: &'a [f32],
}

/// The mean squared error of a block over samples.
pub(crate) fn error(program: &Program, layers: &[Learned], samples: &[Pair<'_>]) -> f64 {
    let real = reals(program, layers);
    let each: Vec<f64> = samples
        .par_iter()
        .map(|s| {
            let run = program.run(s.input, &real);
            let pairs = run.raw(program.output()).iter().zip(s.wanted);
            pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
        })
        .collect();
    each.iter().sum::<f64>() / samples.len().max(1) as f64
}

fn reals(program: &Program, layers: &[Learned]) -> Vec<Real> {
    layers.iter().enumerate().map(|(i, l)| l.real(program.groups(i))).collect()
}

/// What a block comes closer to the original by: steps of all rounded weights, of scales and of biases,
/// batch by batch, with slopes that pass through the rounding.
pub(crate) fn learn(
    program: &Program,
    layers: &mut [Learned],
    samples: &[Pair<'_>],
    (epochs, batch, rate): (usize, usize, f32),
    progress: &dyn Fn(usize, usize),
) {
    let power: f64 = samples.iter().flat_map(|s| s.wanted).map(|x| f64::from(*x).powi(2)).sum();
    let count: usize = samples.iter().map(|s| s.wanted.len()).sum();
    let unit = ((power / count.max(1) as f64).sqrt() as f32).max(1e-20);
    let mut moments: Vec<Moments> = layers.iter().map(Learned::moments).collect();
    let batches = samples.len().div_ceil(batch);
    let total = epochs * batches;
    let mut order: Vec<usize> = (0..samples.len()).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut time = 0;
    for _ in 0..epochs {
        for i in (1..order.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            order.swap(i, (state % (i as u64 + 1)) as usize);
        }
        for part in order.chunks(batch) {
            let real = reals(program, layers);
            let slopes = slopes(program, &real, samples, part, unit);
            time += 1;
            let cosine = (std::f32::consts::PI * time as f32 / total as f32).cos();
            let now = rate * 0.5 * (1.0 + cosine);
            for ((layer, slope), moments) in layers.iter_mut().zip(&slopes).zip(&mut moments) {
                if layer.free {
                    update(layer, slope, moments, (now, time as i32), unit);
                }
            }
            progress(time, total);
        }
    }
}

/// The slopes of the loss of a batch: the squared error in parts of the signal.
fn slopes(
    program: &Program,
    real: &[Real],
    samples: &[Pair<'_>],
    part: &[usize],
    unit: f32,
) -> Vec<Slope> {
    let fresh = || -> Vec<Slope> { real.iter().map(Real::flat).collect() };
    let lanes: Vec<Vec<Slope>> = (0..LANES.min(part.len()))
        .into_par_iter()
        .map(|lane| {
            let mut sum = fresh();
            for &i in part.iter().skip(lane).step_by(LANES) {
                let sample = &samples[i];
                let run = program.run(sample.input, real);
                let out = run.raw(program.output());
                let scale = 2.0 / (unit * unit * (out.len() * part.len()) as f32);
                let slope = out.iter().zip(sample.wanted).map(|(a, b)| (a - b) * scale).collect();
                program.back(&run, vec![(program.output(), slope)], real, &mut sum);
            }
            sum
        })
        .collect();
    let mut total = fresh();
    for lane in &lanes {
        for (to, from) in total.iter_mut().zip(lane) {
            to.weights.iter_mut().zip(&from.weights).for_each(|(t, f)| *t += f);
            to.bias.iter_mut().zip(&from.bias).for_each(|(t, f)| *t += f);
        }
    }
    total
}

/// How far scales and biases go where weights go a whole step.
const SCALE_RATE: f32 = 0.1;
const BIAS_RATE: f32 = 0.1;

pub(crate) fn update(
    layer: &mut Learned,
    slope: &Slope,
    [weights, scales, biases]: &mut Moments,
    (rate, time): (f32, i32),
    unit: f32,
) {
    let depth = layer.depth();
    let ints: Vec<f32> = layer.ints().collect();
    let (least, most) = (layer.limits.0 - 0.49, layer.limits.1 + 0.49);
    for (o, scale) in layer.scales.iter_mut().enumerate() {
        let own = o * depth..(o + 1) * depth;
        let along: f32 =
            slope.weights[own.clone()].iter().zip(&ints[own.clone()]).map(|(s, q)| s * q).sum();
        for i in own {
            let step = weights.step(i, slope.weights[i] * *scale, time);
            layer.latent[i] = (layer.latent[i] + rate * step).clamp(least, most);
        }
        *scale *= (rate * SCALE_RATE * scales.step(o, along * *scale, time)).exp();
        layer.bias[o] += rate * BIAS_RATE * unit * biases.step(o, slope.bias[o], time);
    }
}

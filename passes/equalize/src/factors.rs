use crate::classes::Class;
use crate::reach::Reach;
use paring_ir::ops::Conv2d;
use paring_ir::{Graph, NodeId, ValueId};
use std::collections::BTreeMap;

/// The factors of a class.
pub(crate) struct Found {
    /// What channels are divided by.
    pub(crate) factors: Vec<f32>,
    pub(crate) exponent: f64,
    /// By how many decibels the expected noise falls.
    pub(crate) gain: f64,
}

/// Exponents that are tried, in eighths.
const EIGHTHS: usize = 8;

/// Channels that reach less far than this part of the widest one are not raised further.
const LEAST: f64 = 1.0 / 4096.0;

/// What clamped channels are kept below, in parts of the clamp.
const BELOW: f64 = 0.96;

/// What a layer makes of the channels that it reads.
struct Reader {
    /// Sum of squares of the weights on each channel.
    gain: Vec<f64>,
    /// For each filter that mixes channels, the largest weight on each channel.
    filters: Vec<Vec<f64>>,
    /// Mean square of what it reads, a channel, and weights on each channel.
    square: Vec<f64>,
    taps: f64,
}

impl Reader {
    fn of(graph: &Graph, id: NodeId, channels: usize, square: &[f64]) -> Option<Self> {
        let node = graph.node(id);
        let data = graph.constant(node.inputs()[1])?;
        let weights = data.dense().to_f32();
        let shape = data.shape();
        let (outputs, depth) = (*shape.first()?, *shape.last()?);
        let per_filter = weights.len() / outputs.max(1);
        let groups = node.op_as::<Conv2d>().map_or(1, |c| c.groups).max(1);
        let mut gain = vec![0.0; channels];
        let mut filters = Vec::new();
        for (o, filter) in weights.chunks_exact(per_filter.max(1)).enumerate() {
            let from = (o * groups / outputs) * depth;
            let mut largest = vec![0.0_f64; channels];
            for (i, w) in filter.iter().enumerate() {
                let c = (from + i % depth) % channels;
                gain[c] += f64::from(*w) * f64::from(*w);
                largest[c] = largest[c].max(f64::from(w.abs()));
            }
            // The scale of a filter that sees one channel follows the factor: no loss.
            if depth > 1 {
                filters.push(largest);
            }
        }
        let taps = per_filter as f64 / channels.min(depth).max(1) as f64;
        Some(Self { gain, filters, square: square.to_vec(), taps })
    }

    /// Noise of the layer's rounded weights in its result.
    fn weight_noise(&self, factors: &[f64], limit: f64) -> f64 {
        let input: f64 = self.square.iter().zip(factors).map(|(s, f)| s / (f * f)).sum();
        let steps: f64 = self
            .filters
            .iter()
            .map(|largest| {
                let most = largest.iter().zip(factors).map(|(w, f)| w * f).fold(0.0, f64::max);
                (most / limit).powi(2)
            })
            .sum();
        steps * self.taps * input / 12.0
    }
}

/// Chooses the factors of a class.
pub(crate) fn choose(
    graph: &Graph,
    class: &Class,
    reach: &BTreeMap<ValueId, Reach>,
    bits: u32,
) -> Found {
    let n = class.channels;
    let mut widest = vec![0.0_f64; n];
    let seen: Vec<&Reach> = class.values.iter().filter_map(|v| reach.get(v)).collect();
    for r in &seen {
        for (widest, (low, high)) in widest.iter_mut().zip(r.low.iter().zip(&r.high)) {
            *widest = widest.max(*high).max(-low);
        }
    }
    let most = widest.iter().copied().fold(0.0, f64::max);
    // Channels before a ReLU6 may grow until the sample that reaches furthest comes near to 6.
    let mut least = vec![0.0_f64; n];
    for r in class.clamped.iter().filter_map(|v| reach.get(v)) {
        for (c, peak) in r.peak.iter().enumerate() {
            least[c % n] = least[c % n].max(peak / (6.0 * BELOW));
        }
    }
    let one = Found { factors: vec![1.0; n], exponent: 0.0, gain: 0.0 };
    if most <= 0.0 {
        return one;
    }
    let readers: Vec<Reader> = class
        .readers
        .iter()
        .filter_map(|id| {
            let square = &reach.get(&graph.node(*id).inputs()[0])?.square;
            Reader::of(graph, *id, n, square)
        })
        .collect();
    let limit = f64::from((1_u32 << (bits - 1)) - 1);
    let noise = |factors: &[f64]| -> f64 {
        let spread: f64 = seen
            .iter()
            .map(|r| {
                let end = |ends: &[f64]| {
                    ends.iter().zip(factors).map(|(x, f)| x.abs() / f).fold(0.0, f64::max)
                };
                ((end(&r.high) + end(&r.low)) / 255.0).powi(2) / 12.0
            })
            .sum();
        let through: f64 =
            readers.iter().flat_map(|r| r.gain.iter().zip(factors).map(|(g, f)| g * f * f)).sum();
        spread * through + readers.iter().map(|r| r.weight_noise(factors, limit)).sum::<f64>()
    };
    let candidates = (0..=EIGHTHS).map(|i| i as f64 / EIGHTHS as f64).map(|exponent| {
        let factor = |(r, least): (&f64, &f64)| match *r > 0.0 {
            true => (r / most).max(LEAST).powf(exponent).max(*least).min(1.0),
            false => 1.0,
        };
        let factors: Vec<f64> = widest.iter().zip(&least).map(factor).collect();
        (noise(&factors), exponent, factors)
    });
    let plain = noise(&vec![1.0; n]);
    match candidates.min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((least, exponent, factors)) if least < plain && exponent > 0.0 => Found {
            factors: factors.into_iter().map(|f| f as f32).collect(),
            exponent,
            gain: 10.0 * (plain / least.max(1e-300)).log10(),
        },
        _ => one,
    }
}

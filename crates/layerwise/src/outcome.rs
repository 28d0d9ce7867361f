use paring_ir::ops::{Dequantize, Quantize, Reshape, Softmax};
use paring_ir::{Graph, ValueId};
use paring_pass::{Host, PassError, Stream};
use paring_tensor::{DType, Tensor};
use std::collections::BTreeMap;

/// How far a changed network is from the original one: for each output, the sum of squares of the
/// original numbers and of the differences.
///
/// A softmax squeezes differences that matter and widens ones that do not, so an output that one
/// computes is compared before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Signal and noise of each output.
    pub outputs: Vec<(f64, f64)>,
    /// For each output that a softmax computes, how far the probabilities are from the original ones:
    /// the sum of the Kullback-Leibler divergences.
    pub divergences: Vec<Option<f64>>,
    /// Samples, and those for which the largest number of the first output is the same one.
    pub samples: usize,
    /// See `samples`.
    pub same: usize,
}

/// Where the largest number is, the first of equal ones.
fn largest(numbers: &[f32]) -> usize {
    (1..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}

/// A ratio of squares in decibels.
#[must_use]
pub fn decibels(signal: f64, noise: f64) -> f64 {
    10.0 * (signal / noise.max(1e-300)).log10()
}

impl Outcome {
    /// Sum of squares over all outputs.
    #[must_use]
    pub fn signal(&self) -> f64 {
        self.outputs.iter().map(|o| o.0).sum()
    }

    /// Sum of squared differences over all outputs.
    #[must_use]
    pub fn noise(&self) -> f64 {
        self.outputs.iter().map(|o| o.1).sum()
    }

    /// Percentage of samples for which the largest number of the first output is the same one.
    #[must_use]
    pub fn agreement(&self) -> f64 {
        100.0 * self.same as f64 / self.samples.max(1) as f64
    }

    /// The noise of each output in parts of its signal, added up: outputs count alike whatever their
    /// unit.
    #[must_use]
    pub fn relative(&self) -> f64 {
        self.outputs.iter().map(|(signal, noise)| noise / signal.max(1e-300)).sum()
    }

    /// What the change costs: mean divergences of outputs that a softmax computes, and the noise of
    /// others in parts of their signal.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let each = self.outputs.iter().zip(&self.divergences);
        each.map(|((signal, noise), divergence)| match divergence {
            Some(sum) => sum / self.samples.max(1) as f64,
            None => noise / signal.max(1e-300),
        })
        .sum()
    }

    /// Runs the original and its variants on samples and compares them.
    ///
    /// # Errors
    /// If there is no executor or no data, or a network cannot be run.
    pub fn compare(
        host: &dyn Host,
        reference: &Graph,
        variants: &[Graph],
        (data, limit): (Option<&str>, Option<usize>),
        what: &str,
    ) -> Result<Vec<Self>, PassError> {
        let graphs: Vec<&Graph> = std::iter::once(reference).chain(variants).collect();
        let both: Vec<(Vec<ValueId>, Vec<Option<usize>>)> =
            graphs.iter().map(|g| judged(g)).collect();
        let soft = both[0].1.clone();
        let judged: Vec<Vec<ValueId>> = both.into_iter().map(|(values, _)| values).collect();
        let outputs = judged[0].len();
        let scales: Vec<_> = graphs
            .iter()
            .zip(&judged)
            .map(|(g, values)| values.iter().map(|v| g.ty(*v).quant.clone()).collect::<Vec<_>>())
            .collect();
        let mut stream = Stream::open_all(host, &graphs, data, limit)?;
        let none = Self {
            outputs: vec![(0.0, 0.0); outputs],
            divergences: soft.iter().map(|s| s.map(|_| 0.0)).collect(),
            samples: 0,
            same: 0,
        };
        let fresh = || vec![none.clone(); variants.len()];
        let mut lanes = stream.accumulators(|| (fresh(), BTreeMap::<usize, Vec<f32>>::new()));
        let all = 0..stream.len();
        stream.run_all(what, all, &mut lanes, |(sums, kept), _, network, v, tensor| {
            for (i, _) in judged[network].iter().enumerate().filter(|(_, own)| **own == v) {
                let numbers = real(tensor, scales[network][i].as_ref());
                if network == 0 {
                    kept.insert(i, numbers);
                } else if let Some(original) = kept.get(&i) {
                    let sum = &mut sums[network - 1];
                    if i == 0 {
                        sum.samples += 1;
                        sum.same += usize::from(largest(original) == largest(&numbers));
                    }
                    if let (Some(sum), Some(row)) = (&mut sum.divergences[i], soft[i]) {
                        let rows = original.chunks(row).zip(numbers.chunks(row));
                        *sum += rows.map(|(a, b)| softmax_divergence(a, b)).sum::<f64>();
                    }
                    let (signal, noise) = &mut sum.outputs[i];
                    for (a, b) in original.iter().zip(&numbers) {
                        *signal += f64::from(*a).powi(2);
                        *noise += (f64::from(*a) - f64::from(*b)).powi(2);
                    }
                }
            }
        })?;
        let mut total = fresh();
        for (lane, _) in &lanes {
            for (to, from) in total.iter_mut().zip(lane) {
                (to.samples, to.same) = (to.samples + from.samples, to.same + from.same);
                for (to, from) in to.outputs.iter_mut().zip(&from.outputs) {
                    (to.0, to.1) = (to.0 + from.0, to.1 + from.1);
                }
                for (to, from) in to.divergences.iter_mut().zip(&from.divergences) {
                    *to = to.zip(*from).map(|(a, b)| a + b);
                }
            }
        }
        Ok(total)
    }
}

fn real(tensor: &Tensor, quant: Option<&paring_tensor::Quant>) -> Vec<f32> {
    match quant {
        Some(quant) => quant.dequantize(tensor).map_or_else(|_| Vec::new(), |t| t.to_f32()),
        None if tensor.dtype() == DType::F32 => tensor.to_f32(),
        None => tensor.cast(DType::F32).to_f32(),
    }
}

/// The Kullback-Leibler divergence of probabilities from original ones.
#[must_use]
pub fn divergence(original: &[f32], changed: &[f32]) -> f64 {
    let log = |x: f32| f64::from(x.max(1e-30)).ln();
    let each = original.iter().zip(changed).filter(|(p, _)| **p > 0.0);
    each.map(|(p, q)| f64::from(*p) * (log(*p) - log(*q))).sum()
}

/// The divergence of the probabilities that a softmax makes of two vectors.
fn softmax_divergence(original: &[f32], changed: &[f32]) -> f64 {
    let logs = |x: &[f32]| -> Vec<f64> {
        let most = x.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let sum: f64 = x.iter().map(|x| f64::from(x - most).exp()).sum();
        x.iter().map(|x| f64::from(x - most) - sum.ln()).collect()
    };
    let (p, q) = (logs(original), logs(changed));
    p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// The value that each output is compared at: itself, or what is given to the softmax that computes it;
/// and the number of probabilities in a row there.
pub(crate) fn judged(graph: &Graph) -> (Vec<ValueId>, Vec<Option<usize>>) {
    graph
        .outputs()
        .iter()
        .map(|port| {
            let mut at = port.value;
            while let Some(node) = graph.producer(at) {
                let onward = node.op.is::<Reshape>()
                    || node.op.is::<Dequantize>()
                    || node.op.is::<Quantize>();
                let softmax = node.op_as::<Softmax>();
                match node.inputs().first() {
                    Some(v) if softmax.is_some() => {
                        let dims = graph.ty(*v).shape.dims();
                        let last = softmax.is_some_and(|s| s.axis + 1 == dims.len());
                        let row = dims.last().and_then(|d| d.fixed()).filter(|n| last && *n > 0);
                        return (*v, row);
                    }
                    Some(v) if onward && graph.producer(*v).is_some() => at = *v,
                    _ => break,
                }
            }
            (port.value, None)
        })
        .unzip()
}

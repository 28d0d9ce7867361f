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
    /// Samples, and those for which the largest number of the first output is the same one.
    pub samples: usize,
    /// See `samples`.
    pub same: usize,
    /// Sum over samples and softmax outputs of what the classes that the changed network gives miss of
    /// those that the original gives (Kullback-Leibler divergence); `None` without such outputs.
    pub divergence: Option<f64>,
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

    /// What the change costs: the mean divergence of classes, and where there are none the relative
    /// noise.
    #[must_use]
    pub fn cost(&self) -> f64 {
        match self.divergence {
            Some(sum) => sum / self.samples.max(1) as f64,
            None => self.relative(),
        }
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
        let judged: Vec<Vec<ValueId>> = graphs.iter().map(|g| judged(g)).collect();
        let soft: Vec<bool> = reference
            .outputs()
            .iter()
            .map(|port| before_softmax(reference, port.value).is_some())
            .collect();
        let outputs = judged[0].len();
        let scales: Vec<_> = graphs
            .iter()
            .zip(&judged)
            .map(|(g, values)| values.iter().map(|v| g.ty(*v).quant.clone()).collect::<Vec<_>>())
            .collect();
        let mut stream = Stream::open_all(host, &graphs, data, limit)?;
        let fresh = || {
            let divergence = soft.contains(&true).then_some(0.0);
            let none = Self { outputs: vec![(0.0, 0.0); outputs], samples: 0, same: 0, divergence };
            vec![none; variants.len()]
        };
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
                    if let Some(sum) = sum.divergence.as_mut().filter(|_| soft[i]) {
                        let row = tensor.shape().last().copied().unwrap_or(1).max(1);
                        let rows = original.chunks(row).zip(numbers.chunks(row));
                        *sum += rows.map(|(a, b)| divergence(a, b)).sum::<f64>();
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
                to.divergence = to.divergence.zip(from.divergence).map(|(a, b)| a + b);
                for (to, from) in to.outputs.iter_mut().zip(&from.outputs) {
                    (to.0, to.1) = (to.0 + from.0, to.1 + from.1);
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

/// The value that each output is compared at: itself, or what is given to the softmax that computes it.
fn judged(graph: &Graph) -> Vec<ValueId> {
    let values = graph.outputs().iter().map(|port| port.value);
    values.map(|v| before_softmax(graph, v).unwrap_or(v)).collect()
}

/// What is given to the softmax that computes an output.
fn before_softmax(graph: &Graph, output: ValueId) -> Option<ValueId> {
    let mut at = output;
    while let Some(node) = graph.producer(at) {
        let onward =
            node.op.is::<Reshape>() || node.op.is::<Dequantize>() || node.op.is::<Quantize>();
        let before = *node.inputs().first()?;
        if node.op.is::<Softmax>() {
            return Some(before);
        }
        if !onward {
            return None;
        }
        at = before;
    }
    None
}

/// What the softmax of `changed` misses of that of `original`, in natural units.
fn divergence(original: &[f32], changed: &[f32]) -> f64 {
    let logs = |logits: &[f32]| -> Vec<f64> {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|l| f64::from(l - largest).exp()).sum();
        logits.iter().map(|l| f64::from(l - largest) - sum.ln()).collect()
    };
    let pairs = logs(original).into_iter().zip(logs(changed));
    let sum: f64 = pairs.map(|(a, b)| a.exp() * (a - b)).sum();
    if sum.is_finite() { sum.max(0.0) } else { 0.0 }
}

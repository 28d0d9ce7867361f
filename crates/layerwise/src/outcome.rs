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
        let outputs = judged[0].len();
        let scales: Vec<_> = graphs
            .iter()
            .zip(&judged)
            .map(|(g, values)| values.iter().map(|v| g.ty(*v).quant.clone()).collect::<Vec<_>>())
            .collect();
        let mut stream = Stream::open_all(host, &graphs, data, limit)?;
        let fresh = || {
            vec![Self { outputs: vec![(0.0, 0.0); outputs], samples: 0, same: 0 }; variants.len()]
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
    graph
        .outputs()
        .iter()
        .map(|port| {
            let mut at = port.value;
            while let Some(node) = graph.producer(at) {
                let onward = node.op.is::<Reshape>()
                    || node.op.is::<Dequantize>()
                    || node.op.is::<Quantize>();
                let softmax = node.op.is::<Softmax>();
                match node.inputs().first() {
                    Some(v) if softmax => return *v,
                    Some(v) if onward && graph.producer(*v).is_some() => at = *v,
                    _ => break,
                }
            }
            port.value
        })
        .collect()
}

use crate::Observing;
use crate::outcome::before_softmax;
use paring_ir::{Graph, ValueId};
use paring_pass::{Host, PassError, Stream};

/// Which samples count more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weigh {
    /// All count alike.
    Alike,
    /// Those of which the original network is unsure: their classes change first. A sample counts by
    /// the chance `1 - sum of p²` that two draws from what the network gives it differ, added to the mean
    /// over all samples. Outputs that no softmax computes are taken for what one would be given.
    Unsure,
}

/// How much each sample counts, one on average; nothing if all count alike.
pub(crate) fn weights(
    graph: &Graph,
    observing: &Observing,
    host: &dyn Host,
) -> Result<Vec<f32>, PassError> {
    let Some(first) = graph.outputs().first() else { return Ok(Vec::new()) };
    let softened = before_softmax(graph, first.value);
    let logits: ValueId = match (observing.weigh, softened) {
        (Some(Weigh::Alike), _) | (None, None) => return Ok(Vec::new()),
        (_, Some(v)) => v,
        (Some(Weigh::Unsure), None) => first.value,
    };
    let mut stream = Stream::open(host, graph, observing.data.as_deref(), observing.samples)?;
    let mut lanes = stream.accumulators(Vec::new);
    let all = 0..stream.len();
    stream.run("who is unsure", all.clone(), &mut lanes, |found, sample, v, t| {
        if v == logits {
            let row = t.shape().last().copied().unwrap_or(1).max(1);
            found.push((sample, t.to_f32().chunks(row).map(unsure).sum::<f64>()));
        }
    })?;
    let mut doubt = vec![0.0; all.len()];
    for (sample, value) in lanes.into_iter().flatten() {
        doubt[sample] = value;
    }
    let mean = doubt.iter().sum::<f64>() / doubt.len().max(1) as f64;
    if mean.is_nan() || mean <= 0.0 {
        return Ok(Vec::new());
    }
    let floor: f64 = std::env::var("PR_FLOOR").ok().and_then(|v| v.parse().ok()).unwrap_or(1.0);
    Ok(doubt.iter().map(|d| ((floor * mean + d) / ((1.0 + floor) * mean)) as f32).collect())
}

/// The chance that two draws of a class differ.
fn unsure(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let parts: Vec<f64> = logits.iter().map(|l| f64::from(l - largest).exp()).collect();
    let sum: f64 = parts.iter().sum();
    let same: f64 = parts.iter().map(|p| (p / sum) * (p / sum)).sum();
    if same.is_finite() { 1.0 - same } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_chances_are_the_least_sure() {
        assert!((unsure(&[3.0, 3.0]) - 0.5).abs() < 1e-12);
        assert!(unsure(&[0.0, 40.0]) < 1e-12);
        assert!(unsure(&[1.0, 2.0]) > unsure(&[1.0, 3.0]));
        assert_eq!(unsure(&[]), 0.0);
        assert_eq!(unsure(&[f32::NAN]), 0.0);
    }
}

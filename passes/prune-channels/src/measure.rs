//! What it does to the outputs when channels of one family go.

use crate::{PruneChannels, fitted};
use paring_channels::{Families, Link};
use paring_ir::{Graph, NodeId};
use paring_layerwise::{Outcome, replace_weights};
use paring_pass::{LayerReport, PassContext, PassError, consts};
use paring_tensor::{ConstData, Tensor};
use std::collections::{HashMap, HashSet};

/// Shares of a family whose loss is measured.
const SHARES: [f64; 4] = [0.125, 0.25, 0.5, 0.75];

/// Samples on which it is measured.
const PROBES: usize = 64;

/// How much steeper than at the largest measured share the loss is taken to rise beyond it.
const BEYOND: f64 = 4.0;

/// A layer's weights and what is added to its bias.
type Fitted = (NodeId, ConstData, Vec<f64>);

impl PruneChannels {
    /// For each family, what its groups cost in the order in which they go: parts of the loss of the outputs
    /// that is measured when the family alone loses channels. Of the measured points those count that lie on the
    /// lower convex hull, so that a group never costs less than one before it.
    pub(crate) fn measured(
        &self,
        graph: &Graph,
        links: &HashMap<NodeId, Link>,
        families: &Families,
        readers: &[NodeId],
        (costs, orders): (&[Vec<f64>], &[Vec<usize>]),
        cx: &mut PassContext<'_>,
    ) -> Result<Vec<Vec<f64>>, PassError> {
        let counts: Vec<Vec<usize>> = orders.iter().map(|order| points(order.len())).collect();
        // For each family and each of its points, the layers that make up for what is gone.
        let mut changed: Vec<Vec<Vec<Fitted>>> =
            counts.iter().map(|c| vec![Vec::new(); c.len()]).collect();
        let mut walk = self.walk(graph)?;
        for (i, &id) in readers.iter().enumerate() {
            let node = graph.node(id);
            let (x, w) = (node.inputs()[0], node.inputs()[1]);
            if !matches!(links.get(&id), Some(Link::Layer(_))) {
                continue;
            }
            let (Some(weights), Some(data)) = (consts::dense_f32(graph, w), graph.constant(w))
            else {
                continue;
            };
            let shape = data.shape().to_vec();
            let (Some(&outputs), Some(&reads)) = (shape.first(), shape.last()) else { continue };
            let what = format!("prune-channels: fitting layer {} of {}", i + 1, readers.len());
            let problems = self.calibration.problems(&mut walk, id, cx, &what, false)?;
            for (f, family) in families.all.iter().enumerate() {
                if !family.values.contains(&x) {
                    continue;
                }
                for (p, count) in counts[f].iter().enumerate() {
                    let groups = orders[f][..*count].iter().flat_map(|g| &family.groups[*g]);
                    let gone: HashSet<usize> =
                        groups.filter(|(v, _)| *v == x).map(|(_, c)| *c).collect();
                    let depth = weights.len() / outputs.max(1);
                    let free: Vec<bool> =
                        (0..depth).map(|i| !gone.contains(&(i % reads.max(1)))).collect();
                    let (flat, shifts) = fitted(&problems, &weights, outputs, &free);
                    let tensor: Tensor = Tensor::from_vec(shape.clone(), flat)?;
                    changed[f][p].push((id, tensor.into(), shifts));
                }
            }
        }
        drop(walk);
        let total = families.all.len();
        let mut out = costs.to_vec();
        for (f, points) in changed.into_iter().enumerate() {
            if points.iter().all(Vec::is_empty) {
                continue;
            }
            let mut variants = Vec::with_capacity(points.len());
            for layers in points {
                let mut variant = graph.clone();
                for (id, data, shifts) in layers {
                    let by = "prune-channels";
                    let patch = replace_weights(&variant, id, data, None, &shifts, by)?;
                    variant.apply(patch)?;
                }
                variants.push(variant);
            }
            let what = format!("prune-channels: sensitivity of channels {} of {total}", f + 1);
            let limit = self.calibration.samples.map_or(PROBES, |n| n.min(PROBES));
            let data = (self.calibration.data.as_deref(), Some(limit));
            let outcomes = Outcome::compare(cx.host(), graph, &variants, data, &what)?;
            let losses: Vec<f64> = outcomes.iter().map(Outcome::loss).collect();
            let first = families.all[f].values.first();
            if let Some(maker) = first.and_then(|v| graph.producer(*v)) {
                let mut report = LayerReport::new(maker);
                let n = orders[f].len();
                let each = counts[f].iter().zip(&losses);
                let each = each.map(|(c, loss)| format!("{c} of {n} {loss:.2e}"));
                report.note = each.collect::<Vec<_>>().join(", ");
                cx.layer(report);
            }
            for (rank, cost) in slopes(&counts[f], &losses, orders[f].len()).into_iter().enumerate()
            {
                out[f][orders[f][rank]] = cost;
            }
        }
        Ok(out)
    }
}

/// How many of `n` groups go where the loss is measured.
fn points(n: usize) -> Vec<usize> {
    let mut all: Vec<usize> = SHARES.iter().map(|s| (s * n as f64).round() as usize).collect();
    all.retain(|c| (1..n).contains(c));
    all.dedup();
    all
}

/// What each of `n` groups adds to the loss, by losses at some counts: slopes of the lower convex hull.
fn slopes(counts: &[usize], losses: &[f64], n: usize) -> Vec<f64> {
    let mut hull = vec![(0_usize, 0.0_f64)];
    let slope = |a: (usize, f64), b: (usize, f64)| (b.1 - a.1).max(0.0) / (b.0 - a.0).max(1) as f64;
    for point in counts.iter().copied().zip(losses.iter().copied()) {
        while let [.., a, b] = hull[..]
            && slope(b, point) < slope(a, b)
        {
            hull.pop();
        }
        hull.push(point);
    }
    let mut out = Vec::with_capacity(n);
    for pair in hull.windows(2) {
        out.resize(pair[1].0.min(n), slope(pair[0], pair[1]));
    }
    let last = out.last().copied().unwrap_or(0.0);
    out.resize(n, BEYOND * last);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cost_what_the_hull_of_losses_rises() {
        assert_eq!(points(16), [2, 4, 8, 12]);
        assert_eq!(points(2), [1]);
        assert!(points(1).is_empty());
        // The point at 4 lies above the line from 2 to 6.
        let costs = slopes(&[2, 4, 6], &[1.0, 5.0, 7.0], 8);
        assert_eq!(costs, [0.5, 0.5, 1.5, 1.5, 1.5, 1.5, 6.0, 6.0]);
        assert!(slopes(&[1], &[-1.0], 2).iter().all(|c| *c == 0.0));
    }
}

//! What channels cost.

use crate::Criterion;
use paring_channels::{Families, Link};
use paring_ir::{Graph, NodeId, ValueId};
use paring_layerwise::Problem;
use paring_pass::consts;
use rayon::prelude::*;
use std::collections::HashMap;

/// Where the channels of values lie: family and group.
fn places(families: &Families) -> HashMap<(ValueId, usize), (usize, usize)> {
    let mut places = HashMap::new();
    for (f, family) in families.all.iter().enumerate() {
        for (g, group) in family.groups.iter().enumerate() {
            places.extend(group.iter().map(|at| (*at, (f, g))));
        }
    }
    places
}

/// By the filters that compute the channels, each relative to the mean of its layer.
pub(crate) fn norms(
    graph: &Graph,
    links: &HashMap<NodeId, Link>,
    families: &Families,
    criterion: Criterion,
) -> Vec<Vec<f64>> {
    let mut costs: Vec<Vec<f64>> = families.all.iter().map(|f| vec![0.0; f.groups.len()]).collect();
    let places = places(families);
    for id in graph.topological() {
        if !matches!(links.get(&id), Some(Link::Layer(_) | Link::Depthwise(..))) {
            continue;
        }
        let node = graph.node(id);
        let Some(data) = graph.constant(node.inputs()[1]) else { continue };
        let outputs = data.shape().first().copied().unwrap_or(0).max(1);
        let weights = data.dense().to_f64();
        let rows: Vec<&[f64]> = weights.chunks((weights.len() / outputs).max(1)).collect();
        let of = |row: &[f64]| -> f64 {
            match criterion {
                Criterion::L1 => row.iter().map(|w| w.abs()).sum(),
                Criterion::GeometricMedian => rows
                    .iter()
                    .map(|other| {
                        other.iter().zip(row).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
                    })
                    .sum(),
                Criterion::L2 | Criterion::SecondOrder => {
                    row.iter().map(|w| w * w).sum::<f64>().sqrt()
                }
            }
        };
        let norms: Vec<f64> = rows.iter().map(|row| of(row)).collect();
        let mean = (norms.iter().sum::<f64>() / norms.len().max(1) as f64).max(1e-30);
        for (o, norm) in norms.iter().enumerate() {
            if let Some(&(f, g)) = places.get(&(node.outputs()[0], o)) {
                costs[f][g] += norm / mean;
            }
        }
    }
    costs
}

/// Adds what it costs a layer to do without the channels of each group, relative to its result.
pub(crate) fn add_costs(
    graph: &Graph,
    id: NodeId,
    problem: &Problem,
    families: &Families,
    costs: &mut [Vec<f64>],
) {
    let node = graph.node(id);
    let (x, w) = (node.inputs()[0], node.inputs()[1]);
    let (Some(weights), Some(data)) = (consts::dense_f32(graph, w), graph.constant(w)) else {
        return;
    };
    let depth = problem.depth();
    let reads = data.shape().last().copied().unwrap_or(1).max(1);
    let filters: Vec<Vec<f64>> = weights
        .chunks(depth.max(1))
        .map(|row| row.iter().map(|w| f64::from(*w)).collect())
        .collect();
    let signal: f64 = weights.chunks(depth.max(1)).map(|row| problem.signal(row)).sum();
    let mut units: Vec<((usize, usize), Vec<usize>)> = Vec::new();
    for (f, family) in families.all.iter().enumerate() {
        if !family.values.contains(&x) {
            continue;
        }
        for (g, group) in family.groups.iter().enumerate() {
            let own = group.iter().filter(|(v, _)| *v == x).map(|(_, c)| *c);
            let unit = own.flat_map(|c| (c..depth).step_by(reads)).collect();
            units.push(((f, g), unit));
        }
    }
    let found: Vec<((usize, usize), f64)> = units
        .into_par_iter()
        .map(|(at, unit)| (at, problem.removal_cost(&filters, &unit)))
        .collect();
    for ((f, g), cost) in found {
        costs[f][g] += cost / signal.max(1e-30);
    }
}

//! Which units go.

use crate::Criterion;
use crate::structure::Structure;
use paring_layerwise::{Elimination, Problem, Strip};
use std::collections::BinaryHeap;

/// The units of a layer in the order in which they go, strip by strip.
pub(crate) struct Plan {
    /// For each strip of filters, the order and costs of its units.
    pub(crate) strips: Vec<Elimination>,
    /// Inputs of each unit.
    pub(crate) units: Vec<Vec<usize>>,
    /// Filters of each strip; the last may have fewer.
    pub(crate) filters: usize,
    pub(crate) outputs: usize,
}

impl Plan {
    /// Weights of a unit in a strip.
    pub(crate) fn weight(&self, strip: usize, unit: usize) -> usize {
        let from = strip * self.filters;
        (self.outputs - from).min(self.filters) * self.units[unit].len()
    }

    /// Weights that go when so many units of each strip do.
    pub(crate) fn gone(&self, counts: &[usize]) -> f64 {
        let strips = self.strips.iter().zip(counts).enumerate();
        strips
            .flat_map(|(s, (strip, n))| strip.order[..*n].iter().map(move |u| (s, *u)))
            .map(|(s, u)| self.weight(s, u) as f64)
            .sum()
    }
}

/// The order of the units of one strip.
pub(crate) fn order(
    criterion: Criterion,
    structure: Structure,
    (problem, targets, scores): (Option<&Problem>, &[&[f64]], &[&[f64]]),
    units: &[Vec<usize>],
    most: usize,
) -> Elimination {
    let depth = targets.first().map_or(0, |t| t.len());
    let group_of = |u: usize| structure.group(u);
    let limit = |g: usize| structure.group_limit(g, depth);
    let squares = match (criterion, problem) {
        (Criterion::SecondOrder, Some(problem)) => {
            let strip = Strip { targets: targets.to_vec() };
            return problem.eliminate(&strip, units, most, &group_of, &limit);
        }
        (Criterion::Activation, Some(problem)) => problem.squares(),
        _ => vec![1.0; depth],
    };
    let cost = |unit: &[usize]| -> f64 {
        if criterion == Criterion::Taylor {
            return scores.iter().flat_map(|s| unit.iter().map(|&i| s[i])).sum();
        }
        targets.iter().flat_map(|t| unit.iter().map(|&i| t[i] * t[i] * squares[i])).sum()
    };
    let mut scored: Vec<(f64, usize)> =
        units.iter().enumerate().map(|(u, unit)| (cost(unit), u)).collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut gone = vec![0; units.len() + 1];
    let mut found = Elimination::default();
    for (cost, unit) in scored {
        let group = group_of(unit);
        if gone[group] < limit(group) {
            gone[group] += 1;
            found.order.push(unit);
            found.costs.push(cost);
        }
    }
    found
}

/// One strip's next unit; the cheapest comes first.
struct Next {
    cost: f64,
    layer: usize,
    strip: usize,
    at: usize,
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other
            .cost
            .total_cmp(&self.cost)
            .then(other.layer.cmp(&self.layer))
            .then(other.strip.cmp(&self.strip))
    }
}

/// How many units of each strip of each layer go, so that `budget` is used up: a unit of layer `l` uses
/// `price[l]` for each weight, and costs what its plan says.
pub(crate) fn counts(plans: &[&Plan], price: &[f64], budget: f64) -> Vec<Vec<usize>> {
    let mut counts: Vec<Vec<usize>> = plans.iter().map(|p| vec![0; p.strips.len()]).collect();
    let next = |layer: usize, strip: usize, at: usize| {
        let plan = plans[layer];
        let (unit, cost) = (plan.strips[strip].order.get(at)?, plan.strips[strip].costs.get(at)?);
        let used = price[layer] * plan.weight(strip, *unit) as f64;
        Some(Next { cost: cost / used.max(f64::MIN_POSITIVE), layer, strip, at })
    };
    let mut heap: BinaryHeap<Next> = plans
        .iter()
        .enumerate()
        .flat_map(|(l, p)| (0..p.strips.len()).filter_map(move |s| next(l, s, 0)))
        .collect();
    let mut left = budget;
    while let Some(Next { layer, strip, at, .. }) = heap.pop() {
        let plan = plans[layer];
        let used = price[layer] * plan.weight(strip, plan.strips[strip].order[at]) as f64;
        if used > left + 1e-9 {
            // Smaller units elsewhere may still fit.
            continue;
        }
        left -= used;
        counts[layer][strip] = at + 1;
        heap.extend(next(layer, strip, at + 1));
    }
    counts
}

//! Items whose gain comes in pairs: the choice that gains the most for what it costs.

use petgraph::algo::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// What is gained if both items are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The two items; the same one twice where one is enough.
    pub items: [usize; 2],
    /// What they gain.
    pub gain: f64,
}

/// Which items to choose, so that the choice `fits`; whatever is part of a choice that fits has to fit too.
///
/// For a price of cost, the choice with the most gain left after paying is found exactly (a minimal cut: Picard,
/// 1976), and none that costs as little gains more. The lowest price whose choice fits is taken; then pairs
/// are added as long as they fit, those first that gain the most for their cost.
#[must_use]
pub fn choose(costs: &[f64], pairs: &[Pair], fits: &dyn Fn(&[bool]) -> bool) -> Vec<bool> {
    // A pair that does not fit alone is part of no choice.
    let alone = |pair: &Pair| {
        let mut only = vec![false; costs.len()];
        pair.items.iter().for_each(|i| only[*i] = true);
        fits(&only)
    };
    let pairs: Vec<Pair> = pairs
        .iter()
        .copied()
        .filter(|p| p.gain > 0.0 && p.items.iter().all(|i| *i < costs.len()) && alone(p))
        .collect();
    let total: f64 = pairs.iter().map(|p| p.gain).sum();
    let mut chosen = vec![false; costs.len()];
    if total <= 0.0 || !fits(&chosen) {
        return chosen;
    }
    let all = at_price(costs, &pairs, 0.0);
    if fits(&all) {
        return all;
    }
    // From a price that is worth nothing to one at which nothing is worth its cost.
    let least = costs.iter().copied().filter(|c| *c > 0.0).fold(f64::INFINITY, f64::min);
    let (mut low, mut high) =
        (1e-12 * total / costs.iter().sum::<f64>().max(1e-300), total / least);
    for _ in 0..50 {
        let middle = (low * high).sqrt();
        let found = at_price(costs, &pairs, middle);
        if fits(&found) {
            (high, chosen) = (middle, found);
        } else {
            low = middle;
        }
    }
    fill(costs, &pairs, fits, &mut chosen);
    chosen
}

/// Adds pairs while they fit.
fn fill(costs: &[f64], pairs: &[Pair], fits: &dyn Fn(&[bool]) -> bool, chosen: &mut [bool]) {
    let with = |chosen: &[bool], pair: &Pair| {
        let mut more = chosen.to_vec();
        pair.items.iter().for_each(|i| more[*i] = true);
        more
    };
    let gain = |chosen: &[bool]| -> f64 {
        pairs.iter().filter(|p| p.items.iter().all(|i| chosen[*i])).map(|p| p.gain).sum()
    };
    let cost = |chosen: &[bool]| -> f64 {
        costs.iter().zip(chosen).filter(|(_, c)| **c).map(|(cost, _)| cost).sum()
    };
    loop {
        let now = (gain(chosen), cost(chosen));
        let best = pairs
            .iter()
            .filter(|p| p.items.iter().any(|i| !chosen[*i]))
            .map(|p| with(chosen, p))
            .filter(|more| fits(more))
            .map(|more| ((gain(&more) - now.0) / (cost(&more) - now.1).max(1e-300), more))
            .reduce(|a, b| if b.0 > a.0 { b } else { a });
        match best {
            Some((_, more)) => chosen.copy_from_slice(&more),
            None => return,
        }
    }
}

/// The choice with the most gain after paying.
fn at_price(costs: &[f64], pairs: &[Pair], price: f64) -> Vec<bool> {
    // Whole numbers, so that flows are exact.
    let total: f64 = pairs.iter().map(|p| p.gain).sum();
    let whole = |x: f64| (x / total * (1_u64 << 50) as f64).min((1_u64 << 55) as f64) as u64;
    let mut network: DiGraph<(), u64> = DiGraph::new();
    let (source, sink) = (network.add_node(()), network.add_node(()));
    let items: Vec<NodeIndex> = costs.iter().map(|_| network.add_node(())).collect();
    for (item, cost) in items.iter().zip(costs) {
        network.add_edge(*item, sink, whole(price * cost));
    }
    for pair in pairs {
        let node = network.add_node(());
        network.add_edge(source, node, whole(pair.gain));
        pair.items.iter().for_each(|i| {
            network.add_edge(node, items[*i], 1 << 56);
        });
    }
    let (_, flows) = dinics(&network, source, sink);
    // What can still be reached from the source is on its side of the cut.
    let mut reached = vec![false; network.node_count()];
    let mut open = vec![source];
    reached[source.index()] = true;
    while let Some(at) = open.pop() {
        let onward = network
            .edges(at)
            .filter(|e| flows.get(e.id().index()).is_some_and(|f| f < e.weight()))
            .map(|e| e.target());
        let back = network
            .edges_directed(at, petgraph::Direction::Incoming)
            .filter(|e| flows.get(e.id().index()).is_some_and(|f| *f > 0))
            .map(|e| e.source());
        let next: Vec<NodeIndex> = onward.chain(back).collect();
        for to in next {
            if !std::mem::replace(&mut reached[to.index()], true) {
                open.push(to);
            }
        }
    }
    // At no price, items that gain nothing are not reached by way of a pair.
    items.iter().map(|i| reached[i.index()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(chosen: &[bool], costs: &[f64], pairs: &[Pair]) -> (f64, f64) {
        let gain =
            pairs.iter().filter(|p| p.items.iter().all(|i| chosen[*i])).map(|p| p.gain).sum();
        let cost = costs.iter().zip(chosen).filter(|(_, c)| **c).map(|(cost, _)| cost).sum();
        (gain, cost)
    }

    #[test]
    fn no_choice_that_costs_as_little_gains_more_than_the_one_at_a_price() {
        let mut state = 11_u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..200 {
            let costs: Vec<f64> = (0..7).map(|_| (1 + random(20)) as f64).collect();
            let pairs: Vec<Pair> = (0..10)
                .map(|_| Pair {
                    items: [random(7) as usize, random(7) as usize],
                    gain: random(50) as f64,
                })
                .collect();
            let price = (1 + random(40)) as f64 / 10.0;
            let found = worth(&at_price(&costs, &pairs, price), &costs, &pairs);
            let capacity = random(90) as f64;
            let fits = |chosen: &[bool]| worth(chosen, &costs, &pairs).1 <= capacity;
            let within = worth(&choose(&costs, &pairs, &fits), &costs, &pairs);
            assert!(within.1 <= capacity);
            let mut most = 0.0_f64;
            for bits in 0..1 << 7 {
                let every: Vec<bool> = (0..7).map(|i| bits >> i & 1 == 1).collect();
                let other = worth(&every, &costs, &pairs);
                let left = |w: (f64, f64)| w.0 - price * w.1;
                assert!(left(other) <= left(found) + 1e-6, "{other:?} is better than {found:?}");
                if other.1 <= capacity {
                    most = most.max(other.0);
                }
            }
            assert!(within.0 <= most + 1e-9 && within.0 >= 0.6 * most, "{within:?} of {most}");
        }
    }
}

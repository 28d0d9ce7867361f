//! One choice for each item, at the least total loss within several budgets at once: the multiple-choice
//! knapsack problem of several dimensions.

/// What an item costs of each budget and loses if this is chosen for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// What it costs of each budget.
    pub weights: Vec<u64>,
    /// What it loses.
    pub loss: f64,
}

/// A choice for each item.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// What is chosen for each item.
    pub chosen: Vec<usize>,
    /// What that loses.
    pub loss: f64,
    /// No choice within the budgets loses less than this; equal to `loss` where the choice is the best one.
    pub bound: f64,
}

/// Partial choices that are kept for each number of items; where there are more, those of the highest bounds
/// go, and the solution may not be the best one.
const KEPT: usize = 4_000;

/// Steps in which prices of budgets are sought.
const STEPS: usize = 400;

/// A way to choose for the first items.
#[derive(Clone)]
struct Partial {
    weights: Vec<u64>,
    loss: f64,
    /// The least that the whole can lose with it.
    bound: f64,
    chosen: usize,
    /// Which partial of the items before it continues.
    before: usize,
}

/// The choice for each item, or `None` if none within the budgets was found.
///
/// Prices of the budgets that make the relaxation's bound high are found by subgradient steps; then dynamic
/// programming over partial choices drops those that cannot be completed within the budgets, or whose bound is not
/// below a choice that is already known.
#[must_use]
pub fn solve(items: &[Vec<Way>], capacities: &[u64]) -> Option<Solution> {
    let budgets = capacities.len();
    let sound = |o: &Way| o.weights.len() == budgets && o.loss.is_finite();
    if !items.iter().all(|options| !options.is_empty() && options.iter().all(sound)) {
        return None;
    }
    let (prices, mut known) = relax(items, capacities);
    let price = |o: &Way| -> f64 {
        o.loss + o.weights.iter().zip(&prices).map(|(w, p)| *w as f64 * p).sum::<f64>()
    };
    // What the items from each on pay and lose at least, and take of each budget at least.
    let mut rest = vec![0.0; items.len() + 1];
    let mut lightest = vec![vec![0_u64; budgets]; items.len() + 1];
    for (i, options) in items.iter().enumerate().rev() {
        rest[i] = rest[i + 1] + options.iter().map(&price).fold(f64::INFINITY, f64::min);
        let least = |b: usize| options.iter().map(|o| o.weights[b]).min().unwrap_or(0);
        let later = &lightest[i + 1];
        lightest[i] = (0..budgets).map(|b| later[b].saturating_add(least(b))).collect();
    }
    let mut dropped = f64::INFINITY;
    let none = Partial { weights: vec![0; budgets], loss: 0.0, bound: 0.0, chosen: 0, before: 0 };
    let mut levels: Vec<Vec<Partial>> = vec![vec![none]];
    for (i, options) in items.iter().enumerate() {
        let mut next: Vec<Partial> = Vec::new();
        for (before, partial) in levels[i].iter().enumerate() {
            for (chosen, option) in options.iter().enumerate() {
                let both = partial.weights.iter().zip(&option.weights);
                let weights: Vec<u64> = both.map(|(a, b)| a.saturating_add(*b)).collect();
                let fits =
                    |b: usize| weights[b].saturating_add(lightest[i + 1][b]) <= capacities[b];
                if !(0..budgets).all(fits) {
                    continue;
                }
                let loss = partial.loss + option.loss;
                let left = (0..budgets).map(|b| prices[b] * (capacities[b] - weights[b]) as f64);
                let bound = loss + rest[i + 1] - left.sum::<f64>();
                // The known choice itself survives its own bound despite rounding.
                if bound <= known + 1e-9 * known.abs() {
                    next.push(Partial { weights, loss, bound, chosen, before });
                }
            }
        }
        let mut next = undominated(next);
        if next.len() > KEPT {
            next.sort_by(|a, b| a.bound.total_cmp(&b.bound));
            dropped = next[KEPT..].iter().map(|p| p.bound).fold(dropped, f64::min);
            next.truncate(KEPT);
        }
        if i + 1 == items.len() {
            known = next.iter().map(|p| p.loss).fold(known, f64::min);
        }
        levels.push(next);
    }
    let last = levels.last()?;
    let mut at = (0..last.len()).min_by(|a, b| last[*a].loss.total_cmp(&last[*b].loss))?;
    let loss = last[at].loss;
    let mut chosen = vec![0; items.len()];
    for i in (0..items.len()).rev() {
        let partial = &levels[i + 1][at];
        chosen[i] = partial.chosen;
        at = partial.before;
    }
    Some(Solution { chosen, loss, bound: dropped.min(loss) })
}

/// Partial choices without those that another beats or equals in all that they take and lose.
fn undominated(mut all: Vec<Partial>) -> Vec<Partial> {
    /// How many better ones each is compared with: comparing with all takes too long where there are many.
    const COMPARED: usize = 64;
    all.sort_by(|a, b| a.loss.total_cmp(&b.loss).then_with(|| a.weights.cmp(&b.weights)));
    let mut kept: Vec<Partial> = Vec::with_capacity(all.len());
    for partial in all {
        let beaten =
            |other: &Partial| other.weights.iter().zip(&partial.weights).all(|(a, b)| a <= b);
        if !kept.iter().rev().take(COMPARED).any(beaten) {
            kept.push(partial);
        }
    }
    kept
}

/// Prices of the budgets, and the loss of a choice that is within them (infinite where none was met).
fn relax(items: &[Vec<Way>], capacities: &[u64]) -> (Vec<f64>, f64) {
    let budgets = capacities.len();
    let scale: Vec<f64> = capacities.iter().map(|c| (*c).max(1) as f64).collect();
    let spread: f64 = items
        .iter()
        .map(|options| {
            let most = options.iter().map(|o| o.loss).fold(0.0, f64::max);
            most - options.iter().map(|o| o.loss).fold(f64::INFINITY, f64::min)
        })
        .sum();
    // Prices of whole budgets.
    let mut prices = vec![0.0_f64; budgets];
    let (mut best, mut highest, mut known) = (prices.clone(), f64::NEG_INFINITY, f64::INFINITY);
    for step in 0..STEPS {
        let mut used = vec![0.0; budgets];
        let (mut loss, mut value) = (0.0, -prices.iter().sum::<f64>());
        for options in items {
            let full = |o: &Way| -> f64 {
                let each = o.weights.iter().zip(&scale).zip(&prices);
                o.loss + each.map(|((w, s), p)| *w as f64 / s * p).sum::<f64>()
            };
            let Some(taken) = options.iter().min_by(|a, b| full(a).total_cmp(&full(b))) else {
                continue;
            };
            value += full(taken);
            loss += taken.loss;
            for (b, used) in used.iter_mut().enumerate() {
                *used += taken.weights[b] as f64 / scale[b];
            }
        }
        if value > highest {
            (highest, best) = (value, prices.clone());
        }
        if used.iter().all(|u| *u <= 1.0) {
            known = known.min(loss);
        }
        let length: f64 = used.iter().map(|u| (u - 1.0).powi(2)).sum::<f64>().sqrt().max(1e-12);
        let by = spread / (1.0 + step as f64 / 4.0);
        for (price, used) in prices.iter_mut().zip(&used) {
            *price = (*price + by * (used - 1.0) / length).max(0.0);
        }
    }
    (best.iter().zip(&scale).map(|(p, s)| p / s).collect(), known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least loss by trying everything.
    fn exhaustive(items: &[Vec<Way>], left: &[u64]) -> Option<f64> {
        let Some((first, rest)) = items.split_first() else { return Some(0.0) };
        let losses = first.iter().filter_map(|o| {
            let both = left.iter().zip(&o.weights);
            let left: Vec<u64> = both.map(|(l, w)| l.checked_sub(*w)).collect::<Option<_>>()?;
            Some(o.loss + exhaustive(rest, &left)?)
        });
        losses.min_by(f64::total_cmp)
    }

    fn random(state: &mut u64, n: u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 33) % n
    }

    #[test]
    fn nothing_within_all_budgets_is_better() {
        let mut state = 3;
        let mut possible = 0;
        for round in 0..300 {
            let budgets = 1 + round % 3;
            let items: Vec<Vec<Way>> = (0..6)
                .map(|_| {
                    // Fewer bytes cost more cycles, as codes that are unpacked do.
                    let size = 1 + random(&mut state, 50);
                    let option = |bits: u64, state: &mut u64| Way {
                        weights: [
                            bits * size,
                            (10 - bits) * (1 + random(state, 30)),
                            1 + random(state, 9),
                        ][..budgets]
                            .to_vec(),
                        loss: (1 + random(state, 1000)) as f64 / bits as f64,
                    };
                    [2, 3, 4, 8].into_iter().map(|bits| option(bits, &mut state)).collect()
                })
                .collect();
            let capacities: Vec<u64> =
                [1500, 900, 50][..budgets].iter().map(|c| random(&mut state, *c)).collect();
            let found = solve(&items, &capacities);
            let best = exhaustive(&items, &capacities);
            assert_eq!(found.is_some(), best.is_some(), "{round}");
            if let (Some(found), Some(best)) = (found, best) {
                possible += 1;
                for (b, capacity) in capacities.iter().enumerate() {
                    let each = items.iter().zip(&found.chosen);
                    let used: u64 = each.map(|(options, i)| options[*i].weights[b]).sum();
                    assert!(used <= *capacity);
                }
                assert!((found.loss - best).abs() < 1e-9, "{} against {best}", found.loss);
                assert_eq!(found.bound, found.loss);
            }
        }
        assert!(possible > 100, "{possible}");
    }

    #[test]
    fn many_layers_are_solved_nearly_or_quite() {
        let mut state = 11;
        let items: Vec<Vec<Way>> = (0..120)
            .map(|_| {
                let (size, loss) = (1 + random(&mut state, 5000), random(&mut state, 97) as f64);
                [2_u64, 3, 4, 6, 8]
                    .into_iter()
                    .map(|b| Way {
                        weights: vec![b * size, (10 - b) * (1 + size / 2)],
                        loss: loss / 4_f64.powi(b as i32),
                    })
                    .collect()
            })
            .collect();
        let sum = |b: usize, i: usize| items.iter().map(|o| o[i].weights[b]).sum::<u64>();
        let capacities = [sum(0, 2), sum(1, 2)];
        let found = solve(&items, &capacities).unwrap();
        assert!(found.bound > 0.0 && found.loss <= found.bound * 1.001, "{found:?}");
    }

    #[test]
    fn what_is_no_problem_has_no_solution() {
        assert_eq!(solve(&[vec![]], &[1]), None);
        let wrong = vec![Way { weights: vec![1, 2], loss: 0.0 }];
        assert_eq!(solve(&[wrong], &[1]), None);
        assert_eq!(solve(&[], &[1]).map(|s| s.chosen.len()), Some(0));
    }
}

//! One choice for each item, at the least total loss within a total weight: the multiple-choice knapsack
//! problem, solved exactly.

/// What an item costs and loses if this is chosen for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// What it costs.
    pub weight: u64,
    /// What it loses.
    pub loss: f64,
}

/// A way to choose for the first items that no other beats in both weight and loss.
#[derive(Clone, Copy)]
struct Partial {
    weight: u64,
    loss: f64,
    chosen: usize,
    /// Which partial of the items before it continues.
    before: usize,
}

/// The choice for each item, or `None` if even the lightest do not fit.
///
/// Dynamic programming over the undominated partial choices, of which those are dropped whose bound
/// (from the relaxation with a price on weight) is above a choice that is already known.
#[must_use]
pub fn solve(items: &[Vec<Choice>], capacity: u64) -> Option<Vec<usize>> {
    let lightest: u64 =
        items.iter().map(|c| c.iter().map(|c| c.weight).min()).sum::<Option<u64>>()?;
    if lightest > capacity {
        return None;
    }
    let (price, known) = relax(items, capacity);
    // What the items from each on lose and pay at least.
    let mut rest = vec![0.0; items.len() + 1];
    for (i, choices) in items.iter().enumerate().rev() {
        rest[i] = rest[i + 1]
            + choices
                .iter()
                .map(|c| c.loss + price * c.weight as f64)
                .fold(f64::INFINITY, f64::min);
    }
    let mut lighter = vec![0; items.len() + 1];
    for (i, choices) in items.iter().enumerate().rev() {
        lighter[i] = lighter[i + 1] + choices.iter().map(|c| c.weight).min().unwrap_or(0);
    }
    let mut levels: Vec<Vec<Partial>> =
        vec![vec![Partial { weight: 0, loss: 0.0, chosen: 0, before: 0 }]];
    for (i, choices) in items.iter().enumerate() {
        let mut next: Vec<Partial> = Vec::new();
        for (before, partial) in levels[i].iter().enumerate() {
            for (chosen, choice) in choices.iter().enumerate() {
                let weight = partial.weight + choice.weight;
                let loss = partial.loss + choice.loss;
                if weight + lighter[i + 1] > capacity {
                    continue;
                }
                let bound = loss + rest[i + 1] - price * (capacity - weight) as f64;
                // The known choice itself survives its own bound despite rounding.
                if bound > known + 1e-9 * known.abs() {
                    continue;
                }
                next.push(Partial { weight, loss, chosen, before });
            }
        }
        next.sort_by(|a, b| a.weight.cmp(&b.weight).then(a.loss.total_cmp(&b.loss)));
        let mut least = f64::INFINITY;
        next.retain(|p| {
            let better = p.loss < least;
            least = least.min(p.loss);
            better
        });
        levels.push(next);
    }
    let last = levels.last()?;
    let mut at = (0..last.len()).min_by(|a, b| last[*a].loss.total_cmp(&last[*b].loss))?;
    let mut out = vec![0; items.len()];
    for i in (0..items.len()).rev() {
        let partial = levels[i + 1][at];
        out[i] = partial.chosen;
        at = partial.before;
    }
    Some(out)
}

/// A price of weight at which choosing freely about fills the capacity, and the loss of a choice that
/// fits.
fn relax(items: &[Vec<Choice>], capacity: u64) -> (f64, f64) {
    let at = |price: f64| -> (u64, f64) {
        items
            .iter()
            .filter_map(|choices| {
                choices.iter().min_by(|a, b| {
                    let cost = |c: &Choice| c.loss + price * c.weight as f64;
                    cost(a).total_cmp(&cost(b)).then(a.weight.cmp(&b.weight))
                })
            })
            .fold((0, 0.0), |(w, l), c| (w + c.weight, l + c.loss))
    };
    let fits = |price: f64| at(price).0 <= capacity;
    if fits(0.0) {
        return (0.0, at(0.0).1);
    }
    let (mut low, mut high) = (0.0, 1e-300);
    while !fits(high) && high < 1e300 {
        high *= 1e3;
    }
    for _ in 0..200 {
        let middle = if low == 0.0 { high * 1e-3 } else { (low * high).sqrt() };
        if fits(middle) { high = middle } else { low = middle }
    }
    (high, at(high).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least loss by trying everything.
    fn exhaustive(items: &[Vec<Choice>], capacity: u64) -> Option<f64> {
        let Some((first, rest)) = items.split_first() else { return Some(0.0) };
        first
            .iter()
            .filter(|c| c.weight <= capacity)
            .filter_map(|c| Some(c.loss + exhaustive(rest, capacity - c.weight)?))
            .min_by(f64::total_cmp)
    }

    #[test]
    fn nothing_is_better_than_what_is_found() {
        let mut state = 7_u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..300 {
            let items: Vec<Vec<Choice>> = (0..6)
                .map(|_| {
                    let size = 1 + random(50);
                    [2, 3, 4, 8]
                        .into_iter()
                        .map(|bits| Choice {
                            weight: bits * size,
                            loss: (1 + random(1000)) as f64 / bits as f64,
                        })
                        .collect()
                })
                .collect();
            let capacity = random(1500);
            let found = solve(&items, capacity);
            let best = exhaustive(&items, capacity);
            assert_eq!(found.is_some(), best.is_some());
            if let (Some(found), Some(best)) = (found, best) {
                let picked = || items.iter().zip(&found).map(|(c, i)| c[*i]);
                assert!(picked().map(|c| c.weight).sum::<u64>() <= capacity);
                let loss: f64 = picked().map(|c| c.loss).sum();
                assert!((loss - best).abs() < 1e-9, "{loss} against {best}");
            }
        }
    }

    #[test]
    fn many_layers_are_no_trouble() {
        let items: Vec<Vec<Choice>> = (1..=150_u64)
            .map(|i| {
                let size = 1 + i * 7919 % 5003;
                [2_u64, 3, 4, 6, 8]
                    .into_iter()
                    .map(|b| Choice {
                        weight: b * size,
                        loss: (i * 31 % 97) as f64 / 4_f64.powi(b as i32),
                    })
                    .collect()
            })
            .collect();
        let total: u64 = items.iter().map(|c| c[0].weight / 2).sum();
        let found = solve(&items, total * 3).unwrap();
        let used: u64 = items.iter().zip(&found).map(|(c, i)| c[*i].weight).sum();
        assert!(used <= total * 3 && used > total * 29 / 10);
    }
}

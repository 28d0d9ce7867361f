use crate::Problem;

/// Filters that lose weights together: one filter, or several whose blocks span them.
pub struct Strip<'a> {
    /// What the weights of each filter should be.
    pub targets: Vec<&'a [f64]>,
}

/// In which order units of weights go, and what each costs.
#[derive(Clone, Debug, Default)]
pub struct Elimination {
    /// Indices of units.
    pub order: Vec<usize>,
    /// How much the loss grows with each.
    pub costs: Vec<f64>,
}

/// The most multiplications that one strip may take; beyond it the order is found at once, without
/// looking again at what has changed.
const MOST_WORK: f64 = 2e8;

impl Problem {
    /// What the loss of some filters grows by when a unit of their weights goes and all others make up
    /// for it.
    #[must_use]
    pub fn removal_cost(&self, filters: &[Vec<f64>], unit: &[usize]) -> f64 {
        cost(self.inverse(), self.depth(), filters, unit)
    }

    /// Takes units of weights away one after another, always the one that costs least when all others
    /// make up for it (optimal brain surgeon: Hassibi and Stork, 1993; row by row: Frantar and
    /// Alistarh, 2022), until `most` are gone or none is allowed to go.
    ///
    /// A unit is a list of inputs. Of each group of units, which `group_of` tells, no more than
    /// `group_limit` go.
    #[must_use]
    pub fn eliminate(
        &self,
        strip: &Strip<'_>,
        units: &[Vec<usize>],
        most: usize,
        group_of: &dyn Fn(usize) -> usize,
        group_limit: &dyn Fn(usize) -> usize,
    ) -> Elimination {
        let n = self.depth();
        let mut done = Elimination::default();
        let mut gone_in_group = std::collections::HashMap::<usize, usize>::new();
        let work = most as f64 * (n * n) as f64;
        let mut values: Vec<Vec<f64>> = strip.targets.iter().map(|t| t.to_vec()).collect();
        let mut inverse = self.inverse().to_vec();
        let mut open: Vec<usize> =
            (0..units.len()).filter(|u| group_limit(group_of(*u)) > 0).collect();
        if work > MOST_WORK {
            let mut scored: Vec<(f64, usize)> =
                open.iter().map(|&u| (cost(&inverse, n, &values, &units[u]), u)).collect();
            scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for (cost, unit) in scored {
                let gone = gone_in_group.entry(group_of(unit)).or_default();
                if done.order.len() < most && *gone < group_limit(group_of(unit)) {
                    *gone += 1;
                    done.order.push(unit);
                    done.costs.push(cost);
                }
            }
            return done;
        }
        while done.order.len() < most {
            let mut best: Option<(f64, usize)> = None;
            for (at, &unit) in open.iter().enumerate() {
                let cost = cost(&inverse, n, &values, &units[unit]);
                if best.is_none_or(|b| cost < b.0) {
                    best = Some((cost, at));
                }
            }
            let Some((cost, at)) = best else { break };
            let unit = open.remove(at);
            done.order.push(unit);
            done.costs.push(cost);
            for &p in &units[unit] {
                remove(&mut inverse, n, &mut values, p);
            }
            let group = group_of(unit);
            let gone = gone_in_group.entry(group).or_default();
            *gone += 1;
            if *gone >= group_limit(group) {
                open.retain(|u| group_of(*u) != group);
            }
        }
        done
    }
}

/// What the loss grows by when the weights of a unit go: `wᵀ (H⁻¹)⁻¹ w` over the unit, for each filter.
fn cost(inverse: &[f64], n: usize, values: &[Vec<f64>], unit: &[usize]) -> f64 {
    if let [p] = unit {
        let pivot = inverse[p * n + p].max(f64::MIN_POSITIVE);
        return values.iter().map(|v| v[*p] * v[*p]).sum::<f64>() / pivot;
    }
    let l = crate::matrix::cholesky(inverse, n, unit);
    let size = unit.len();
    let mut sum = 0.0;
    for v in values {
        // |L⁻¹ w|²
        let mut y = vec![0.0; size];
        for i in 0..size {
            let before: f64 = (0..i).map(|k| l[i * size + k] * y[k]).sum();
            y[i] = (v[unit[i]] - before) / l[i * size + i].max(f64::MIN_POSITIVE);
            sum += y[i] * y[i];
        }
    }
    sum
}

/// Takes one weight away: the others make up for it, and the inverse loses its row and column.
fn remove(inverse: &mut [f64], n: usize, values: &mut [Vec<f64>], p: usize) {
    let row: Vec<f64> = inverse[p * n..(p + 1) * n].to_vec();
    let pivot = row[p];
    if pivot <= 0.0 {
        values.iter_mut().for_each(|v| v[p] = 0.0);
        return;
    }
    for v in values.iter_mut() {
        let f = v[p] / pivot;
        v.iter_mut().zip(&row).for_each(|(v, r)| *v -= f * r);
        v[p] = 0.0;
    }
    for i in 0..n {
        let f = row[i] / pivot;
        if f != 0.0 {
            inverse[i * n..(i + 1) * n].iter_mut().zip(&row).for_each(|(h, r)| *h -= f * r);
        }
    }
    for i in 0..n {
        inverse[i * n + p] = 0.0;
        inverse[p * n + i] = 0.0;
    }
}

use crate::Moments;
use crate::matrix::{cholesky, inverse, solve_columns};
use std::sync::OnceLock;

/// What the filters of a group share: covariances of their inputs and what follows from them.
///
/// For a filter whose weights should be `target` and are `v`, the expected squared error of the result
/// is `(v - target)ᵀ H (v - target)`, with the damped covariance `H` of the inputs.
pub struct Problem {
    n: usize,
    /// Covariance of the inputs plus damping, both triangles, row-major.
    h: Vec<f64>,
    /// Maps weights to those that are best before any constraint, less the weights themselves; `None`
    /// for zero.
    correction: Option<Vec<f64>>,
    /// Means of the inputs in the changed network and in the original one.
    mean_z: Vec<f64>,
    mean_x: Vec<f64>,
    /// The order in which weights are decided: by the variance of their inputs, falling.
    order: Vec<usize>,
    /// Lower factor of the covariance whose rows are in reversed `order`.
    factor: Vec<f64>,
    inverse: OnceLock<Vec<f64>>,
}

/// What a weight may become.
pub trait Levels {
    /// The best value for a weight that should be `wanted`, where being off by `e` costs
    /// `curvature * e²` besides [`cost`](Self::cost).
    fn choose(&self, weight: usize, wanted: f64, curvature: f64) -> f64;

    /// What a value costs by itself.
    fn cost(&self, weight: usize, value: f64) -> f64 {
        let _ = (weight, value);
        0.0
    }
}

/// Multiples of a step between limits; zero where the mask says so.
pub struct Uniform<'a> {
    /// The step.
    pub scale: f64,
    /// The least and the largest multiple.
    pub limits: (f64, f64),
    /// Which weights may differ from zero; all if `None`.
    pub mask: Option<&'a [bool]>,
}

impl Levels for Uniform<'_> {
    fn choose(&self, weight: usize, wanted: f64, _: f64) -> f64 {
        if self.mask.is_some_and(|m| !m[weight]) {
            return 0.0;
        }
        self.scale * (wanted / self.scale).round().clamp(self.limits.0, self.limits.1)
    }
}

/// The values of a codebook in ascending order; zero where the mask says so.
pub struct Codebook<'a> {
    /// The values.
    pub values: &'a [f64],
    /// What each costs, such as for its code; nothing if empty.
    pub costs: &'a [f64],
    /// Which weights may differ from zero; all if `None`.
    pub mask: Option<&'a [bool]>,
}

impl Levels for Codebook<'_> {
    fn choose(&self, weight: usize, wanted: f64, curvature: f64) -> f64 {
        if self.mask.is_some_and(|m| !m[weight]) {
            return 0.0;
        }
        let mut best = (f64::INFINITY, 0.0);
        for (i, value) in self.values.iter().enumerate() {
            let cost = self.costs.get(i).copied().unwrap_or(0.0);
            let all = curvature * (wanted - value).powi(2) + cost;
            if all < best.0 {
                best = (all, *value);
            }
        }
        best.1
    }

    fn cost(&self, weight: usize, value: f64) -> f64 {
        if self.costs.is_empty() || self.mask.is_some_and(|m| !m[weight]) {
            return 0.0;
        }
        let at = self.values.partition_point(|v| *v < value);
        self.costs.get(at).copied().unwrap_or(0.0)
    }
}

/// Multiples of a step of which each costs what its code is long.
pub struct Coded<'a> {
    /// The step.
    pub scale: f64,
    /// The largest multiple.
    pub limit: i32,
    /// Cost of the multiples from `-limit` to `limit`.
    pub costs: &'a [f64],
    /// Which weights may differ from zero; all if `None`.
    pub mask: Option<&'a [bool]>,
}

impl Coded<'_> {
    fn at(&self, q: i32) -> f64 {
        self.costs.get((q + self.limit) as usize).copied().unwrap_or(0.0)
    }
}

impl Levels for Coded<'_> {
    fn choose(&self, weight: usize, wanted: f64, curvature: f64) -> f64 {
        if self.mask.is_some_and(|m| !m[weight]) {
            return 0.0;
        }
        let middle = (wanted / self.scale).round().clamp(-1e6, 1e6) as i32;
        let mut best = (f64::INFINITY, 0.0);
        for q in [middle - 2, middle - 1, middle, middle + 1, middle + 2, 0] {
            if q.abs() > self.limit {
                continue;
            }
            let value = f64::from(q) * self.scale;
            let all = curvature * (wanted - value).powi(2) + self.at(q);
            if all < best.0 {
                best = (all, value);
            }
        }
        if best.0.is_finite() {
            return best.1;
        }
        f64::from(middle.clamp(-self.limit, self.limit)) * self.scale
    }

    fn cost(&self, _: usize, value: f64) -> f64 {
        self.at((value / self.scale).round() as i32)
    }
}

/// The integer weights of one filter.
pub struct Row {
    /// The integers, in the order of the weights.
    pub ints: Vec<i8>,
    /// What one step of them stands for.
    pub scale: f32,
    /// What is added to the bias.
    pub shift: f64,
    /// Variance of the filter's result.
    pub signal: f64,
    /// Its expected squared error.
    pub noise: f64,
    /// The error of rounding to nearest.
    pub nearest: f64,
}

/// Scales that are tried for each filter, relative to that of the largest weight.
const SCALES: [f64; 14] =
    [1.0, 0.95, 0.9, 0.86, 0.82, 0.78, 0.74, 0.7, 0.66, 0.62, 0.58, 0.54, 0.5, 0.45];

/// The same for many integers, where the largest weight costs little resolution.
const FINE_SCALES: [f64; 4] = [1.0, 0.97, 0.94, 0.9];

/// The largest magnitude of numbers.
fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |a, x| a.max(x.abs()))
}

/// The integers between limits that are nearest to weights.
fn nearest_integers(weights: &[f32], scale: f64, (least, most): (f64, f64)) -> Vec<f64> {
    weights.iter().map(|x| (f64::from(*x) / scale).round().clamp(least, most)).collect()
}

/// Filters whose scale would be smaller compute nothing that matters, and become zero.
const SMALLEST: f64 = 1e-18;

/// Rounds of single steps and of fitting the scale.
const SWEEPS: usize = 4;
const FITS: usize = 3;

impl Problem {
    /// The problem of one group of filters. `damping` is added to the variance of each input, relative
    /// to the mean variance; with `correct`, errors of earlier layers are made up for.
    #[must_use]
    pub fn new(moments: &Moments, group: usize, damping: f64, correct: bool) -> Self {
        let n = moments.depth;
        let sums = &moments.groups[group];
        let count = moments.count.max(1.0);
        let mean_z: Vec<f64> = sums.z.iter().map(|v| v / count).collect();
        let mean_x: Vec<f64> = sums.x.iter().map(|v| v / count).collect();
        let mut h = vec![0.0; n * n];
        for i in 0..n {
            for j in i..n {
                let covariance = sums.zz[i * n + j] / count - mean_z[i] * mean_z[j];
                h[i * n + j] = covariance;
                h[j * n + i] = covariance;
            }
        }
        let mean_variance = (0..n).map(|i| h[i * n + i].max(0.0)).sum::<f64>() / n.max(1) as f64;
        // Covariances of few observations are known badly: where there are not many times as many of them
        // as inputs, more is added.
        let scarcity = n as f64 / count;
        let damped = |by: f64| if mean_variance > 0.0 { by * mean_variance } else { 1.0 };
        let correction = (correct && !sums.zx.is_empty()).then(|| {
            let mut d = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..n {
                    let cross = sums.zx[i * n + j] / count - mean_z[i] * mean_x[j];
                    d[i * n + j] = cross - h[i * n + j];
                }
            }
            let ridge = damped(damping.max(scarcity));
            let mut h = h.clone();
            (0..n).for_each(|i| h[i * n + i] = h[i * n + i].max(0.0) + ridge);
            let identity: Vec<usize> = (0..n).collect();
            let l = cholesky(&h, n, &identity);
            solve_columns(&l, n, &mut d);
            d
        });
        let damp = damped(damping.max(scarcity / 4.0));
        for i in 0..n {
            h[i * n + i] = h[i * n + i].max(0.0) + damp;
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| h[b * n + b].total_cmp(&h[a * n + a]).then(a.cmp(b)));
        let reversed: Vec<usize> = order.iter().rev().copied().collect();
        let factor = cholesky(&h, n, &reversed);
        Self { n, h, correction, mean_z, mean_x, order, factor, inverse: OnceLock::new() }
    }

    /// Inputs of a filter.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.n
    }

    /// The weights that are best before any constraint: those of the original filter, and what makes up
    /// for errors of earlier layers.
    #[must_use]
    pub fn target(&self, weights: &[f32]) -> Vec<f64> {
        let w: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
        let Some(d) = &self.correction else { return w };
        let change = |row: &[f64]| -> f64 { row.iter().zip(&w).map(|(d, w)| d * w).sum() };
        w.iter().zip(d.chunks_exact(self.n.max(1))).map(|(w, row)| w + change(row)).collect()
    }

    /// The variance of the result of a filter.
    #[must_use]
    pub fn signal(&self, weights: &[f32]) -> f64 {
        self.quadratic(&weights.iter().map(|w| f64::from(*w)).collect::<Vec<_>>())
    }

    /// What is added to the bias when original weights become `values`, so that the mean stays.
    #[must_use]
    pub fn shift(&self, weights: &[f32], values: &[f64]) -> f64 {
        let pairs = weights.iter().zip(values).enumerate();
        pairs.map(|(i, (w, v))| self.mean_x[i] * f64::from(*w) - self.mean_z[i] * v).sum()
    }

    /// The damped variance of each input.
    #[must_use]
    pub fn variances(&self) -> Vec<f64> {
        (0..self.n).map(|i| self.h[i * self.n + i]).collect()
    }

    /// What an error of a weight costs when later ones make up for it, the geometric mean over weights.
    #[must_use]
    pub fn curvature(&self) -> f64 {
        let n = self.n;
        let logs: f64 = (0..n).map(|i| self.factor[i * n + i].max(1e-150).ln()).sum();
        (2.0 * logs / n.max(1) as f64).exp()
    }

    /// The mean square of each input, damped.
    #[must_use]
    pub fn squares(&self) -> Vec<f64> {
        self.variances().iter().zip(&self.mean_z).map(|(v, m)| v + m * m).collect()
    }

    /// The inverse of the damped covariance, row-major.
    #[must_use]
    pub fn inverse(&self) -> &[f64] {
        self.inverse.get_or_init(|| inverse(&self.h, self.n))
    }

    /// The expected squared error of a filter.
    #[must_use]
    pub fn loss(&self, values: &[f64], target: &[f64]) -> f64 {
        let e: Vec<f64> = values.iter().zip(target).map(|(v, t)| v - t).collect();
        self.quadratic(&e)
    }

    /// Decides weights one after another, each together with what the errors so far ask of it, then
    /// moves single weights while that helps. Returns the values and their loss with costs.
    #[must_use]
    pub fn decide(&self, target: &[f64], levels: &dyn Levels) -> (Vec<f64>, f64) {
        let mut values = self.nearest_plane(target, levels);
        let loss = self.improve(&mut values, target, levels);
        (values, loss)
    }

    /// Rounds one filter to integers between limits at the best scale that is found. Weights outside of
    /// the mask are zero and stay zero.
    #[must_use]
    pub fn round(&self, weights: &[f32], limits: (f64, f64), mask: Option<&[bool]>) -> Row {
        let (n, limit) = (self.n, limits.1);
        let target = self.target(weights);
        let base = largest(&target) / limit;
        let finish = |q: &[f64], scale: f64, noise: f64, nearest: f64| {
            self.row(weights, q, scale, [noise, nearest])
        };
        let own = weights.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
        if f64::from(own) / limit < SMALLEST || base <= 0.0 || !base.is_finite() {
            return finish(&vec![0.0; n], 1.0 / limit, 0.0, 0.0);
        }
        let times = |q: &[f64], s: f64| q.iter().map(|q| q * s).collect::<Vec<f64>>();
        let plain = nearest_integers(weights, base, limits);
        let nearest = self.loss(&times(&plain, base), &target);
        let mut best: Option<(f64, Vec<f64>, f64)> = None;
        let scales: &[f64] = if limit >= 63.0 { &FINE_SCALES } else { &SCALES };
        for relative in scales {
            let mut scale = base * relative;
            for _ in 0..=FITS {
                let (values, loss) = self.decide(&target, &Uniform { scale, limits, mask });
                let q: Vec<f64> = values.iter().map(|v| (v / scale).round()).collect();
                if best.as_ref().is_none_or(|b| loss < b.0) {
                    best = Some((loss, q.clone(), scale));
                }
                let fitted = self.fit(&q, &target);
                match fitted.filter(|f| (f / scale - 1.0).abs() > 1e-4 && *f > 0.0) {
                    Some(f) => {
                        // The same integers at the fitted scale are never worse.
                        let loss = self.loss(&times(&q, f), &target);
                        if best.as_ref().is_none_or(|b| loss < b.0) {
                            best = Some((loss, q, f));
                        }
                        scale = f;
                    }
                    None => break,
                }
            }
        }
        match best {
            Some((loss, q, scale)) => finish(&q, scale, loss, nearest),
            None => finish(&plain, base, nearest, nearest),
        }
    }

    /// The largest magnitude that a filter's weights would have without rounding.
    #[must_use]
    pub fn reach(&self, weights: &[f32]) -> f64 {
        largest(&self.target(weights))
    }

    /// Rounds one filter to integers between limits at a given scale. Weights outside of the mask are zero
    /// and stay zero.
    #[must_use]
    pub fn round_at(
        &self,
        weights: &[f32],
        scale: f64,
        limits: (f64, f64),
        mask: Option<&[bool]>,
    ) -> Row {
        let target = self.target(weights);
        let plain = nearest_integers(weights, scale, limits);
        let real: Vec<f64> = plain.iter().map(|q| q * scale).collect();
        let nearest = self.loss(&real, &target);
        let (values, loss) = self.decide(&target, &Uniform { scale, limits, mask });
        let q: Vec<f64> = values.iter().map(|v| (v / scale).round()).collect();
        self.row(weights, &q, scale, [loss, nearest])
    }

    /// A filter of these integers, whose errors are given.
    fn row(&self, weights: &[f32], q: &[f64], scale: f64, [noise, nearest]: [f64; 2]) -> Row {
        let scale = scale as f32;
        let real: Vec<f64> = q.iter().map(|q| f64::from(scale) * q).collect();
        let shift = self.shift(weights, &real);
        let (ints, signal) = (q.iter().map(|q| *q as i8).collect(), self.signal(weights));
        Row { ints, scale, shift, signal, noise, nearest }
    }

    /// The weights that are best with all others than the `free` ones zero.
    #[must_use]
    pub fn refit(&self, target: &[f64], free: &[bool]) -> Vec<f64> {
        let n = self.n;
        let kept: Vec<usize> = (0..n).filter(|i| free[*i]).collect();
        if kept.len() == n {
            return target.to_vec();
        }
        let l = cholesky(&self.h, n, &kept);
        // H_SS v = H_S· target
        let mut d: Vec<f64> = kept
            .iter()
            .map(|i| self.h[i * n..(i + 1) * n].iter().zip(target).map(|(h, t)| h * t).sum())
            .collect();
        solve_columns(&l, kept.len(), &mut d);
        let mut values = vec![0.0; n];
        for (i, v) in kept.into_iter().zip(d) {
            values[i] = v;
        }
        values
    }

    fn quadratic(&self, e: &[f64]) -> f64 {
        let n = self.n;
        (0..n)
            .filter(|i| e[*i] != 0.0)
            .map(|i| {
                let row = &self.h[i * n..(i + 1) * n];
                e[i] * row.iter().zip(e).map(|(h, e)| h * e).sum::<f64>()
            })
            .sum()
    }

    fn nearest_plane(&self, target: &[f64], levels: &dyn Levels) -> Vec<f64> {
        let n = self.n;
        let mut values = vec![0.0; n];
        // Errors in the factor's order, of which the last is decided first, and how those decided so
        // far weigh on each of the others.
        let mut pull = vec![0.0; n];
        for (step, &weight) in self.order.iter().enumerate() {
            let j = n - 1 - step;
            let pivot = self.factor[j * n + j];
            let wanted = target[weight] + pull[j] / pivot;
            let chosen = levels.choose(weight, wanted, pivot * pivot);
            values[weight] = chosen;
            let error = target[weight] - chosen;
            if error != 0.0 {
                let row = &self.factor[j * n..j * n + j];
                pull[..j].iter_mut().zip(row).for_each(|(p, f)| *p += f * error);
            }
        }
        values
    }

    /// Moves single weights to the value that is best with all others fixed, until none moves. Returns
    /// the loss with costs.
    fn improve(&self, values: &mut [f64], target: &[f64], levels: &dyn Levels) -> f64 {
        let n = self.n;
        let error: Vec<f64> = values.iter().zip(target).map(|(v, t)| v - t).collect();
        let mut gradient = vec![0.0; n];
        for i in (0..n).filter(|i| error[*i] != 0.0) {
            let row = &self.h[i * n..(i + 1) * n];
            gradient.iter_mut().zip(row).for_each(|(g, h)| *g += h * error[i]);
        }
        for _ in 0..SWEEPS {
            let mut moved = false;
            for j in 0..n {
                let curvature = self.h[j * n + j];
                let best = levels.choose(j, values[j] - gradient[j] / curvature, curvature);
                let step = best - values[j];
                if step == 0.0 {
                    continue;
                }
                let gain = 2.0 * gradient[j] * step + curvature * step * step;
                if gain + levels.cost(j, best) - levels.cost(j, values[j]) >= 0.0 {
                    continue;
                }
                values[j] = best;
                let row = &self.h[j * n..(j + 1) * n];
                gradient.iter_mut().zip(row).for_each(|(g, h)| *g += h * step);
                moved = true;
            }
            if !moved {
                break;
            }
        }
        let costs: f64 = values.iter().enumerate().map(|(i, v)| levels.cost(i, *v)).sum();
        self.loss(values, target) + costs
    }

    /// The scale that is best for given multiples.
    #[must_use]
    pub fn fit(&self, multiples: &[f64], target: &[f64]) -> Option<f64> {
        let n = self.n;
        let (mut above, mut below) = (0.0, 0.0);
        for i in (0..n).filter(|i| multiples[*i] != 0.0) {
            let row = &self.h[i * n..(i + 1) * n];
            above += multiples[i] * row.iter().zip(target).map(|(h, t)| h * t).sum::<f64>();
            below += multiples[i] * row.iter().zip(multiples).map(|(h, q)| h * q).sum::<f64>();
        }
        (below > 0.0).then(|| above / below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::Sums;

    /// Three inputs, the first two almost the same, each of the four observations a million times.
    fn moments() -> Moments {
        let times = 1e6;
        let rows = [[1.0, 1.1, 0.3], [-0.5, -0.6, 1.0], [2.0, 1.9, -0.4], [0.1, 0.0, 0.2]];
        let n = 3;
        let mut sums =
            Sums { zz: vec![0.0; 9], zx: vec![0.0; 9], z: vec![0.0; 3], x: vec![0.0; 3] };
        for row in rows {
            for i in 0..n {
                sums.z[i] += times * row[i];
                sums.x[i] += times * row[i];
                for j in 0..n {
                    sums.zx[i * n + j] += times * row[i] * row[j];
                    if j >= i {
                        sums.zz[i * n + j] += times * row[i] * row[j];
                    }
                }
            }
        }
        Moments { depth: n, groups: vec![sums], count: 4.0 * times }
    }

    #[test]
    fn no_choice_of_integers_at_the_chosen_scale_is_better() {
        let problem = Problem::new(&moments(), 0, 0.01, false);
        for seed in 0..50 {
            let w: Vec<f32> =
                (0..3).map(|i| (((seed * 7 + i * 13) % 29) as f32 / 14.0 - 1.0) * 0.7).collect();
            let row = problem.round(&w, (-3.0, 3.0), None);
            let target: Vec<f64> = w.iter().map(|x| f64::from(*x)).collect();
            let scale = f64::from(row.scale);
            let found: Vec<f64> = row.ints.iter().map(|q| scale * f64::from(*q)).collect();
            let loss = problem.loss(&found, &target);
            let mut least = f64::INFINITY;
            for code in 0..343 {
                let q = [code % 7, code / 7 % 7, code / 49].map(|c| scale * (f64::from(c) - 3.0));
                least = least.min(problem.loss(&q, &target));
            }
            // Single steps do not always reach the best of pairs; they come close.
            assert!(loss <= least * 1.6 + 1e-9, "{seed}: {loss} against {least}");
            assert!(row.noise <= row.nearest * (1.0 + 1e-9), "{seed}");
        }
    }

    #[test]
    fn masked_weights_stay_zero_and_the_others_make_up_for_them() {
        let problem = Problem::new(&moments(), 0, 0.01, false);
        let row = problem.round(&[0.5, 0.0, 0.2], (-7.0, 7.0), Some(&[true, false, true]));
        assert_eq!(row.ints[1], 0);
        assert!(row.ints[0] > 0);
    }

    #[test]
    fn a_drifted_prefix_is_corrected() {
        let mut drifted = moments();
        // The prefix sees half of the first input.
        let sums = &mut drifted.groups[0];
        for j in 0..3 {
            sums.zx[j] *= 0.5;
            sums.zz[j] *= 0.5;
        }
        sums.zz[0] *= 0.5;
        sums.z[0] *= 0.5;
        let problem = Problem::new(&drifted, 0, 1e-6, true);
        let row = problem.round(&[1.0, 0.0, 0.0], (-127.0, 127.0), None);
        let real = f64::from(row.scale) * f64::from(row.ints[0]);
        assert!((real - 2.0).abs() < 0.2, "{real}");
        assert!(row.shift.abs() < 0.05, "{}", row.shift);
    }
}

//! Clusters of weighted points on a line.

/// Points in ascending order, equal ones as one, with sums that give the cost of any run of them.
pub struct Points {
    x: Vec<f64>,
    /// Sums of the weights, of `w x` and of `w x²` before each point, about the mean.
    w: Vec<f64>,
    wx: Vec<f64>,
    wxx: Vec<f64>,
    mean: f64,
}

/// How Lloyd's algorithm begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum Start {
    /// Not at all: the best clusters are computed directly.
    #[default]
    #[serde(rename = "OPTIMAL")]
    Optimal,
    /// Evenly spaced between the extremes.
    #[serde(rename = "LINEAR")]
    Linear,
    /// Drawn evenly between the extremes.
    #[serde(rename = "RANDOM")]
    Random,
    /// As many points between one and the next.
    #[serde(rename = "DENSITY_BASED")]
    DensityBased,
    /// Points drawn by the square of their distance to those drawn before (Arthur and Vassilvitskii,
    /// 2007).
    #[serde(rename = "KMEANS_PLUS_PLUS")]
    KMeansPlusPlus,
}

/// Table entries that one direct solution may take; larger problems are cut in the middle.
const MOST_TABLE: usize = 1 << 25;

/// A small generator of uniform numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number, in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Points {
    /// Points with their weights; those without weight do not count.
    #[must_use]
    pub fn new(mut points: Vec<(f64, f64)>) -> Self {
        points.retain(|(x, w)| x.is_finite() && *w > 0.0 && w.is_finite());
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by(|b, a| {
            let same = a.0 == b.0;
            if same {
                a.1 += b.1;
            }
            same
        });
        let total: f64 = points.iter().map(|p| p.1).sum();
        let mean = points.iter().map(|p| p.0 * p.1).sum::<f64>() / total.max(f64::MIN_POSITIVE);
        let mut sums = Self {
            x: points.iter().map(|p| p.0 - mean).collect(),
            w: vec![0.0],
            wx: vec![0.0],
            wxx: vec![0.0],
            mean,
        };
        let (mut w, mut wx, mut wxx) = (0.0, 0.0, 0.0);
        for (x, (_, weight)) in sums.x.iter().zip(&points) {
            w += weight;
            wx += weight * x;
            wxx += weight * x * x;
            sums.w.push(w);
            sums.wx.push(wx);
            sums.wxx.push(wxx);
        }
        sums
    }

    /// Number of different points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// The cost of one cluster of the points from `from` to before `to`.
    fn cost(&self, from: usize, to: usize) -> f64 {
        let w = self.w[to] - self.w[from];
        let x = self.wx[to] - self.wx[from];
        (self.wxx[to] - self.wxx[from] - x * x / w).max(0.0)
    }

    fn centre(&self, from: usize, to: usize) -> f64 {
        let w = self.w[to] - self.w[from];
        (self.wx[to] - self.wx[from]) / w + self.mean
    }

    /// What the points cost with these centres, which ascend: the weighted sum of squared distances to
    /// the nearest.
    #[must_use]
    pub fn cost_of(&self, centres: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (c, (from, to)) in centres.iter().zip(self.nearest(centres)) {
            if from < to {
                let (w, x) = (self.w[to] - self.w[from], self.wx[to] - self.wx[from]);
                let d = c - self.mean;
                sum += (self.wxx[to] - self.wxx[from] - 2.0 * d * x + d * d * w).max(0.0);
            }
        }
        sum
    }

    /// The run of points that is nearest to each centre.
    fn nearest(&self, centres: &[f64]) -> Vec<(usize, usize)> {
        let mut from = 0;
        (0..centres.len())
            .map(|i| {
                let to = match centres.get(i + 1) {
                    Some(next) => {
                        let middle = (centres[i] + next) / 2.0 - self.mean;
                        self.x.partition_point(|x| *x < middle).max(from)
                    }
                    None => self.len(),
                };
                (std::mem::replace(&mut from, to), to)
            })
            .collect()
    }

    /// The centres of the `k` clusters of least cost, ascending; fewer if there are fewer points.
    ///
    /// Clusters on a line are runs of the sorted points, and the best last run moves on with its end,
    /// so that each cluster more takes `n log n` steps (Wu, 1991; Grønlund and others, 2017).
    #[must_use]
    pub fn optimal(&self, k: usize) -> Vec<f64> {
        let k = k.min(self.len());
        if k == 0 {
            return Vec::new();
        }
        let mut ends = Vec::with_capacity(k);
        self.split(0, self.len(), k, &mut ends);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(&ends).map(|(from, to)| self.centre(from, *to)).collect()
    }

    /// The least cost of 1, 2, ... `most` clusters.
    #[must_use]
    pub fn least_costs(&self, most: usize) -> Vec<f64> {
        let n = self.len();
        if n == 0 {
            return vec![0.0; most];
        }
        let mut row: Vec<f64> =
            (0..=n).map(|j| if j == 0 { 0.0 } else { self.cost(0, j) }).collect();
        let mut costs = vec![row[n]];
        for k in 2..=most {
            if k > n {
                costs.push(0.0);
                continue;
            }
            let mut next = vec![f64::INFINITY; n + 1];
            self.next_row(0, n, k, &row, &mut |j, cost, _| next[j] = cost);
            row = next;
            costs.push(row[n]);
        }
        costs
    }

    /// Appends the ends of the best `k` runs of a range.
    fn split(&self, from: usize, to: usize, k: usize, ends: &mut Vec<usize>) {
        let n = to - from;
        if k <= 1 {
            ends.push(to);
            return;
        }
        if k == n {
            ends.extend(from + 1..=to);
            return;
        }
        let first = |j: usize| if j == 0 { 0.0 } else { self.cost(from, from + j) };
        let mut row: Vec<f64> = (0..=n).map(first).collect();
        if n.saturating_mul(k) <= MOST_TABLE {
            let mut starts: Vec<Vec<u32>> = Vec::with_capacity(k - 1);
            for clusters in 2..=k {
                let mut next = vec![f64::INFINITY; n + 1];
                let mut start = vec![0_u32; n + 1];
                self.next_row(from, n, clusters, &row, &mut |j, cost, i| {
                    next[j] = cost;
                    start[j] = i as u32;
                });
                row = next;
                starts.push(start);
            }
            let mut own = vec![n];
            for start in starts.iter().rev() {
                let end = own[own.len() - 1];
                own.push(start[end] as usize);
            }
            ends.extend(own.iter().rev().map(|e| from + e));
            return;
        }
        // Only where the runs are cut in two halves is remembered (Hirschberg, 1975).
        let half = k / 2;
        let mut cut: Vec<u32> = (0..=n as u32).collect();
        for clusters in 2..=k {
            let mut next = vec![f64::INFINITY; n + 1];
            let mut next_cut: Vec<u32> = (0..=n as u32).collect();
            self.next_row(from, n, clusters, &row, &mut |j, cost, i| {
                next[j] = cost;
                if clusters > half {
                    next_cut[j] = cut[i];
                }
            });
            row = next;
            cut = next_cut;
        }
        let middle = from + cut[n] as usize;
        self.split(from, middle, half, ends);
        self.split(middle, to, k - half, ends);
    }

    /// For each length `j` from `clusters` to `n` of a range, the least cost of so many clusters and
    /// where the last one starts, given those of one cluster less.
    fn next_row(
        &self,
        from: usize,
        n: usize,
        clusters: usize,
        row: &[f64],
        give: &mut dyn FnMut(usize, f64, usize),
    ) {
        // Ranges of ends, with the range in which their last cluster starts.
        let mut open = vec![(clusters, n, clusters - 1, n - 1)];
        while let Some((low, high, first, last)) = open.pop() {
            if low > high {
                continue;
            }
            let j = low + (high - low) / 2;
            let mut best = (f64::INFINITY, first);
            for (i, before) in row.iter().enumerate().take(last.min(j - 1) + 1).skip(first) {
                let cost = before + self.cost(from + i, from + j);
                if cost < best.0 {
                    best = (cost, i);
                }
            }
            give(j, best.0, best.1);
            open.push((low, j - 1, first, best.1));
            open.push((j + 1, high, best.1, last));
        }
    }

    /// Lloyd's algorithm from a start: centres move to the mean of what is nearest to them until none
    /// moves. Ascending; clusters that run empty go.
    #[must_use]
    pub fn lloyd(&self, start: Start, k: usize, random: &mut Random) -> Vec<f64> {
        let mut centres = self.start(start, k.min(self.len()), random);
        for _ in 0..1000 {
            centres.sort_by(f64::total_cmp);
            let runs = self.nearest(&centres);
            let runs = runs.into_iter().filter(|(from, to)| from < to);
            let moved: Vec<f64> = runs.map(|(from, to)| self.centre(from, to)).collect();
            if moved == centres {
                break;
            }
            centres = moved;
        }
        centres
    }

    fn start(&self, start: Start, k: usize, random: &mut Random) -> Vec<f64> {
        let (Some(low), Some(high)) = (self.x.first(), self.x.last()) else { return Vec::new() };
        let (low, high) = (low + self.mean, high + self.mean);
        let last = k.saturating_sub(1).max(1) as f64;
        match start {
            Start::Optimal => self.optimal(k),
            Start::Linear => (0..k).map(|i| low + (high - low) * i as f64 / last).collect(),
            Start::Random => (0..k).map(|_| low + (high - low) * random.uniform()).collect(),
            Start::DensityBased => {
                let total = self.w[self.len()];
                let at = |i: usize| {
                    let wanted = total * (i as f64 + 0.5) / k as f64;
                    self.w.partition_point(|w| *w < wanted).saturating_sub(1).min(self.len() - 1)
                };
                (0..k).map(|i| self.x[at(i)] + self.mean).collect()
            }
            Start::KMeansPlusPlus => {
                let draw = |weights: &[f64], random: &mut Random| {
                    let mut wanted = random.uniform() * weights.iter().sum::<f64>();
                    let found = weights.iter().position(|w| {
                        wanted -= w;
                        wanted < 0.0
                    });
                    found.unwrap_or(self.len() - 1)
                };
                let own: Vec<f64> = self.w.windows(2).map(|w| w[1] - w[0]).collect();
                let mut centres = vec![self.x[draw(&own, random)]];
                let mut far: Vec<f64> = vec![f64::INFINITY; self.len()];
                while centres.len() < k {
                    let newest = centres[centres.len() - 1];
                    for (f, x) in far.iter_mut().zip(&self.x) {
                        *f = f.min((x - newest).powi(2));
                    }
                    let weights: Vec<f64> = far.iter().zip(&own).map(|(f, w)| f * w).collect();
                    centres.push(self.x[draw(&weights, random)]);
                }
                centres.iter().map(|c| c + self.mean).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(n: usize, seed: u64) -> Points {
        let mut random = Random(seed);
        Points::new(
            (0..n)
                .map(|_| {
                    let x: f64 = (0..4).map(|_| random.uniform()).sum::<f64>() - 2.0;
                    (x, 0.1 + random.uniform())
                })
                .collect(),
        )
    }

    /// The least cost of all ways to cut the points into `k` runs.
    fn exhaustive(points: &Points, from: usize, k: usize) -> f64 {
        if k == 1 {
            return points.cost(from, points.len());
        }
        (from + 1..=points.len() - (k - 1))
            .map(|to| points.cost(from, to) + exhaustive(points, to, k - 1))
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn small_problems_are_solved_exactly() {
        for seed in 0..20 {
            let points = drawn(12, seed);
            for k in 1..=5 {
                let least = exhaustive(&points, 0, k);
                let centres = points.optimal(k);
                assert_eq!(centres.len(), k);
                assert!((points.cost_of(&centres) - least).abs() < 1e-9, "{seed} {k}");
                assert!((points.least_costs(k)[k - 1] - least).abs() < 1e-9, "{seed} {k}");
            }
        }
    }

    #[test]
    fn cutting_in_the_middle_gives_the_same_clusters() {
        let points = drawn(300, 3);
        let mut whole = Vec::new();
        points.split(0, 300, 9, &mut whole);
        let row: f64 = points.least_costs(9)[8];
        let ends = std::iter::once(0).chain(whole.iter().copied());
        let cost: f64 = ends.zip(&whole).map(|(from, to)| points.cost(from, *to)).sum();
        assert!((cost - row).abs() < 1e-9);
    }

    #[test]
    fn every_start_ends_at_a_local_optimum_that_is_no_better() {
        let points = drawn(400, 1);
        let best = points.cost_of(&points.optimal(8));
        let mut random = Random(5);
        for start in [Start::Linear, Start::Random, Start::DensityBased, Start::KMeansPlusPlus] {
            let centres = points.lloyd(start, 8, &mut random);
            assert!(best <= points.cost_of(&centres) * (1.0 + 1e-9), "{start:?}");
        }
    }

    #[test]
    fn few_points_keep_their_values() {
        let points = Points::new(vec![(2.0, 1.0), (1.0, 1.0), (2.0, 3.0)]);
        assert_eq!(points.optimal(16), [1.0, 2.0]);
        assert!(Points::new(Vec::new()).optimal(3).is_empty());
    }
}

use crate::histogram::Histogram;

/// Steps of an 8-bit quantization.
const LEVELS: f64 = 255.0;

/// The range without `(100 - percent) / 2` percent of the numbers at each end.
pub(crate) fn percentile(h: &Histogram, whole: (f32, f32), percent: f64) -> (f32, f32) {
    let cut = h.total() as f64 * (100.0 - percent) / 200.0;
    let mut low = f64::from(whole.0);
    let mut seen = 0.0;
    for (i, n) in h.counts().iter().enumerate() {
        seen += *n as f64;
        if seen > cut {
            // Inside the bin, by how much of it is left out.
            let part = (cut - (seen - *n as f64)) / (*n as f64);
            low = h.start() + (i as f64 + part) * h.width();
            break;
        }
    }
    let mut high = f64::from(whole.1);
    seen = 0.0;
    for (i, n) in h.counts().iter().enumerate().rev() {
        seen += *n as f64;
        if seen > cut {
            let part = (cut - (seen - *n as f64)) / (*n as f64);
            high = h.start() + (i as f64 + 1.0 - part) * h.width();
            break;
        }
    }
    inside((low, high), whole)
}

/// Cuts a range to what was seen.
fn inside((low, high): (f64, f64), whole: (f32, f32)) -> (f32, f32) {
    let low = (low as f32).clamp(whole.0, whole.1);
    let high = (high as f32).clamp(whole.0, whole.1);
    (low.min(high), high.max(low))
}

/// Running sums over the bins, each bin standing for its middle.
struct Moments {
    start: f64,
    width: f64,
    count: Vec<f64>,
    sum: Vec<f64>,
    square: Vec<f64>,
}

impl Moments {
    fn of(h: &Histogram) -> Self {
        let mut m = Self {
            start: h.start(),
            width: h.width(),
            count: vec![0.0],
            sum: vec![0.0],
            square: vec![0.0],
        };
        let (mut n, mut s, mut q) = (0.0, 0.0, 0.0);
        for (i, c) in h.counts().iter().enumerate() {
            let x = m.start + (i as f64 + 0.5) * m.width;
            let c = *c as f64;
            (n, s, q) = (n + c, s + c * x, q + c * x * x);
            m.count.push(n);
            m.sum.push(s);
            m.square.push(q);
        }
        m
    }

    /// The bin boundary nearest to `x`.
    fn at(&self, x: f64) -> usize {
        (((x - self.start) / self.width).round().max(0.0) as usize).min(self.count.len() - 1)
    }

    /// Sum of `(x - target)^2` over the bins `from..to`.
    fn error(&self, from: usize, to: usize, target: f64) -> f64 {
        let d = |v: &[f64]| v[to] - v[from];
        (d(&self.square) - 2.0 * target * d(&self.sum) + target * target * d(&self.count)).max(0.0)
    }

    /// Squared error of an 8-bit quantization to a range: what is cut off, and the rounding inside.
    fn cost(&self, low: f64, high: f64) -> f64 {
        let (a, b) = (self.at(low), self.at(high).max(self.at(low)));
        let step = (high - low) / LEVELS;
        let last = self.count.len() - 1;
        self.error(0, a, low)
            + self.error(b, last, high)
            + (self.count[b] - self.count[a]) * step * step / 12.0
    }
}

/// Candidates for each end of a range.
const CANDIDATES: usize = 96;

/// The range, with zero inside, whose quantization has the least squared error.
pub(crate) fn mse(h: &Histogram, whole: (f32, f32)) -> (f32, f32) {
    let m = Moments::of(h);
    let (low, high) = (f64::from(whole.0.min(0.0)), f64::from(whole.1.max(0.0)));
    let candidates = |end: f64| -> Vec<f64> {
        if end == 0.0 {
            return vec![0.0];
        }
        (0..CANDIDATES).map(|i| end * (1.0 - i as f64 / CANDIDATES as f64)).collect()
    };
    let mut best = (f64::INFINITY, low, high);
    for l in candidates(low) {
        for h in candidates(high) {
            let cost = m.cost(l, h);
            if h > l && cost < best.0 {
                best = (cost, l, h);
            }
        }
    }
    inside((best.1, best.2), whole)
}

/// The range, the whole one cut at a magnitude, whose quantization keeps the most information about
/// which numbers occur how often: least Kullback-Leibler divergence, as TensorRT's calibration
/// measures it (S. Migacz, "8-bit inference with TensorRT", 2017).
pub(crate) fn entropy(h: &Histogram, whole: (f32, f32)) -> (f32, f32) {
    let counts = h.counts();
    let levels = 256;
    if counts.len() <= levels {
        return whole;
    }
    let at = |x: f64| (x - h.start()) / h.width();
    let (low, high) = (f64::from(whole.0.min(0.0)), f64::from(whole.1.max(0.0)));
    let largest = high.max(-low);
    let mut best = (f64::INFINITY, low, high);
    for i in 0..CANDIDATES {
        let cut = largest * (1.0 - i as f64 / CANDIDATES as f64);
        let (l, h) = (low.max(-cut), high.min(cut));
        let from = (at(l).floor().max(0.0) as usize).min(counts.len() - 1);
        let to = (at(h).ceil().max(0.0) as usize).clamp(from + 1, counts.len());
        if to - from < levels {
            break;
        }
        let divergence = divergence(counts, from, to, levels);
        if divergence < best.0 {
            best = (divergence, l, h);
        }
    }
    inside((best.1, best.2), whole)
}

/// How much the bins `from..to`, everything outside counted into their ends, differ from the same
/// bins merged into `levels` and spread again over those that were not empty.
fn divergence(counts: &[u64], from: usize, to: usize, levels: usize) -> f64 {
    let kept = &counts[from..to];
    let mut p: Vec<f64> = kept.iter().map(|c| *c as f64).collect();
    let last = p.len() - 1;
    p[0] += counts[..from].iter().sum::<u64>() as f64;
    p[last] += counts[to..].iter().sum::<u64>() as f64;
    let mut q = vec![0.0; p.len()];
    for level in 0..levels {
        let (a, b) = (level * p.len() / levels, (level + 1) * p.len() / levels);
        let filled = kept[a..b].iter().filter(|c| **c > 0).count();
        if filled > 0 {
            let share = kept[a..b].iter().sum::<u64>() as f64 / filled as f64;
            for i in a..b {
                if kept[i] > 0 {
                    q[i] = share;
                }
            }
        }
    }
    let (total_p, total_q) = (p.iter().sum::<f64>(), q.iter().sum::<f64>());
    if total_p == 0.0 || total_q == 0.0 {
        return f64::INFINITY;
    }
    // Numbers that clipping moved into an empty bin have no counterpart; they count as almost none.
    let floor = 1e-9;
    p.iter()
        .zip(&q)
        .filter(|(p, _)| **p > 0.0)
        .map(|(p, q)| {
            let (p, q) = (p / total_p, (q / total_q).max(floor));
            p * (p / q).ln()
        })
        .sum()
}

/// Bins in a histogram.
const BINS: usize = 4096;

/// Narrowest bins: smaller numbers than `2^MIN_POWER` all fall into the two bins around zero.
const MIN_POWER: i32 = -100;

/// The narrowest bin is at least the largest number seen times two to minus this.
const DEPTH: i32 = 40;

/// How often numbers fall into bins `[i * 2^power, (i + 1) * 2^power)`. The power is the smallest for
/// which all numbers seen fall into [`BINS`] neighbouring bins (and not below [`MIN_POWER`] and [`DEPTH`]), so the
/// contents depend on the numbers only.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    power: i32,
    first: i64,
    counts: Vec<u64>,
}

fn bin(x: f32, power: i32) -> i64 {
    (f64::from(x) * 2.0_f64.powi(-power)).floor() as i64
}

impl Histogram {
    /// Adds finite numbers whose extremes are known.
    pub(crate) fn add(&mut self, numbers: &[f32], low: f32, high: f32) {
        self.cover(low, high);
        let scale = 2.0_f64.powi(-self.power);
        for &x in numbers {
            let at = (f64::from(x) * scale).floor() as i64 - self.first;
            if let Some(count) = usize::try_from(at).ok().and_then(|i| self.counts.get_mut(i)) {
                *count += 1;
            }
        }
    }

    /// Adds everything that another histogram has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            *self = other.clone();
            return;
        }
        let mut other = other.clone();
        let power = self.power.max(other.power);
        self.widen(power);
        other.widen(power);
        let ends = |h: &Self| (h.first, h.first + h.counts.len() as i64 - 1);
        let ((a, b), (c, d)) = (ends(self), ends(&other));
        let (mut first, mut last) = (a.min(c), b.max(d));
        while last - first >= BINS as i64 {
            let power = self.power + 1;
            self.widen(power);
            other.widen(power);
            (first, last) = (first.div_euclid(2), last.div_euclid(2));
        }
        self.stretch(first, last);
        for (i, n) in other.counts.iter().enumerate() {
            self.counts[(other.first - first) as usize + i] += n;
        }
    }

    /// Makes room for numbers from `low` to `high`.
    fn cover(&mut self, low: f32, high: f32) {
        let mut power = if self.counts.is_empty() { MIN_POWER } else { self.power };
        let largest = f64::from(low.abs().max(high.abs()));
        if largest > 0.0 {
            power = power.max(largest.log2().floor() as i32 - DEPTH);
        }
        if self.counts.is_empty() {
            // Directly to the right order of magnitude; the loop below settles the rest.
            let span = f64::from(high) - f64::from(low);
            if span > 0.0 {
                power = power.max((span / BINS as f64).log2().floor() as i32 - 1);
            }
        }
        let own = |power: i32, this: &Self| {
            let by = power - this.power;
            let last = this.first + this.counts.len() as i64 - 1;
            (this.first >> by.min(62), last >> by.min(62))
        };
        loop {
            let (mut first, mut last) = (bin(low, power), bin(high, power));
            if !self.counts.is_empty() {
                let (a, b) = own(power, self);
                (first, last) = (first.min(a), last.max(b));
            }
            if last - first < BINS as i64 {
                if self.counts.is_empty() {
                    (self.power, self.first) = (power, first);
                    self.counts = vec![0; (last - first) as usize + 1];
                } else {
                    self.widen(power);
                    self.stretch(first, last);
                }
                return;
            }
            power += 1;
        }
    }

    /// Merges bins until they are `2^power` wide.
    fn widen(&mut self, power: i32) {
        while self.power < power {
            let first = self.first.div_euclid(2);
            let last = (self.first + self.counts.len() as i64 - 1).div_euclid(2);
            let mut counts = vec![0; (last - first) as usize + 1];
            for (i, n) in self.counts.iter().enumerate() {
                counts[((self.first + i as i64).div_euclid(2) - first) as usize] += n;
            }
            (self.power, self.first, self.counts) = (self.power + 1, first, counts);
        }
    }

    /// Adds empty bins so that the histogram begins and ends with these.
    fn stretch(&mut self, first: i64, last: i64) {
        let front = (self.first - first).max(0) as usize;
        if front > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, front));
            self.first = first;
        }
        let wanted = (last - self.first + 1).max(0) as usize;
        if self.counts.len() < wanted {
            self.counts.resize(wanted, 0);
        }
    }

    /// Width of a bin.
    pub(crate) fn width(&self) -> f64 {
        2.0_f64.powi(self.power)
    }

    /// Where the first bin begins.
    pub(crate) fn start(&self) -> f64 {
        self.first as f64 * self.width()
    }

    /// How many numbers fell into each bin.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many numbers there are.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

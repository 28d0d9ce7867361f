/// How the results of a layer's output channels go together in two networks: sums over all samples and
/// places of what the original computes (`x`) and of what the changed one does (`z`).
#[derive(Clone, Debug)]
pub struct Pairs {
    channels: Vec<Sums>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: f64,
    x: f64,
    z: f64,
    xx: f64,
    zz: f64,
    xz: f64,
}

impl Pairs {
    /// Nothing seen yet of so many channels.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { channels: vec![Sums::default(); channels] }
    }

    /// Adds results whose last axis is that of the channels.
    pub fn add(&mut self, x: &[f32], z: &[f32]) {
        let n = self.channels.len().max(1);
        for (x, z) in x.chunks_exact(n).zip(z.chunks_exact(n)) {
            for (sums, (x, z)) in self.channels.iter_mut().zip(x.iter().zip(z)) {
                let (x, z) = (f64::from(*x), f64::from(*z));
                sums.count += 1.0;
                sums.x += x;
                sums.z += z;
                sums.xx += x * x;
                sums.zz += z * z;
                sums.xz += x * z;
            }
        }
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.channels.iter_mut().zip(&other.channels) {
            a.count += b.count;
            a.x += b.x;
            a.z += b.z;
            a.xx += b.xx;
            a.zz += b.zz;
            a.xz += b.xz;
        }
    }

    /// What is to be added to each channel of the changed network so that its mean is that of the original.
    #[must_use]
    pub fn shifts(&self) -> Vec<f64> {
        self.channels.iter().map(|s| (s.x - s.z) / s.count.max(1.0)).collect()
    }

    /// As [`shifts`](Self::shifts), after each channel of the changed network was multiplied by a factor.
    #[must_use]
    pub fn shifts_behind(&self, factors: &[f64]) -> Vec<f64> {
        let each = self.channels.iter().zip(factors);
        each.map(|(s, factor)| (s.x - factor * s.z) / s.count.max(1.0)).collect()
    }

    /// The factor of each channel of the changed network that, with a shift, brings it closest to the original:
    /// the slope of the line of least squares.
    #[must_use]
    pub fn slopes(&self) -> Vec<f64> {
        let slope = |s: &Sums| {
            let n = s.count.max(1.0);
            let spread = s.zz / n - (s.z / n).powi(2);
            let along = s.xz / n - s.x / n * (s.z / n);
            // A channel that stands still has a mean, but no slope.
            if spread > 1e-9 * (s.zz / n) { along / spread } else { 1.0 }
        };
        self.channels.iter().map(slope).collect()
    }

    /// Variance of the original over all channels, and mean square of the difference, as it is and without
    /// the difference of the means.
    #[must_use]
    pub fn errors(&self) -> (f64, f64, f64) {
        let one = |s: &Sums| {
            let n = s.count.max(1.0);
            let variance = s.xx / n - (s.x / n).powi(2);
            let error = ((s.xx + s.zz - 2.0 * s.xz) / n).max(0.0);
            (variance, error, (error - ((s.x - s.z) / n).powi(2)).max(0.0))
        };
        let each = self.channels.iter().map(one);
        each.fold((0.0, 0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_shifts_and_slopes_of_each_channel() {
        let mut pairs = Pairs::new(2);
        let z = [1.0, 5.0, 2.0, 5.0, 4.0, 5.0];
        let x: Vec<f32> = z.chunks(2).flat_map(|z| [2.0 * z[0] - 3.0, z[1] + 0.5]).collect();
        pairs.add(&x[..2], &z[..2]);
        let mut rest = Pairs::new(2);
        rest.add(&x[2..], &z[2..]);
        pairs.merge(&rest);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let slopes = pairs.slopes();
        assert!(near(slopes[0], 2.0) && near(slopes[1], 1.0), "{slopes:?}");
        let behind = pairs.shifts_behind(&slopes);
        assert!(near(behind[0], -3.0) && near(behind[1], 0.5), "{behind:?}");
        let shifts = pairs.shifts();
        assert!(near(shifts[0], 7.0 / 3.0 - 3.0) && near(shifts[1], 0.5), "{shifts:?}");
        let (variance, error, rest) = pairs.errors();
        assert!(near(variance, 4.0 * 14.0 / 9.0), "{variance}");
        assert!(near(error, (4.0 + 1.0 + 1.0) / 3.0 + 0.25), "{error}");
        assert!(near(rest, 2.0 - 4.0 / 9.0), "{rest}");
    }
}

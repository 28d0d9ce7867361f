use crate::{DataError, Result};

/// How far values are from a reference.
///
/// ```
/// use paring_data::metrics::Difference;
///
/// let mut difference = Difference::default();
/// difference.push(&[3.0, 4.0], &[3.0, 3.0])?;
/// assert_eq!(difference.max_abs(), Some(1.0));
/// assert_eq!(difference.mae(), Some(0.5));
/// # Ok::<(), paring_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    count: u64,
    signal: f64,
    square: f64,
    absolute: f64,
    largest: f64,
    unequal: u64,
    peak: f64,
}

impl Difference {
    /// Adds the values of one tensor. A value that is NaN on one side only, or infinite where the
    /// other is not the same, makes every error infinite; NaN on both sides is no difference.
    ///
    /// # Errors
    /// If the lengths differ.
    pub fn push(&mut self, reference: &[f32], values: &[f32]) -> Result<()> {
        if reference.len() != values.len() {
            let what = format!("{} values with {}", values.len(), reference.len());
            return Err(DataError::Mismatch(what));
        }
        for (&r, &v) in reference.iter().zip(values) {
            self.count += 1;
            if r.is_finite() {
                self.peak = self.peak.max(f64::from(r.abs()));
            }
            if r == v || (r.is_nan() && v.is_nan()) {
                let finite = if r.is_finite() { f64::from(r) } else { 0.0 };
                self.signal += finite * finite;
                continue;
            }
            let (r, error) = (f64::from(r), f64::from(v) - f64::from(r));
            let error = if error.is_finite() { error.abs() } else { f64::INFINITY };
            self.unequal += 1;
            self.signal += if r.is_finite() { r * r } else { 0.0 };
            self.square += error * error;
            self.absolute += error;
            self.largest = self.largest.max(error);
        }
        Ok(())
    }

    /// Adds another accumulator's values.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.signal += other.signal;
        self.square += other.square;
        self.absolute += other.absolute;
        self.largest = self.largest.max(other.largest);
        self.unequal += other.unequal;
        self.peak = self.peak.max(other.peak);
    }

    /// Values compared.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Values that differ at all.
    #[must_use]
    pub fn unequal(&self) -> u64 {
        self.unequal
    }

    /// The largest magnitude in the reference, which a picture's peak is known from.
    #[must_use]
    pub fn peak(&self) -> Option<f64> {
        (self.count > 0).then_some(self.peak)
    }

    /// Root of the mean squared error.
    #[must_use]
    pub fn rmse(&self) -> Option<f64> {
        self.mean(self.square).map(f64::sqrt)
    }

    /// Mean absolute error.
    #[must_use]
    pub fn mae(&self) -> Option<f64> {
        self.mean(self.absolute)
    }

    /// Largest absolute error.
    #[must_use]
    pub fn max_abs(&self) -> Option<f64> {
        (self.count > 0).then_some(self.largest)
    }

    /// Power of the reference over power of the error in decibels, which for a quantized model is
    /// its SQNR. Infinite if nothing differs.
    #[must_use]
    pub fn snr_db(&self) -> Option<f64> {
        let ratio = if self.square == 0.0 { f64::INFINITY } else { self.signal / self.square };
        (self.count > 0).then(|| 10.0 * ratio.log10())
    }

    /// Peak signal-to-noise ratio in decibels for values that reach up to `peak`, such as 255 or 1.
    /// Infinite if nothing differs.
    #[must_use]
    pub fn psnr_db(&self, peak: f64) -> Option<f64> {
        let mean = self.mean(self.square)?;
        let ratio = if mean == 0.0 { f64::INFINITY } else { peak * peak / mean };
        Some(10.0 * ratio.log10())
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.count > 0).then(|| sum / self.count as f64)
    }
}

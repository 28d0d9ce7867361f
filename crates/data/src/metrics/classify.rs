use crate::{DataError, Result};

/// The index of the largest score, the first of equals; NaN is below everything. `None` if there
/// are no scores.
#[must_use]
pub fn argmax(scores: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (i, &score) in scores.iter().enumerate() {
        let score = if score.is_nan() { f32::NEG_INFINITY } else { score };
        if best.is_none_or(|(_, top)| score > top) {
            best = Some((i, score));
        }
    }
    best.map(|(i, _)| i)
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// How often the right class is among the `k` best.
///
/// ```
/// use paring_data::metrics::TopK;
///
/// let mut top2 = TopK::new(2);
/// top2.push(&[0.1, 0.7, 0.2], 2);
/// top2.push(&[0.1, 0.7, 0.2], 0);
/// assert_eq!(top2.percent(), Some(50.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK {
    k: usize,
    right: u64,
    count: u64,
}

impl TopK {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self { k, right: 0, count: 0 }
    }

    /// Counts a sample. Among equal scores the earlier class is the better one; a label beyond the
    /// scores and a NaN at the label are wrong answers.
    pub fn push(&mut self, scores: &[f32], label: usize) {
        self.count += 1;
        let Some(&own) = scores.get(label).filter(|own| !own.is_nan()) else { return };
        let better = |(i, &score): (usize, &f32)| score > own || (score == own && i < label);
        let rank = scores.iter().enumerate().filter(|&entry| better(entry)).count();
        self.right += u64::from(rank < self.k);
    }

    /// Adds another accumulator's samples.
    pub fn merge(&mut self, other: &Self) {
        self.right += other.right;
        self.count += other.count;
    }

    /// Samples counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Samples answered right.
    #[must_use]
    pub fn right(&self) -> u64 {
        self.right
    }

    /// Share of right answers in percent.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        percent(self.right, self.count)
    }
}

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

/// Tables of more classes are refused: they would take gigabytes.
const MAX_CLASSES: usize = 1 << 14;

impl Confusion {
    /// An empty table.
    ///
    /// # Errors
    /// If there are more than 16,384 classes.
    pub fn new(classes: usize) -> Result<Self> {
        if classes > MAX_CLASSES {
            let what = format!("a confusion table of {classes} classes; up to {MAX_CLASSES} fit");
            return Err(DataError::Mismatch(what));
        }
        Ok(Self { classes, counts: vec![0; classes * classes] })
    }

    /// Counts a sample.
    ///
    /// # Errors
    /// If either class is not in the table.
    pub fn push(&mut self, label: usize, predicted: usize) -> Result<()> {
        if label >= self.classes || predicted >= self.classes {
            let what = format!(
                "label {label} and answer {predicted} with {} classes; check that data and model \
                 number the same classes",
                self.classes
            );
            return Err(DataError::Mismatch(what));
        }
        self.counts[label * self.classes + predicted] += 1;
        Ok(())
    }

    /// Adds another table's samples.
    ///
    /// # Errors
    /// If it has another number of classes.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.classes != self.classes {
            let what = format!("tables of {} and {} classes", self.classes, other.classes);
            return Err(DataError::Mismatch(what));
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        Ok(())
    }

    /// One row a true class, one column an answer.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes.max(1))
    }

    /// Share of samples on the diagonal, in percent.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        percent((0..self.classes).map(|c| self.diagonal(c)).sum(), self.counts.iter().sum())
    }

    /// Of the samples of a class, the share that was found, in percent.
    #[must_use]
    pub fn recall(&self, class: usize) -> Option<f64> {
        let row = self.rows().nth(class)?;
        percent(self.diagonal(class), row.iter().sum())
    }

    /// Of the answers of a class, the share that was right, in percent.
    #[must_use]
    pub fn precision(&self, class: usize) -> Option<f64> {
        if class >= self.classes {
            return None;
        }
        percent(self.diagonal(class), self.rows().map(|row| row[class]).sum())
    }

    fn diagonal(&self, class: usize) -> u64 {
        self.counts[class * self.classes + class]
    }
}

/// How often two models answer the same class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    same: u64,
    count: u64,
}

impl Agreement {
    /// Counts a sample by the best class of each; two empty answers agree.
    pub fn push(&mut self, one: &[f32], other: &[f32]) {
        self.count += 1;
        self.same += u64::from(argmax(one) == argmax(other));
    }

    /// Adds another accumulator's samples.
    pub fn merge(&mut self, other: &Self) {
        self.same += other.same;
        self.count += other.count;
    }

    /// Share of samples with the same class, in percent.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        percent(self.same, self.count)
    }
}

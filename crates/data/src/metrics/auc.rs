/// Area under the receiver operating characteristic: the chance that a random positive sample
/// scores above a random negative one, equal scores counting half (the Mann-Whitney statistic).
///
/// It keeps every score, eight bytes a sample.
///
/// ```
/// use paring_data::metrics::Auc;
///
/// let mut auc = Auc::default();
/// for (score, positive) in [(0.1, false), (0.4, true), (0.4, false), (0.8, true)] {
///     auc.push(score, positive);
/// }
/// assert_eq!(auc.value(), Some(0.875));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Auc {
    scores: Vec<(f32, bool)>,
}

impl Auc {
    /// Adds a sample; NaN counts as the lowest score.
    pub fn push(&mut self, score: f32, positive: bool) {
        let score = if score.is_nan() { f32::NEG_INFINITY } else { score };
        self.scores.push((score, positive));
    }

    /// Adds another accumulator's samples.
    pub fn merge(&mut self, other: &Self) {
        self.scores.extend_from_slice(&other.scores);
    }

    /// The area in `[0, 1]`; `None` unless there are samples of both kinds.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let mut sorted = self.scores.clone();
        // No score is NaN, so partial order is total here, and -0.0 equals 0.0.
        sorted.sort_unstable_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        let (mut negatives, mut positives, mut twice_wins) = (0_u64, 0_u64, 0_u128);
        for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
            let up = ties.iter().filter(|(_, positive)| *positive).count() as u64;
            let down = ties.len() as u64 - up;
            twice_wins += u128::from(up) * u128::from(2 * negatives + down);
            negatives += down;
            positives += up;
        }
        let pairs = u128::from(negatives) * u128::from(positives);
        (pairs > 0).then(|| twice_wins as f64 / (2 * pairs) as f64)
    }
}

/// How much is pruned at each step of training.
///
/// Sparsity changes at the steps `begin`, `begin + frequency`, ... up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Schedule {
    /// The same from the first step on.
    Constant {
        /// Share of weights that are zero.
        sparsity: f64,
        /// First step that prunes.
        begin: u64,
        /// Last step that prunes; none if left out.
        end: Option<u64>,
        /// Steps between one pruning and the next.
        frequency: u64,
    },
    /// From an initial sparsity to a final one: the distance to the final one falls as a power of the
    /// steps that are left (Zhu and Gupta, 2017, with a power of 3).
    Polynomial {
        /// Share of zeros at the first step.
        initial: f64,
        /// Share of zeros at the last step.
        last: f64,
        /// First step that prunes.
        begin: u64,
        /// Last step that prunes.
        end: u64,
        /// Steps between one pruning and the next.
        frequency: u64,
        /// The power.
        power: f64,
    },
}

impl Schedule {
    /// The sparsity to prune to at a step; `None` where nothing is pruned.
    #[must_use]
    pub fn at(&self, step: u64) -> Option<f64> {
        let (begin, end, frequency) = match *self {
            Self::Constant { begin, end, frequency, .. } => (begin, end, frequency),
            Self::Polynomial { begin, end, frequency, .. } => (begin, Some(end), frequency),
        };
        let since = step.checked_sub(begin)?;
        if end.is_some_and(|end| step > end) || !since.is_multiple_of(frequency.max(1)) {
            return None;
        }
        Some(match *self {
            Self::Constant { sparsity, .. } => sparsity,
            Self::Polynomial { initial, last, begin, end, power, .. } => {
                let length = end.saturating_sub(begin).max(1) as f64;
                let left = (1.0 - since as f64 / length).clamp(0.0, 1.0);
                last + (initial - last) * left.powf(power)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparsity_follows_the_schedule() {
        let constant = Schedule::Constant { sparsity: 0.5, begin: 10, end: Some(20), frequency: 5 };
        assert_eq!(
            [0, 10, 12, 15, 20, 25].map(|s| constant.at(s)),
            [None, Some(0.5), None, Some(0.5), Some(0.5), None]
        );
        let rising = Schedule::Polynomial {
            initial: 0.0,
            last: 0.8,
            begin: 0,
            end: 100,
            frequency: 50,
            power: 3.0,
        };
        assert_eq!(rising.at(0), Some(0.0));
        assert!((rising.at(50).unwrap() - 0.7).abs() < 1e-12);
        assert_eq!(rising.at(100), Some(0.8));
        assert_eq!(rising.at(150), None);
    }
}

use serde::Deserialize;

/// What is zero together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Structure {
    /// Each weight by itself.
    #[default]
    Unstructured,
    /// Blocks of `filters` filters by `inputs` neighbouring input channels.
    Block {
        /// Filters that a block spans.
        filters: usize,
        /// Input channels that a block spans.
        inputs: usize,
    },
    /// At most `n` of every `m` weights of a filter that lie side by side are kept.
    Of {
        /// Weights kept.
        n: usize,
        /// Of so many.
        m: usize,
    },
}

impl TryFrom<String> for Structure {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pair = |separator: char| {
            let (a, b) = text.split_once(separator)?;
            Some((a.parse::<usize>().ok()?, b.parse::<usize>().ok()?))
        };
        match (text.as_str(), pair('x'), pair(':')) {
            ("unstructured", ..) => Ok(Self::Unstructured),
            (_, Some((filters @ 1..=64, inputs @ 1..=64)), _) => {
                Ok(Self::Block { filters, inputs })
            }
            (_, _, Some((n, m @ 2..=64))) if (1..m).contains(&n) => Ok(Self::Of { n, m }),
            _ => Err(format!(
                "structure `{text}`; known: unstructured, blocks as 1x4 (filters by inputs, up to 64), \
                 and 2:4 (kept of so many)"
            )),
        }
    }
}

impl Structure {
    /// Filters and neighbouring inputs of a block.
    pub(crate) fn extents(self) -> [usize; 2] {
        match self {
            Self::Block { filters, inputs } => [filters, inputs],
            _ => [1, 1],
        }
    }

    /// Filters that go together.
    pub(crate) fn filters(self) -> usize {
        match self {
            Self::Block { filters, .. } => filters,
            _ => 1,
        }
    }

    /// Extents of a block of weights of this rank.
    pub(crate) fn block(self, rank: usize) -> Vec<usize> {
        let mut block = vec![1; rank];
        if let Self::Block { filters, inputs } = self {
            if let Some(first) = block.first_mut() {
                *first = filters;
            }
            if let Some(last) = block.last_mut() {
                *last = inputs;
            }
        }
        block
    }

    /// The inputs that go together, for filters of `depth` weights of which `last` lie along the
    /// innermost axis.
    pub(crate) fn units(self, depth: usize, last: usize) -> Vec<Vec<usize>> {
        let width = match self {
            Self::Block { inputs, .. } => inputs,
            _ => 1,
        };
        let last = last.max(1);
        (0..depth / last)
            .flat_map(|tap| {
                (0..last).step_by(width).map(move |from| {
                    let to = (from + width).min(last);
                    (tap * last + from..tap * last + to).collect()
                })
            })
            .collect()
    }

    /// Which group of units a unit belongs to.
    pub(crate) fn group(self, unit: usize) -> usize {
        match self {
            Self::Of { m, .. } => unit / m,
            _ => 0,
        }
    }

    /// How many units of a group may go, of filters of `depth` weights.
    pub(crate) fn group_limit(self, group: usize, depth: usize) -> usize {
        match self {
            Self::Of { n, m } => (depth - (group * m).min(depth)).min(m) * (m - n) / m,
            _ => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let read = |s: &str| Structure::try_from(s.to_owned());
        assert_eq!(read("unstructured"), Ok(Structure::Unstructured));
        assert_eq!(read("4x1"), Ok(Structure::Block { filters: 4, inputs: 1 }));
        assert_eq!(read("2:4"), Ok(Structure::Of { n: 2, m: 4 }));
        for wrong in ["4:2", "0x4", "2:", "x", "blocks"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn units_do_not_cross_taps_and_groups_end_with_the_filter() {
        let block = Structure::Block { filters: 1, inputs: 4 };
        assert_eq!(
            block.units(12, 6),
            [vec![0, 1, 2, 3], vec![4, 5], vec![6, 7, 8, 9], vec![10, 11]]
        );
        let two_of_four = Structure::Of { n: 2, m: 4 };
        assert_eq!([0, 1, 2].map(|g| two_of_four.group_limit(g, 11)), [2, 2, 1]);
    }
}

//! Products with weights most of which are zero.

/// The weights of a product that are not zero: for each channel of the output some elements of a row of the left
/// side with their weights.
#[derive(Clone, Copy, Debug)]
pub struct Sparse<'a, T> {
    counts: &'a [u32],
    index: &'a [u32],
    weights: &'a [T],
    depth: usize,
}

impl<'a, T> Sparse<'a, T> {
    /// `counts` says how many weights each channel has, `index` which elements of a row they are for, of `depth`;
    /// one channel follows another.
    ///
    /// # Panics
    /// If the lengths disagree or an element is outside.
    #[must_use]
    pub fn new(counts: &'a [u32], index: &'a [u32], weights: &'a [T], depth: usize) -> Self {
        let total = counts.iter().fold(0_u64, |n, c| n + u64::from(*c));
        assert_eq!((total, index.len()), (index.len() as u64, weights.len()), "lengths of weights");
        let farthest = index.iter().fold(0, |m: u32, i| m.max(*i));
        assert!(index.is_empty() || (farthest as usize) < depth, "elements of a row");
        Self { counts, index, weights, depth }
    }

    /// Weights of each channel.
    #[must_use]
    pub fn counts(&self) -> &'a [u32] {
        self.counts
    }

    /// The elements of a row that the weights are for.
    #[must_use]
    pub fn index(&self) -> &'a [u32] {
        self.index
    }

    /// The weights.
    #[must_use]
    pub fn weights(&self) -> &'a [T] {
        self.weights
    }

    /// Elements of a row.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }
}

/// What follows the sums of a product of `i8`: products with factors are rounded twice.
#[derive(Clone, Copy, Debug)]
pub struct I8Scale<'a> {
    /// What each channel's sum begins with; the zero point of the left side is already in it.
    pub bias: &'a [i32],
    /// Mantissas of the factor of each channel.
    pub mantissas: &'a [i32],
    /// Shifts of the factor of each channel.
    pub shifts: &'a [i32],
    /// Zero point of the output.
    pub zero_point: i32,
    /// Bounds of the output; the upper one is applied last.
    pub bounds: (i8, i8),
}

/// The extents of a product, for the choice of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents {
    /// Rows of the left side.
    pub rows: usize,
    /// Elements of a row.
    pub depth: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Weights that are not zero.
    pub weights: usize,
}

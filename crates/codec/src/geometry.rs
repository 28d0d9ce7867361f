//! How a coder walks over a constant: rows (output channels) of vectors (the taps of a filter).

/// A way to see an array as `rows` x `inner` x `taps`, each with a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) taps: usize,
    pub(crate) row_stride: usize,
    pub(crate) inner_stride: usize,
    pub(crate) tap_stride: usize,
    /// Taps along the innermost spatial axis.
    pub(crate) width: usize,
}

/// Longest vector of taps that is modelled as one.
const MAX_TAPS: usize = 64;

impl Geometry {
    /// Ways that exist for a shape.
    pub(crate) const KINDS: u8 = 3;

    /// The way of number `kind`, or `None` if it does not apply to this shape. Kind 0 always does.
    ///
    /// 0: the first of several axes gives rows, everything else one vector after the other of a
    ///    single tap.
    /// 1: filters; the first axis gives rows, the last axis the inner index, those between the taps;
    ///    where the first axis has extent 1 and there are taps, the last axis gives rows (depthwise).
    /// 2: the last axis gives rows, everything else single taps.
    pub(crate) fn new(kind: u8, shape: &[usize]) -> Option<Self> {
        let first = if shape.len() > 1 { shape[0] } else { 1 };
        let last = shape.last().copied().unwrap_or(1);
        let len: usize = shape.iter().product();
        let flat = Self {
            rows: first,
            inner: len.checked_div(first).unwrap_or(0),
            taps: 1,
            row_stride: len.checked_div(first).unwrap_or(0),
            inner_stride: 1,
            tap_stride: 0,
            width: 1,
        };
        match kind {
            0 => Some(flat),
            1 if shape.len() >= 3 => {
                let between = &shape[1..shape.len() - 1];
                let taps: usize = between.iter().product();
                let width = between.last().copied().unwrap_or(1);
                if !(2..=MAX_TAPS).contains(&taps) || len == 0 {
                    return None;
                }
                Some(if first == 1 {
                    Self {
                        rows: last,
                        inner: 1,
                        taps,
                        row_stride: 1,
                        inner_stride: 0,
                        tap_stride: last,
                        width,
                    }
                } else {
                    Self {
                        rows: first,
                        inner: last,
                        taps,
                        row_stride: taps * last,
                        inner_stride: 1,
                        tap_stride: last,
                        width,
                    }
                })
            }
            2 if shape.len() >= 2 && len > 0 => Some(Self {
                rows: last,
                inner: len / last,
                row_stride: 1,
                inner_stride: last,
                ..flat
            }),
            _ => None,
        }
    }

    /// Elements of one row.
    pub(crate) fn row_len(&self) -> usize {
        self.inner * self.taps
    }

    /// Where an element lies.
    #[inline]
    pub(crate) fn index(&self, row: usize, inner: usize, tap: usize) -> usize {
        row * self.row_stride + inner * self.inner_stride + tap * self.tap_stride
    }
}

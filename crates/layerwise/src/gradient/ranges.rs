use paring_ir::ValueId;
use paring_tensor::{DType, Quant};

/// The ranges that values of a program are rounded by; values that only move numbers share one.
pub struct Ranges {
    dtype: DType,
    all: Vec<Range>,
}

struct Range {
    values: Vec<ValueId>,
    ends: (f32, f32),
    /// The step, and the least and largest multiple of it.
    scale: f32,
    least: f32,
    most: f32,
}

impl Ranges {
    pub(crate) fn new(dtype: DType) -> Self {
        Self { dtype, all: Vec::new() }
    }

    /// The range of a value: as wide as calibrated, or that of another value, wide enough for both.
    pub(crate) fn add(
        &mut self,
        value: ValueId,
        ends: Option<(f32, f32)>,
        like: Option<usize>,
    ) -> Option<usize> {
        if self.dtype == DType::F32 {
            return None;
        }
        if let Some(at) = like {
            let (low, high) = self.all[at].ends;
            let own = ends.unwrap_or((low, high));
            self.all[at].values.push(value);
            self.set(at, (low.min(own.0), high.max(own.1)));
            return Some(at);
        }
        let ends = ends?;
        self.all.push(Range { values: vec![value], ends, scale: 1.0, least: 0.0, most: 0.0 });
        let at = self.all.len() - 1;
        self.set(at, ends);
        Some(at)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nothing is rounded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The values that a range is of.
    #[must_use]
    pub fn values(&self, at: usize) -> &[ValueId] {
        &self.all[at].values
    }

    /// The least and the largest number of a range.
    #[must_use]
    pub fn ends(&self, at: usize) -> (f32, f32) {
        self.all[at].ends
    }

    /// Gives a range other ends.
    pub fn set(&mut self, at: usize, (low, high): (f32, f32)) {
        let quant = Quant::covering(low, high, self.dtype).as_per_tensor();
        let (Some((scale, zero)), Some((least, most))) = (quant, self.dtype.int_range()) else {
            return;
        };
        let multiple = |q: i64| (q - i64::from(zero)) as f32;
        let range = &mut self.all[at];
        range.ends = (low, high);
        (range.scale, range.least, range.most) = (scale, multiple(least), multiple(most));
    }

    /// Numbers as they are after rounding.
    pub(crate) fn rounded(&self, at: usize, raw: &[f32]) -> Vec<f32> {
        let Range { scale, least, most, .. } = self.all[at];
        raw.iter().map(|x| (x / scale).round().clamp(least, most) * scale).collect()
    }

    /// The numbers that rounding does not cut off.
    fn inside(&self, at: usize) -> (f32, f32) {
        let Range { scale, least, most, .. } = self.all[at];
        ((least - 0.5) * scale, (most + 0.5) * scale)
    }

    /// Adds slopes at rounded numbers to those at the numbers themselves.
    pub(crate) fn pass(&self, at: usize, raw: &[f32], slope: &[f32], to: &mut [f32]) {
        let (low, high) = self.inside(at);
        for ((to, from), x) in to.iter_mut().zip(slope).zip(raw) {
            if *x >= low && *x <= high {
                *to += from;
            }
        }
    }

    /// The slopes at the ends of a range: of numbers beyond an end, their own; inside, of how far the
    /// rounded number is off, since steps grow with the range (LSQ: Esser and others, 2020).
    pub(crate) fn slopes(
        &self,
        at: usize,
        (raw, seen): (&[f32], &[f32]),
        slope: &[f32],
    ) -> [f32; 2] {
        let (low, high) = self.inside(at);
        let range = &self.all[at];
        let steps = range.most - range.least;
        let (mut below, mut above, mut within) = (0.0_f32, 0.0_f32, 0.0_f32);
        for ((s, x), y) in slope.iter().zip(raw).zip(seen) {
            if *x < low {
                below += s;
            } else if *x > high {
                above += s;
            } else {
                within += s * (y - x);
            }
        }
        let within = within / (range.scale * steps);
        [below - within, above + within]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_ir::Graph;

    fn some_value() -> ValueId {
        let graph: Graph =
            paring_ir::text::parse("graph @g {\n%x = input : f32[1,4]\noutput %x\n}").unwrap();
        graph.inputs()[0].value
    }

    #[test]
    fn numbers_beyond_an_end_move_it_and_send_nothing_back() {
        let mut ranges = Ranges::new(DType::I8);
        let at = ranges.add(some_value(), Some((-1.28, 1.27)), None).unwrap();
        let raw = [-3.0, 2.0, 0.504, 0.01];
        let seen = ranges.rounded(at, &raw);
        for (seen, wanted) in seen.iter().zip([-1.28, 1.27, 0.5, 0.01]) {
            assert!((seen - wanted).abs() < 1e-5, "{seen} {wanted}");
        }
        let slope = [2.0, 3.0, 5.0, 0.0];
        let mut back = [0.0; 4];
        ranges.pass(at, &raw, &slope, &mut back);
        assert_eq!(back, [0.0, 0.0, 5.0, 0.0]);
        // Inside: 5 times how far the number is off, in steps, in parts of all steps.
        let within = 5.0 * (-0.4) / 255.0;
        let [low, high] = ranges.slopes(at, (&raw, &seen), &slope);
        assert!((low - (2.0 - within)).abs() < 1e-3 && (high - (3.0 + within)).abs() < 1e-3);
    }

    #[test]
    fn a_shared_range_is_wide_enough_for_all_values() {
        let mut ranges = Ranges::new(DType::I8);
        let value = some_value();
        let at = ranges.add(value, Some((0.0, 2.0)), None).unwrap();
        assert_eq!(ranges.add(value, Some((-1.0, 1.0)), Some(at)), Some(at));
        assert_eq!((ranges.ends(at), ranges.len()), ((-1.0, 2.0), 1));
        assert_eq!(ranges.add(value, None, None), None);
        assert_eq!(Ranges::new(DType::F32).add(value, Some((0.0, 1.0)), None), None);
    }
}

use crate::requant::Requant;
use crate::unit::Isa;

/// The largest sum the fast requantization takes.
const FAST_LIMIT: i64 = 1 << 30;
/// The largest sum of the upper channel of a pair.
const UPPER_LIMIT: i64 = 1 << 23;

/// Biases with the input's zero point folded in: `bias - zero * sum(weights)`.
pub(crate) fn fold_bias(weights: &[i8], bias: &[i32], per_output: usize, zero: i32) -> Vec<i32> {
    bias.iter()
        .enumerate()
        .map(|(o, &b)| {
            let row = &weights[o * per_output..(o + 1) * per_output];
            let sum: i32 = row.iter().map(|&w| i32::from(w)).sum();
            b.wrapping_sub(zero.wrapping_mul(sum))
        })
        .collect()
}

/// The largest magnitude that a channel's sum can reach for any int8 input.
fn bound(row: &[i8], bias: i32) -> i64 {
    let sum: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
    sum * 128 + i64::from(bias).abs()
}

/// Whether every channel's sum stays where the fast requantization is exact.
pub(crate) fn sums_fit(weights: &[i8], folded: &[i32], per_output: usize) -> bool {
    folded
        .iter()
        .enumerate()
        .all(|(o, &b)| bound(&weights[o * per_output..(o + 1) * per_output], b) < FAST_LIMIT)
}

/// First channels of the groups of `size` that cover `channels`; the last group moves back so that
/// it ends at the last channel.
pub(crate) fn groups(channels: usize, size: usize) -> Vec<usize> {
    (0..channels.div_ceil(size)).map(|g| (g * size).min(channels - size)).collect()
}

/// Two neighbouring channels' weights in one 16-bit lane: `256 * upper + lower`.
fn lane(lower: i8, upper: i8) -> Option<u16> {
    let value = 256 * i32::from(upper) + i32::from(lower);
    i16::try_from(value).ok().map(|v| v as u16)
}

/// A dense matrix of weights, `per_output` in a row, and the order in which inputs are consumed:
/// four at a time, `None` where the window is padded.
pub(crate) struct Matrix<'a> {
    pub weights: &'a [i8],
    pub folded: &'a [i32],
    pub per_output: usize,
    pub order: &'a [[Option<usize>; 4]],
}

impl Matrix<'_> {
    fn weight(&self, output: usize, input: Option<usize>) -> i8 {
        input.map_or(0, |k| self.weights[output * self.per_output + k])
    }

    fn upper_fits(&self, output: usize) -> bool {
        let row = &self.weights[output * self.per_output..(output + 1) * self.per_output];
        bound(row, self.folded[output]) < UPPER_LIMIT
    }

    /// The bias words of channel pairs starting at `first`.
    fn paired_bias(&self, first: usize, count: usize, out: &mut Vec<u32>) {
        for pair in (first..first + count).step_by(2) {
            let (lower, upper) = (self.folded[pair], self.folded[pair + 1]);
            out.push(lower as u32);
            out.push(upper.wrapping_mul(256).wrapping_add(lower) as u32);
        }
    }

    /// The word of a channel pair for two inputs.
    fn paired_word(&self, pair: usize, inputs: [Option<usize>; 2]) -> Option<u32> {
        let [a, b] = inputs.map(|k| lane(self.weight(pair, k), self.weight(pair + 1, k)));
        Some(u32::from(a?) | u32::from(b?) << 16)
    }

    /// The stream of `pr_mm42` for the DSP extension, or `None` when the packing cannot hold it.
    fn dsp_stream(&self, requant: &Requant) -> Option<Vec<u32>> {
        let mut out = Vec::new();
        for first in groups(self.folded.len(), 4) {
            if !(self.upper_fits(first + 1) && self.upper_fits(first + 3)) {
                return None;
            }
            self.paired_bias(first, 4, &mut out);
            for four in self.order {
                for inputs in [[four[0], four[2]], [four[1], four[3]]] {
                    out.push(self.paired_word(first, inputs)?);
                    out.push(self.paired_word(first + 2, inputs)?);
                }
            }
            self.tail(first, requant, &mut out)?;
        }
        Some(out)
    }

    fn c_stream(&self, requant: &Requant) -> Option<Vec<u32>> {
        let mut out = Vec::new();
        for first in groups(self.folded.len(), 4) {
            out.extend(self.folded[first..first + 4].iter().map(|&b| b as u32));
            for &input in self.order.iter().flatten() {
                let bytes: [u8; 4] = std::array::from_fn(|i| self.weight(first + i, input) as u8);
                out.push(u32::from_le_bytes(bytes));
            }
            self.tail(first, requant, &mut out)?;
        }
        Some(out)
    }

    fn tail(&self, first: usize, requant: &Requant, out: &mut Vec<u32>) -> Option<()> {
        let mut shifts = [0_u8; 4];
        let mut multipliers = [0_u32; 4];
        for i in 0..4 {
            let (mantissa, shift1) = requant.fast(first + i)?;
            shifts[i] = shift1 as u8;
            multipliers[i] = mantissa as u32;
        }
        out.push(first as u32);
        out.push(u32::from_le_bytes(shifts));
        out.extend(multipliers);
        Some(())
    }

    /// The weight stream of `pr_mm42`, when the fast path can do this layer.
    pub fn stream(&self, isa: Isa, requant: &Requant) -> Option<Vec<u32>> {
        let channels = self.folded.len();
        if channels < 4 || !sums_fit(self.weights, self.folded, self.per_output) {
            return None;
        }
        match isa {
            Isa::Dsp => self.dsp_stream(requant),
            _ => self.c_stream(requant),
        }
    }

    /// The weight stream of `pr_dense8`, when the fast path can do this layer.
    pub fn dense8(&self) -> Option<Vec<u32>> {
        let channels = self.folded.len();
        if channels % 8 != 0 || !sums_fit(self.weights, self.folded, self.per_output) {
            return None;
        }
        let mut out = Vec::new();
        for first in groups(channels, 8) {
            if (0..4).any(|p| !self.upper_fits(first + 2 * p + 1)) {
                return None;
            }
            self.paired_bias(first, 8, &mut out);
            for four in self.order {
                for inputs in [[four[0], four[2]], [four[1], four[3]]] {
                    for pair in 0..4 {
                        out.push(self.paired_word(first + 2 * pair, inputs)?);
                    }
                }
            }
        }
        Some(out)
    }
}

/// The order of a contiguous window of `inputs` values.
pub(crate) fn plain_order(inputs: usize) -> Vec<[Option<usize>; 4]> {
    (0..inputs.div_ceil(4))
        .map(|w| std::array::from_fn(|i| Some(4 * w + i).filter(|&k| k < inputs)))
        .collect()
}

/// The order of a window of `rows` rows: whole words of each row first, then the rows' odd ends.
pub(crate) fn window_order(rows: usize, row: usize) -> Vec<[Option<usize>; 4]> {
    let mut order = Vec::new();
    for y in 0..rows {
        for word in 0..row / 4 {
            order.push(std::array::from_fn(|i| Some(y * row + 4 * word + i)));
        }
    }
    let ends: Vec<usize> =
        (0..rows).flat_map(|y| (row - row % 4..row).map(move |i| y * row + i)).collect();
    for four in ends.chunks(4) {
        order.push(std::array::from_fn(|i| four.get(i).copied()));
    }
    order
}

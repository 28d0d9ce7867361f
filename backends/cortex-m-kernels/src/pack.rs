use paring_qmath::{Multiplier, Rounding};

use crate::Coding;
use crate::line::{Form, Line};
use crate::requant::{LEFT, Requant};
use crate::unit::Isa;

/// The largest sum the fast requantization takes.
pub(crate) const FAST_LIMIT: i64 = 1 << 30;
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
fn sums_fit(weights: &[i8], folded: &[i32], per_output: usize) -> bool {
    sums_below(FAST_LIMIT, weights, folded, per_output)
}

/// Whether every channel's sum stays below a limit.
pub(crate) fn sums_below(limit: i64, weights: &[i8], folded: &[i32], per_output: usize) -> bool {
    folded
        .iter()
        .enumerate()
        .all(|(o, &b)| bound(&weights[o * per_output..(o + 1) * per_output], b) < limit)
}

/// The channels of a layer in the form that the fast requantization takes.
pub(crate) struct Channels {
    pub weights: Vec<i8>,
    /// Biases with the input's zero point folded in.
    pub folded: Vec<i32>,
    /// Mantissa and shift of each, as [`Requant::fast`] or [`Requant::either`] gives them.
    pub fast: Vec<(i32, u32)>,
}

/// Multipliers that a kernel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scales {
    /// Below a half.
    Right,
    /// Any.
    Either,
}

impl Channels {
    /// Brings every channel into that form, or says `None` when one does not fit.
    ///
    /// A channel that gives one value for every possible input (filters of zeros, sums that always
    /// saturate) gets no weights and a bias and multiplier that are sure to give that value: such
    /// channels often come with scales far outside the ordinary.
    pub fn settle(
        weights: &[i8],
        bias: &[i32],
        per_output: usize,
        in_zero: i32,
        requant: &Requant,
        scales: Scales,
    ) -> Option<Self> {
        let mut settled = Self {
            weights: weights.to_vec(),
            folded: fold_bias(weights, bias, per_output, in_zero),
            fast: Vec::with_capacity(bias.len()),
        };
        for channel in 0..bias.len() {
            let row = &mut settled.weights[channel * per_output..(channel + 1) * per_output];
            if let Some(value) = constant(row, settled.folded[channel], requant, channel) {
                row.fill(0);
                settled.folded[channel] = 4 * (value - requant.zero);
                settled.fast.push((1 << 30, 0));
            } else {
                settled.fast.push(match scales {
                    Scales::Right => requant.fast(channel)?,
                    Scales::Either => requant.either(channel)?,
                });
            }
        }
        sums_fit(&settled.weights, &settled.folded, per_output).then_some(settled)
    }

    /// The weights, to be consumed in an order.
    pub fn matrix<'a>(&'a self, per_output: usize, order: &'a [[Option<usize>; 4]]) -> Matrix<'a> {
        let Self { weights, folded, fast } = self;
        Matrix { weights, folded, fast, per_output, order, lines: &[] }
    }

    /// How many channels' multipliers are a half or more.
    pub fn left(&self) -> usize {
        self.fast.iter().filter(|f| f.1 & LEFT != 0).count()
    }
}

impl Channels {
    /// The smallest and the largest sum of a channel for any input.
    pub fn ends(&self, channel: usize, per_output: usize) -> Option<[i32; 2]> {
        let row = self.weights.get(channel * per_output..(channel + 1) * per_output)?;
        ends(row, *self.folded.get(channel)?)
    }

    /// What a channel makes of a sum when the output's zero point is -128.
    pub fn value(&self, channel: usize) -> impl Fn(i32) -> i32 + use<> {
        let (mantissa, _) = self.fast.get(channel).copied().unwrap_or_default();
        let multiplier = Multiplier { mantissa, shift: self.exponent(channel) };
        move |sum| (multiplier.apply(sum, Rounding::Double) - 128).clamp(-128, 127)
    }

    /// The factor of a channel.
    pub fn factor(&self, channel: usize) -> f64 {
        let (mantissa, _) = self.fast.get(channel).copied().unwrap_or_default();
        f64::from(mantissa) * f64::from(self.exponent(channel) - 31).exp2()
    }

    /// How far the product of a channel is shifted to the left.
    fn exponent(&self, channel: usize) -> i32 {
        let (_, shift1) = self.fast.get(channel).copied().unwrap_or_default();
        if shift1 & LEFT == 0 { -1 - shift1 as i32 } else { (shift1 & !LEFT) as i32 - 1 }
    }

    /// The lines of all channels of a product whose output has the zero point -128, in groups of four; what they
    /// add to the sums goes into the biases.
    pub fn lines(&mut self, per_output: usize) -> Option<Vec<Line>> {
        let firsts = groups(self.folded.len(), 4);
        let lines = (0..self.folded.len())
            .map(|channel| {
                let last = firsts.iter().find(|&&first| first + 3 == channel);
                let residue = last.map(|&first| steps_back(first) as i64);
                let ends = self.ends(channel, per_output)?;
                // The bias must not take an upper channel out of what its lane can hold.
                let row = self.weights.get(channel * per_output..(channel + 1) * per_output)?;
                let free = UPPER_LIMIT - 1 - bound(row, self.folded[channel]);
                let form =
                    Form { bias: if free > 0 { free.min(LINE.bias) } else { LINE.bias }, ..LINE };
                form.line(self.value(channel), ends, self.factor(channel), residue)
            })
            .collect::<Option<Vec<Line>>>()?;
        for (bias, line) in self.folded.iter_mut().zip(&lines) {
            *bias += line.bias;
        }
        Some(lines)
    }
}

impl Channels {
    /// The lines of 3x3 windows and what sums are shifted by for them; biases become those of shifted sums.
    pub fn plane_lines(&mut self) -> Option<(u32, Vec<Line>)> {
        // Small factors want small sums, small offsets large ones.
        (2..=PLANE_LINE.sum).rev().find_map(|sum| {
            let form = Form { sum, ..PLANE_LINE };
            let lines = (0..self.folded.len())
                .map(|channel| {
                    let ends = self.ends(channel, 9)?;
                    let fits = ends.iter().all(|e| e.unsigned_abs() < 1 << 24);
                    let line = form.line(self.value(channel), ends, self.factor(channel), None);
                    line.filter(|_| fits)
                })
                .collect::<Option<Vec<Line>>>()?;
            for (bias, line) in self.folded.iter_mut().zip(&lines) {
                *bias = (*bias << sum) + line.bias;
            }
            Some((sum, lines))
        })
    }
}

/// The smallest and the largest sum for any input.
fn ends(row: &[i8], folded: i32) -> Option<[i32; 2]> {
    let ends = row.iter().fold([i64::from(folded); 2], |[low, high], &w| {
        let (a, b) = (-128 * i64::from(w), 127 * i64::from(w));
        [low + a.min(b), high + a.max(b)]
    });
    Some([i32::try_from(ends[0]).ok()?, i32::try_from(ends[1]).ok()?])
}

/// The value that a channel gives for every input, if there is one: rescaling is monotone, so equal
/// ends of the range of sums tell.
fn constant(row: &[i8], folded: i32, requant: &Requant, channel: usize) -> Option<i32> {
    let [low, high] = ends(row, folded)?;
    let value = |acc: i32| {
        let scaled = requant.of(channel).apply(acc, Rounding::Double);
        scaled.saturating_add(requant.zero).clamp(requant.low.max(-128), requant.high.min(127))
    };
    (value(low) == value(high)).then(|| value(low))
}

/// First channels of the groups of `size` that cover `channels`; the last group moves back so that
/// it ends at the last channel.
pub(crate) fn groups(channels: usize, size: usize) -> Vec<usize> {
    (0..channels.div_ceil(size)).map(|g| (g * size).min(channels - size)).collect()
}

/// How many channels a group of four steps back: groups before it end at the next multiple of 4.
fn steps_back(first: usize) -> usize {
    first.next_multiple_of(4) - first
}

/// The lines of `pr_mm42_relu`.
const LINE: Form = Form { sum: 0, result: 4, offsets: 1 << 16, bias: 1 << 21 };
/// What stands for the zero point where results rise along lines.
pub(crate) const LINE_ZERO: i32 = LINE.base();
/// The lines of depthwise 3x3 windows, whose sums are multiples of `1 << sum`.
const PLANE_LINE: Form = Form { sum: 6, result: 6, offsets: 1 << 8, bias: 1 << 28 };
/// What stands for the zero point there.
pub(crate) const PLANE_LINE_ZERO: i32 = PLANE_LINE.base();

/// Two neighbouring channels' weights in one 16-bit lane: `256 * upper + lower`.
fn lane(lower: i8, upper: i8) -> Option<u16> {
    let value = 256 * i32::from(upper) + i32::from(lower);
    i16::try_from(value).ok().map(|v| v as u16)
}

/// The two pairs of inputs of a four, in the order in which columns hold them.
pub(crate) fn pairs(four: &[Option<usize>; 4]) -> [[Option<usize>; 2]; 2] {
    [[four[0], four[2]], [four[1], four[3]]]
}

/// A dense matrix of weights, `per_output` in a row, and the order in which inputs are consumed:
/// four at a time, `None` where the window is padded.
pub(crate) struct Matrix<'a> {
    pub weights: &'a [i8],
    pub folded: &'a [i32],
    /// Mantissa and shift of each output, as [`Channels`] has them; unused where one multiplier serves all.
    pub fast: &'a [(i32, u32)],
    pub per_output: usize,
    pub order: &'a [[Option<usize>; 4]],
    /// How results rise, instead of `fast`, or nothing.
    pub lines: &'a [Line],
}

impl Matrix<'_> {
    pub(crate) fn weight(&self, output: usize, input: Option<usize>) -> i8 {
        input.map_or(0, |k| self.weights[output * self.per_output + k])
    }

    pub(crate) fn upper_fits(&self, output: usize) -> bool {
        let row = &self.weights[output * self.per_output..(output + 1) * self.per_output];
        bound(row, self.folded[output]) < UPPER_LIMIT
    }

    /// The bias words of channel pairs starting at `first`.
    pub(crate) fn paired_bias(&self, first: usize, count: usize, out: &mut Vec<u32>) {
        for pair in (first..first + count).step_by(2) {
            let (lower, upper) = (self.folded[pair], self.folded[pair + 1]);
            out.push(lower as u32);
            out.push(upper.wrapping_mul(256).wrapping_add(lower) as u32);
        }
    }

    /// The word of a channel pair for two inputs.
    pub(crate) fn paired_word(&self, pair: usize, inputs: [Option<usize>; 2]) -> Option<u32> {
        let [a, b] = inputs.map(|k| lane(self.weight(pair, k), self.weight(pair + 1, k)));
        Some(u32::from(a?) | u32::from(b?) << 16)
    }

    /// The stream of `pr_mm42` for the DSP extension, or `None` when the packing cannot hold it.
    fn dsp_stream(&self) -> Option<Vec<u32>> {
        let mut out = Vec::new();
        for first in groups(self.folded.len(), 4) {
            if !(self.upper_fits(first + 1) && self.upper_fits(first + 3)) {
                return None;
            }
            self.paired_bias(first, 4, &mut out);
            for four in self.order {
                for inputs in pairs(four) {
                    out.push(self.paired_word(first, inputs)?);
                    out.push(self.paired_word(first + 2, inputs)?);
                }
            }
            self.tail(first, &mut out);
        }
        Some(out)
    }

    fn c_stream(&self) -> Vec<u32> {
        let mut out = Vec::new();
        for first in groups(self.folded.len(), 4) {
            out.extend(self.folded[first..first + 4].iter().map(|&b| b as u32));
            for &input in self.order.iter().flatten() {
                let bytes: [u8; 4] = std::array::from_fn(|i| self.weight(first + i, input) as u8);
                out.push(u32::from_le_bytes(bytes));
            }
            self.tail(first, &mut out);
        }
        out
    }

    /// Blocks of 16 inputs by `size` channels of a group; channels past the last are zeros.
    fn helium_group(&self, first: usize, size: usize, out: &mut Vec<u32>) {
        let channels = self.folded.len();
        for block in (0..self.per_output).step_by(16) {
            for channel in first..first + size {
                for word in (block..block + 16).step_by(4) {
                    let bytes: [u8; 4] = std::array::from_fn(|i| {
                        let known = channel < channels && word + i < self.per_output;
                        if known { self.weight(channel, Some(word + i)) as u8 } else { 0 }
                    });
                    out.push(u32::from_le_bytes(bytes));
                }
            }
        }
    }

    fn helium_biases(&self, first: usize, size: usize, out: &mut Vec<u32>) {
        let bias = |o: usize| self.folded.get(o).map_or(0, |&b| b as u32);
        out.extend((first..first + size).map(bias));
    }

    /// What follows the weights of a group of `pr_mm42` for Helium.
    pub(crate) fn helium_tail(&self, first: usize, out: &mut Vec<u32>) {
        self.helium_biases(first, 4, out);
        let fast = |i: usize| self.fast.get(first + i).copied().unwrap_or((0, 0));
        out.extend((0..4).map(|i| fast(i).0 as u32));
        let shift = |by: u32| if by & LEFT == 0 { -1 - by as i8 } else { (by & 31) as i8 - 1 };
        let shifts = std::array::from_fn(|i| shift(fast(i).1) as u8);
        out.push(u32::from_le_bytes(shifts));
    }

    /// The words of four inputs of which a group of four channels has a weight other than 0; at least one.
    fn helium_kept(&self, first: usize) -> Vec<usize> {
        let channels = first..(first + 4).min(self.folded.len());
        let there = |word: &usize| {
            let inputs = 4 * word..4 * word + 4;
            channels.clone().any(|o| inputs.clone().any(|k| self.weight(o, Some(k)) != 0))
        };
        let kept: Vec<usize> = (0..self.per_output / 4).filter(there).collect();
        if kept.is_empty() { vec![0] } else { kept }
    }

    /// How many fours of such words all groups have.
    pub(crate) fn helium_fours(&self) -> usize {
        let of = |first: usize| self.helium_kept(first).len().div_ceil(4);
        (0..self.folded.len()).step_by(4).map(of).sum()
    }

    /// The stream of `pr_mm42_sparse` for Helium.
    fn helium_sparse_stream(&self) -> Option<Vec<u32>> {
        let channels = self.folded.len();
        if !self.per_output.is_multiple_of(4) || self.per_output > 1024 {
            return None;
        }
        let mut out = Vec::new();
        for first in (0..channels).step_by(4) {
            let kept = self.helium_kept(first);
            out.push(kept.len().div_ceil(4) as u32);
            for four in kept.chunks(4) {
                let place = |i: usize| four.get(i).map_or(0, |&word| word as u8);
                out.push(u32::from_le_bytes(std::array::from_fn(place)));
                for channel in first..first + 4 {
                    for i in 0..4 {
                        let byte = |k: usize| match four.get(i) {
                            Some(word) if channel < channels => {
                                self.weight(channel, Some(4 * word + k)) as u8
                            }
                            _ => 0,
                        };
                        out.push(u32::from_le_bytes(std::array::from_fn(byte)));
                    }
                }
            }
            self.helium_tail(first, &mut out);
        }
        Some(out)
    }

    fn helium_stream(&self) -> Vec<u32> {
        let mut out = Vec::new();
        for first in (0..self.folded.len()).step_by(4) {
            self.helium_group(first, 4, &mut out);
            self.helium_tail(first, &mut out);
        }
        out
    }

    /// The weight stream of `pr_dense8` for Helium.
    pub fn helium_dense8(&self) -> Option<Vec<u32>> {
        if !sums_fit(self.weights, self.folded, self.per_output) {
            return None;
        }
        let mut out = Vec::new();
        for first in (0..self.folded.len()).step_by(8) {
            self.helium_group(first, 8, &mut out);
            self.helium_biases(first, 8, &mut out);
        }
        Some(out)
    }

    pub(crate) fn tail(&self, first: usize, out: &mut Vec<u32>) {
        if let Some(lines) = self.lines.get(first..first + 4) {
            for two in lines.chunks_exact(2) {
                out.push(u32::from(two[0].offset) | u32::from(two[1].offset) << 16);
                out.extend(two.iter().map(|l| l.multiplier as u32));
            }
            return;
        }
        let mut shifts = [0_u8; 4];
        let mut multipliers = [0_u32; 4];
        for i in 0..4 {
            let (mantissa, shift1) = self.fast[first + i];
            shifts[i] = shift1 as u8;
            multipliers[i] = mantissa as u32;
        }
        let back = steps_back(first);
        out.push(u32::from_le_bytes(shifts) | (back as u32) << 30);
        out.extend(multipliers);
    }

    /// What `pr_dense8_each` has behind the weights of a group.
    pub(crate) fn each_tail(&self, first: usize, out: &mut Vec<u32>) {
        if !self.fast.is_empty() {
            self.tail(first, out);
            self.tail(first + 4, out);
        }
    }

    /// The weight stream of `pr_mm42`, when the fast path can do this layer.
    pub fn stream(&self, isa: Isa, coding: Coding) -> Option<Vec<u32>> {
        if self.folded.len() < 4 && isa != Isa::Helium {
            return None;
        }
        if coding != Coding::Plain {
            return match isa {
                Isa::Helium if coding == Coding::Sparse => self.helium_sparse_stream(),
                Isa::Helium => None,
                Isa::Dsp => self.coded_stream(coding),
                Isa::V6m | Isa::V7m => self.plain_coded_stream(coding),
            };
        }
        match isa {
            Isa::Helium => Some(self.helium_stream()),
            Isa::Dsp => self.dsp_stream(),
            _ => Some(self.c_stream()),
        }
    }

    /// The weight stream of `pr_dense8`, when the fast path can do this layer.
    pub fn dense8(&self, coding: Coding) -> Option<Vec<u32>> {
        let channels = self.folded.len();
        if !channels.is_multiple_of(8) || !sums_fit(self.weights, self.folded, self.per_output) {
            return None;
        }
        if coding != Coding::Plain {
            return self.coded_dense8(coding);
        }
        let mut out = Vec::new();
        for first in groups(channels, 8) {
            if (0..4).any(|p| !self.upper_fits(first + 2 * p + 1)) {
                return None;
            }
            self.paired_bias(first, 8, &mut out);
            for four in self.order {
                for inputs in pairs(four) {
                    for pair in 0..4 {
                        out.push(self.paired_word(first + 2 * pair, inputs)?);
                    }
                }
            }
            self.each_tail(first, &mut out);
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

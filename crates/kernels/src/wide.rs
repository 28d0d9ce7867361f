//! Products of `i16` and weights of `i8` whose sums fit 32 bits: most of TFLite's 16x8 form.
//!
//! The packed form in plain Rust: [`I16Panel::put_lanes`] says how it begins; then for each element of a row one
//! weight of each channel.

use crate::interface::{I16Panel, PAD, Rows, Window};
use core::ops::Range;

/// Bytes before the numbers of channels: the bounds.
const HEAD: usize = 16;
/// Numbers of a channel: what the sum begins with, factor, shift.
const NUMBERS: usize = 3;
/// Channels that are done together.
const BLOCK: usize = 32;

/// The arithmetic of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I16Lane {
    /// What the sum begins with.
    pub start: i32,
    /// Of 15 bits.
    pub factor: i32,
    /// From 15 to 47.
    pub shift: u32,
}

impl I16Lane {
    /// The result for a sum.
    #[must_use]
    #[inline]
    pub fn apply(self, sum: i32, (low, high): (i16, i16)) -> i16 {
        let product = i64::from(sum) * i64::from(self.factor);
        let y = (product + (1 << (self.shift - 1))) >> self.shift;
        y.max(i64::from(low)).min(i64::from(high)) as i16
    }
}

impl I16Panel<'_> {
    /// Bytes that [`put_lanes`](Self::put_lanes) takes.
    #[must_use]
    pub const fn lanes_len(width: usize) -> usize {
        HEAD + 4 * NUMBERS * width
    }

    /// The arithmetic of a channel; `None` where a sum may leave 32 bits, or the factor is not below one.
    fn lane(&self, channel: usize) -> Option<I16Lane> {
        let k = self.taps * self.depth;
        let weights = &self.weights[channel * k..(channel + 1) * k];
        let magnitude: i64 = weights.iter().map(|w| i64::from(w.unsigned_abs())).sum();
        let start = i32::try_from(self.bias[channel]).ok()?;
        let fits = i64::from(start).abs() + (magnitude << 15) <= i64::from(i32::MAX);
        let (factor, shift) = self.multipliers[channel].reduced();
        // No product of 46 bits is more than zero after a longer shift.
        let shift = u32::try_from(shift).ok()?.min(47);
        (fits && shift >= 15).then_some(I16Lane { start, factor, shift })
    }

    /// Writes bounds as two `i32`, and after 16 bytes what the sum of each channel begins with, then all factors, then
    /// all shifts, as `i32`. `false` where the arithmetic of a channel is not of this kind.
    #[must_use]
    pub fn put_lanes(&self, to: &mut [u8]) -> bool {
        let mut put = |at: usize, n: i32| to[at..at + 4].copy_from_slice(&n.to_le_bytes());
        put(0, i32::from(self.bounds.0));
        put(4, i32::from(self.bounds.1));
        for c in 0..self.width {
            let lane = match c < self.bias.len() {
                true => self.lane(c),
                false => Some(I16Lane { start: 0, factor: 0, shift: 15 }),
            };
            let Some(lane) = lane else { return false };
            for (i, n) in [lane.start, lane.factor, lane.shift as i32].into_iter().enumerate() {
                put(HEAD + 4 * (i * self.width + c), n);
            }
        }
        true
    }
}

fn number(packed: &[u8], at: usize) -> i32 {
    packed.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| i32::from_le_bytes(*b))
}

fn bounds(packed: &[u8]) -> (i16, i16) {
    (number(packed, 0) as i16, number(packed, 4) as i16)
}

fn lane(packed: &[u8], width: usize, channel: usize) -> I16Lane {
    let [start, factor, shift] =
        core::array::from_fn(|i| number(packed, HEAD + 4 * (i * width + channel)));
    I16Lane { start, factor, shift: (shift as u32).clamp(15, 47) }
}

pub(crate) fn len(taps: usize, depth: usize, width: usize) -> usize {
    I16Panel::lanes_len(width) + taps * depth * width
}

pub(crate) fn pack(p: &I16Panel<'_>, packed: &mut [u8]) -> bool {
    let k = p.taps * p.depth;
    let (lanes, weights) = packed.split_at_mut(I16Panel::lanes_len(p.width));
    for (c, channel) in p.weights.chunks_exact(k.max(1)).enumerate() {
        for (k, w) in channel.iter().enumerate() {
            weights[k * p.width + c] = *w as u8;
        }
    }
    p.put_lanes(lanes)
}

pub(crate) fn gemm(
    rows: &Rows<'_, i16>,
    packed: &[u8],
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i16],
) {
    let (taps, depth, bounds) = (rows.taps(), rows.depth(), bounds(packed));
    let weights = &packed[I16Panel::lanes_len(width)..];
    for row in 0..rows.rows() {
        let (tile, at) = (row / rows.tile(), row % rows.tile());
        let piece = |tap: usize| match rows.at()[(tile * taps + tap) * rows.tile() + at] {
            PAD => &rows.pad()[..depth],
            at => &rows.a()[at as usize..][..depth],
        };
        for first in (0..cols).step_by(BLOCK) {
            let mut sums = [0_i32; BLOCK];
            let n = BLOCK.min(cols - first);
            for (k, x) in (0..taps).flat_map(piece).enumerate() {
                let w = &weights[k * width + first..][..n];
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = sum.wrapping_add(i32::from(*x) * i32::from(*w as i8));
                }
            }
            for (c, sum) in (first..).zip(&sums[..n]) {
                let lane = lane(packed, width, c);
                out[row * stride + c] = lane.apply(sum.wrapping_add(lane.start), bounds);
            }
        }
    }
}

/// Some channels of some rows of the output of a depthwise convolution.
pub fn i16_depthwise(
    window: &Window,
    x: &[i16],
    packed: &[u8],
    rows: Range<usize>,
    channels: Range<usize>,
    out: &mut [i16],
) {
    let (bounds, width) = (bounds(packed), window.channels);
    let weights = &packed[I16Panel::lanes_len(width)..];
    let pixels = rows.flat_map(|y| (0..window.out_width).map(move |column| (y, column)));
    for ((y, column), out) in pixels.zip(out.chunks_exact_mut(width)) {
        for first in channels.clone().step_by(BLOCK) {
            let mut sums = [0_i32; BLOCK];
            let n = BLOCK.min(channels.end - first);
            for tap in 0..window.taps() {
                let row = window.at(0, y, tap / window.kernel[1]);
                let column = window.at(1, column, tap % window.kernel[1]);
                let Some((row, column)) = row.zip(column) else { continue };
                let x = &x[(row * window.input[1] + column) * width + first..][..n];
                let w = &weights[tap * width + first..][..n];
                for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
                    *sum = sum.wrapping_add(i32::from(*x) * i32::from(*w as i8));
                }
            }
            for (c, sum) in (first..).zip(&sums[..n]) {
                let lane = lane(packed, width, c);
                out[c] = lane.apply(sum.wrapping_add(lane.start), bounds);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_qmath::Multiplier;

    #[test]
    fn a_lane_is_the_wide_arithmetic() {
        for real in [1e-9, 3.1e-5, 0.0123, 0.4999, 0.99999, 0.0] {
            let multipliers = [Multiplier::from_real(real)];
            let (weights, bias) = ([127, -128, 3], [-70_000]);
            let panel = I16Panel {
                weights: &weights,
                taps: 1,
                depth: 3,
                width: 1,
                bias: &bias,
                multipliers: &multipliers,
                bounds: (-32768, 32767),
            };
            let lane = panel.lane(0).unwrap();
            assert_eq!(lane.start, -70_000);
            for sum in [0, 1, -1, 70_001, 16_384, 32_768, i32::MAX, i32::MIN + 1, -70_000] {
                let whole = multipliers[0].apply_wide(i64::from(sum)).clamp(-32768, 32767);
                assert_eq!(i32::from(lane.apply(sum, panel.bounds)), whole, "{real} {sum}");
            }
        }
    }

    #[test]
    fn sums_that_may_leave_32_bits_are_refused() {
        let multipliers = [Multiplier::from_real(0.01)];
        let weights = [127; 520];
        let panel = |depth: usize, bias: &'static [i64]| {
            I16Panel {
                weights: &weights[..depth],
                taps: 1,
                depth,
                width: 1,
                bias,
                multipliers: &multipliers,
                bounds: (-32768, 32767),
            }
            .lane(0)
        };
        assert!(panel(516, &[0]).is_some());
        assert!(panel(517, &[0]).is_none());
        assert!(panel(516, &[-150_000]).is_none());
        assert!(panel(1, &[1 << 31]).is_none());
    }
}

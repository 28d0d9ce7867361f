//! The packed form of `i8` weights.
//!
//! A panel of `width` channels, 16 or 8:
//!
//! | bytes | what |
//! |---|---|
//! | 4 width | the sum that each channel begins with |
//! | 8 width | the same, each beside a zero |
//! | 8 width | for each eight channels: eight mantissas, eight shifts |
//! | 64 | zero point as eight `i16`, lower bound as 16 `i8`, upper bound as 16 `i8`, flags |
//! | 4 width | for each tap and group of four elements: four weights of each channel |
//! | width / 8 | for each eight channels, tap and step of 16 elements: whether products are [`LARGE`] |
//!
//! A channel whose result does not depend on the input, as pruning leaves them, has weights of zero and a sum that
//! gives this result.

use paring_kernels::{I8Depthwise, I8Panel};
use paring_qmath::{Multiplier, Rounding};

/// A factor does not shift right, or a sum could reach the limits of 32 bits.
pub(crate) const ANY_SHIFT: u32 = 1;
/// Two products may not be added in 16 bits: both weights are the least number.
pub(crate) const LARGE: u32 = 2;
/// The bounds cut more than the type does.
pub(crate) const BOUNDED: u32 = 4;
/// Scaled sums fit 16 bits.
pub(crate) const NARROW: u32 = 8;
/// The products of two taps that follow each other may not be added in 16 bits.
pub(crate) const LARGE_NEXT: u32 = 32;
/// The lower bound is not below the zero point: how negative sums are rounded does not matter.
pub(crate) const ONE_SIDED: u32 = 16;
/// Each tap of a window has two weights, one after the other, which are added.
pub(crate) const DOUBLED: u32 = 64;

/// Bytes of the constants of all channels.
pub(crate) const CONSTANTS: usize = 64;

/// Elements that products are taken of at once.
const STEP: usize = 16;

/// Where the parts of a panel begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) pairs: usize,
    pub(crate) factors: usize,
    pub(crate) constants: usize,
    pub(crate) weights: usize,
    pub(crate) large: usize,
    /// Bytes of the part `large` of eight channels.
    pub(crate) steps: usize,
    pub(crate) len: usize,
}

pub(crate) fn parts(taps: usize, depth: usize, width: usize) -> Parts {
    let weights = 20 * width + CONSTANTS;
    let large = weights + taps * depth.next_multiple_of(4) * width;
    let steps = taps * (depth.next_multiple_of(4) / STEP);
    let len = large + steps * (width / 8);
    let (pairs, factors, constants) = (4 * width, 12 * width, 20 * width);
    Parts { pairs, factors, constants, weights, large, steps, len }
}

fn put(to: &mut [u8], at: usize, n: i32) {
    to[at..at + 4].copy_from_slice(&n.to_le_bytes());
}

pub(crate) fn get(from: &[u8], at: usize) -> i32 {
    i32::from_le_bytes([from[at], from[at + 1], from[at + 2], from[at + 3]])
}

/// The largest magnitude of a sum.
fn reach(bias: i32, weights: impl Iterator<Item = i8>) -> i64 {
    let reach: i64 = weights.map(|w| i64::from(w.unsigned_abs()) * 128).sum();
    i64::from(bias).abs() + reach
}

/// Whether requantization of a channel needs the general form: the short one asks for a right shift
/// and for products above the least number.
fn is_general(m: Multiplier, bias: i32, weights: impl Iterator<Item = i8>) -> bool {
    m.shift >= 0 || reach(bias, weights) >= i64::from(i32::MAX)
}

/// Whether scaled sums of a channel that needs no general form fit 16 bits.
fn is_narrow(m: Multiplier, bias: i32, weights: impl Iterator<Item = i8>) -> bool {
    let scaled = (i128::from(reach(bias, weights)) * i128::from(m.mantissa)) >> 31;
    (scaled >> m.shift.unsigned_abs().min(63)) < i128::from(i16::MAX)
}

pub(crate) fn put_constants(to: &mut [u8], zero_point: i32, bounds: (i8, i8), mut flags: u32) {
    if bounds != (i8::MIN, i8::MAX) {
        flags |= BOUNDED;
    }
    if i32::from(bounds.0) >= zero_point {
        flags |= ONE_SIDED;
    }
    for i in 0..8 {
        to[2 * i..2 * i + 2].copy_from_slice(&(zero_point as i16).to_le_bytes());
    }
    to[16..32].fill(bounds.0 as u8);
    to[32..48].fill(bounds.1 as u8);
    put(to, 48, flags as i32);
}

/// Whether the kernels reproduce a requantization.
fn fits(rounding: Rounding, zero_point: i32) -> bool {
    rounding == Rounding::Double && (-128..128).contains(&zero_point)
}

/// A shift that NEON shifts right by; factors of zero shift by one.
fn shift(m: Multiplier) -> i32 {
    if m.mantissa == 0 { -1 } else { m.shift }
}

/// The sum and factor of a channel, and whether its weights count.
fn channel(
    bias: i32,
    m: Multiplier,
    zero_point: i32,
    weights: impl Iterator<Item = i8>,
) -> (i32, Multiplier, bool) {
    let reach: i64 = weights.map(|w| i64::from(w.unsigned_abs()) * 128).sum();
    match m.constant(bias, reach, Rounding::Double, zero_point, (-128, 127)) {
        // A sum of four times the result, halved twice.
        Some(y) => ((y - zero_point) << 2, Multiplier { mantissa: 1 << 30, shift: -1 }, false),
        None => (bias, Multiplier { shift: shift(m), ..m }, true),
    }
}

pub(crate) fn pack(p: &I8Panel<'_>, packed: &mut [u8]) -> bool {
    let parts = parts(p.taps, p.depth, p.width);
    assert_eq!(packed.len(), parts.len);
    assert!(p.width == 8 || p.width == 16);
    let (channels, len) = (p.bias.len(), p.taps * p.depth);
    assert!(channels <= p.width && p.multipliers.len() == channels);
    assert_eq!(p.weights.len(), channels * len);
    if !fits(p.rounding, p.zero_point) {
        return false;
    }
    packed.fill(0);
    let (groups, mut flags) = (p.depth.div_ceil(4), 0);
    for c in 0..p.width {
        // Channels of padding are zero and shift right.
        let at = parts.factors + c / 8 * 64 + c % 8 * 4;
        put(packed, at + 32, -1);
        if c >= channels {
            continue;
        }
        let weights = &p.weights[c * len..(c + 1) * len];
        let all = weights.iter().copied();
        let (bias, m, counts) = channel(p.bias[c], p.multipliers[c], p.zero_point, all.clone());
        put(packed, 4 * c, bias);
        put(packed, parts.pairs + 8 * c, bias);
        put(packed, at, m.mantissa);
        put(packed, at + 32, m.shift);
        if !counts {
            continue;
        }
        if is_general(m, bias, all) {
            flags |= ANY_SHIFT;
        }
        for tap in 0..p.taps {
            let weights = &weights[tap * p.depth..(tap + 1) * p.depth];
            for (k, w) in weights.iter().enumerate() {
                let group = tap * groups + k / 4;
                packed[parts.weights + (group * p.width + c) * 4 + k % 4] = *w as u8;
                if *w == i8::MIN && weights.get(k ^ 4) == Some(&i8::MIN) {
                    flags |= LARGE;
                    let step = tap * (parts.steps / p.taps) + k / STEP;
                    // What is no whole step is not added in 16 bits.
                    if k / STEP < parts.steps / p.taps {
                        packed[parts.large + c / 8 * parts.steps + step] = 1;
                    }
                }
            }
        }
    }
    let constants = &mut packed[parts.constants..parts.constants + CONSTANTS];
    put_constants(constants, p.zero_point, p.bounds, flags);
    true
}

/// Channels of a block of depthwise weights.
pub(crate) const BLOCK: usize = 16;

/// Channels of a block that are there: what is loaded and stored at once.
pub(crate) fn lanes(channels: usize) -> usize {
    if (8..BLOCK).contains(&channels) { 8 } else { BLOCK }
}

/// The first channel of a block; the last block begins so that it ends with the last channel.
pub(crate) fn block_start(channels: usize, block: usize) -> usize {
    (block * lanes(channels)).min(channels.saturating_sub(lanes(channels)))
}

/// The block of a channel, and where in it the channel is.
pub(crate) fn place(channels: usize, channel: usize) -> (usize, usize) {
    let block = channel / lanes(channels);
    (block, channel - block_start(channels, block))
}

/// Where the weights of a block begin.
pub(crate) const TAPS: usize = 3 * 4 * BLOCK;

/// Bytes of the weights of a window of 3x3 as the dot product takes them: for each column and four channels, three
/// weights and a zero of each.
const COLUMNS: usize = 3 * 4 * BLOCK;

/// Where the sums, mantissas and shifts of a block for windows of 3x3 are once more, those of even channels first.
const HALVES: usize = TAPS + 9 * BLOCK + COLUMNS;

/// Where the flags of a block are.
pub(crate) fn flags_at(taps: usize) -> usize {
    if taps == 9 { HALVES + TAPS } else { TAPS + taps * BLOCK }
}

/// Bytes of a block of depthwise weights: for 16 channels the sums that they begin with, the mantissas,
/// the shifts, and 16 weights a tap; nine taps once more for the dot product, and the numbers before them in another
/// order; flags.
pub(crate) fn block_len(taps: usize) -> usize {
    flags_at(taps) + 16
}

/// The taps of a window of 3x3 whose products are added in 16 bits.
const PAIRS: [(usize, usize); 4] = [(0, 1), (3, 4), (2, 6), (5, 7)];

/// Bytes of depthwise weights: the constants, then the blocks.
pub(crate) fn depthwise_len(taps: usize, channels: usize) -> usize {
    CONSTANTS + channels.div_ceil(lanes(channels)) * block_len(taps)
}

/// Packs depthwise weights; where `more` is not empty it is added to them.
pub(crate) fn pack_depthwise(p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
    let parts: &[&[i8]] = if more.is_empty() { &[p.weights] } else { &[p.weights, more] };
    let window = p.kernel[0] * p.kernel[1];
    let taps = window * parts.len();
    assert_eq!(packed.len(), depthwise_len(taps, p.channels));
    assert!(p.bias.len() == p.channels && p.multipliers.len() == p.channels);
    assert!(parts.iter().all(|weights| weights.len() == window * p.channels));
    if !fits(p.rounding, p.zero_point) {
        return false;
    }
    packed.fill(0);
    let (constants, blocks) = packed.split_at_mut(CONSTANTS);
    for (i, block) in blocks.chunks_exact_mut(block_len(taps)).enumerate() {
        let mut flags = NARROW;
        for lane in 0..BLOCK {
            let c = block_start(p.channels, i) + lane;
            put(block, 8 * BLOCK + 4 * lane, -1);
            if lane >= lanes(p.channels) || c >= p.channels {
                continue;
            }
            let weight = |tap: usize| parts[tap % parts.len()][tap / parts.len() * p.channels + c];
            let all = (0..taps).map(weight);
            let (bias, m, counts) = channel(p.bias[c], p.multipliers[c], p.zero_point, all.clone());
            put(block, 4 * lane, bias);
            put(block, 4 * BLOCK + 4 * lane, m.mantissa);
            put(block, 8 * BLOCK + 4 * lane, m.shift);
            if !counts {
                continue;
            }
            if is_general(m, bias, all.clone()) {
                flags |= ANY_SHIFT;
            }
            if !is_narrow(m, bias, all.clone()) {
                flags &= !NARROW;
            }
            for (tap, w) in all.enumerate() {
                block[TAPS + tap * BLOCK + lane] = w as u8;
                if taps == 9 {
                    let (row, column) = (tap / 3, tap % 3);
                    let at = TAPS + (taps + 4 * column) * BLOCK + 4 * lane + row;
                    block[at] = w as u8;
                }
            }
            let least = |tap| weight(tap) == i8::MIN;
            if taps == 9 && PAIRS.iter().any(|(a, b)| least(*a) && least(*b)) {
                flags |= LARGE;
            }
            if (1..taps).any(|tap| least(tap - 1) && least(tap)) {
                flags |= LARGE_NEXT;
            }
        }
        if taps == 9 {
            for (part, lane) in (0..3 * BLOCK).map(|k| (k / BLOCK, k % BLOCK)) {
                let number = get(block, 4 * (part * BLOCK + lane));
                put(block, HALVES + 4 * (part * BLOCK + lane % 2 * 8 + lane / 2), number);
            }
        }
        put(block, flags_at(taps), flags as i32);
    }
    let flags = if more.is_empty() { 0 } else { DOUBLED };
    put_constants(constants, p.zero_point, p.bounds, flags);
    true
}

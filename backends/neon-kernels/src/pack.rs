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

use paring_kernels::{I8Depthwise, I8Panel};
use paring_qmath::{Multiplier, Rounding};

/// A factor does not shift right, or a sum could reach the limits of 32 bits.
pub(crate) const ANY_SHIFT: u32 = 1;
/// Two products may not be added in 16 bits.
pub(crate) const LARGE: u32 = 2;
/// The bounds cut more than the type does.
pub(crate) const BOUNDED: u32 = 4;

/// Bytes of the constants of all channels.
pub(crate) const CONSTANTS: usize = 64;

/// Where the parts of a panel begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) pairs: usize,
    pub(crate) factors: usize,
    pub(crate) constants: usize,
    pub(crate) weights: usize,
    pub(crate) len: usize,
}

pub(crate) fn parts(taps: usize, depth: usize, width: usize) -> Parts {
    let weights = 20 * width + CONSTANTS;
    let len = weights + taps * depth.next_multiple_of(4) * width;
    Parts { pairs: 4 * width, factors: 12 * width, constants: 20 * width, weights, len }
}

fn put(to: &mut [u8], at: usize, n: i32) {
    to[at..at + 4].copy_from_slice(&n.to_le_bytes());
}

pub(crate) fn get(from: &[u8], at: usize) -> i32 {
    i32::from_le_bytes([from[at], from[at + 1], from[at + 2], from[at + 3]])
}

/// Whether requantization of a channel needs the general form: the short one asks for a right shift
/// and for products above the least number.
fn is_general(m: Multiplier, bias: i32, weights: impl Iterator<Item = i8>) -> bool {
    let reach: i64 = weights.map(|w| i64::from(w.unsigned_abs()) * 128).sum();
    m.shift >= 0 || i64::from(bias).abs() + reach >= i64::from(i32::MAX)
}

fn put_constants(to: &mut [u8], zero_point: i32, bounds: (i8, i8), mut flags: u32) {
    if bounds != (i8::MIN, i8::MAX) {
        flags |= BOUNDED;
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
        let (bias, m) = (p.bias[c], p.multipliers[c]);
        put(packed, 4 * c, bias);
        put(packed, parts.pairs + 8 * c, bias);
        put(packed, at, m.mantissa);
        put(packed, at + 32, shift(m));
        if is_general(Multiplier { shift: shift(m), ..m }, bias, weights.iter().copied()) {
            flags |= ANY_SHIFT;
        }
        for tap in 0..p.taps {
            let weights = &weights[tap * p.depth..(tap + 1) * p.depth];
            for (k, w) in weights.iter().enumerate() {
                let group = tap * groups + k / 4;
                packed[parts.weights + (group * p.width + c) * 4 + k % 4] = *w as u8;
                // Two products of the least numbers do not fit 16 bits.
                if *w == i8::MIN && weights.get(k ^ 4) == Some(&i8::MIN) {
                    flags |= LARGE;
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

/// Bytes of a block of depthwise weights: for 16 channels the sums that they begin with, the mantissas,
/// the shifts, and 16 weights a tap.
pub(crate) fn block_len(taps: usize) -> usize {
    3 * 4 * BLOCK + taps * BLOCK
}

/// Bytes of depthwise weights: the constants, then the blocks.
pub(crate) fn depthwise_len(taps: usize, channels: usize) -> usize {
    CONSTANTS + channels.div_ceil(BLOCK) * block_len(taps)
}

pub(crate) fn pack_depthwise(p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
    let taps = p.kernel[0] * p.kernel[1];
    assert_eq!(packed.len(), depthwise_len(taps, p.channels));
    assert!(p.bias.len() == p.channels && p.multipliers.len() == p.channels);
    assert_eq!(p.weights.len(), taps * p.channels);
    if !fits(p.rounding, p.zero_point) {
        return false;
    }
    packed.fill(0);
    let (constants, blocks) = packed.split_at_mut(CONSTANTS);
    let mut flags = 0;
    for (i, block) in blocks.chunks_exact_mut(block_len(taps)).enumerate() {
        for lane in 0..BLOCK {
            let c = i * BLOCK + lane;
            put(block, 8 * BLOCK + 4 * lane, -1);
            if c >= p.channels {
                continue;
            }
            let weight = |tap: usize| p.weights[tap * p.channels + c];
            let m = Multiplier { shift: shift(p.multipliers[c]), ..p.multipliers[c] };
            put(block, 4 * lane, p.bias[c]);
            put(block, 4 * BLOCK + 4 * lane, m.mantissa);
            put(block, 8 * BLOCK + 4 * lane, m.shift);
            if is_general(m, p.bias[c], (0..taps).map(weight)) {
                flags |= ANY_SHIFT;
            }
            for tap in 0..taps {
                block[12 * BLOCK + tap * BLOCK + lane] = weight(tap) as u8;
            }
            // Any two taps may be added.
            if (0..taps).filter(|tap| weight(*tap) == i8::MIN).count() > 1 {
                flags |= LARGE;
            }
        }
    }
    put_constants(constants, p.zero_point, p.bounds, flags);
    true
}

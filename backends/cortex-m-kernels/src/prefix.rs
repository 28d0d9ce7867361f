//! Weights as prefix codes: frequent values take few bits.
//!
//! No code is longer than a table is wide, so that one look at the next bits gives a weight and its code's length.

use crate::pack::Matrix;
use crate::packed::Codes;
use crate::unit::Isa;

/// Bits of the next code that a table looks at.
const WIDTHS: std::ops::RangeInclusive<u32> = 2..=10;
/// Weights of a layer below which a table is not worth its bytes.
const FEW: usize = 256;

/// The lengths of the best code for values that occur so often in which none is longer than `limit`; one of no bits
/// where there is one value.
fn lengths(counts: &[u64], limit: u32) -> Option<Vec<u8>> {
    if counts.len() > 1 << limit {
        return None;
    }
    // Packages of two, once for every bit of length: those of the last row that are taken say how often each
    // value is in one.
    let singles = |all: &mut Vec<(u64, Vec<usize>)>| {
        all.extend(counts.iter().enumerate().map(|(i, &n)| (n, vec![i])));
        all.sort_by_key(|a| a.0);
    };
    let mut row: Vec<(u64, Vec<usize>)> = Vec::new();
    for _ in 0..limit {
        let two = |pair: &[(u64, Vec<usize>)]| {
            (pair[0].0 + pair[1].0, [&pair[0].1[..], &pair[1].1].concat())
        };
        row = row.chunks_exact(2).map(two).collect();
        singles(&mut row);
    }
    let mut lengths = vec![0; counts.len()];
    let taken = row.iter().take(2 * counts.len().saturating_sub(1));
    taken.flat_map(|(_, values)| values).for_each(|&i| lengths[i] += 1);
    Some(lengths)
}

/// A code and its table.
struct Code {
    width: u32,
    /// Bits, the first in the lowest, and how many, for each value from -128.
    codes: Vec<(u32, u32)>,
}

impl Code {
    fn of(counts: &[u64; 256], width: u32) -> Option<Self> {
        let there: Vec<usize> = (0..256).filter(|&v| counts[v] > 0).collect();
        let some: Vec<u64> = there.iter().map(|&v| counts[v]).collect();
        let mut order: Vec<(u8, usize)> = lengths(&some, width)?.into_iter().zip(there).collect();
        order.sort_unstable();
        let mut codes = vec![(0, 0); 256];
        let (mut next, mut before) = (0_u32, 0);
        for (length, value) in order {
            let length = u32::from(length);
            next <<= length - before;
            before = length;
            // The first bit is the lowest.
            let bits = if length == 0 { 0 } else { next.reverse_bits() >> (32 - length) };
            codes[value] = (bits, length);
            next += 1;
        }
        Some(Self { width, codes })
    }

    /// The bits that all weights take and those of the table.
    fn size(&self, counts: &[u64; 256]) -> u64 {
        let all: u64 = counts.iter().zip(&self.codes).map(|(n, c)| n * u64::from(c.1)).sum();
        all + 16 * (1 + (1 << self.width))
    }

    /// The mask of the next bits, then for each of their values a weight above its length.
    fn table(&self, counts: &[u64; 256]) -> Vec<u16> {
        let mut table = vec![0; 1 << self.width];
        for (value, &(bits, length)) in self.codes.iter().enumerate() {
            if counts[value] == 0 {
                continue;
            }
            let weight = u16::from(value as u8 ^ 128);
            for above in 0..1_u32 << (self.width - length) {
                if let Some(entry) = table.get_mut((bits | above << length) as usize) {
                    *entry = weight << 8 | length as u16;
                }
            }
        }
        table.insert(0, (1 << self.width) - 1);
        table
    }
}

/// Where a weight is among 256.
fn place(weight: i8) -> usize {
    usize::from(weight as u8 ^ 128)
}

impl Matrix<'_> {
    pub(crate) fn prefix_codes(&self, isa: Isa) -> Option<(Codes, Vec<u16>)> {
        if self.weights.len() < FEW {
            return None;
        }
        let mut counts = [0_u64; 256];
        let firsts = self.packed_firsts(isa);
        for &first in &firsts {
            let places = self.places(isa, first);
            places
                .iter()
                .flatten()
                .for_each(|&(o, k)| counts[place(self.packed_weight(o, k))] += 1);
        }
        let code =
            WIDTHS.filter_map(|width| Code::of(&counts, width)).min_by_key(|c| c.size(&counts))?;
        let mut groups = Vec::new();
        for first in firsts {
            self.frame(isa, first, &mut groups)?;
            let (mut held, mut count) = (0_u64, 0);
            for (o, k) in self.places(isa, first).into_iter().flatten() {
                let (bits, length) = code.codes[place(self.packed_weight(o, k))];
                held |= u64::from(bits) << count;
                count += length;
                if count >= 32 {
                    groups.push(held as u32);
                    held >>= 32;
                    count -= 32;
                }
            }
            if count > 0 {
                groups.push(held as u32);
            }
        }
        // The decoder reads up to a word ahead.
        groups.push(0);
        Some((Codes { groups, shared: Vec::new() }, code.table(&counts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_complete_short_and_near_the_entropy() {
        let mut state = 7_u32;
        for round in 0..60 {
            let mut counts = [0_u64; 256];
            let values = [1, 2, 3, 9, 40, 200][round % 6];
            for i in 0..values {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                counts[(i * 37 + round) % 256] +=
                    1 + u64::from(state >> 24) * u64::from(state >> 28);
            }
            let total: u64 = counts.iter().sum();
            let there = counts.iter().filter(|&&n| n > 0);
            let entropy: f64 = there.map(|&n| n as f64 * (total as f64 / n as f64).log2()).sum();
            for width in WIDTHS {
                let Some(code) = Code::of(&counts, width) else {
                    assert!(values > 1 << width);
                    continue;
                };
                let used = || code.codes.iter().zip(&counts).filter(|c| *c.1 > 0).map(|c| c.0);
                assert!(used().all(|c| c.1 <= width));
                let kraft: f64 = used().map(|c| (-f64::from(c.1)).exp2()).sum();
                assert!((kraft - 1.0).abs() < 1e-9, "{values} values in {width} bits: {kraft}");
                // Every way to go on from a code is read as that code.
                let table = code.table(&counts);
                for (value, &(bits, length)) in
                    code.codes.iter().enumerate().filter(|v| counts[v.0] > 0)
                {
                    let entry = table[1 + (bits as usize | (0x155 << length) & ((1 << width) - 1))];
                    assert_eq!(entry, (value as u16 ^ 128) << 8 | length as u16);
                }
                if width == 10 {
                    let bits = code.size(&counts) - 16 * 1025;
                    assert!(
                        bits as f64 <= entropy + total as f64 * 1.0 + 1e-6
                            && bits as f64 >= entropy - 1e-6
                    );
                }
            }
        }
    }
}

//! Weights as codes of four bits.

use core::ops::Range;

/// Bytes of codes that belong together.
pub const CODES: usize = 16;

/// What codes stand for: each [`CODES`] bytes of them hold those of as many bytes in their lower halves, and of as many
/// after them in their upper halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// Places in a table.
    Table([u8; 16]),
    /// Numbers of -7 to 7: a byte of codes is the lower number and sixteen times the upper one.
    Numbers,
}

impl Codes {
    /// Whether the numbers of some bytes are those of [`Codes::Numbers`].
    #[must_use]
    pub fn is_number(byte: u8) -> bool {
        (-7..=7).contains(&(byte as i8))
    }

    /// The byte that holds two numbers of -7 to 7.
    #[must_use]
    pub fn both(low: u8, high: u8) -> u8 {
        (high << 4).wrapping_add(low)
    }

    /// The bytes that codes stand for.
    pub(crate) fn decode(&self, codes: &[u8], out: &mut [u8]) {
        for (codes, out) in codes.chunks_exact(CODES).zip(out.chunks_exact_mut(2 * CODES)) {
            let (low, high) = out.split_at_mut(CODES);
            for ((low, high), code) in low.iter_mut().zip(high).zip(codes) {
                (*low, *high) = match self {
                    Self::Table(table) => {
                        (table[usize::from(code & 15)], table[usize::from(code >> 4)])
                    }
                    Self::Numbers => {
                        let number = |x: u8| ((x as i8) >> 4) as u8;
                        (number(code << 4), number(code.wrapping_add(8)))
                    }
                };
            }
        }
    }
}

/// A packed panel whose weights are codes.
#[derive(Clone, Debug)]
pub struct CodedPanel<'a> {
    /// What the codes stand for.
    pub by: &'a Codes,
    /// The bytes of the panel that are no weights.
    pub outside: &'a [u8],
    /// The place of the weights among the bytes of the whole panel.
    pub weights: Range<usize>,
    /// The codes of the weights.
    pub codes: &'a [u8],
}

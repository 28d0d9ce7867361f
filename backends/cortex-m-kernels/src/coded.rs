//! Weight streams of fewer than eight bits a weight, for the DSP extension.

use crate::Coding;
use crate::pack::{Matrix, groups, pairs};

/// At most 16 different weights.
struct Book(Vec<i8>);

impl Book {
    fn of(weights: impl Iterator<Item = i8>) -> Option<Self> {
        let mut values: Vec<i8> = Vec::new();
        for w in weights {
            if let Err(at) = values.binary_search(&w) {
                if values.len() == 16 {
                    return None;
                }
                values.insert(at, w);
            }
        }
        Some(Self(values))
    }

    fn code(&self, weight: i8) -> Option<u8> {
        self.0.binary_search(&weight).ok().map(|c| c as u8)
    }

    fn words(&self) -> impl Iterator<Item = u32> {
        let byte = |i: usize| self.0.get(i).map_or(0, |&v| v as u8);
        (0..4).map(move |w| u32::from_le_bytes(std::array::from_fn(|i| byte(4 * w + i))))
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes
        .chunks(4)
        .map(|c| u32::from_le_bytes(std::array::from_fn(|i| c.get(i).copied().unwrap_or_default())))
}

impl Matrix<'_> {
    /// The word of four channels for two inputs: weights plus 8, channels 0, 2, 1, 3 from the lowest
    /// bits of each half.
    fn nibbles(&self, first: usize, inputs: [Option<usize>; 2]) -> Option<u32> {
        let mut word = 0;
        for (half, input) in inputs.into_iter().enumerate() {
            for i in 0..4 {
                let at = 16 * half + (i & 1) * 8 + (i & 2) * 2;
                let code = i32::from(self.weight(first + i, input)) + 8;
                word |= u32::try_from(code).ok().filter(|&c| c < 16)? << at;
            }
        }
        Some(word)
    }

    fn codes(
        &self,
        book: &Book,
        first: usize,
        count: usize,
        inputs: [Option<usize>; 2],
    ) -> Option<Vec<u8>> {
        (first..first + count)
            .map(|o| {
                let [low, high] = inputs.map(|k| book.code(self.weight(o, k)));
                Some(low? | high? << 4)
            })
            .collect()
    }

    /// Whether a block of four inputs by four channels has a weight that is not zero.
    fn kept(&self, first: usize, four: &[Option<usize>; 4]) -> bool {
        (first..first + 4).any(|o| four.iter().any(|&k| self.weight(o, k) != 0))
    }

    /// How many blocks of four inputs by four channels are not zero.
    pub(crate) fn kept_blocks(&self) -> usize {
        let of = |first: usize| self.order.iter().filter(|four| self.kept(first, four)).count();
        groups(self.folded.len(), 4).into_iter().map(of).sum()
    }

    /// Every weight that the blocks of a coding store.
    fn stored(&self, coding: Coding) -> impl Iterator<Item = i8> + '_ {
        let sparse = coding == Coding::SparsePalette;
        groups(self.folded.len(), 4).into_iter().flat_map(move |first| {
            self.order.iter().filter(move |four| !sparse || self.kept(first, four)).flat_map(
                move |four| (first..first + 4).flat_map(move |o| four.map(|k| self.weight(o, k))),
            )
        })
    }

    pub(crate) fn coded_stream(&self, coding: Coding) -> Option<Vec<u32>> {
        let mut out = Vec::new();
        let book = if coding.has_palette() { Some(Book::of(self.stored(coding))?) } else { None };
        if let Some(book) = &book {
            out.extend(book.words());
        }
        for first in groups(self.folded.len(), 4) {
            if let Some(book) = &book {
                out.extend(self.folded[first..first + 4].iter().map(|&b| b as u32));
                let mut bytes = Vec::new();
                let mut skipped = 0_u8;
                for four in self.order {
                    if coding == Coding::SparsePalette {
                        if !self.kept(first, four) {
                            skipped = skipped.checked_add(1).filter(|&s| s < 255)?;
                            continue;
                        }
                        bytes.push(std::mem::take(&mut skipped));
                    }
                    for inputs in pairs(four) {
                        bytes.extend(self.codes(book, first, 4, inputs)?);
                    }
                }
                if coding == Coding::SparsePalette {
                    bytes.push(255);
                }
                out.extend(words(&bytes));
            } else {
                if !(self.upper_fits(first + 1) && self.upper_fits(first + 3)) {
                    return None;
                }
                self.paired_bias(first, 4, &mut out);
                let mut skipped = 0;
                for four in self.order {
                    if coding == Coding::Sparse {
                        if !self.kept(first, four) {
                            skipped += 16;
                            continue;
                        }
                        out.push(std::mem::take(&mut skipped));
                    }
                    for inputs in pairs(four) {
                        if coding == Coding::Nibbles {
                            out.push(self.nibbles(first, inputs)?);
                        } else {
                            out.push(self.paired_word(first, inputs)?);
                            out.push(self.paired_word(first + 2, inputs)?);
                        }
                    }
                }
                if coding == Coding::Sparse {
                    out.push(u32::MAX);
                }
            }
            self.tail(first, &mut out);
        }
        Some(out)
    }

    /// The stream of the products in plain C.
    pub(crate) fn plain_coded_stream(&self, coding: Coding) -> Option<Vec<u32>> {
        let sparse = matches!(coding, Coding::Sparse | Coding::SparsePalette);
        let book = if coding.has_palette() { Some(Book::of(self.stored(coding))?) } else { None };
        let mut out: Vec<u32> = book.iter().flat_map(Book::words).collect();
        for first in groups(self.folded.len(), 4) {
            out.extend(self.folded[first..first + 4].iter().map(|&b| b as u32));
            let mut halves: Vec<u16> = Vec::new();
            let mut skipped = 0_u16;
            for four in self.order {
                if sparse {
                    if !self.kept(first, four) {
                        skipped = skipped.checked_add(8).filter(|&s| s < u16::MAX - 8)?;
                        continue;
                    }
                    halves.push(std::mem::take(&mut skipped));
                }
                for &input in four {
                    let of = |i: usize| self.weight(first + i, input);
                    match &book {
                        Some(book) => {
                            let code = |i: usize| Some(u16::from(book.code(of(i))?) << (4 * i));
                            halves.push(code(0)? | code(1)? | code(2)? | code(3)?);
                        }
                        None if coding == Coding::Nibbles => {
                            let small = (0..4).all(|i| (-8..8).contains(&of(i)));
                            let bits = |i: usize| (of(i) as u16 & 15) << (4 * i);
                            halves.push(small.then(|| bits(0) | bits(1) | bits(2) | bits(3))?);
                        }
                        None => halves.extend(
                            [0, 2].map(|i| u16::from_le_bytes([of(i) as u8, of(i + 1) as u8])),
                        ),
                    }
                }
            }
            if sparse {
                halves.push(u16::MAX);
            }
            out.extend(halves.chunks(2).map(|pair| {
                u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 16
            }));
            self.tail(first, &mut out);
        }
        Some(out)
    }

    pub(crate) fn coded_dense8(&self, coding: Coding) -> Option<Vec<u32>> {
        let mut out = Vec::new();
        let book = match coding {
            Coding::Palette => Some(Book::of(self.stored(coding))?),
            // What is read past the inputs must not change during the call.
            Coding::Nibbles if self.per_output.is_multiple_of(4) => None,
            _ => return None,
        };
        if let Some(book) = &book {
            out.extend(book.words());
        }
        for first in groups(self.folded.len(), 8) {
            if let Some(book) = &book {
                out.extend(self.folded[first..first + 8].iter().map(|&b| b as u32));
                for inputs in self.order.iter().flat_map(pairs) {
                    out.extend(words(&self.codes(book, first, 8, inputs)?));
                }
            } else {
                if (0..4).any(|p| !self.upper_fits(first + 2 * p + 1)) {
                    return None;
                }
                self.paired_bias(first, 8, &mut out);
                for inputs in self.order.iter().flat_map(pairs) {
                    out.push(self.nibbles(first, inputs)?);
                    out.push(self.nibbles(first + 4, inputs)?);
                }
            }
            self.each_tail(first, &mut out);
        }
        Some(out)
    }
}

//! Symbols under one fixed table of frequencies, which is sent first.

use crate::CodecError;
use crate::range::{Coder, Decoder, Encoder, Prob};

const BITS: u32 = 14;
const TOTAL: u32 = 1 << BITS;

struct Frequencies {
    start: [u32; 257],
    owner: Vec<u8>,
}

impl Frequencies {
    /// Reads or writes the table; fails if the frequencies do not add up.
    fn code<C: Coder>(coder: &mut C, known: &[u32; 256]) -> Result<Self, CodecError> {
        let mut lengths = [Prob::new(); 32];
        let mut is_used = [Prob::new(); 2];
        let mut start = [0; 257];
        let mut owner = Vec::with_capacity(TOTAL as usize);
        let mut used = false;
        for symbol in 0..256 {
            used = coder.adaptive(&mut is_used[usize::from(used)], known[symbol] > 0);
            let mut size = 0;
            if used {
                size = coder.gamma(&mut lengths, known[symbol].saturating_sub(1)).saturating_add(1);
            }
            if size > TOTAL - start[symbol] {
                return Err(CodecError::corrupt("frequencies exceed their total"));
            }
            start[symbol + 1] = start[symbol] + size;
            owner.resize(start[symbol + 1] as usize, symbol as u8);
        }
        if start[256] != TOTAL {
            return Err(CodecError::corrupt("frequencies fall short of their total"));
        }
        Ok(Self { start, owner })
    }

    #[inline]
    fn symbol<C: Coder>(&self, coder: &mut C, known: u8) -> u8 {
        let span = |v: i32| {
            let v = v as usize & 255;
            (self.start[v], self.start[v + 1] - self.start[v])
        };
        let find = |slot: u32| self.owner.get(slot as usize).map_or(0, |&v| i32::from(v));
        coder.symbol(TOTAL, i32::from(known), span, find) as u8
    }
}

/// Frequencies that add up to the total, none of a symbol that occurs being 0.
fn normalise(counts: &[usize; 256]) -> Option<[u32; 256]> {
    let sum = counts.iter().sum::<usize>() as u128;
    if sum == 0 {
        return None;
    }
    let mut sizes = counts.map(|n| match n {
        0 => 0,
        n => ((n as u128 * u128::from(TOTAL) / sum) as u32).max(1),
    });
    loop {
        let total: u32 = sizes.iter().sum();
        if total == TOTAL {
            return Some(sizes);
        }
        // The most frequent symbol feels a slot less than any other.
        let most = (0..256).max_by_key(|&v| sizes[v])?;
        if total < TOTAL {
            sizes[most] += TOTAL - total;
        } else {
            sizes[most] -= (total - TOTAL).min(sizes[most] / 2);
        }
    }
}

/// Codes bytes.
pub(crate) fn encode(data: &[u8]) -> Option<Vec<u8>> {
    let mut counts = [0; 256];
    for &byte in data {
        counts[usize::from(byte)] += 1;
    }
    let sizes = normalise(&counts)?;
    let mut encoder = Encoder::new();
    let table = Frequencies::code(&mut encoder, &sizes).ok()?;
    for &byte in data {
        table.symbol(&mut encoder, byte);
    }
    Some(encoder.finish())
}

/// Reads what [`encode`] wrote into `data`.
pub(crate) fn decode(bytes: &[u8], data: &mut [u8]) -> Result<(), CodecError> {
    let mut decoder = Decoder::new(bytes);
    let table = Frequencies::code(&mut decoder, &[0; 256])?;
    for byte in data {
        *byte = table.symbol(&mut decoder, 0);
    }
    decoder.finish()
}

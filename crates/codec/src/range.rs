//! A range coder with 64-bit state, written once for both directions.
//!
//! Models drive a [`Coder`]: they pass the value that an encoder has to write, and take back the value
//! that a decoder has read. So a model cannot disagree with itself about the order of its decisions.

use crate::CodecError;

/// Writes or reads decisions under a given probability.
pub(crate) trait Coder {
    /// Whether values go out rather than come in.
    const WRITES: bool;

    /// One decision; `p` is the probability of `true` out of 65,536, neither 0 nor 65,536.
    fn bit(&mut self, p: u32, bit: bool) -> bool;

    /// One of several values that share `total` slots: `span` gives first slot and number of slots of
    /// a value, `find` the value that owns a slot.
    fn symbol(
        &mut self,
        total: u32,
        known: i32,
        span: impl Fn(i32) -> (u32, u32),
        find: impl Fn(u32) -> i32,
    ) -> i32;

    /// One of `n` equally likely values; `n` is at least 1 and below 2^31.
    fn uniform(&mut self, n: u32, known: u32) -> u32 {
        if n <= 1 {
            return 0;
        }
        self.symbol(n, known as i32, |v| (v as u32, 1), |slot| slot as i32) as u32
    }

    /// A decision under an adaptive probability, which learns from it.
    #[inline]
    fn adaptive(&mut self, prob: &mut Prob, bit: bool) -> bool {
        let bit = self.bit(prob.get(), bit);
        prob.update(bit);
        bit
    }

    /// A number in Elias-gamma form whose length bits are adaptive.
    fn gamma(&mut self, lengths: &mut [Prob; 32], known: u32) -> u32 {
        let known = known.min(u32::MAX - 1) + 1;
        let bits = known.ilog2();
        let mut n = 0;
        while n < 31 && self.adaptive(&mut lengths[n as usize], n < bits) {
            n += 1;
        }
        let mut value = 1_u32;
        for i in (0..n).rev() {
            value = value << 1 | u32::from(self.bit(1 << 15, known >> i & 1 == 1));
        }
        value - 1
    }
}

/// An adaptive probability: learns fast at first, then slowly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prob {
    p: u16,
    seen: u8,
}

/// 32,768 / (n + 1.6), down to the slowest rate: below 32,768, so that no step goes past its aim.
const RATES: [i32; 128] = {
    let mut rates = [0; 128];
    let mut n = 0;
    while n < 128 {
        rates[n] = ((655_360 / (10 * n + 16)) >> 1) as i32;
        n += 1;
    }
    rates
};

impl Prob {
    pub(crate) const fn new() -> Self {
        Self { p: 1 << 15, seen: 0 }
    }

    /// Probability of `true` out of 65,536.
    #[inline]
    pub(crate) fn get(self) -> u32 {
        u32::from(self.p).clamp(24, 65_536 - 24)
    }

    /// The probability out of 4,096, not kept away from the ends.
    #[inline]
    pub(crate) fn twelve_bits(self) -> usize {
        usize::from(self.p >> 4)
    }

    /// The same probability, which learns as if it had seen `seen` decisions at most.
    pub(crate) fn slowed(self, seen: u8) -> Self {
        Self { seen: self.seen.min(seen), ..self }
    }

    #[inline]
    pub(crate) fn update(&mut self, bit: bool) {
        let rate = RATES[usize::from(self.seen & 127)];
        let target = if bit { 65_535 } else { 0 };
        let step = ((target - i32::from(self.p)) * rate) >> 15;
        self.p = (i32::from(self.p) + step) as u16;
        self.seen = (self.seen + 1).min(127);
    }
}

/// Writes a stream.
pub(crate) struct Encoder {
    low: u64,
    range: u64,
    out: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self { low: 0, range: u64::MAX, out: Vec::new() }
    }

    #[inline]
    fn narrow(&mut self, start: u64, range: u64) {
        let (low, carry) = self.low.overflowing_add(start);
        if carry {
            self.carry();
        }
        self.low = low;
        self.range = range;
        if self.range < 1 << 32 {
            self.out.extend_from_slice(&((self.low >> 32) as u32).to_be_bytes());
            self.low <<= 32;
            self.range <<= 32;
        }
    }

    fn carry(&mut self) {
        for byte in self.out.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }

    /// The stream, with as few bytes as still say where in the last range it ends.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for keep in 0..=8_u32 {
            let below =
                if keep == 0 { u64::MAX } else { u64::MAX.checked_shr(8 * keep).unwrap_or(0) };
            let (rounded, carry) = self.low.overflowing_add(below);
            let end = rounded & !below;
            // The rounded-up value is inside the range if it is less than `range` above `low`.
            if end.wrapping_sub(self.low) < self.range {
                if carry {
                    self.carry();
                }
                self.out.extend_from_slice(&end.to_be_bytes()[..keep as usize]);
                break;
            }
        }
        while self.out.last() == Some(&0) {
            self.out.pop();
        }
        self.out
    }
}

impl Coder for Encoder {
    const WRITES: bool = true;

    #[inline]
    fn bit(&mut self, p: u32, bit: bool) -> bool {
        let bound = (self.range >> 16) * u64::from(p);
        if bit {
            self.narrow(0, bound);
        } else {
            self.narrow(bound, self.range - bound);
        }
        bit
    }

    #[inline]
    fn symbol(
        &mut self,
        total: u32,
        known: i32,
        span: impl Fn(i32) -> (u32, u32),
        _: impl Fn(u32) -> i32,
    ) -> i32 {
        let unit = self.range / u64::from(total);
        let (start, size) = span(known);
        self.narrow(unit * u64::from(start), unit * u64::from(size));
        known
    }
}

/// Reads a stream; past its end it reads zeros, so that the encoder can leave them out.
pub(crate) struct Decoder<'a> {
    code: u64,
    range: u64,
    data: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        let mut decoder = Self { code: 0, range: u64::MAX, data, at: 0 };
        decoder.code = u64::from(decoder.word()) << 32;
        decoder.code |= u64::from(decoder.word());
        decoder
    }

    #[inline]
    fn word(&mut self) -> u32 {
        let at = self.at;
        self.at = at + 4;
        match self.data.get(at..at + 4) {
            Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
            _ => self.last_word(at),
        }
    }

    #[cold]
    fn last_word(&self, at: usize) -> u32 {
        let byte = |i: usize| self.data.get(at + i).copied().unwrap_or(0);
        u32::from_be_bytes([byte(0), byte(1), byte(2), byte(3)])
    }

    #[inline]
    fn narrow(&mut self, start: u64, range: u64) {
        self.code = self.code.wrapping_sub(start);
        self.range = range;
        if self.range < 1 << 32 {
            self.code = self.code << 32 | u64::from(self.word());
            self.range <<= 32;
        }
    }

    /// Fails unless the whole input was read.
    pub(crate) fn finish(self) -> Result<(), CodecError> {
        if self.at < self.data.len() {
            return Err(CodecError::corrupt("bytes are left over behind the coded values"));
        }
        Ok(())
    }
}

impl Coder for Decoder<'_> {
    const WRITES: bool = false;

    #[inline]
    fn bit(&mut self, p: u32, _: bool) -> bool {
        let bound = (self.range >> 16) * u64::from(p);
        let bit = self.code < bound;
        // Coded decisions are not predictable, so this has no branch on them.
        let low = if bit { 0 } else { bound };
        let high = if bit { bound } else { self.range };
        self.narrow(low, high - low);
        bit
    }

    #[inline]
    fn symbol(
        &mut self,
        total: u32,
        _: i32,
        span: impl Fn(i32) -> (u32, u32),
        find: impl Fn(u32) -> i32,
    ) -> i32 {
        let unit = self.range / u64::from(total);
        let slot = (self.code / unit).min(u64::from(total) - 1) as u32;
        let value = find(slot);
        let (start, size) = span(value);
        self.narrow(unit * u64::from(start), unit * u64::from(size));
        value
    }
}

//! Damage.

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(u64);

impl Random {
    /// Numbers from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, or 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Numbers that break arithmetic.
const NUMBERS: [i64; 18] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    127,
    128,
    255,
    256,
    65535,
    65536,
    i32::MAX as i64,
    i32::MIN as i64,
    0x4000_0000,
    u32::MAX as i64,
    i64::MAX,
    i64::MIN,
];

/// Words that mean something in one text or another.
const WORDS: [&str; 22] = [
    "0",
    "-1",
    "1",
    "999999999",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "1e38",
    "1e999",
    "nan",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "[[",
    "}",
    "]",
    "\0",
    ":",
    ",",
    "\u{fffd}",
];

/// One of the files, changed in one to four places.
pub fn damage(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            break;
        }
        // Headers and tables are at the ends more often than not; weights are in between.
        let edge = bytes.len().min(4096);
        let at = match random.below(4) {
            0 => random.below(edge),
            1 => bytes.len() - 1 - random.below(bytes.len().min(24 * 1024)),
            _ => random.below(bytes.len()),
        };
        match random.below(13) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 | 4 => {
                let width = random.pick(&[1, 2, 4, 8]);
                let number = random.pick(&NUMBERS).to_le_bytes();
                let at = at / width * width;
                for (to, from) in bytes[at..].iter_mut().zip(&number[..width]) {
                    *to = *from;
                }
            }
            // A digit of a text.
            5 | 6 => {
                if let Some(i) = bytes[at..].iter().take(4096).position(u8::is_ascii_digit) {
                    bytes[at + i] = b'0' + random.below(10) as u8;
                }
            }
            7 => {
                let word = random.pick(&WORDS).as_bytes();
                for (to, from) in bytes[at..].iter_mut().zip(word) {
                    *to = *from;
                }
            }
            8 => {
                let word = random.pick(&WORDS).bytes();
                bytes.splice(at..at, word);
            }
            // A number in the coding of protocol buffers, larger than the one that was there.
            9 => {
                let end = (at + 5).min(bytes.len());
                bytes.splice(at..end, [0xFF, 0xFF, 0xFF, 0xFF, 0x07]);
            }
            // A part of the same file or of another one, over or between what is there.
            10 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let len = random.below(64).min(other.len() - from);
                let over = random.below(2) * len;
                let end = (at + over).min(bytes.len());
                bytes.splice(at..end, other[from..from + len].iter().copied());
            }
            11 => {
                let end = (at + 1 + random.below(8)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                if random.below(6) == 0 {
                    bytes.truncate(at);
                }
            }
        }
    }
    bytes
}

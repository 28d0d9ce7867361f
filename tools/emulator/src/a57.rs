//! Cycles of a block of A64 instructions on a Cortex-A57 or A72.
//!
//! The model is one of throughput: micro-operations share dispatch (three a cycle), two integer units, one
//! for multi-cycle integers, one each for loads, stores and branches, and two for vectors of which one alone
//! multiplies integers and the other alone shifts and narrows with rounding. A block takes as long as its
//! busiest unit: what waits for its operands is taken to overlap with other iterations, and loads to hit the
//! cache. Which units an instruction takes is LLVM's scheduling model of these two cores
//! (`AArch64SchedA57.td`; both cores have one model there), as `llvm-mca -instruction-tables` prints it.

/// Micro-operations by unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Units {
    issued: f64,
    integer: f64,
    multi: f64,
    load: f64,
    store: f64,
    branch: f64,
    /// On either vector unit.
    vector: f64,
    /// On the unit that multiplies integers and divides.
    first: f64,
    /// On the unit that shifts.
    second: f64,
}

impl Units {
    fn add(&mut self, other: Self) {
        self.issued += other.issued;
        self.integer += other.integer;
        self.multi += other.multi;
        self.load += other.load;
        self.store += other.store;
        self.branch += other.branch;
        self.vector += other.vector;
        self.first += other.first;
        self.second += other.second;
    }

    fn cycles(&self) -> f64 {
        let vectors = (self.vector + self.first + self.second) / 2.0;
        [
            self.issued / 3.0,
            self.integer / 2.0,
            self.multi,
            self.load,
            self.store,
            self.branch,
            vectors,
            self.first,
            self.second,
        ]
        .into_iter()
        .fold(0.0, f64::max)
    }
}

/// Cycles of a block that is run many times.
pub(crate) fn cycles(words: &[u32]) -> f64 {
    let mut sum = Units::default();
    words.iter().for_each(|w| sum.add(units(*w)));
    sum.cycles()
}

fn integer(n: f64) -> Units {
    Units { issued: n, integer: n, ..Units::default() }
}

fn multi(n: f64) -> Units {
    Units { issued: 1.0, multi: n, ..Units::default() }
}

fn loads(n: f64) -> Units {
    Units { issued: n, load: n, ..Units::default() }
}

fn stores(n: f64) -> Units {
    Units { issued: n, store: n, ..Units::default() }
}

fn vector(n: f64) -> Units {
    Units { issued: n, vector: n, ..Units::default() }
}

fn first(n: f64) -> Units {
    Units { issued: n.min(2.0), first: n, ..Units::default() }
}

fn second(n: f64) -> Units {
    Units { issued: n, second: n, ..Units::default() }
}

fn and(mut a: Units, b: Units) -> Units {
    a.add(b);
    a
}

fn bits(word: u32, high: u32, low: u32) -> u32 {
    (word >> low) & ((1 << (high - low + 1)) - 1)
}

/// The units that an instruction takes.
fn units(word: u32) -> Units {
    match bits(word, 28, 25) {
        0b1000 | 0b1001 => integer(1.0),
        0b1010 | 0b1011 => branch(word),
        0b0101 | 0b1101 => register(word),
        0b0111 | 0b1111 => float(word),
        class if class & 0b0101 == 0b0100 => memory(word),
        _ => integer(1.0),
    }
}

fn branch(word: u32) -> Units {
    if bits(word, 31, 22) == 0b11_0101_0100 {
        // Hints and barriers: nothing but their place.
        return Units { issued: 1.0, ..Units::default() };
    }
    let jump = Units { issued: 1.0, branch: 1.0, ..Units::default() };
    let link = bits(word, 31, 26) == 0b10_0101;
    if link { and(jump, integer(1.0)) } else { jump }
}

fn register(word: u32) -> Units {
    match bits(word, 28, 24) {
        0b11011 => multi(1.0),
        0b11010 if bits(word, 30, 21) == 0b00_1101_0110 && bits(word, 15, 11) == 1 => multi(20.0),
        0b01010 if bits(word, 15, 10) > 0 => multi(1.0),
        0b01011 if bits(word, 21, 21) == 1 || bits(word, 15, 10) > 0 => multi(1.0),
        _ => integer(1.0),
    }
}

fn memory(word: u32) -> Units {
    let real = bits(word, 26, 26) == 1;
    match bits(word, 29, 27) {
        // Pairs.
        0b101 => {
            let back = integer(f64::from(bits(word, 23, 23)));
            let wide = real && bits(word, 31, 30) == 0b10;
            let one = if bits(word, 22, 22) == 1 {
                loads(if real { 2.0 } else { 1.0 })
            } else {
                stores(if wide { 4.0 } else { 2.0 })
            };
            and(one, back)
        }
        0b111 => {
            let kind = bits(word, 23, 22);
            let indexed = bits(word, 24, 24) == 0 && bits(word, 11, 10) != 0;
            let (load, wide) = match (real, kind) {
                (true, 0b00) => (false, false),
                (true, 0b10) => (false, true),
                (true, _) => (true, false),
                (false, kind) => (kind != 0, false),
            };
            let one = match (load, wide) {
                (true, _) => loads(1.0),
                (false, false) => stores(1.0),
                (false, true) => and(stores(2.0), integer(1.0)),
            };
            if indexed { and(one, integer(1.0)) } else { one }
        }
        // Structures.
        0b001 if real => {
            let back = integer(f64::from(bits(word, 23, 23)));
            let load = bits(word, 22, 22) == 1;
            let wide = bits(word, 30, 30) == 1;
            let whole = bits(word, 24, 24) == 0;
            let (count, mixed) = match bits(word, 15, 12) {
                _ if !whole => (1.0, load),
                0b0111 => (1.0, false),
                0b1010 => (2.0, false),
                0b0110 => (3.0, false),
                0b0010 => (4.0, false),
                0b1000 => (2.0, true),
                0b0100 => (3.0, true),
                _ => (4.0, true),
            };
            let one =
                if load { loads(count) } else { stores(if wide { 2.0 } else { 1.0 } * count) };
            let one = if mixed { and(one, vector(count)) } else { one };
            and(one, back)
        }
        _ => loads(1.0),
    }
}

/// Real numbers and vectors.
fn float(word: u32) -> Units {
    let wide = if bits(word, 30, 30) == 1 { 2.0 } else { 1.0 };
    match bits(word, 28, 24) {
        0b01110 if bits(word, 31, 31) == 0 => simd(word, wide),
        0b01111 if bits(word, 31, 31) == 0 => by_element(word, wide),
        0b11110 if bits(word, 30, 30) == 0 => {
            let quotient = bits(word, 21, 21) == 1
                && (bits(word, 15, 10) == 0b000110 || bits(word, 20, 10) == 0b000_0111_0000);
            let moved = bits(word, 21, 21) == 1 && bits(word, 15, 10) == 0;
            match (quotient, moved) {
                (true, _) => first(17.0),
                (_, true) => loads(1.0),
                _ => vector(1.0),
            }
        }
        _ => vector(1.0),
    }
}

/// Vectors with vectors.
fn simd(word: u32, wide: f64) -> Units {
    let unsigned = bits(word, 29, 29) == 1;
    if bits(word, 21, 21) == 1 {
        return match bits(word, 11, 10) {
            // Three of a kind.
            0b01 | 0b11 => match bits(word, 15, 11) {
                0b11111 if unsigned => first(17.0 * wide),
                0b11000.. => vector(wide),
                0b10010 | 0b10011 | 0b10110 => first(wide),
                0b01000..=0b01011 => second(wide),
                0b00011 if unsigned => vector(wide),
                0b01110 | 0b01111 => second(1.0),
                _ => vector(1.0),
            },
            // Of different widths.
            0b00 => match bits(word, 15, 12) {
                0b1000..=0b1110 => first(1.0),
                0b0101 => second(1.0),
                _ => vector(1.0),
            },
            // Two, and sums over lanes.
            _ if bits(word, 20, 17) == 0b1000 => and(vector(1.0), second(1.0)),
            _ => match bits(word, 16, 12) {
                0b11111 if unsigned => first(17.0 * wide),
                0b00110 | 0b10100 => second(1.0),
                0b10010 if unsigned => second(1.0),
                0b01100.. => vector(wide),
                _ => vector(1.0),
            },
        };
    }
    if bits(word, 15, 15) == 1 && bits(word, 10, 10) == 1 {
        // Dot products, which these cores have not.
        return first(1.0);
    }
    match (bits(word, 10, 10), bits(word, 11, 11), unsigned) {
        // Copies from and to general registers, and between lanes.
        (1, _, false) => match bits(word, 14, 11) {
            0b0000 => vector(1.0),
            0b0001 | 0b0011 => and(loads(1.0), vector(1.0)),
            _ => and(loads(1.0), integer(1.0)),
        },
        // Look-ups in one to four registers.
        (0, 0, false) => vector((3.0 + 2.0 * f64::from(bits(word, 14, 13))) * wide / 2.0),
        // Interleaving; `trn` is simpler than the others.
        (0, 1, false) if bits(word, 13, 12) != 0b10 && wide > 1.0 => vector(3.0),
        _ => vector(1.0),
    }
}

/// Shifts by constants, constants, and products with an element.
fn by_element(word: u32, wide: f64) -> Units {
    if bits(word, 10, 10) == 1 {
        let shift = bits(word, 22, 19) > 0;
        return match bits(word, 15, 11) {
            0b00010 | 0b00100 | 0b00110 | 0b01100 | 0b01110 | 0b10001..=0b10011 if shift => {
                second(1.0)
            }
            _ => vector(1.0),
        };
    }
    match bits(word, 15, 12) {
        0b0001 | 0b0101 | 0b1001 => vector(wide),
        0b0000 | 0b0100 | 0b1000 | 0b1100 | 0b1101 => first(wide),
        _ => first(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::cycles;

    /// Encodings, and the reciprocal throughput that LLVM 19 states for the Cortex-A72.
    const KNOWN: &[(&str, u32, f64)] = &[
        ("fmla v0.4s, v1.4s, v2.s[0]", 0x4F82_1020, 1.00),
        ("fmla v0.4s, v1.4s, v2.4s", 0x4E22_CC20, 1.00),
        ("fmla v0.2s, v1.2s, v2.2s", 0x0E22_CC20, 0.50),
        ("fmul v0.4s, v1.4s, v2.4s", 0x6E22_DC20, 1.00),
        ("fadd v0.4s, v1.4s, v2.4s", 0x4E22_D420, 1.00),
        ("fmax v0.4s, v1.4s, v2.4s", 0x4E22_F420, 1.00),
        ("fcvtns v0.4s, v1.4s", 0x4E21_A820, 1.00),
        ("scvtf v0.4s, v1.4s", 0x4E21_D820, 1.00),
        ("smull v0.8h, v1.8b, v2.8b", 0x0E22_C020, 1.00),
        ("smull2 v0.8h, v1.16b, v2.16b", 0x4E22_C020, 1.00),
        ("smlal v0.8h, v1.8b, v2.8b", 0x0E22_8020, 1.00),
        ("smlal2 v0.8h, v1.16b, v2.16b", 0x4E22_8020, 1.00),
        ("smlal v0.4s, v1.4h, v2.h[1]", 0x0F52_2020, 1.00),
        ("sadalp v0.4s, v1.8h", 0x4E60_6820, 1.00),
        ("saddlp v0.4s, v1.8h", 0x4E60_2820, 0.50),
        ("mla v0.4s, v1.4s, v2.4s", 0x4EA2_9420, 2.00),
        ("mul v0.4s, v1.4s, v2.4s", 0x4EA2_9C20, 2.00),
        ("mul v0.8h, v1.8h, v2.8h", 0x4E62_9C20, 2.00),
        ("sqrdmulh v0.4s, v1.4s, v2.4s", 0x6EA2_B420, 2.00),
        ("sqdmulh v0.4s, v1.4s, v2.4s", 0x4EA2_B420, 2.00),
        ("smull v0.2d, v1.2s, v2.2s", 0x0EA2_C020, 1.00),
        ("srshl v0.4s, v1.4s, v2.4s", 0x4EA2_5420, 2.00),
        ("sshl v0.4s, v1.4s, v2.4s", 0x4EA2_4420, 2.00),
        ("sshr v0.4s, v1.4s, #3", 0x4F3D_0420, 0.50),
        ("shl v0.4s, v1.4s, #3", 0x4F23_5420, 0.50),
        ("srshr v0.4s, v1.4s, #3", 0x4F3D_2420, 1.00),
        ("sshll v0.8h, v1.8b, #0", 0x0F08_A420, 0.50),
        ("add v0.4s, v1.4s, v2.4s", 0x4EA2_8420, 0.50),
        ("addp v0.4s, v1.4s, v2.4s", 0x4EA2_BC20, 0.50),
        ("saddl v0.4s, v1.4h, v2.4h", 0x0E62_0020, 0.50),
        ("saddw v0.4s, v1.4s, v2.4h", 0x0E62_1020, 0.50),
        ("smax v0.16b, v1.16b, v2.16b", 0x4E22_6420, 0.50),
        ("sqxtn v0.4h, v1.4s", 0x0E61_4820, 1.00),
        ("sqxtn2 v0.8h, v1.4s", 0x4E61_4820, 1.00),
        ("sqadd v0.8h, v1.8h, v2.8h", 0x4E62_0C20, 0.50),
        ("and v0.16b, v1.16b, v2.16b", 0x4E22_1C20, 0.50),
        ("bsl v0.16b, v1.16b, v2.16b", 0x6E62_1C20, 1.00),
        ("cmgt v0.4s, v1.4s, v2.4s", 0x4EA2_3420, 0.50),
        ("tbl v0.16b, { v1.16b }, v2.16b", 0x4E02_0020, 1.50),
        ("tbl v0.16b, { v1.16b, v2.16b, v3.16b, v4.16b }, v2.16b", 0x4E02_6020, 4.50),
        ("tbx v0.16b, { v1.16b, v2.16b, v3.16b, v4.16b }, v2.16b", 0x4E02_7020, 4.50),
        ("dup v0.4s, v1.s[1]", 0x4E0C_0420, 0.50),
        ("dup v0.4s, w1", 0x4E04_0C20, 1.00),
        ("ext v0.16b, v1.16b, v2.16b, #4", 0x6E02_2020, 0.50),
        ("zip1 v0.16b, v1.16b, v2.16b", 0x4E02_3820, 1.50),
        ("uzp1 v0.8h, v1.8h, v2.8h", 0x4E42_1820, 1.50),
        ("trn1 v0.4s, v1.4s, v2.4s", 0x4E82_2820, 0.50),
        ("mov v0.16b, v1.16b", 0x4EA1_1C20, 0.50),
        ("movi v0.4s, #0", 0x4F00_0400, 0.50),
        ("mov w0, v1.s[0]", 0x0E04_3C20, 1.00),
        ("fmov w0, s1", 0x1E26_0020, 1.00),
        ("fmov s1, w0", 0x1E27_0001, 1.00),
        ("addv s0, v1.4s", 0x4EB1_B820, 1.00),
        ("ldr q0, [x0]", 0x3DC0_0000, 1.00),
        ("ldr q0, [x0], #16", 0x3CC1_0400, 1.00),
        ("ldp q0, q1, [x0]", 0xAD40_0400, 2.00),
        ("ldp q0, q1, [x0], #32", 0xACC1_0400, 2.00),
        ("ldr d0, [x0]", 0xFD40_0000, 1.00),
        ("ldr s0, [x0]", 0xBD40_0000, 1.00),
        ("ld1 { v0.16b }, [x0]", 0x4C40_7000, 1.00),
        ("ld1 { v0.16b, v1.16b }, [x0]", 0x4C40_A000, 2.00),
        ("ld1 { v0.16b, v1.16b, v2.16b, v3.16b }, [x0]", 0x4C40_2000, 4.00),
        ("ld1r { v0.4s }, [x0]", 0x4D40_C800, 1.00),
        ("ld1 { v0.s }[1], [x0]", 0x0D40_9000, 1.00),
        ("ldr x0, [x1]", 0xF940_0020, 1.00),
        ("ldp x0, x2, [x1]", 0xA940_0820, 1.00),
        ("str q0, [x0]", 0x3D80_0000, 2.00),
        ("stp q0, q1, [x0]", 0xAD00_0400, 4.00),
        ("str s0, [x0]", 0xBD00_0000, 1.00),
        ("st1 { v0.16b }, [x0]", 0x4C00_7000, 2.00),
        ("str x0, [x1]", 0xF900_0020, 1.00),
        ("stp x0, x2, [x1]", 0xA900_0820, 2.00),
        ("add x0, x1, x2", 0x8B02_0020, 0.50),
        ("add x0, x1, x2, lsl #2", 0x8B02_0820, 1.00),
        ("madd x0, x1, x2, x3", 0x9B02_0C20, 1.00),
        ("mul w0, w1, w2", 0x1B02_7C20, 1.00),
        ("cmp x0, x1", 0xEB01_001F, 0.50),
        ("csel x0, x1, x2, eq", 0x9A82_0020, 0.50),
        ("lsr x0, x1, #3", 0xD343_FC20, 0.50),
        ("ubfx x0, x1, #3, #4", 0xD343_1820, 0.50),
        ("prfm pldl1keep, [x0]", 0xF980_0000, 1.00),
        ("b.ne foo", 0x5400_0021, 1.00),
        ("cbz x0, foo2", 0xB400_0020, 1.00),
        ("bl foo3", 0x9400_0001, 1.00),
        ("ret", 0xD65F_03C0, 1.00),
    ];

    #[test]
    fn single_instructions_are_as_in_the_table() {
        for (text, word, expected) in KNOWN {
            let got = cycles(&[*word]);
            assert!((got - expected).abs() < 1e-9, "{text}: {got}, not {expected}");
        }
    }

    #[test]
    fn a_loop_of_products_is_bound_by_the_vector_units() {
        // Eight products with an element and two loads.
        let block = [0x4F82_1020_u32; 8].into_iter().chain([0x3DC0_0000; 2]).collect::<Vec<_>>();
        assert_eq!(cycles(&block), 8.0);
    }
}

//! Weights that are decoded for four output channels at a time: codes of 2 to 6 bits, and prefix codes.
//!
//! With the DSP extension codes of a palette of 16 are decoded inside the product, where a table of all pairs gives two
//! weights for a byte. No such table is small for 5 and 6 bits or where every channel has a codebook of its own, and
//! codes of 2 and 3 bits do not end with bytes; other cores have no use for pairs. So these codes are decoded into
//! scratch memory, in the form in which the plain product takes its weights, once for several pairs of windows.
//!
//! Codes lie without gaps, 16 of them in as many halves as they have bits; on Helium in planes of 4, 2 and 1 bits.

use std::fmt::Write as _;

use crate::conv::BAND_FIELDS;
use crate::helpers::Helper;
use crate::pack::{Channels, Matrix, Scales, groups, pairs, window_order};
use crate::unit::{Isa, Kernel, Unit};
use crate::{Coding, Conv2d};

/// Bytes that gathered windows may take.
const COLUMNS: usize = 8192;
/// The most pairs of windows gathered.
const SLOTS: usize = 8;
/// Words of a group beside its weights.
const GROUP_WORDS: usize = 9;

/// How weights that are decoded into scratch memory lie in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Packing {
    /// Codes of so many bits of one codebook, or of one for each channel.
    Bits { bits: u8, own: bool },
    /// Prefix codes of all values.
    Prefix,
}

impl Packing {
    /// What a coding is on an instruction set, if it is one of these. With the DSP extension codes of 4 bits are
    /// faster inside the product.
    pub fn of(coding: Coding, isa: Isa) -> Option<Self> {
        match coding {
            Coding::Codes(4) if isa == Isa::Dsp => None,
            Coding::Codes(bits @ 2..=6) => Some(Self::Bits { bits, own: false }),
            Coding::ChannelCodes(bits @ 2..=6) => Some(Self::Bits { bits, own: true }),
            Coding::Prefix => Some(Self::Prefix),
            _ => None,
        }
    }

    /// Palettes of channels have the decoder of one for all.
    fn shared(self) -> Self {
        match self {
            Self::Bits { bits, .. } => Self::Bits { bits, own: false },
            Self::Prefix => self,
        }
    }

    /// The name of the loop that decodes blocks.
    pub fn loop_name(self) -> &'static str {
        match self {
            Self::Bits { bits: 2, .. } => "decoded_2",
            Self::Bits { bits: 3, .. } => "decoded_3",
            Self::Bits { bits: 4, .. } => "decoded_4",
            Self::Bits { bits: 5, .. } => "decoded_5",
            Self::Bits { .. } => "decoded_6",
            Self::Prefix => "decoded_prefix",
        }
    }
}

/// The codebook of some weights, and how many of its entries are used.
fn book(entries: usize, weights: impl Iterator<Item = i8>) -> Option<(Vec<i8>, usize)> {
    let mut there = [false; 256];
    weights.for_each(|w| there[usize::from(w as u8)] = true);
    let mut book: Vec<i8> = (i8::MIN..=i8::MAX).filter(|&w| there[usize::from(w as u8)]).collect();
    let used = book.len();
    book.resize(entries, 0);
    (used <= entries).then_some((book, used))
}

/// The codes of 16 weights, the first in the lowest bits.
fn in_bits(bits: u8, codes: impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    let (mut held, mut count) = (0_u32, 0);
    for code in codes {
        held |= u32::from(code) << count;
        count += bits;
        while count >= 8 {
            out.push(held as u8);
            held >>= 8;
            count -= 8;
        }
    }
}

/// The codes of 16 inputs of four channels in planes of 4, 2 and 1 bits.
fn in_planes(bits: u8, codes: &[u8], out: &mut Vec<u8>) {
    let code = |channel: usize, i: usize| codes.get(16 * channel + i).copied().unwrap_or(0);
    let mut from = 0;
    if bits & 4 != 0 {
        for pair in [0, 2] {
            out.extend((0..16).map(|i| code(pair, i) & 15 | (code(pair + 1, i) & 15) << 4));
        }
        from = 4;
    }
    if bits & 2 != 0 {
        let two = |channel, i| (code(channel, i) >> from & 3) << (2 * channel);
        out.extend((0..16).map(|i| (0..4).fold(0, |byte, channel| byte | two(channel, i))));
        from += 2;
    }
    if bits & 1 != 0 {
        let one = |channel, i| (code(channel, i) >> from & 1) << channel;
        let four = |i: usize| (0..4).fold(0, |byte, channel| byte | one(channel, i));
        out.extend((0..8).map(|i| four(i) | four(i + 8) << 4));
    }
}

/// Groups of codes, and the codebook of all channels, if there is one.
pub(crate) struct Codes {
    pub groups: Vec<u32>,
    pub shared: Vec<i8>,
}

/// A weight's output channel and its input, `None` where the window is padded.
type Place = (usize, Option<usize>);

impl Matrix<'_> {
    /// The first channels of the groups.
    pub(crate) fn packed_firsts(&self, isa: Isa) -> Vec<usize> {
        let channels = self.folded.len();
        match isa {
            Isa::Helium => (0..channels).step_by(4).collect(),
            _ => groups(channels, 4),
        }
    }

    /// A weight; past the last channel they are zeros.
    pub(crate) fn packed_weight(&self, output: usize, input: Option<usize>) -> i8 {
        if output < self.folded.len() { self.weight(output, input) } else { 0 }
    }

    /// The weights of a group in the order of the plain stream, block by block.
    pub(crate) fn places(&self, isa: Isa, first: usize) -> Vec<Vec<Place>> {
        let all = [first, first + 1, first + 2, first + 3];
        if isa == Isa::Helium {
            let known = |i: usize| Some(i).filter(|&k| k < self.per_output);
            let block = |at: usize| {
                all.into_iter()
                    .flat_map(move |o| (at..at + 16).map(move |i| (o, i)))
                    .map(|(o, i)| (o, known(i)))
            };
            return (0..self.per_output).step_by(16).map(|at| block(at).collect()).collect();
        }
        let block = |four: &[Option<usize>; 4]| -> Vec<Place> {
            if isa == Isa::Dsp {
                // A word is two inputs of two channels.
                let two = |inputs: [Option<usize>; 2]| {
                    [first, first + 2]
                        .map(|o| inputs.map(|k| [(o, k), (o + 1, k)]).concat())
                        .concat()
                };
                pairs(four).map(two).concat()
            } else {
                four.map(|k| all.map(|o| (o, k))).concat()
            }
        };
        self.order.iter().map(block).collect()
    }

    /// The codebooks of all channels, or one; `None` where they do not fit or codes of fewer bits do.
    fn books(&self, isa: Isa, entries: usize, own: bool) -> Option<Vec<Vec<i8>>> {
        let rows = self.weights.chunks_exact(self.per_output);
        // Where windows are padded their weights are zeros.
        let padded = match isa {
            Isa::Helium => !self.per_output.is_multiple_of(16),
            _ => self.order.iter().flatten().any(Option::is_none),
        };
        let with_zero = |row: &[i8]| book(entries, row.iter().copied().chain(padded.then_some(0)));
        let found: Vec<(Vec<i8>, usize)> = match own {
            true => rows.map(with_zero).collect::<Option<_>>()?,
            false => vec![with_zero(self.weights)?],
        };
        let most = found.iter().map(|b| b.1).max().unwrap_or(0);
        // Codes of fewer bits do as well.
        let fewer = entries > 4 && 2 * most <= entries;
        (!fewer).then(|| found.into_iter().map(|b| b.0).collect())
    }

    fn packed_codes(&self, isa: Isa, bits: u8, own: bool) -> Option<Codes> {
        let books = self.books(isa, 1 << bits, own)?;
        let nothing = vec![0; 1 << bits];
        let book = |o: usize| books.get(if own { o } else { 0 }).unwrap_or(&nothing);
        let code = |&(o, k): &Place| {
            let weight = self.packed_weight(o, k);
            book(o).iter().position(|&v| v == weight).unwrap_or(0) as u8
        };
        let mut out = Vec::new();
        for first in self.packed_firsts(isa) {
            self.frame(isa, first, &mut out)?;
            let mut bytes = Vec::new();
            if own {
                bytes.extend((first..first + 4).flat_map(book).map(|&v| v as u8));
            }
            for block in self.places(isa, first) {
                let codes: Vec<u8> = block.iter().map(code).collect();
                match isa {
                    Isa::Helium => in_planes(bits, &codes, &mut bytes),
                    _ => in_bits(bits, codes.into_iter(), &mut bytes),
                }
            }
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            out.extend(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        let shared = if own { Vec::new() } else { books.into_iter().next()? };
        Some(Codes { groups: out, shared })
    }

    /// What a group has beside its weights, in the order of the plain stream; `None` where that cannot hold them.
    pub(crate) fn frame(&self, isa: Isa, first: usize, out: &mut Vec<u32>) -> Option<()> {
        match isa {
            Isa::Helium => self.helium_tail(first, out),
            Isa::Dsp => {
                if !(self.upper_fits(first + 1) && self.upper_fits(first + 3)) {
                    return None;
                }
                for inputs in self.order.iter().flat_map(pairs) {
                    self.paired_word(first, inputs)?;
                    self.paired_word(first + 2, inputs)?;
                }
                self.paired_bias(first, 4, out);
                self.tail(first, out);
            }
            Isa::V6m | Isa::V7m => {
                out.extend(self.folded[first..first + 4].iter().map(|&b| b as u32));
                self.tail(first, out);
            }
        }
        Some(())
    }
}

impl Conv2d<'_> {
    /// A 1x1 convolution with its pixels in one row, so that more of them are done at a time.
    fn in_a_row(&self) -> Self {
        let row = |[h, w, c]: [usize; 3]| [1, h * w, c];
        Self { input: row(self.input), output: row(self.output), ..self.clone() }
    }

    /// The layer as the kernel for packed codes sees it.
    pub(crate) fn as_packed(&self) -> Self {
        if self.is_pointwise() { self.in_a_row() } else { self.clone() }
    }

    /// Pairs of windows that are gathered before the products; [`Conv2d::as_packed`] has to be the layer.
    pub(crate) fn slots(&self, bytes: usize) -> usize {
        (COLUMNS / bytes.max(1)).min(self.output[1].div_ceil(2)).clamp(1, SLOTS)
    }

    pub(crate) fn packed(&self, unit: &mut Unit, name: &str, packing: Packing) -> Option<Kernel> {
        let layer = self.as_packed();
        let isa = unit.isa();
        if !layer.fits_records() || (self.output[2] < 4 && isa != Isa::Helium) {
            return None;
        }
        let [k_h, k_w] = layer.kernel;
        let in_c = layer.input[2];
        let (per_output, order) = (k_h * k_w * in_c, window_order(k_h, k_w * in_c));
        let columns;
        let weights = if isa == Isa::Helium {
            columns = layer.by_columns();
            &columns
        } else {
            layer.weights
        };
        let (zero, requant) = (layer.in_zero, &layer.requant);
        let channels =
            Channels::settle(weights, layer.bias, per_output, zero, requant, Scales::Either)?;
        let matrix = channels.matrix(per_output, &order);
        let (codes, table) = match packing {
            Packing::Bits { bits, own } => (matrix.packed_codes(isa, bits, own)?, Vec::new()),
            Packing::Prefix => matrix.prefix_codes(isa)?,
        };
        unit.need(Helper::Mm42Any);
        if channels.left() > 0 {
            unit.need(Helper::Left);
        }
        unit.need(Helper::Decode(packing.shared()));
        unit.need(Helper::ConvPacked);
        unit.words(&format!("{name}_w"), &codes.groups);
        let book = match packing {
            Packing::Bits { own: true, .. } => "0".to_owned(),
            Packing::Bits { .. } => {
                unit.i8s(&format!("{name}_book"), &codes.shared);
                format!("{name}_book")
            }
            Packing::Prefix => {
                unit.u16s(&format!("{name}_book"), &table);
                format!("(const int8_t *){name}_book")
            }
        };
        let (decoder, step) = match packing {
            Packing::Bits { bits, own } => (bits.to_string(), if own { 1 << bits } else { 0 }),
            Packing::Prefix => ("prefix".to_owned(), 0),
        };
        let bytes = layer.window_bytes(isa, false) as usize;
        let (blocks, words) = match isa {
            Isa::Helium => (bytes / 16, bytes),
            _ => (order.len(), 4 * order.len()),
        };
        let (words, slots) = (words + GROUP_WORDS, layer.slots(bytes));
        let record = layer.window_record(unit, name, bytes, layer.requant.zero_term());
        let fields = format!(
            "{{{record}}}, pr_decode_{decoder}, {book}, {step}, {blocks}, {words}, {slots}"
        );
        unit.record("pr_packed", name, &fields);
        let call = format!("pr_conv2d_packed(&{name}, @in0@, @out0@, @scratch@);");
        let (tile, strip) = layer.strip();
        let (room, tile) = match isa {
            Isa::Helium => (strip.next_multiple_of(4), tile),
            _ => (slots * bytes + layer.edge_bytes(isa), 2 * slots),
        };
        let kernel = Kernel::new(call, "decoded groups")
            .scratch(4 * words + room)
            .overlap(&[layer.tile_overlap(tile)]);
        let width = format!("@rows@ * {}", self.output[1]);
        let row = [("in_w", width.as_str()), ("out_w", width.as_str())];
        let bands: &[(&str, &str)] = if self.is_pointwise() { &row } else { &BAND_FIELDS };
        let inner: Vec<(String, &str)> =
            bands.iter().map(|&(field, value)| (format!("conv.{field}"), value)).collect();
        let fields: Vec<(&str, &str)> = inner.iter().map(|(f, v)| (f.as_str(), *v)).collect();
        Some(kernel.band_fields("pr_packed", name, &fields))
    }
}

/// What a word of the plain stream is made of: four weights.
fn word(isa: Isa, at: usize, code: &[String]) -> String {
    match isa {
        Isa::Dsp => {
            let [l, u] = if at.is_multiple_of(2) { ["b0", "b1"] } else { ["b2", "b3"] };
            format!(
                "PR_LANES({l}[{}] + {u}[{}] * 256, {l}[{}] + {u}[{}] * 256)",
                code[0], code[1], code[2], code[3]
            )
        }
        _ => format!("PR_FOUR(b0[{}], b1[{}], b2[{}], b3[{}])", code[0], code[1], code[2], code[3]),
    }
}

/// The function that decodes groups.
pub(crate) fn decoder(isa: Isa, packing: Packing) -> String {
    let bits = match packing {
        Packing::Bits { bits, .. } if isa == Isa::Helium => return vector_decoder(bits),
        Packing::Bits { bits, .. } => bits,
        Packing::Prefix => {
            let last = match isa {
                Isa::Dsp => "PR_LANES(w0 + w1 * 256, w2 + w3 * 256)",
                _ => "PR_FOUR(w0, w1, w2, w3)",
            };
            let count = if isa == Isa::Helium { "64" } else { "16" };
            return include_str!("c/decode_prefix.c")
                .replace("PR_COUNT", count)
                .replace("PR_LAST", last);
        }
    };
    let bits = usize::from(bits);
    let mut loads = String::new();
    for i in 0..bits.div_ceil(2) {
        // Words and then, for odd numbers of bits, a half.
        let upper = match 2 * i + 1 < bits {
            true => format!(" | (uint32_t)h[{}] << 16", 2 * i + 1),
            false => String::new(),
        };
        let _ = writeln!(loads, "        uint32_t x{i} = h[{}]{upper};", 2 * i);
    }
    let mask = (1 << bits) - 1;
    let code = |i: usize| {
        let (at, from) = (i * bits / 32, i * bits % 32);
        if from + bits <= 32 {
            format!("x{at} >> {from} & {mask}")
        } else {
            format!("(x{at} >> {from} | x{} << {}) & {mask}", at + 1, 32 - from)
        }
    };
    let mut words = String::new();
    for at in 0..4 {
        let four: Vec<String> = (4 * at..4 * at + 4).map(code).collect();
        let _ = writeln!(words, "        *to++ = {};", word(isa, at, &four));
    }
    include_str!("c/decode.c")
        .replace("PR_BITS", &bits.to_string())
        .replace("        PR_LOADS\n", &loads)
        .replace("        PR_WORDS\n", &words)
}

/// The same for Helium: 16 codes at a time, put together from planes of 4, 2 and 1 bits, and a gather from the codebook.
fn vector_decoder(bits: u8) -> String {
    let mut asm: Vec<String> = Vec::new();
    let mut line = |text: &str| asm.push(text.to_owned());
    let (four, one) = (bits & 4 != 0, bits & 1 != 0);
    // The lowest plane is q1 and its codes are masked by q0; the other is q4, masked by q5, moved to stand above it.
    let (low, high) = if four { (4, bits - 4) } else { (2, bits - 2) };
    line("push {r4-r6, lr}");
    line("vpush {d8-d15}");
    line("add r4, r2, r3");
    line("add r5, r4, r3");
    line("add r6, r5, r3");
    line(&format!("vmov.i8 q0, #{}", (1 << low) - 1));
    if high > 0 {
        line(&format!("vmov.i8 q5, #{}", ((1 << high) - 1) << low));
    }
    if one {
        line("mov r12, #0");
        line("vidup.u8 q7, r12, #1");
        line("vmov.i8 q6, #7");
        line("vand q6, q7, q6");
        line("vshr.u8 q7, q7, #3");
        line("vneg.s8 q7, q7");
        line("vshl.i8 q7, q7, #2");
    }
    line("ldr r12, [sp, #80]");
    line("dls lr, r12");
    line("1:");
    // The plane above the lowest stands behind it.
    let behind = if four { 32 } else { 16 };
    if high == 2 {
        line(&format!("vldrb.8 q4, [r1, #{behind}]"));
    } else if one {
        line(&format!("add r3, r1, #{behind}"));
        line("vldrb.u8 q4, [r3, q6]");
        line("vshl.u8 q4, q4, q7");
    }
    for channel in 0..4_u8 {
        let book = ["r2", "r4", "r5", "r6"][usize::from(channel)];
        if four {
            match channel {
                0 => line("vldrb.8 q1, [r1]"),
                2 => line("vldrb.8 q1, [r1, #16]"),
                _ => {}
            }
            line(if channel % 2 == 0 { "vand q2, q1, q0" } else { "vshr.u8 q2, q1, #4" });
        } else if channel == 0 {
            line("vldrb.8 q1, [r1]");
            line("vand q2, q1, q0");
        } else {
            line(&format!("vshr.u8 q2, q1, #{}", 2 * channel));
            if channel < 3 {
                line("vand q2, q2, q0");
            }
        }
        if high > 0 {
            let by = low as i8 - (high * channel) as i8;
            let from = match by {
                0 => "q4",
                1.. => {
                    line(&format!("vshl.i8 q3, q4, #{by}"));
                    "q3"
                }
                _ => {
                    line(&format!("vshr.u8 q3, q4, #{}", -by));
                    "q3"
                }
            };
            line(&format!("vand q3, {from}, q5"));
            line("vorr q2, q2, q3");
        }
        line(&format!("vldrb.u8 q3, [{book}, q2]"));
        line("vstrb.8 q3, [r0], #16");
    }
    line(&format!("add r1, r1, #{}", 8 * bits));
    line("le lr, 1b");
    line("mov r0, r1");
    line("vpop {d8-d15}");
    line("pop {r4-r6, pc}");
    let asm: String = asm.iter().map(|line| format!("        \"{line}\\n\\t\"\n")).collect();
    include_str!("c/decode_mve.c").replace("PR_BITS", &bits.to_string()).replace(
        "        PR_DECODE
",
        &asm,
    )
}

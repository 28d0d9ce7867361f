use crate::packed::Packing;
use crate::unit::Isa;
use crate::{Coding, Conv2d, FullyConnected};

type Rounds = Vec<(&'static str, u64)>;

/// The loops of the product of pairs of pixels with groups of four channels; `bytes` are those of a
/// window on Helium, else those of both, widened to 16 bits on cores that do so.
struct Product {
    isa: Isa,
    coding: Coding,
    relu: bool,
    fast: bool,
    pairs: u64,
    channels: u64,
    bytes: u64,
    /// Blocks of four inputs by four channels that are not skipped.
    kept: u64,
    /// Channels whose multipliers are a half or more.
    left: u64,
}

impl Product {
    fn rounds(&self, rounds: &mut Rounds) {
        let groups = self.pairs * self.channels.div_ceil(4);
        let steps = self.bytes / 8;
        let plain = self.coding == Coding::Plain;
        rounds.push((if self.relu && plain { "group_relu" } else { "group" }, groups));
        rounds.push(("left", self.pairs * self.left));
        match (self.isa, self.coding) {
            (_, Coding::Sparse | Coding::SparsePalette) => {
                rounds.push(("kept", self.pairs * self.kept));
            }
            // The first block stands apart, the others are unrolled by four.
            (Isa::Helium, _) => {
                let further = (self.bytes / 16).saturating_sub(1);
                rounds.push(("block", groups * further));
                rounds.push(("unrolled", groups * further.div_ceil(4)));
            }
            (Isa::V6m | Isa::V7m, _) => rounds.push(("step", groups * steps)),
            (Isa::Dsp, coding) if coding == Coding::Plain || coding.is_packed() => {
                rounds.push(("step", groups * steps));
                // The first step along lines stands before the loop.
                let further = if self.relu { steps - 1 } else { steps };
                let unrolled = if self.relu && self.fast { 32 } else { 8 };
                rounds.push(("unrolled", groups * further.div_ceil(unrolled)));
            }
            (Isa::Dsp, Coding::Nibbles) => {
                rounds.push(("summed", self.pairs * steps.div_ceil(2)));
                rounds.push(("step", groups * steps));
                rounds.push(("unrolled", groups * steps.div_ceil(4)));
            }
            (Isa::Dsp, Coding::Palette) => rounds.push(("two_steps", groups * steps.div_ceil(2))),
            // Layers in tiles count their own.
            (Isa::Dsp, _) => {}
        }
    }
}

impl Conv2d<'_> {
    pub(crate) fn window_bytes(&self, isa: Isa, pointwise: bool) -> u64 {
        let [k_h, k_w] = self.kernel;
        let row = k_w * self.input[2];
        let words = if pointwise {
            self.input[2].div_ceil(4)
        } else {
            k_h * (row / 4) + (k_h * (row % 4)).div_ceil(4)
        };
        (match isa {
            Isa::Helium => (k_h * row).next_multiple_of(16),
            Isa::Dsp => words * 16,
            _ => words * 8,
        }) as u64
    }

    fn product(&self, isa: Isa, relu: bool, pairs: u64, channels: u64, bytes: u64) -> Product {
        let sparse = matches!(self.coding, Coding::Sparse | Coding::SparsePalette);
        let kept = if sparse { self.kept_blocks(isa).unwrap_or(0) as u64 } else { 0 };
        let left = self.left_channels() as u64;
        Product {
            isa,
            coding: self.coding,
            relu,
            fast: self.fast,
            pairs,
            channels,
            bytes,
            kept,
            left,
        }
    }

    /// How often the loops of the function run that was chosen for this layer.
    pub(crate) fn rounds(&self, function: &str, isa: Isa) -> Rounds {
        let relu = match isa {
            Isa::Dsp => self.by_lines(isa),
            _ => self.requant.zero == -128,
        };
        let channels = self.output[2] as u64;
        if function.starts_with("pr_pointwise") {
            let pixels = (self.input[0] * self.input[1]) as u64;
            let pairs = pixels.div_ceil(2);
            let bytes = self.window_bytes(isa, true);
            let mut rounds = vec![("call", 1), ("pair", pairs)];
            if isa != Isa::Helium {
                let words = (self.input[2] as u64).div_ceil(4);
                rounds.extend([
                    ("odd_word", pairs * (words % 2)),
                    ("two_words", pairs * (words / 2)),
                ]);
            }
            self.product(isa, relu, pairs, channels, bytes).rounds(&mut rounds);
            return rounds;
        }
        if function == "pr_conv2d_winograd" {
            return self.winograd_rounds();
        }
        if function == "pr_conv2d_any" {
            return self.any_rounds();
        }
        if function == "pr_conv2d_packed" {
            return self.as_packed().packed_rounds(isa);
        }
        if isa == Isa::Helium { self.strip_rounds(relu) } else { self.window_rounds(isa, relu) }
    }

    /// Products with groups that are decoded for several windows.
    fn packed_rounds(&self, isa: Isa) -> Rounds {
        let groups = self.output[2].div_ceil(4) as u64;
        let bytes = self.window_bytes(isa, false);
        let (mut rounds, batches, blocks) = if isa == Isa::Helium {
            let rounds = self.strip_rounds(false);
            let strips = rounds.iter().find(|r| r.0 == "strip").map_or(0, |r| r.1);
            (rounds, strips, bytes / 16)
        } else {
            let pairs = self.output[1].div_ceil(2);
            let batches = self.output[0] * pairs.div_ceil(self.slots(bytes as usize));
            let block = if isa == Isa::Dsp { 16 } else { 8 };
            (self.window_rounds(isa, false), batches as u64, bytes / block)
        };
        let decoded = Packing::of(self.coding, isa).map_or("", Packing::loop_name);
        rounds.push(("batch", batches));
        rounds.push(("decoded_group", batches * groups));
        rounds.push((decoded, batches * groups * blocks));
        rounds
    }

    fn any_rounds(&self) -> Rounds {
        let [out_h, out_w, out_c] = self.output;
        let inside = |axis: usize, out: usize| -> u64 {
            let taps = (0..out).flat_map(|o| (0..self.kernel[axis]).map(move |k| (o, k)));
            taps.filter(|&(o, k)| {
                let at = o * self.stride[axis] + k * self.dilation[axis];
                at >= self.pad[axis] && at - self.pad[axis] < self.input[axis]
            })
            .count() as u64
        };
        let (rows, columns) = (inside(0, out_h), inside(1, out_w));
        let channels = out_c as u64;
        vec![
            ("call", 1),
            ("output", (out_h * out_w) as u64 * channels),
            ("row", rows * out_w as u64 * channels),
            ("tap", rows * columns * channels),
            ("product", rows * columns * channels * (self.input[2] / self.groups) as u64),
        ]
    }

    /// Gathered windows of two pixels.
    fn window_rounds(&self, isa: Isa, relu: bool) -> Rounds {
        let [in_h, in_w, depth] = self.input.map(|v| v as i64);
        let [out_h, out_w, _] = self.output;
        let [k_h, k_w] = self.kernel.map(|v| v as i64);
        let row = (k_w * depth) as u64;
        let (words, rest) = (row / 4, row % 4);
        let pairs = (out_h * out_w.div_ceil(2)) as u64;
        // Bytes that go in words and bytes that go alone.
        let wide = isa != Isa::V6m;
        let (mut edge_pairs, mut edge_rows, mut moves) = (0, 0, [0_u64; 2]);
        let mut piece = |bytes: u64| {
            moves[0] += if wide { bytes / 4 } else { 0 };
            moves[1] += if wide { bytes % 4 } else { bytes };
        };
        let padded = if isa == Isa::Dsp { self.padded_row() } else { None };
        let (mut strips, mut strip_rows) = (0, 0);
        if let Some(width) = padded {
            let left = self.pad[1] as i64 * depth;
            let inside = (width as i64 - left).min(in_w * depth).max(0) as u64;
            for oy in 0..out_h {
                let y0 = (oy * self.stride[0]) as i64 - self.pad[0] as i64;
                let kept = if oy > 0 { (k_h - self.stride[0] as i64).max(0) } else { 0 };
                strips += 1;
                piece(kept as u64 * width as u64);
                for y in y0 + kept..y0 + k_h {
                    strip_rows += 1;
                    piece(width as u64);
                    piece(if (0..in_h).contains(&y) { inside } else { 0 });
                }
            }
        }
        for oy in 0..if padded.is_some() { 0 } else { out_h } {
            let y0 = (oy * self.stride[0]) as i64 - self.pad[0] as i64;
            for pair in 0..out_w.div_ceil(2) {
                let x0 = (2 * pair * self.stride[1]) as i64 - self.pad[1] as i64;
                let x1 = if 2 * pair + 1 < out_w { x0 + self.stride[1] as i64 } else { x0 };
                let inside = y0 >= 0 && y0 + k_h <= in_h && x0 >= 0 && x1 + k_w <= in_w;
                if inside {
                    continue;
                }
                edge_pairs += 1;
                for y in y0..y0 + k_h {
                    for x in [x0, x1] {
                        let (mut first, mut last) = ((-x).max(0), (in_w - x).min(k_w));
                        if y < 0 || y >= in_h || first > k_w {
                            (first, last) = (0, 0);
                        }
                        if first == 0 && last == k_w {
                            continue;
                        }
                        let last = last.max(first);
                        edge_rows += 1;
                        for columns in [first, last - first, k_w - last] {
                            piece((columns * depth).max(0) as u64);
                        }
                    }
                }
            }
        }
        let rows = pairs * k_h as u64;
        let ends = (rest * k_h as u64).div_ceil(4);
        let mut rounds = vec![
            ("call", 1),
            ("row_of_outputs", out_h as u64),
            ("pair", pairs),
            ("window_row", if words > 1 { rows } else { 0 }),
            ("word_row", if words == 1 { rows } else { 0 }),
            ("thin_row", if words > 0 { 0 } else { rows }),
            ("odd_word", if words > 1 { rows * (words % 2) } else { 0 }),
            ("two_words", rows * (words / 2)),
            ("odd_byte", rows * rest),
            ("odd_pair", if rest > 0 { pairs } else { 0 }),
            ("end_odd_word", if rest > 0 { pairs * (ends % 2) } else { 0 }),
            ("end_two_words", if rest > 0 { pairs * (ends / 2) } else { 0 }),
            ("edge_row", 2 * edge_pairs * k_h as u64),
            ("edge_part", edge_rows),
            ("strip", strips),
            ("strip_row", strip_rows),
            ("moved_word", moves[0]),
            ("moved_byte", moves[1]),
        ];
        let bytes = self.window_bytes(isa, false);
        self.product(isa, relu, pairs, self.output[2] as u64, bytes).rounds(&mut rounds);
        rounds
    }

    /// Helium: strips of columns.
    fn strip_rounds(&self, relu: bool) -> Rounds {
        let [in_h, in_w, depth] = self.input;
        let [out_h, out_w, _] = self.output;
        let [k_h, k_w] = self.kernel;
        let column = k_h * depth;
        let lot = if depth <= 8 && 15 / depth * column + depth <= 255 { 16 / depth } else { 0 };
        let tile = self.tile();
        let tiles = tile < out_w;
        let (mut strips, mut cleared, mut clears, mut rows, mut copies, mut pairs) =
            (0, 0, 0, 0, 0, 0);
        for oy in 0..out_h {
            let y = (oy * self.stride[0]) as i64 - self.pad[0] as i64;
            for from in (0..out_w).step_by(tile) {
                let width = (out_w - from).min(tile);
                let columns = (width - 1) * self.stride[1] + k_w;
                let x = (from * self.stride[1]) as i64 - self.pad[1] as i64;
                strips += 1;
                pairs += width.div_ceil(2) as u64;
                if oy == 0 || tiles || y + k_h as i64 > in_h as i64 {
                    clears += 1;
                    cleared += (columns * column) as u64;
                }
                let count = (in_w as i64 - x).min(columns as i64) - (-x).max(0);
                for ky in 0..k_h as i64 {
                    if count > 0 && y + ky >= 0 && y + ky < in_h as i64 {
                        rows += 1;
                        copies += match lot {
                            0 => (depth.div_ceil(16) as i64 * count) as u64,
                            lot => (count as u64).div_ceil(lot as u64),
                        };
                    }
                }
            }
        }
        let blocks = if lot == 0 { rows * depth.div_ceil(16) as u64 } else { 0 };
        let mut rounds = vec![
            ("call", 1),
            ("row_of_outputs", out_h as u64),
            ("strip", strips),
            ("clear", clears),
            ("cleared_byte", cleared),
            ("strip_row", rows),
            ("spread", if lot == 0 { 0 } else { copies }),
            ("block_row", blocks),
            ("block_copy", if lot == 0 { copies } else { 0 }),
            ("pair", pairs),
        ];
        let bytes = self.window_bytes(Isa::Helium, false);
        self.product(Isa::Helium, relu, pairs, self.output[2] as u64, bytes).rounds(&mut rounds);
        rounds
    }
}

impl FullyConnected<'_> {
    fn left_outputs(&self) -> u64 {
        self.settled().map_or(0, |c| c.left() as u64)
    }

    /// How often the loops of the function run that was chosen for this layer.
    pub(crate) fn rounds(&self, function: &str, isa: Isa) -> Rounds {
        let (inputs, outputs) = (self.inputs as u64, self.outputs as u64);
        if function.starts_with("pr_pointwise") || function.starts_with("pr_conv2d") {
            return self.pointwise().rounds(function, isa);
        }
        if function.starts_with("pr_dense8") {
            let groups = outputs.div_ceil(8);
            return if isa == Isa::Helium {
                let blocks = inputs.div_ceil(16);
                vec![
                    ("call", 1),
                    ("group", groups),
                    ("block", groups * blocks),
                    ("odd", groups * (blocks % 2)),
                ]
            } else {
                let words = inputs.div_ceil(4);
                let unrolled = match self.coding {
                    Coding::Nibbles => words,
                    Coding::Palette => words.div_ceil(4),
                    _ => words.div_ceil(2),
                };
                vec![
                    ("call", 1),
                    ("group", groups),
                    ("word", groups * words),
                    ("unrolled", groups * unrolled),
                    ("summed", if self.coding == Coding::Nibbles { words } else { 0 }),
                    ("left", if function.contains("_each") { self.left_outputs() } else { 0 }),
                ]
            };
        }
        if matches!(isa, Isa::V6m | Isa::V7m) {
            let quads = outputs.div_ceil(4);
            return vec![
                ("call", 1),
                ("four", quads),
                ("output", outputs),
                ("input", quads * inputs),
            ];
        }
        vec![
            ("call", 1),
            ("output", outputs),
            ("four_inputs", outputs * (inputs / 4)),
            ("odd_input", outputs * (inputs % 4)),
        ]
    }
}

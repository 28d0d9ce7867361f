//! 3x3 convolutions by Winograd's F(2x2, 3x3) in integers.

use crate::helpers::Helper;
use crate::pack::{Channels, Scales};
use crate::unit::{Isa, Kernel, Overlap, Unit};
use crate::{Coding, Conv2d};

/// Words of the sums of two tiles and four channels.
const SUMS: usize = 128;

/// Four times the transform of a 3x3 filter: `(2 G) g (2 G)^T`.
fn transformed(g: impl Fn(usize, usize) -> i32) -> [i32; 16] {
    let twice = |a: i32, b: i32, c: i32| [2 * a, a + b + c, a - b + c, 2 * c];
    let rows: [[i32; 4]; 3] = std::array::from_fn(|x| twice(g(0, x), g(1, x), g(2, x)));
    let mut out = [0; 16];
    for y in 0..4 {
        let row = twice(rows[0][y], rows[1][y], rows[2][y]);
        out[4 * y..4 * y + 4].copy_from_slice(&row);
    }
    out
}

impl Conv2d<'_> {
    /// Tile rows, pairs of tiles in each, groups of four channels.
    fn tiles(&self) -> [u64; 3] {
        let [h, w, c] = self.output.map(|v| v as u64);
        [h.div_ceil(2), w.div_ceil(4), c.div_ceil(4)]
    }

    fn winograd_strip(&self) -> usize {
        4 * (4 * self.output[1].div_ceil(4) + 2) * self.input[2]
    }

    pub(crate) fn winograd(&self, unit: &mut Unit, name: &str) -> Option<Kernel> {
        let [in_h, in_w, in_c] = self.input;
        let [out_h, out_w, out_c] = self.output;
        let plain = self.kernel == [3, 3] && self.stride == [1, 1] && self.dilation == [1, 1];
        // With more channels sums might not fit 32 bits.
        let fits = in_c.is_multiple_of(4) && in_c <= 256 && out_c.is_multiple_of(4);
        let small = self.input.iter().chain(&self.output).all(|&v| v <= 16_383)
            && self.pad.iter().all(|&p| p <= 2);
        if unit.isa() != Isa::Dsp || self.groups != 1 || !plain || !fits || !small {
            return None;
        }
        let (zero, requant) = (self.in_zero, &self.requant);
        let settled =
            Channels::settle(self.weights, self.bias, 9 * in_c, zero, requant, Scales::Right)?;
        let mut stream: Vec<u32> = Vec::new();
        for first in (0..out_c).step_by(4) {
            let tile = |o: usize, i: usize| {
                transformed(|y, x| i32::from(settled.weights[(o * 9 + 3 * y + x) * in_c + i]))
            };
            let tiles: Vec<Vec<[i32; 16]>> =
                (first..first + 4).map(|o| (0..in_c).map(|i| tile(o, i)).collect()).collect();
            for place in 0..16 {
                for four in (0..in_c).step_by(4) {
                    for pair in [[four, four + 2], [four + 1, four + 3]] {
                        for channel in &tiles {
                            let [a, b] = pair.map(|i| channel[i][place] as u16);
                            stream.push(u32::from(a) | u32::from(b) << 16);
                        }
                    }
                }
            }
            let four = first..first + 4;
            stream.extend(settled.folded[four.clone()].iter().map(|&b| (2 * b) as u32));
            stream.extend(settled.fast[four.clone()].iter().map(|&(m, _)| m as u32));
            let shifts: [u8; 4] = std::array::from_fn(|i| settled.fast[first + i].1 as u8);
            stream.push(u32::from_le_bytes(shifts));
        }
        unit.need(Helper::ConvOf(Coding::Winograd));
        unit.words(&format!("{name}_w"), &stream);
        let fields = format!(
            "{name}_w, {in_h}, {in_w}, {in_c}, {out_h}, {out_w}, {out_c}, {}, {}, {}, {}",
            self.requant.zero_term(),
            self.pad[0],
            self.pad[1],
            self.in_zero
        );
        unit.record("pr_winograd", name, &fields);
        let scratch = 4 * SUMS + 64 * in_c + self.winograd_strip();
        let call = format!("pr_conv2d_winograd(&{name}, @in0@, @out0@, @scratch@);");
        Some(
            Kernel::new(call, "Winograd tiles")
                .scratch(scratch)
                .overlap(&[self.winograd_overlap()])
                .band_fields("pr_winograd", name, &crate::conv::BAND_FIELDS),
        )
    }

    /// Two rows of outputs are written when all rows that they see have been read.
    fn winograd_overlap(&self) -> Overlap {
        let [in_h, in_w, in_c] = self.input;
        let [out_h, out_w, out_c] = self.output;
        let mut distance = 0;
        for written in (2..out_h).step_by(2) {
            let unread = written.saturating_sub(self.pad[0]).min(in_h);
            distance =
                distance.max((written * out_w * out_c) as i64 - (unread * in_w * in_c) as i64);
        }
        Overlap::AtLeast(distance)
    }

    pub(crate) fn winograd_rounds(&self) -> Vec<(&'static str, u64)> {
        let [rows, pairs, groups] = self.tiles();
        let depth = self.input[2] as u64;
        let products = rows * pairs * groups;
        let [out_h, out_w, out_c] = self.output.map(|v| v as u64);
        vec![
            ("call", 1),
            ("tile_row", rows),
            ("strip_word", rows * (self.winograd_strip() / 4) as u64),
            ("pair", rows * pairs),
            ("block", rows * pairs * depth / 4),
            ("group", products),
            ("step", products * 8 * depth),
            ("unrolled", products * 16 * (depth / 2).div_ceil(8)),
            // Of the two tiles of a pair those with a column inside, and what of them is inside.
            ("tile", rows * groups * out_w.div_ceil(2)),
            ("output", out_h * out_w * out_c),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::transformed;

    #[test]
    fn four_outputs_of_a_tile_are_those_of_the_window() {
        let mut state = 5_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i32::from((state >> 24) as u8 as i8)
        };
        for _ in 0..100 {
            let g: [[i32; 3]; 3] = std::array::from_fn(|_| std::array::from_fn(|_| random()));
            let d: [[i32; 4]; 4] = std::array::from_fn(|_| std::array::from_fn(|_| random()));
            let inner = |a: [i32; 4]| [a[0] - a[2], a[1] + a[2], a[2] - a[1], a[1] - a[3]];
            let columns: [[i32; 4]; 4] =
                std::array::from_fn(|x| inner(std::array::from_fn(|y| d[y][x])));
            let tile: [[i32; 4]; 4] =
                std::array::from_fn(|y| inner(std::array::from_fn(|x| columns[x][y])));
            let u = transformed(|y, x| g[y][x]);
            let m: [[i32; 4]; 4] =
                std::array::from_fn(|y| std::array::from_fn(|x| u[4 * y + x] * tile[y][x]));
            let outer = |a: [i32; 4]| [a[0] + a[1] + a[2], a[1] - a[2] - a[3]];
            let rows: [[i32; 2]; 4] =
                std::array::from_fn(|x| outer(std::array::from_fn(|y| m[y][x])));
            for y in 0..2 {
                let out = outer(std::array::from_fn(|x| rows[x][y]));
                for (x, &found) in out.iter().enumerate() {
                    let taps = (0..9).map(|i| g[i / 3][i % 3] * d[y + i / 3][x + i % 3]);
                    assert_eq!(found, 4 * taps.sum::<i32>());
                }
            }
        }
    }
}

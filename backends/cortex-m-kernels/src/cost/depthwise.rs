use super::Loops;
use crate::DepthwiseConv2d;
use crate::unit::Isa;

type Rounds = Vec<(&'static str, u64)>;

impl DepthwiseConv2d<'_> {
    /// How often the loops of the function run that was chosen for this layer.
    pub(crate) fn rounds(&self, function: &str, isa: Isa) -> Rounds {
        if function.starts_with("pr_conv2d") {
            return self.grouped().rounds(function, isa);
        }
        if isa == Isa::Helium && function == "pr_depthwise_3x3" {
            return self.strip_rounds();
        }
        self.plane_rounds(isa)
    }

    /// The loop of channels whose multipliers are a half or more: that for windows of any size.
    pub(crate) fn left_rounds(&self, function: &str, isa: Isa) -> Option<Loops> {
        let left = self.left_channels() as u64;
        if left == 0 || !function.starts_with("pr_depthwise") {
            return None;
        }
        let [y, x] = [self.plane(isa).y, self.plane(isa).x];
        let lines = left * y.out as u64;
        let pixels = lines * x.out as u64;
        let taps = pixels * y.kernel as u64;
        let rounds = vec![
            ("line", lines),
            ("pixel", pixels),
            ("tap_row", taps),
            ("tap", taps * x.kernel as u64),
        ];
        Some(Loops { function: "pr_depthwise".into(), rounds })
    }

    fn strip_rounds(&self) -> Rounds {
        let [y, x] = self.strip_axes();
        let channels = self.output[2] as u64;
        let one = self.stride[0] == 1;
        let steps = if one { y.out.div_ceil(2) } else { y.out } as u64;
        let blocks = steps * x.out.div_ceil(if one { 4 } else { 8 }) as u64;
        let name = match (one, self.requant.zero == -128) {
            (true, false) => "block_1",
            (true, true) => "block_1_relu",
            (false, false) => "block_2",
            (false, true) => "block_2_relu",
        };
        let pitch = self.strip_pitch(&x) as u64;
        vec![
            ("call", 1),
            ("cleared_byte", pitch),
            ("channel", channels),
            ("step", channels * steps),
            ("columns", channels * (steps + 1) * x.size.div_ceil(4) as u64),
            (name, channels * blocks),
        ]
    }

    fn plane_rounds(&self, isa: Isa) -> Rounds {
        let plane = self.plane(isa);
        let [y, x] = [&plane.y, &plane.x];
        let channels = self.output[2] as u64;
        let (mut gathers, mut rows, mut filled, mut rows_filled, mut halo, mut bands) =
            (0, 0, 0, 0, 0, 0);
        let mut first = 0_i64;
        let banded = plane.band < y.out;
        for from in (0..y.out).step_by(plane.band) {
            bands += 1;
            let height = (y.out - from).min(plane.band);
            let top = (from * y.stride) as i64 - y.pad as i64;
            let last = ((height - 1) * y.stride + y.kernel) as i64;
            let inside = if top + first < 0 { -top } else { first };
            let end = (y.size as i64 - top).min(last);
            if inside < end {
                gathers += 1;
                rows += (end - inside) as u64;
            }
            if banded {
                for i in first..last {
                    rows_filled += 1;
                    filled += if i < inside || i >= end { plane.pitch as u64 } else { 0 };
                }
                first = y.kernel as i64 - y.stride as i64;
                halo += (first.max(0) as usize * plane.pitch) as u64;
            }
        }
        let element = if isa == Isa::Dsp { 2 } else { 1 };
        let halo_bytes = halo * element;
        let wide = isa != Isa::V6m;
        let quads = x.size as u64 / 4;
        let left = |n: u64| if x.size as u64 % 4 == n { rows * channels } else { 0 };
        let lines = (channels - self.left_channels() as u64) * y.out as u64;
        let mut rounds = vec![
            ("call", 1),
            ("cleared", (plane.rows * plane.pitch) as u64),
            ("channel", channels),
            ("band", channels * bands),
            ("gather", channels * gathers),
            ("gathered_row", channels * rows),
        ];
        if isa == Isa::Helium {
            rounds.push(("gathered_four", channels * rows * (x.size as u64).div_ceil(4)));
        } else {
            rounds.extend([
                ("gathered_four", channels * rows * quads),
                ("gathered_1", left(1)),
                ("gathered_2", left(2)),
                ("gathered_3", left(3)),
            ]);
        }
        rounds.extend([
            ("fill_row", channels * rows_filled),
            ("filled", channels * filled),
            ("halo", if banded { channels * bands } else { 0 }),
            ("halo_word", if wide { channels * (halo_bytes / 4) } else { 0 }),
            ("halo_byte", if wide { channels * (halo_bytes % 4) } else { channels * halo_bytes }),
        ]);
        if plane.three && isa == Isa::Dsp {
            let (relu, pairs) = self.by_lines();
            let name = match (x.stride, relu) {
                (1, false) => "four_1",
                (1, true) => "four_1_relu",
                (_, false) => "four_2",
                (_, true) => "four_2_relu",
            };
            // Bands have one height but for the last.
            let rest = y.out % plane.band;
            let in_pairs = |rows: usize| if pairs { rows / 2 } else { 0 };
            let pairs = y.out / plane.band * in_pairs(plane.band) + in_pairs(rest);
            let pairs = lines / y.out as u64 * pairs as u64;
            let lines = lines - 2 * pairs;
            let over = |n: usize| if x.out % 4 == n { lines } else { 0 };
            let fours = x.out.div_ceil(4) as u64;
            rounds.extend([
                ("line", lines),
                (name, lines * fours),
                ("line_1", over(1)),
                ("line_2", over(2)),
                ("line_3", over(3)),
                ("pair_of_lines", pairs),
                ("line_after_pairs", if pairs > 0 { lines } else { 0 }),
                ("eight_relu", pairs * fours),
            ]);
        } else if plane.wide {
            let fours = lines * x.out.div_ceil(4) as u64;
            let row = match (x.kernel, x.stride) {
                (5, 1) => "row_5_1",
                (5, _) => "row_5_2",
                (_, 1) => "row_7_1",
                _ => "row_7_2",
            };
            rounds.extend([
                ("weight_row", channels * y.kernel as u64),
                ("weight", channels * (y.kernel * x.kernel) as u64),
                ("line", lines),
                ("four", fours),
                (row, fours * y.kernel as u64),
            ]);
        } else if plane.three {
            rounds.extend([("line", lines), ("pixel", lines * x.out as u64)]);
        } else {
            let pixels = lines * x.out as u64;
            let taps = pixels * y.kernel as u64;
            rounds.extend([
                ("line", lines),
                ("pixel", pixels),
                ("tap_row", taps),
                ("tap", taps * x.kernel as u64),
            ]);
        }
        rounds
    }
}

use crate::requant::Width;
use crate::unit::Isa;
use crate::{Add, Mean, Pool2d, Requant, Softmax};

type Rounds = Vec<(&'static str, u64)>;

impl Add {
    pub(crate) fn rounds(&self, isa: Isa, width: Width) -> Rounds {
        let count: usize = self.shape.iter().product();
        let runs = self.run_count();
        let run = count as u64 / runs.max(1);
        // Values that go in vectors of four, and those that go alone.
        let (fours, ones) = match (isa, width) {
            (Isa::Helium, Width::Eight) => (runs * (run / 4), runs * (run % 4)),
            _ => (0, count as u64),
        };
        // An operand is taken as it is, or scaled, or scaled and shifted; the compiler joins what both need.
        let kind = |i: usize| {
            let m = self.operands[i].multiplier;
            match (m.mantissa == 1 << 30 && m.shift == 0, m.shift < 0) {
                (true, _) => 0,
                (false, false) => 1,
                (false, true) => 2,
            }
        };
        let (four, value) = match (kind(0).min(kind(1)), kind(0).max(kind(1))) {
            (0, 0) => ("four_plain_plain", "value_plain_plain"),
            (0, 1) => ("four_plain_scaled", "value_plain_scaled"),
            (0, _) => ("four_plain_shifted", "value_plain_shifted"),
            (1, 1) => ("four_scaled_scaled", "value_scaled_scaled"),
            (1, _) => ("four_scaled_shifted", "value_scaled_shifted"),
            _ => ("four_shifted_shifted", "value_shifted_shifted"),
        };
        let mut rounds = vec![("call", 1), ("run", runs), (four, fours), (value, ones)];
        if self.requant.of(0).shift < 0 {
            rounds.extend([("rounded_four", fours), ("rounded_value", ones)]);
        }
        let [least, most] = width.bounds();
        if self.requant.low > least {
            rounds.push(("low_value", ones));
        }
        if self.requant.high < most {
            rounds.push(("high_value", ones));
        }
        rounds
    }
}

impl Pool2d {
    pub(crate) fn rounds(&self) -> Rounds {
        let taps = |axis: usize| -> u64 {
            (0..self.output[axis])
                .map(|o| {
                    let from = (o * self.stride[axis]) as i64 - self.pad[axis] as i64;
                    let to = (from + self.kernel[axis] as i64).min(self.input[axis] as i64);
                    (to - from.max(0)).max(0) as u64
                })
                .sum()
        };
        let channels = self.input[2] as u64;
        let [out_h, out_w] = self.output.map(|v| v as u64);
        // With one output pixel the compiler knows every window.
        let [call, pixel, output, row, tap] = if self.output == [1, 1] {
            ["call_whole", "pixel_whole", "output_whole", "row_whole", "tap_whole"]
        } else {
            ["call", "pixel", "output", "row", "tap"]
        };
        vec![
            (call, 1),
            (pixel, out_h * out_w),
            (output, out_h * out_w * channels),
            (row, taps(0) * out_w * channels),
            (tap, taps(0) * taps(1) * channels),
        ]
    }
}

impl Mean {
    pub(crate) fn rounds(&self) -> Rounds {
        let (count, channels) = (self.count as u64, self.channels as u64);
        vec![("call", 1), ("mean", channels), ("value", count * channels)]
    }
}

impl Softmax {
    /// Typical inputs: how many values take the short way depends on them.
    pub(crate) fn rounds(&self) -> Rounds {
        let (rows, depth) = (self.rows, self.depth);
        vec![("call", 1), ("row", rows as u64), ("value", (rows * depth) as u64)]
    }
}

impl Requant {
    /// The loop of the clamp that follows a kernel, if it needs one.
    pub(crate) fn clamp_rounds(&self, width: Width, count: usize) -> Option<Rounds> {
        let [least, most] = width.bounds();
        (self.low > least || self.high < most).then(|| vec![("call", 1), ("value", count as u64)])
    }
}

/// A function that does the same with each of a number of values.
pub(crate) fn each(count: usize) -> Rounds {
    vec![("call", 1), ("value", count as u64)]
}

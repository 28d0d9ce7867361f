//! The cell of TFLite's integer LSTM: gates of 16 bits with 12 fraction bits, a cell state of 16 bits whose scale is
//! a power of two, a hidden state of 8 bits.
//!
//! TFLite Micro brings the products with input and state to 16 bits one by one, looks functions up in an interpolated
//! table, and scales element products in gemmlowp's two steps. LiteRT adds the second product before it cuts, computes
//! functions in 16-bit fixed point, and shifts element products.

use crate::fixed::{Width, logistic, tanh};
use crate::table16::Table16;
use crate::{Multiplier, Rounding, exp2i, rounding_shift_right};

/// Fraction bits of a gate.
const GATE: i32 = 12;

/// What computes the next states of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Whose arithmetic: TFLite Micro's rounds twice, LiteRT's once.
    pub rounding: Rounding,
    /// The binary logarithm of the cell state's scale.
    pub exponent: i32,
    /// The bound of the cell state; 0 where there is none.
    pub clip: i32,
    /// The factor of the products of a gate's weights with the input, for each gate.
    pub input: [Multiplier; 4],
    /// As `input`, with the state.
    pub state: [Multiplier; 4],
    /// The factor of the hidden state.
    pub hidden: Multiplier,
    /// The zero point of the hidden state.
    pub zero_point: i32,
}

fn cut_16(x: i32) -> i32 {
    x.clamp(-32768, 32767)
}

impl Cell {
    /// From the scales of the input, of the weights of each gate with the input and with the state, and of the hidden
    /// state.
    #[must_use]
    pub fn new(
        rounding: Rounding,
        exponent: i32,
        clip: i32,
        input: (f32, [f32; 4]),
        weights: [f32; 4],
        (scale, zero_point): (f32, i32),
    ) -> Self {
        let micro = rounding == Rounding::Double;
        let gate = exp2i(-GATE);
        let factor = |x: f32, w: f32| {
            if micro {
                return Multiplier::from_real(f64::from(x * w) / gate);
            }
            Multiplier::from_real(f64::from(w * x / gate as f32))
        };
        let unit = exp2i(-15);
        let hidden = if micro {
            Multiplier::from_real(unit * unit / f64::from(scale))
        } else {
            Multiplier::from_real(f64::from((unit / f64::from(scale) * unit) as f32))
        };
        Self {
            rounding,
            exponent,
            clip,
            input: input.1.map(|w| factor(input.0, w)),
            state: weights.map(|w| factor(scale, w)),
            hidden,
            zero_point,
        }
    }

    fn micro(&self) -> bool {
        self.rounding == Rounding::Double
    }

    /// A gate before its function, from the sums of products with the input, which have the bias in them, and with the
    /// state.
    #[must_use]
    #[inline]
    pub fn gate(&self, gate: usize, input: i32, state: i32) -> i32 {
        let input = cut_16(self.input[gate].apply(input, Rounding::Double));
        let state = self.state[gate].apply(state, Rounding::Double);
        if self.micro() {
            return cut_16(input + cut_16(state));
        }
        cut_16(input.saturating_add(state))
    }

    /// As [`gate`](Self::gate) for the sums of many cells, which wrap.
    pub fn gates(&self, gate: usize, input: &[i64], state: &[i64], out: &mut [i16]) {
        let [by, of] = [self.input[gate], self.state[gate]];
        let sums = out.iter_mut().zip(input.iter().zip(state));
        if !self.micro() || !by.is_below_one() || !of.is_below_one() {
            return sums.for_each(|(y, (x, h))| *y = self.gate(gate, *x as i32, *h as i32) as i16);
        }
        for (y, (x, h)) in sums {
            let (x, h) = (by.apply_below_one(*x as i32), of.apply_below_one(*h as i32));
            *y = cut_16(cut_16(x) + cut_16(h)) as i16;
        }
    }

    fn sigmoid(&self, x: i32) -> i32 {
        if self.micro() { Table16::of_power(-GATE).logistic(x) } else { logistic(Width::W16, x, 3) }
    }

    fn tanh(&self, x: i32) -> i32 {
        if self.micro() { Table16::of_power(-GATE).tanh(x) } else { tanh(Width::W16, x, 3) }
    }

    fn tanh_of_cell(&self, c: i32) -> i32 {
        if self.micro() {
            return Table16::of_power(self.exponent).tanh(c);
        }
        tanh(Width::W16, c, (15 + self.exponent).clamp(0, 15) as u32)
    }

    /// The product of 16-bit numbers over `2^shift`.
    fn product(&self, a: i32, b: i32, shift: i32) -> i32 {
        if self.micro() {
            // The multiplier of a power of two.
            let m = Multiplier { mantissa: 1 << 30, shift: 1 - shift };
            return cut_16(m.apply(a * b, Rounding::Double));
        }
        i32::from(rounding_shift_right(a * b, shift as u32) as i16)
    }

    /// As [`next`](Self::next) for many cells, whose states are changed; `gates` are those of each kind.
    pub fn all(&self, gates: [&[i16]; 4], cells: &mut [i16], hidden: &mut [i8]) {
        let [i, f, g, o] = gates;
        let gates = i.iter().zip(f).zip(g.iter().zip(o));
        let states = cells.iter_mut().zip(hidden).zip(gates);
        let shift = -(29 + self.exponent);
        if !self.micro() || !(-31..=0).contains(&shift) || !self.hidden.is_below_one() {
            for ((c, h), ((i, f), (g, o))) in states {
                (*c, *h) = self.next([*i, *f, *g, *o].map(i32::from), i32::from(*c));
            }
            return;
        }
        let (table, of_cell) = (Table16::of_power(-GATE), Table16::of_power(self.exponent));
        let [keep, add] = [-14, shift].map(|shift| Multiplier { mantissa: 1 << 30, shift });
        let clip = if self.clip > 0 { self.clip } else { 32768 };
        for ((c, h), ((i, f), (g, o))) in states {
            let [i, f, g, o] = [*i, *f, *g, *o].map(i32::from);
            let kept = cut_16(keep.apply_below_one(table.logistic(f) * i32::from(*c)));
            let added = cut_16(add.apply_below_one(table.logistic(i) * table.tanh(g)));
            let next = cut_16(kept + added).clamp(-clip, clip);
            let y = self.hidden.apply_below_one(table.logistic(o) * of_cell.tanh(next));
            *c = next as i16;
            *h = y.saturating_add(self.zero_point).clamp(-128, 127) as i8;
        }
    }

    /// The next cell state and the next hidden state, as far as that is in 8 bits, from the gates before their
    /// functions: input, forget, cell, output.
    #[must_use]
    pub fn next(&self, [i, f, g, o]: [i32; 4], cell: i32) -> (i16, i8) {
        let kept = self.product(self.sigmoid(f), cell, 15);
        let added = self.product(self.sigmoid(i), self.tanh(g), 30 + self.exponent);
        let mut c = cut_16(kept + added);
        if self.clip > 0 {
            c = c.clamp(-self.clip, self.clip);
        }
        let product = self.sigmoid(o) * self.tanh_of_cell(c);
        let h = self.hidden.apply(product, Rounding::Double).saturating_add(self.zero_point);
        (c as i16, h.clamp(-128, 127) as i8)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn many_cells_are_as_each_of_them() {
        for (rounding, exponent, clip, weight) in [
            (Rounding::Double, -11, 0, 0.02),
            (Rounding::Double, -9, 9000, 0.7),
            (Rounding::Double, -12, 40_000, 0.003),
            (Rounding::Double, -15, 0, 400.0),
            (Rounding::Single, -11, 0, 0.02),
        ] {
            let cell =
                Cell::new(rounding, exponent, clip, (0.01, [weight; 4]), [0.03; 4], (0.01, 3));
            let number = |n: i32, most: i32| (n.wrapping_mul(104_729) % most).abs() - most / 2;
            let sums = |k: i32| -> [i64; 99] {
                core::array::from_fn(|n| i64::from(number(n as i32 * 9 + k, 60_000)) << (n % 12))
            };
            let mut gates = [[0_i16; 99]; 4];
            for (g, out) in gates.iter_mut().enumerate() {
                let (x, h) = (sums(g as i32), sums(5 + g as i32));
                cell.gates(g, &x, &h, out);
                for (y, (x, h)) in out.iter().zip(x.iter().zip(h)) {
                    assert_eq!(i32::from(*y), cell.gate(g, *x as i32, h as i32), "{rounding:?}");
                }
            }
            let before: [i16; 99] = core::array::from_fn(|n| number(n as i32 + 20, 65_536) as i16);
            let (mut cells, mut hidden) = (before, [0; 99]);
            cell.all(gates.each_ref().map(|g| &g[..]), &mut cells, &mut hidden);
            for n in 0..99 {
                let next = cell.next(gates.map(|g| i32::from(g[n])), i32::from(before[n]));
                assert_eq!((cells[n], hidden[n]), next, "{rounding:?} {exponent} {n}");
            }
        }
    }

    #[test]
    fn cells_are_close_to_the_real_ones() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for rounding in [Rounding::Double, Rounding::Single] {
            let scale = 1.0 / 128.0;
            let cell = Cell::new(rounding, -11, 0, (0.01, [0.02; 4]), [0.03; 4], (scale, 3));
            for n in 0..500 {
                let number = |k: i32, most: i32| (n * 7919 + k * 104_729) % (2 * most) - most;
                let sums: [[i32; 2]; 4] =
                    core::array::from_fn(|g| [number(g as i32, 9000), number(9 + g as i32, 9000)]);
                let gates = core::array::from_fn(|g| cell.gate(g, sums[g][0], sums[g][1]));
                let c = number(20, 8000);
                let (next, hidden) = cell.next(gates, c);
                let real = sums.map(|[x, h]| {
                    (f64::from(x) * 0.01 * 0.02 + f64::from(h) * 0.03 / 128.0).clamp(-8.0, 8.0)
                });
                let c = f64::from(c) / 2048.0;
                let c = sigmoid(real[1]) * c + sigmoid(real[0]) * real[2].tanh();
                let h = sigmoid(real[3]) * c.tanh() * 128.0 + 3.0;
                assert!((f64::from(next) / 2048.0 - c).abs() < 0.003, "{rounding:?} {n}");
                assert!(
                    (f64::from(hidden) - h.clamp(-128.0, 127.0)).abs() < 0.6,
                    "{rounding:?} {n}"
                );
            }
        }
    }
}

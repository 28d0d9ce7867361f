use crate::program::Element;
use crate::step::{Io, Span, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;
use paring_qmath::dynamic::Unsigned;
use paring_qmath::{Multiplier, Rounding};

/// `f32` to integers of at most 16 bits by division and rounding, ties away from zero or to even.
#[derive(Debug)]
pub struct QuantizeStep {
    pub element: Element,
    pub scale: f32,
    pub zero_point: i32,
    pub ties_even: bool,
}

impl QuantizeStep {
    fn store(&self, x: f32, (low, high): (i64, i64)) -> i64 {
        let real = x / self.scale;
        let whole = if self.ties_even { real.round_ties_even() } else { real.round() };
        (whole as i64).saturating_add(i64::from(self.zero_point)).clamp(low, high)
    }
}

impl Step for QuantizeStep {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let x: &[f32] = numbers(io.a);
        if self.element == Element::I8 {
            for (out, x) in io.out.iter_mut().zip(x) {
                *out = self.store(*x, (-128, 127)) as u8;
            }
            return;
        }
        for (i, x) in x.iter().enumerate() {
            let q = self.store(*x, self.element.range());
            self.element.put_whole(io.out, i, q);
        }
    }
}

/// Integers to the `f32` that they stand for.
#[derive(Debug)]
pub struct DequantizeStep {
    pub element: Element,
    pub scale: f32,
    pub zero_point: i32,
}

impl Step for DequantizeStep {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        for (i, out) in numbers_mut::<f32>(io.out).iter_mut().enumerate() {
            let centred = self.element.whole(io.a, i) - i64::from(self.zero_point);
            *out = self.scale * centred as f32;
        }
    }
}

/// Integers of at most 32 bits in another scale and another type.
#[derive(Debug)]
pub struct Requantize {
    pub types: [Element; 2],
    pub zeros: [i32; 2],
    pub factor: Multiplier,
    /// How many.
    pub count: usize,
}

impl Step for Requantize {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let ([from, to], (low, high)) = (self.types, self.types[1].range());
        for i in 0..self.count {
            let centred = (from.whole(io.a, i) as i32).wrapping_sub(self.zeros[0]);
            let y = self.factor.apply(centred, Rounding::Double).saturating_add(self.zeros[1]);
            to.put_whole(io.out, i, i64::from(y).clamp(low, high));
        }
    }
}

wire!(QuantizeStep { element, scale, zero_point, ties_even });
wire!(DequantizeStep { element, scale, zero_point });
wire!(Requantize { types, zeros, factor, count });

/// `f32` to `u8` by what the numbers are. The results lie in one piece of memory: the numbers, then scale and zero
/// point.
#[derive(Debug)]
pub struct ByRange {
    /// The places of the results.
    pub results: Vec<Span>,
}

impl Step for ByRange {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let [y, scale, zero] = &self.results[..] else { return };
        let x: &[f32] = numbers(io.a);
        let by = Unsigned::of(x);
        for (y, x) in y.of_mut(io.out).iter_mut().zip(x) {
            *y = by.store(*x);
        }
        numbers_mut::<f32>(scale.of_mut(io.out)).fill(by.scale);
        zero.of_mut(io.out).fill(by.zero);
    }
}

wire!(ByRange { results });

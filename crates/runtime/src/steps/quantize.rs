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
    fn each<T: bytemuck::Pod>(
        &self,
        io: Io<'_>,
        (low, high): (i64, i64),
        store: impl Fn(i64) -> T,
    ) {
        let x: &[f32] = numbers(io.a);
        for (out, x) in numbers_mut::<T>(io.out).iter_mut().zip(x) {
            let real = x / self.scale;
            let whole = if self.ties_even { real.round_ties_even() } else { real.round() };
            let q = (whole as i64).saturating_add(i64::from(self.zero_point));
            *out = store(q.clamp(low, high));
        }
    }
}

impl Step for QuantizeStep {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        match self.element {
            Element::I16 => self.each(io, (-32768, 32767), |q| q as i16),
            Element::U8 => self.each(io, (0, 255), |q| q as u8),
            _ => self.each(io, (-128, 127), |q| q as i8),
        }
    }
}

/// Integers of more than 8 bits to the `f32` that they stand for.
#[derive(Debug)]
pub struct DequantizeStep {
    /// Whether they have 32 bits, not 16.
    pub wide: bool,
    pub scale: f32,
    pub zero_point: i32,
}

impl DequantizeStep {
    fn each<T: bytemuck::Pod + Into<i64>>(&self, io: Io<'_>) {
        let x: &[T] = numbers(io.a);
        for (out, x) in numbers_mut::<f32>(io.out).iter_mut().zip(x) {
            *out = self.scale * ((*x).into() - i64::from(self.zero_point)) as f32;
        }
    }
}

impl Step for DequantizeStep {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        if self.wide { self.each::<i32>(io) } else { self.each::<i16>(io) }
    }
}

/// Integers of at most 32 bits in another scale and another type.
#[derive(Debug)]
pub struct Requantize {
    pub types: [Element; 2],
    pub zeros: [i32; 2],
    pub factor: Multiplier,
}

impl Requantize {
    fn each<T: bytemuck::Pod + Into<i32>>(&self, io: Io<'_>) {
        let x: &[T] = numbers(io.a);
        let [from, to] = self.zeros;
        let y = |x: &T| {
            let centred = (*x).into().wrapping_sub(from);
            self.factor.apply(centred, Rounding::Double).saturating_add(to)
        };
        match self.types[1] {
            Element::I8 => {
                let out = numbers_mut::<i8>(io.out).iter_mut();
                out.zip(x).for_each(|(out, x)| *out = y(x).clamp(-128, 127) as i8);
            }
            Element::U8 => {
                io.out.iter_mut().zip(x).for_each(|(out, x)| *out = y(x).clamp(0, 255) as u8);
            }
            Element::I16 => {
                let out = numbers_mut::<i16>(io.out).iter_mut();
                out.zip(x).for_each(|(out, x)| *out = y(x).clamp(-32768, 32767) as i16);
            }
            _ => {
                let out = numbers_mut::<i32>(io.out).iter_mut();
                out.zip(x).for_each(|(out, x)| *out = y(x));
            }
        }
    }
}

impl Step for Requantize {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        match self.types[0] {
            Element::I8 => self.each::<i8>(io),
            Element::U8 => self.each::<u8>(io),
            Element::I16 => self.each::<i16>(io),
            _ => self.each::<i32>(io),
        }
    }
}

wire!(QuantizeStep { element, scale, zero_point, ties_even });
wire!(DequantizeStep { wide, scale, zero_point });
wire!(Requantize { types, zeros, factor });

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

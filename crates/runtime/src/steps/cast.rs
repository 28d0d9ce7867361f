use crate::program::Element;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;

/// Elements in another type: real numbers to integers are cut toward zero and saturate, integers to narrower ones wrap. Numbers of half precision
/// become those of `f32`, and none become such.
#[derive(Debug)]
pub struct Cast {
    pub from: Element,
    pub to: Element,
}

macro_rules! to {
    ($io:expr, $to:expr, $from:ty) => {{
        let x: &[$from] = numbers($io.a);
        macro_rules! each {
            ($t:ty) => {
                numbers_mut::<$t>($io.out).iter_mut().zip(x).for_each(|(y, x)| *y = *x as $t)
            };
        }
        match $to {
            Element::F32 => each!(f32),
            Element::I8 => each!(i8),
            Element::U8 => each!(u8),
            Element::I16 => each!(i16),
            Element::I32 => each!(i32),
            Element::I64 => each!(i64),
            Element::F16 => {}
            Element::Bool => {
                $io.out
                    .iter_mut()
                    .zip(x)
                    .for_each(|(y, x)| *y = u8::from(*x != <$from>::default()));
            }
        }
    }};
}

impl Step for Cast {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        match self.from {
            Element::F32 => to!(io, self.to, f32),
            Element::I8 => to!(io, self.to, i8),
            Element::U8 | Element::Bool => to!(io, self.to, u8),
            Element::I16 => to!(io, self.to, i16),
            Element::I32 => to!(io, self.to, i32),
            Element::I64 => to!(io, self.to, i64),
            Element::F16 => kernels.halves(numbers(io.a), numbers_mut(io.out)),
        }
    }
}

wire!(Cast { from, to });

//! Comparisons, and arithmetic of integers.

use super::broadcast::Broadcast;
use crate::program::Element;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::{I16Pair, I16Pairs, Kernels};

/// A comparison of two values with broadcasting: a byte an element.
#[derive(Debug)]
pub struct Compare {
    pub f: Comparison,
    /// The type of the operands.
    pub element: Element,
    pub places: Broadcast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Compare {
    fn of<T: Copy + PartialOrd + bytemuck::AnyBitPattern>(&self, io: Io<'_>) {
        let (a, b): (&[T], &[T]) = (numbers(io.a), numbers(io.b));
        let f: fn(T, T) -> u8 = match self.f {
            Comparison::Equal => |a, b| u8::from(a == b),
            Comparison::NotEqual => |a, b| u8::from(a != b),
            Comparison::Less => |a, b| u8::from(a < b),
            Comparison::LessEqual => |a, b| u8::from(a <= b),
            Comparison::Greater => |a, b| u8::from(a > b),
            Comparison::GreaterEqual => |a, b| u8::from(a >= b),
        };
        self.places.over(a, b, io.out, f);
    }
}

impl Step for Compare {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        match self.element {
            Element::F32 => self.of::<f32>(io),
            Element::I8 => self.of::<i8>(io),
            Element::U8 | Element::Bool => self.of::<u8>(io),
            Element::I16 => self.of::<i16>(io),
            Element::I32 => self.of::<i32>(io),
            Element::I64 => self.of::<i64>(io),
            Element::F16 => {}
        }
    }
}

/// A function of two values of integers or truth values with broadcasting. Divisions by zero are refused.
#[derive(Debug)]
pub struct Whole {
    pub f: WholeFn,
    /// The type of the operands and the result.
    pub element: Element,
    pub places: Broadcast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WholeFn {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Mod,
    Fmod,
    FloorDiv,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    SquaredDifference,
}

macro_rules! whole {
    ($self:expr, $io:expr, $t:ty) => {{
        let (a, b): (&[$t], &[$t]) = (numbers($io.a), numbers($io.b));
        fn by(b: $t) -> u32 {
            u32::try_from(b).unwrap_or(u32::MAX)
        }
        let f: fn($t, $t) -> $t = match $self.f {
            WholeFn::Add => |a, b| a.wrapping_add(b),
            WholeFn::Sub => |a, b| a.wrapping_sub(b),
            WholeFn::Mul => |a, b| a.wrapping_mul(b),
            WholeFn::Min => |a, b| a.min(b),
            WholeFn::Max => |a, b| a.max(b),
            WholeFn::And => |a, b| a & b,
            WholeFn::Or => |a, b| a | b,
            WholeFn::Xor => |a, b| a ^ b,
            WholeFn::Div => |a, b| a.wrapping_div(b),
            WholeFn::Fmod => |a, b| a.wrapping_rem(b),
            #[allow(unused_comparisons)]
            WholeFn::Mod => |a, b| {
                let rest = a.wrapping_rem(b);
                if rest != 0 && (rest < 0) != (b < 0) { rest.wrapping_add(b) } else { rest }
            },
            #[allow(unused_comparisons)]
            WholeFn::FloorDiv => |a, b| {
                let inexact = a.wrapping_rem(b) != 0 && (a < 0) != (b < 0);
                if inexact { a.wrapping_div(b).wrapping_sub(1) } else { a.wrapping_div(b) }
            },
            WholeFn::ShiftLeft => |a, b| a.checked_shl(by(b)).unwrap_or(0),
            WholeFn::ShiftRight => |a, b| {
                // By the whole width, the sign is left.
                let by = by(b);
                a >> by.min(<$t>::BITS - 1) >> u32::from(by >= <$t>::BITS && <$t>::MIN == 0)
            },
            WholeFn::SquaredDifference => |a, b| {
                let d = a.wrapping_sub(b);
                d.wrapping_mul(d)
            },
        };
        $self.places.over(a, b, numbers_mut($io.out), f);
    }};
}

impl Whole {
    fn divides_by_zero<T: PartialEq + Default + bytemuck::AnyBitPattern>(&self, b: &[u8]) -> bool {
        let b: &[T] = numbers(b);
        b.iter().take(self.places.second()).any(|b| *b == T::default())
    }
}

impl Step for Whole {
    fn refusal(&self, io: &Io<'_>) -> Option<String> {
        if !matches!(self.f, WholeFn::Div | WholeFn::Mod | WholeFn::Fmod | WholeFn::FloorDiv) {
            return None;
        }
        let by_zero = match self.element {
            Element::I8 => self.divides_by_zero::<i8>(io.b),
            Element::U8 | Element::Bool => self.divides_by_zero::<u8>(io.b),
            Element::I16 => self.divides_by_zero::<i16>(io.b),
            Element::I32 => self.divides_by_zero::<i32>(io.b),
            Element::I64 => self.divides_by_zero::<i64>(io.b),
            Element::F32 | Element::F16 => false,
        };
        by_zero.then(|| "division of an integer by zero".to_owned())
    }

    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        match self.element {
            Element::I8 => whole!(self, io, i8),
            Element::U8 | Element::Bool => whole!(self, io, u8),
            Element::I16 => whole!(self, io, i16),
            Element::I32 => whole!(self, io, i32),
            Element::I64 => whole!(self, io, i64),
            Element::F32 | Element::F16 => {}
        }
    }
}

/// Whether elements of `f32` are infinite: a byte an element.
#[derive(Debug)]
pub struct Infinite {
    pub negative: bool,
    pub positive: bool,
}

impl Step for Infinite {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        for (y, x) in io.out.iter_mut().zip(numbers::<f32>(io.a)) {
            let counts = if *x > 0.0 { self.positive } else { self.negative };
            *y = u8::from(x.is_infinite() && counts);
        }
    }
}

/// All bits of integers, inverted.
#[derive(Debug)]
pub struct Invert {}

impl Step for Invert {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        io.out.iter_mut().zip(io.a).for_each(|(y, x)| *y = !x);
    }
}

/// Sum, difference, product, minimum or maximum of two values of quantized `i16`.
#[derive(Debug)]
pub struct Quantized16 {
    pub pairs: I16Pairs,
    pub places: Broadcast,
}

impl Step for Quantized16 {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (a, b): (&[i16], &[i16]) = (numbers(io.a), numbers(io.b));
        let f = |a, b| self.pairs.apply(a, b);
        self.places.over_rows(a, b, numbers_mut(io.out), f, |a, b, out| {
            let n = out.len();
            kernels.i16_pairs(&self.pairs, &a[..n], &b[..n], out);
        });
    }
}

impl Wire for I16Pair {
    fn put(&self, w: &mut Writer) {
        (*self as u8).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let all = [Self::Add, Self::Sub, Self::Mul, Self::Min, Self::Max];
        all.get(usize::from(u8::get(r)?)).copied().ok_or(Fault)
    }
}

impl Wire for Comparison {
    fn put(&self, w: &mut Writer) {
        (*self as u8).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        use Comparison::*;
        let all = [Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual];
        all.get(usize::from(u8::get(r)?)).copied().ok_or(Fault)
    }
}

impl Wire for WholeFn {
    fn put(&self, w: &mut Writer) {
        (*self as u8).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        use WholeFn::*;
        let all = [
            Add,
            Sub,
            Mul,
            Div,
            Min,
            Max,
            Mod,
            Fmod,
            FloorDiv,
            And,
            Or,
            Xor,
            ShiftLeft,
            ShiftRight,
            SquaredDifference,
        ];
        all.get(usize::from(u8::get(r)?)).copied().ok_or(Fault)
    }
}

wire!(Compare { f, element, places });
wire!(Infinite { negative, positive });
wire!(Whole { f, element, places });
wire!(I16Pairs { f, zeros, factors, factor, bounds });
wire!(Quantized16 { pairs, places });

impl Wire for Invert {
    fn put(&self, _: &mut Writer) {}

    fn get(_: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {})
    }
}

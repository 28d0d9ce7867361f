//! Arithmetic on whichever element type a tensor has.

use paring_tensor::Element;
use paring_tensor::half::{bf16, f16};

/// An element type with arithmetic. Integers wrap; half-precision floats compute in `f32`.
pub(crate) trait Number: Element + Copy + PartialOrd {
    const FLOAT: bool;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// The quotient; integers truncate. An integer divisor is not zero.
    fn over(self, other: Self) -> Self;
    /// The remainder with the sign of `self`. An integer divisor is not zero.
    fn rest(self, other: Self) -> Self;
    fn to_power(self, exponent: f64) -> Self;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    fn is_nan(self) -> bool;
    fn zero() -> Self {
        Self::from_f64(0.0)
    }
    fn one() -> Self {
        Self::from_f64(1.0)
    }
    /// The smaller, NaN if either is.
    fn smaller(self, other: Self) -> Self {
        if self.is_nan() || self < other { self } else { other }
    }
    /// The larger, NaN if either is.
    fn larger(self, other: Self) -> Self {
        if self.is_nan() || self > other { self } else { other }
    }
}

macro_rules! floats {
    ($($t:ty),*) => {$(
        impl Number for $t {
            const FLOAT: bool = true;
            fn plus(self, other: Self) -> Self { self + other }
            fn minus(self, other: Self) -> Self { self - other }
            fn times(self, other: Self) -> Self { self * other }
            fn over(self, other: Self) -> Self { self / other }
            fn rest(self, other: Self) -> Self { self % other }
            fn to_power(self, exponent: f64) -> Self { self.powf(exponent as $t) }
            fn from_f64(x: f64) -> Self { x as $t }
            fn to_f64(self) -> f64 { self as f64 }
            fn is_nan(self) -> bool { <$t>::is_nan(self) }
        }
    )*};
}
floats!(f32, f64);

macro_rules! halves {
    ($($t:ty),*) => {$(
        impl Number for $t {
            const FLOAT: bool = true;
            fn plus(self, other: Self) -> Self { Self::from_f32(self.to_f32() + other.to_f32()) }
            fn minus(self, other: Self) -> Self { Self::from_f32(self.to_f32() - other.to_f32()) }
            fn times(self, other: Self) -> Self { Self::from_f32(self.to_f32() * other.to_f32()) }
            fn over(self, other: Self) -> Self { Self::from_f32(self.to_f32() / other.to_f32()) }
            fn rest(self, other: Self) -> Self { Self::from_f32(self.to_f32() % other.to_f32()) }
            fn to_power(self, exponent: f64) -> Self {
                Self::from_f32(self.to_f32().powf(exponent as f32))
            }
            fn from_f64(x: f64) -> Self { <$t>::from_f64(x) }
            fn to_f64(self) -> f64 { <$t>::to_f64(self) }
            fn is_nan(self) -> bool { <$t>::is_nan(self) }
        }
    )*};
}
halves!(f16, bf16);

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Number for $t {
            const FLOAT: bool = false;
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            fn minus(self, other: Self) -> Self { self.wrapping_sub(other) }
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
            fn over(self, other: Self) -> Self { self.wrapping_div(other) }
            fn rest(self, other: Self) -> Self { self.wrapping_rem(other) }
            fn to_power(self, exponent: f64) -> Self {
                if exponent >= 0.0 && exponent.fract() == 0.0 && exponent < f64::from(u32::MAX) {
                    self.wrapping_pow(exponent as u32)
                } else {
                    (self as f64).powf(exponent) as $t
                }
            }
            fn from_f64(x: f64) -> Self { x as $t }
            fn to_f64(self) -> f64 { self as f64 }
            fn is_nan(self) -> bool { false }
        }
    )*};
}
integers!(i8, u8, i16, u16, i32, u32, i64, u64);

/// Runs `$body` with `$t` as the Rust type of the elements; booleans are `u8`.
macro_rules! each_number {
    ($dtype:expr, $t:ident => $body:expr) => {{
        use paring_tensor::DType as D;
        use paring_tensor::half::{bf16, f16};
        macro_rules! with {
            ($own:ty) => {{
                type $t = $own;
                $body
            }};
        }
        match $dtype {
            D::F32 => with!(f32),
            D::F64 => with!(f64),
            D::F16 => with!(f16),
            D::BF16 => with!(bf16),
            D::I4 | D::I8 => with!(i8),
            D::U8 | D::Bool => with!(u8),
            D::I16 => with!(i16),
            D::U16 => with!(u16),
            D::I32 => with!(i32),
            D::U32 => with!(u32),
            D::I64 => with!(i64),
            D::U64 => with!(u64),
        }
    }};
}
pub(crate) use each_number;

//! What steps compute, one file a kind. They are made by the engine.

pub mod along;
pub mod arg;
pub mod binary;
pub mod broadcast;
pub mod cast;
pub mod channels;
pub mod concat;
pub mod copy;
pub mod dense;
pub mod depthwise;
pub mod einsum;
pub mod flipped;
pub mod fold;
pub mod gather;
pub mod gemm;
pub mod half;
pub mod indices;
pub mod lstm;
pub mod matmul;
pub mod pad;
pub mod pick;
pub mod pool;
pub mod products;
pub mod quantize;
pub mod recurrent;
pub mod reduce;
pub mod resize;
pub mod select;
pub mod softmax;
pub mod sparse;
mod stored;
pub mod strip;
pub mod svdf;
pub mod table;
pub mod top;
pub mod transpose;
pub mod transposed;
pub mod unary;
pub mod whole;
pub mod wide;
pub mod winograd;

use crate::step::{ByRows, Io, Step};
use crate::wire::{Fault, Reader, Wire, Writer};
use paring_kernels::Kernels;

macro_rules! any_step {
    ($($kind:ident($t:ty) = $number:literal),* $(,)?) => {
        /// A step of any kind.
        #[derive(Debug)]
        pub enum AnyStep {
            $($kind($t),)*
        }

        $(
            impl From<$t> for AnyStep {
                fn from(step: $t) -> Self {
                    Self::$kind(step)
                }
            }
        )*

        impl Step for AnyStep {
            fn refusal(&self, io: &Io<'_>) -> Option<String> {
                match self {
                    $(Self::$kind(step) => step.refusal(io),)*
                }
            }

            fn in_half(&self) -> bool {
                match self {
                    $(Self::$kind(step) => step.in_half(),)*
                }
            }

            fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
                match self {
                    $(Self::$kind(step) => step.run(kernels, io),)*
                }
            }

            fn by_rows(&self) -> Option<&dyn ByRows> {
                match self {
                    $(Self::$kind(step) => step.by_rows(),)*
                }
            }

            fn work(&self) -> usize {
                match self {
                    $(Self::$kind(step) => step.work(),)*
                }
            }
        }

        impl AnyStep {
            /// Whether it can compute some rows of an image at a time.
            #[must_use]
            pub fn works_by_rows(&self) -> bool {
                self.by_rows().is_some()
            }
        }

        impl Wire for AnyStep {
            fn put(&self, w: &mut Writer) {
                match self {
                    $(Self::$kind(step) => {
                        let number: u8 = $number;
                        number.put(w);
                        step.put(w);
                    })*
                }
            }

            fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
                match u8::get(r)? {
                    $($number => Ok(Self::$kind(Wire::get(r)?)),)*
                    _ => Err(Fault),
                }
            }
        }
    };
}

any_step! {
    F32Gemm(products::F32Gemm) = 0,
    I8Gemm(products::I8Gemm) = 1,
    F32Depthwise(depthwise::F32Depthwise) = 2,
    I8Depthwise(depthwise::I8Depthwise) = 3,
    Pairs(binary::Pairs) = 4,
    Sum(binary::Sum) = 5,
    Map(unary::Map) = 6,
    Table(table::TableStep) = 7,
    WideTable(table::WideTableStep) = 8,
    F32Pool(pool::PoolStep<f32>) = 9,
    I8Pool(pool::PoolStep<i8>) = 10,
    F32Mean(reduce::F32Mean) = 11,
    I8Mean(reduce::I8Mean) = 12,
    Softmax(softmax::Rows) = 13,
    Pad(pad::Fill) = 14,
    Place(concat::Place) = 15,
    Copy(copy::Copy) = 16,
    Quantize(quantize::QuantizeStep) = 17,
    I8Softmax(softmax::I8Rows) = 18,
    PairTable(table::PairTable) = 19,
    Reorder(transpose::Reorder) = 20,
    Nearest(resize::Nearest) = 21,
    Weighted(resize::Weighted) = 22,
    InDouble(dense::InDouble) = 23,
    Flipped(flipped::Flipped) = 24,
    Strip(strip::Strip) = 25,
    F32Sparse(sparse::F32Sparse) = 26,
    I8Sparse(sparse::I8Sparse) = 27,
    Pick(pick::Pick) = 28,
    Fold(fold::Fold) = 29,
    Compare(whole::Compare) = 30,
    Whole(whole::Whole) = 31,
    Quantized16(whole::Quantized16) = 32,
    Table16(table::Table16) = 33,
    Rescaled(concat::Rescaled) = 34,
    U8Pool(pool::PoolStep<u8>) = 35,
    I16Pool(pool::PoolStep<i16>) = 36,
    NormPool(pool::NormPool) = 37,
    MatMul(matmul::MatMul) = 38,
    Arg(arg::Arg) = 39,
    Choose(select::Choose) = 40,
    Cast(cast::Cast) = 41,
    ByChannel(channels::ByChannel) = 42,
    F32Transposed(transposed::F32Transposed) = 43,
    I8Transposed(transposed::I8Transposed) = 44,
    I16Conv(wide::I16Conv) = 45,
    Along(along::Along) = 46,
    Local(along::Local) = 47,
    Standardize(along::Standardize) = 48,
    Gather(gather::Rows) = 49,
    OneHot(gather::OneHot) = 50,
    Infinite(whole::Infinite) = 51,
    Invert(whole::Invert) = 52,
    Bilinear(resize::Bilinear) = 53,
    Further(along::Further) = 54,
    Hybrid(wide::Hybrid) = 55,
    Winograd(winograd::Winograd) = 56,
    I16Gemm(products::I16Gemm) = 57,
    I16Depthwise(depthwise::I16Depthwise) = 58,
    Recurrent(recurrent::Recurrent) = 59,
    IntegerLstm(lstm::IntegerLstm) = 60,
    Svdf(svdf::Svdf) = 61,
    IntegerSvdf(svdf::IntegerSvdf) = 62,
    Top(top::Top) = 63,
    ByRange(quantize::ByRange) = 64,
    Take(indices::Take) = 65,
    Put(indices::Put) = 66,
    Reversed(indices::Reversed) = 67,
    I16Softmax(softmax::I16Lines) = 68,
    Ordered(einsum::Ordered) = 69,
    Sums(einsum::Sums) = 70,
    Dequantize(quantize::DequantizeStep) = 71,
    Requantize(quantize::Requantize) = 72,
    U8Bilinear(resize::U8Bilinear) = 73,
    F16Gemm(products::F16Gemm) = 74,
    F16Depthwise(depthwise::F16Depthwise) = 75,
    F16Cast(half::F16Cast) = 76,
    F16Pairs(half::F16Pairs) = 77,
    F16Map(half::F16Map) = 78,
    F16Pool(half::F16Pool) = 79,
    F16Mean(half::F16Mean) = 80,
}

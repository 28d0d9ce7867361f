//! What steps compute, one file a kind. They are made by the engine.

pub mod binary;
pub mod concat;
pub mod copy;
pub mod depthwise;
pub mod gemm;
pub mod pad;
pub mod pool;
pub mod quantize;
pub mod reduce;
pub mod softmax;
pub mod table;
pub mod unary;

use crate::step::{Io, Step};
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
            fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
                match self {
                    $(Self::$kind(step) => step.run(kernels, io),)*
                }
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
    F32Gemm(gemm::F32Gemm) = 0,
    I8Gemm(gemm::I8Gemm) = 1,
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
}

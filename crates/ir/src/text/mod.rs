//! The text form: one statement a line, names kept, attributes as inline TOML tables with sorted keys,
//! byte-equal between prints of one graph.
//!
//! ```text
//! #q0 = q(axis=0, [0.5, 0.25])
//!
//! graph @tiny {
//!   %x = input : f32[1,4]
//!   %w = const [1, 2, 3, 4, 5, 6, 7, 8] : i8[2,4] #q0
//!   %wf = dequantize(%w) : f32[2,4]
//!   %y = dense(%x, %wf) { activation = "relu" } : f32[1,2] in [0.0, 3.5] @"dense_1"
//!   output %y as "scores"
//! }
//! ```
//!
//! - Names that are not letters, digits and `_ . $ / : -` are quoted: `%"my value"`.
//! - `in [low, high]` after a type is the calibrated range; `@"name"` the node's name where it is not
//!   that of its first output; `as "name"` a port's name; `external [0, 3, 1, 2]` the model's own
//!   layout of a port ([`Port::external`](crate::Port::external)).
//! - A constant is a list, `splat(0.5)`, `fill(seed=1)` (pseudo-random, for tests), `blob "name"`
//!   (kept beside the text, in any storage), `palette(..)` or `sparse(..)`.
//! - `%h = state splat(0.0) : f32[1,8]` begins a state and `next %h = %v` says what it becomes.
//! - A type's long quantization is named once: `#q0 = q(axis=0, [...])`.
//! - `;` begins a comment.

mod lex;
mod parse;
mod print;

pub use parse::{Blobs, ParseError, Parsed, no_blobs, parse, parse_limited, parse_with};
pub use print::{Large, Printed, print, print_with_fills};

use paring_tensor::{Bytes, DType, Element, Tensor, TensorError};

/// The pseudo-random constant that `fill(seed=..)` stands for: multiples of 2^-10 in `[-1, 1)` for
/// floats, the whole range for integers of up to 16 bits, and `[-1024, 1023]` for wider ones.
///
/// # Errors
/// If the shape is too large.
pub fn fill(seed: u64, dtype: DType, shape: &[usize]) -> Result<Tensor, TensorError> {
    // Refuses shapes that memory cannot hold before anything is allocated element by element.
    let count = Tensor::zeros(dtype, shape)?.len();
    let mut state = seed;
    let mut next = || {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    if dtype.is_float() {
        let data = (0..count).map(|_| (next() % 2048) as f32 / 1024.0 - 1.0).collect();
        return Ok(Tensor::from_vec(shape, data)?.cast(dtype));
    }
    let (low, high) = match dtype.int_range() {
        Some((low, high)) if dtype.bits() <= 16 => (low, high),
        Some((low, _)) => (low.max(-1024), 1023),
        None => (0, if dtype == DType::Bool { 1 } else { 1023 }),
    };
    let span = (high - low + 1) as u64;
    let data: Vec<i64> = (0..count).map(|_| low + (next() % span) as i64).collect();
    Ok(Tensor::from_vec(shape, data)?.cast(dtype))
}

/// The elements of a constant as they are written.
fn literals(tensor: &Tensor) -> Vec<String> {
    fn all<T: Element>(tensor: &Tensor, write: impl Fn(&T) -> String) -> Vec<String> {
        tensor.view::<T>().map(|v| v.iter().map(write).collect()).unwrap_or_default()
    }
    use paring_tensor::half::{bf16, f16};
    match tensor.dtype() {
        DType::F32 => all::<f32>(tensor, |x| format!("{x:?}")),
        DType::F64 => all::<f64>(tensor, |x| format!("{x:?}")),
        DType::F16 => all::<f16>(tensor, |x| format!("{:?}", x.to_f32())),
        DType::BF16 => all::<bf16>(tensor, |x| format!("{:?}", x.to_f32())),
        DType::Bool => all::<u8>(tensor, |x| (*x != 0).to_string()),
        DType::U64 => all::<u64>(tensor, u64::to_string),
        _ => tensor.to_i64().iter().map(i64::to_string).collect(),
    }
}

/// Elements from how they are written; the index of a bad one on failure.
fn from_literals(dtype: DType, shape: &[usize], words: &[&str]) -> Result<Tensor, Literal> {
    fn all<T: std::str::FromStr>(words: &[&str]) -> Result<Vec<T>, Literal> {
        let parse = |(i, w): (usize, &&str)| w.parse().map_err(|_| Literal::Bad(i));
        words.iter().enumerate().map(parse).collect()
    }
    let tensor = match dtype {
        DType::F32 => Tensor::from_vec(shape, all::<f32>(words)?),
        DType::F64 => Tensor::from_vec(shape, all::<f64>(words)?),
        DType::F16 | DType::BF16 => {
            Tensor::from_vec(shape, all::<f32>(words)?).map(|t| t.cast(dtype))
        }
        DType::Bool => Tensor::new(
            dtype,
            shape,
            all::<bool>(words)?.into_iter().map(u8::from).collect::<Bytes>(),
        ),
        DType::U64 => Tensor::from_vec(shape, all::<u64>(words)?),
        _ => {
            let values = all::<i64>(words)?;
            let (low, high) = dtype.int_range().unwrap_or((i64::MIN, i64::MAX));
            if let Some(i) = values.iter().position(|v| !(low..=high).contains(v)) {
                return Err(Literal::Bad(i));
            }
            Tensor::from_vec(shape, values).map(|t| t.cast(dtype))
        }
    };
    tensor.map_err(Literal::Tensor)
}

enum Literal {
    Bad(usize),
    Tensor(TensorError),
}

fn plain_name(name: &str) -> bool {
    let ok = |c: char| c.is_ascii_alphanumeric() || "_.$/:-".contains(c);
    !name.is_empty() && name.chars().all(ok)
}

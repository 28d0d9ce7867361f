use crate::TensorError;
use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Element types. Sub-byte integers and booleans take one byte each in memory; files and packages
/// pack them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum DType {
    F32,
    F16,
    BF16,
    F64,
    I4,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    Bool,
}

impl DType {
    /// Every element type.
    pub const ALL: [Self; 14] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::F64,
        Self::I4,
        Self::I8,
        Self::U8,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::I64,
        Self::U64,
        Self::Bool,
    ];

    /// Bytes of one element in memory.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::I4 | Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// Bits of one element when packed as tightly as its values allow.
    #[must_use]
    pub const fn bits(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::I4 => 4,
            other => other.size() * 8,
        }
    }

    /// Whether this is a floating-point type.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::F64)
    }

    /// Whether this is an integer type (booleans are not).
    #[must_use]
    pub const fn is_integer(self) -> bool {
        !self.is_float() && !matches!(self, Self::Bool)
    }

    /// The smallest and largest value of an integer type; `None` for floats, booleans and `u64`
    /// (whose range does not fit).
    #[must_use]
    pub const fn int_range(self) -> Option<(i64, i64)> {
        Some(match self {
            Self::I4 => (-8, 7),
            Self::I8 => (i8::MIN as i64, i8::MAX as i64),
            Self::U8 => (0, u8::MAX as i64),
            Self::I16 => (i16::MIN as i64, i16::MAX as i64),
            Self::U16 => (0, u16::MAX as i64),
            Self::I32 => (i32::MIN as i64, i32::MAX as i64),
            Self::U32 => (0, u32::MAX as i64),
            Self::I64 => (i64::MIN, i64::MAX),
            Self::F32 | Self::F16 | Self::BF16 | Self::F64 | Self::U64 | Self::Bool => return None,
        })
    }

    /// The name used in the text form and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F64 => "f64",
            Self::I4 => "i4",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::I16 => "i16",
            Self::U16 => "u16",
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DType {
    type Err = TensorError;

    fn from_str(s: &str) -> Result<Self, TensorError> {
        Self::ALL.into_iter().find(|d| d.name() == s).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|d| d.name()).collect();
            TensorError::Shape(format!("unknown element type `{s}`; known: {}", known.join(", ")))
        })
    }
}

/// A Rust type that elements of a [`DType`] can be viewed as.
pub trait Element: bytemuck::Pod + PartialEq + fmt::Debug + Send + Sync {
    /// The element type that a fresh tensor of this Rust type gets.
    const DTYPE: DType;

    /// Whether elements of `dtype` are stored as this Rust type.
    fn stores(dtype: DType) -> bool {
        dtype == Self::DTYPE
    }
}

macro_rules! element {
    ($($t:ty => $d:ident $(| $also:ident)*),* $(,)?) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            fn stores(dtype: DType) -> bool {
                matches!(dtype, DType::$d $(| DType::$also)*)
            }
        }
    )*};
}
element!(
    f32 => F32, f64 => F64, f16 => F16, bf16 => BF16, i8 => I8 | I4, u8 => U8 | Bool,
    i16 => I16, u16 => U16, i32 => I32, u32 => U32, i64 => I64, u64 => U64,
);

//! What the integer kernels share: reading quantization from types, and constants derived from it.

use crate::kernel::Fault;
use paring_backend::requantize::per_tensor;
use paring_ir::ops::Activation;
use paring_qmath::{Multiplier, Rounding};
use paring_tensor::{DType, Tensor, TensorType};

/// Scale, zero point and element range of a value that is quantized per tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    pub(crate) scale: f32,
    pub(crate) zero: i32,
    pub(crate) low: i32,
    pub(crate) high: i32,
    pub(crate) dtype: DType,
}

impl Affine {
    /// Of a value of at most 16 bits, whose differences and products fit `i32`.
    pub(crate) fn of(what: &str, ty: &TensorType) -> Result<Self, String> {
        if ty.dtype.size() > 2 {
            return Err(format!("{what} ({ty}) has more than 16 bits"));
        }
        Self::of_any(what, ty)
    }

    /// Of a value of at most 32 bits.
    pub(crate) fn of_any(what: &str, ty: &TensorType) -> Result<Self, String> {
        let (scale, zero) = per_tensor(what, ty)?;
        let range = ty.dtype.int_range().filter(|_| ty.dtype.size() <= 4);
        let (low, high) =
            range.ok_or_else(|| format!("{what} ({ty}) is no integer of at most 32 bits"))?;
        let cut = |x: i64| x.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        Ok(Self { scale, zero, low: cut(low), high: cut(high), dtype: ty.dtype })
    }

    /// The same with the range cut by an activation.
    pub(crate) fn clamped(mut self, activation: Activation) -> Self {
        (self.low, self.high) = activation.quantized_bounds(self.scale, self.zero, self.dtype);
        self
    }

    /// Cut to the range.
    #[inline]
    pub(crate) fn cut(self, x: i32) -> i32 {
        // The bounds of an activation may cross where the quantization cannot express both; TFLite
        // takes the smaller one last.
        x.max(self.low).min(self.high)
    }

    /// The nearest stored number, ties away from zero.
    #[inline]
    pub(crate) fn store(self, real: f32) -> i32 {
        let q = (real / self.scale).round();
        self.cut((i64::from(self.zero) + q as i64).clamp(-(1 << 31), (1 << 31) - 1) as i32)
    }

    /// The real number.
    #[inline]
    pub(crate) fn real(self, stored: i32) -> f32 {
        self.scale * stored.wrapping_sub(self.zero) as f32
    }
}

/// Whether a value is a quantized integer.
pub(crate) fn is_quantized(ty: &TensorType) -> bool {
    ty.quant.is_some() && ty.dtype.is_integer()
}

/// The stored numbers as `i32`.
pub(crate) fn ints(t: &Tensor) -> Result<Vec<i32>, Fault> {
    Ok(match t.dtype() {
        DType::I8 | DType::I4 => t.view::<i8>()?.iter().map(|&x| i32::from(x)).collect(),
        DType::U8 | DType::Bool => t.view::<u8>()?.iter().map(|&x| i32::from(x)).collect(),
        DType::I16 => t.view::<i16>()?.iter().map(|&x| i32::from(x)).collect(),
        DType::U16 => t.view::<u16>()?.iter().map(|&x| i32::from(x)).collect(),
        DType::I32 => t.view::<i32>()?.into_owned(),
        other => return Err(Fault::Internal(format!("{other} elements are no stored numbers"))),
    })
}

/// The stored numbers less the zero point, as `i16`; for elements of at most 8 bits, or of 16 with
/// zero point 0.
pub(crate) fn centred(t: &Tensor, zero: i32) -> Result<Vec<i16>, Fault> {
    let z = zero as i16;
    Ok(match t.dtype() {
        DType::I8 | DType::I4 => t.view::<i8>()?.iter().map(|&x| i16::from(x) - z).collect(),
        DType::U8 => t.view::<u8>()?.iter().map(|&x| i16::from(x) - z).collect(),
        DType::I16 if zero == 0 => t.view::<i16>()?.into_owned(),
        other => return Err(Fault::Internal(format!("{other} elements with zero point {zero}"))),
    })
}

/// A tensor of stored numbers that are in the range of `dtype`.
pub(crate) fn stored(dtype: DType, shape: &[usize], q: Vec<i32>) -> Result<Tensor, Fault> {
    Ok(match dtype {
        DType::I8 => Tensor::from_vec(shape, q.into_iter().map(|x| x as i8).collect())?,
        DType::U8 => Tensor::from_vec(shape, q.into_iter().map(|x| x as u8).collect())?,
        DType::I16 => Tensor::from_vec(shape, q.into_iter().map(|x| x as i16).collect())?,
        DType::I32 => Tensor::from_vec(shape, q)?,
        other => Tensor::from_vec(shape, q)?.cast(other),
    })
}

/// The multipliers of a fully connected layer. One scale for all weights is multiplied with the
/// input's in single precision first, as TFLite does it; one scale a channel in double precision.
pub(crate) fn dense_multipliers(
    x: &TensorType,
    w: &TensorType,
    y: &TensorType,
    channels: usize,
) -> Result<Vec<Multiplier>, String> {
    paring_backend::requantize::dense_multipliers(x, w, y, channels)
}

/// gemmlowp's product of a sum with a multiplier. Both TFLite Micro and LiteRT as it is distributed scale
/// their fixed-point sums so, whatever the [`Rounding`] of the run; kernels that differ between the two
/// say so.
#[inline]
pub(crate) fn scale(m: Multiplier, x: i32) -> i32 {
    m.apply(x, Rounding::Double)
}

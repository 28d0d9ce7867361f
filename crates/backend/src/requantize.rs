//! From scales to fixed-point constants, by the TFLite int8 specification: what the interpreter
//! computes with and what is written into generated code are the same numbers.

use paring_qmath::Multiplier;
use paring_tensor::{Quant, TensorType};

/// The scale and zero point of an activation.
///
/// # Errors
/// If the type is not quantized per tensor.
pub fn per_tensor(what: &str, ty: &TensorType) -> Result<(f32, i32), String> {
    ty.quant.as_ref().and_then(Quant::as_per_tensor).ok_or_else(|| {
        format!("{what} ({ty}) is not quantized per tensor; quantize it with one scale")
    })
}

/// The multipliers of a convolution or dense layer, one for each output channel:
/// `x_scale * w_scale / y_scale` in double precision, as TFLite computes them.
///
/// `w` is quantized per tensor or per axis 0.
///
/// # Errors
/// If a type is not quantized so.
pub fn channel_multipliers(
    x: &TensorType,
    w: &TensorType,
    y: &TensorType,
    channels: usize,
) -> Result<Vec<Multiplier>, String> {
    let (x_scale, _) = per_tensor("the input", x)?;
    let (y_scale, _) = per_tensor("the output", y)?;
    let scales = weight_scales(w, channels)?;
    let real = |w: f32| f64::from(x_scale) * f64::from(w) / f64::from(y_scale);
    Ok(scales.into_iter().map(|w| Multiplier::from_real(real(w))).collect())
}

/// The scale of each output channel's weights.
///
/// # Errors
/// If the weights are not quantized per tensor or per axis 0.
pub fn weight_scales(w: &TensorType, channels: usize) -> Result<Vec<f32>, String> {
    match &w.quant {
        Some(Quant::PerAxis { axis: 0, scales, .. }) if scales.len() == channels => {
            Ok(scales.to_vec())
        }
        Some(q) => match q.as_per_tensor() {
            Some((scale, _)) => Ok(vec![scale; channels]),
            None => Err(format!("the weights ({w}) are not quantized per output channel")),
        },
        None => Err(format!("the weights ({w}) are not quantized")),
    }
}

/// The multipliers of a fully connected layer, one for each output channel.
///
/// Where all weights share one scale, TFLite multiplies it with the input's in single precision before
/// it divides by the output's in double precision; with one scale a channel it computes as for
/// [`channel_multipliers`].
///
/// # Errors
/// If a type is not quantized so.
pub fn dense_multipliers(
    x: &TensorType,
    w: &TensorType,
    y: &TensorType,
    channels: usize,
) -> Result<Vec<Multiplier>, String> {
    let Some((w_scale, _)) = w.quant.as_ref().and_then(Quant::as_per_tensor) else {
        return channel_multipliers(x, w, y, channels);
    };
    let (x_scale, _) = per_tensor("the input", x)?;
    let (y_scale, _) = per_tensor("the output", y)?;
    let real = f64::from(x_scale * w_scale) / f64::from(y_scale);
    Ok(vec![Multiplier::from_real(real); channels])
}

/// The multiplier of a mean of `count` numbers: the rescaling with the division folded in, shifted as
/// far as the precision of 32 bits allows, as TFLite's integer kernel has it.
///
/// # Errors
/// If a type is not quantized per tensor.
pub fn mean_multiplier(x: &TensorType, y: &TensorType, count: u32) -> Result<Multiplier, String> {
    let (x_scale, _) = per_tensor("the input", x)?;
    let (y_scale, _) = per_tensor("the output", y)?;
    let mut m = Multiplier::from_real(f64::from(x_scale) / f64::from(y_scale));
    if count > 0 {
        let shift = (32 - count.leading_zeros() as i32 - 1).min(31 + m.shift).clamp(0, 32);
        m.mantissa = ((i64::from(m.mantissa) << shift) / i64::from(count)) as i32;
        m.shift -= shift;
    }
    Ok(m)
}

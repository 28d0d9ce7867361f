//! From scales to fixed-point constants, by the TFLite int8 specification: what the interpreter
//! computes with and what is written into generated code are the same numbers.

use paring_ir::ops::Lstm;
use paring_qmath::lstm::Cell;
use paring_qmath::{Multiplier, Rounding};
use paring_tensor::{DType, Quant, TensorType};

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

/// The cell of an LSTM of integers; `inputs` are the types of its operands, `y` that of its hidden states.
///
/// # Errors
/// If it is not TFLite's: 8-bit inputs, weights and hidden states, 16-bit cell states, one scale a gate.
pub fn lstm_cell(
    op: &Lstm,
    inputs: &[&TensorType],
    y: &TensorType,
    rounding: Rounding,
) -> Result<Cell, String> {
    let wanted = [DType::I8, DType::I8, DType::I8, DType::I32, DType::I8, DType::I16];
    for (i, dtype) in wanted.into_iter().enumerate() {
        match inputs.get(i) {
            Some(ty) if ty.dtype == dtype => {}
            Some(ty) => return Err(format!("operand {i} is {}, not {dtype}", ty.dtype)),
            None => return Err(format!("operand {i} is missing")),
        }
    }
    let (x_scale, _) = per_tensor("the input", inputs[0])?;
    let hidden = per_tensor("the state", inputs[4])?;
    let (cell_scale, cell_zero) = per_tensor("the cell state", inputs[5])?;
    let (input, state) = (gate_scales(inputs[1])?, gate_scales(inputs[2])?);
    if inputs.len() > 6 || !op.functions.is_empty() || op.input_forget || op.clip != 0.0 {
        return Err("an integer LSTM with peepholes, lengths or unusual functions".to_owned());
    }
    let log = cell_scale.log2();
    let exponent = log.round() as i32;
    let power = (log - log.round()).abs() < 1e-3 && cell_zero == 0;
    if !power || !(-15..=-9).contains(&exponent) {
        return Err(format!("the cell state {} has no scale from 2^-15 to 2^-9", inputs[5]));
    }
    if y.quant.is_none() || !y.dtype.is_integer() {
        return Err("the output is not quantized".to_owned());
    }
    let clip = f64::from(op.cell_clip) / f64::from(cell_scale);
    let clip = clip.clamp(-32768.0, 32767.0) as i32;
    Ok(Cell::new(rounding, exponent, clip, (x_scale, input), state, hidden))
}

/// One scale for each of the four gates, from weights `[directions, 4 * cells, ..]`.
fn gate_scales(w: &TensorType) -> Result<[f32; 4], String> {
    let fail = || format!("the weights ({w}) do not have one scale a gate");
    match &w.quant {
        Some(Quant::PerAxis { axis: 1, scales, zero_points, .. })
            if scales.len() % 4 == 0 && zero_points.iter().all(|z| *z == 0) =>
        {
            let cells = (scales.len() / 4).max(1);
            let mut gates = [1.0; 4];
            for (gate, own) in gates.iter_mut().zip(scales.chunks_exact(cells)) {
                if own.iter().any(|s| *s != own[0]) {
                    return Err(fail());
                }
                *gate = own[0];
            }
            Ok(gates)
        }
        Some(q) => match q.as_per_tensor() {
            Some((scale, 0)) => Ok([scale; 4]),
            _ => Err(fail()),
        },
        None => Err(fail()),
    }
}

//! TFLite's integer LSTM: 8-bit inputs, weights and hidden states, 16-bit gates and cell states.

use super::recurrent::Sequence;
use crate::kernel::{Call, Done, Types, filled};
use crate::quantized::{Affine, ints, is_quantized, scale, stored};
use crate::table16::Table16;
use paring_backend::requantize;
use paring_ir::ops::Lstm;
use paring_qmath::fixed::{Width, logistic, tanh};
use paring_qmath::{Multiplier, Rounding, rounding_shift_right};
use paring_tensor::{DType, Quant, Tensor, TensorType};

/// Gates compute with 12 fraction bits: three integer bits in 16.
const GATE_SCALE: f64 = 1.0 / 4096.0;

pub(super) fn support(op: &Lstm, types: Types<'_>) -> Result<(), String> {
    let t = types.inputs;
    let wanted = [(0, DType::I8), (1, DType::I8), (2, DType::I8), (3, DType::I32)];
    for (i, dtype) in wanted.into_iter().chain([(4, DType::I8), (5, DType::I16)]) {
        if t[i].dtype != dtype {
            return Err(format!("operand {i} is {}, not {dtype}", t[i].dtype));
        }
    }
    for i in [0, 4, 5] {
        Affine::of("an operand", t[i])?;
    }
    gate_scales(t[1])?;
    gate_scales(t[2])?;
    if t.len() > 6 || !op.functions.is_empty() || op.input_forget || op.clip != 0.0 {
        return Err("an integer LSTM with peepholes, lengths or unusual functions".to_owned());
    }
    if cell_exponent(t[5])?.is_none_or(|e| !(-15..=-9).contains(&e)) {
        return Err(format!("the cell state {} has no scale from 2^-15 to 2^-9", t[5]));
    }
    if !is_quantized(types.outputs[0]) {
        return Err("the output is not quantized".to_owned());
    }
    Ok(())
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

/// The power of two that the cell state's scale is.
fn cell_exponent(ty: &TensorType) -> Result<Option<i32>, String> {
    let (scale, zero) = requantize::per_tensor("the cell state", ty)?;
    let log = scale.log2();
    let exponent = log.round();
    Ok(((log - exponent).abs() < 1e-3 && zero == 0).then_some(exponent as i32))
}

/// What differs between the runtimes: how constants are derived, and the functions of gates.
///
/// TFLite Micro brings the products with input and state to 16 bits one by one, looks functions up in an
/// interpolated table, and scales element products in gemmlowp's two steps. LiteRT adds the second
/// product before it cuts, computes functions in 16-bit fixed point, and shifts element products.
struct Cell {
    micro: bool,
    sigmoid: Table16,
    tanh: Table16,
    cell_tanh: Table16,
    /// `log2` of the cell state's scale.
    exponent: i32,
    cell_clip: i32,
}

fn cut_16(x: i32) -> i32 {
    x.clamp(-32768, 32767)
}

impl Cell {
    fn multiplier(&self, input: f32, weight: f32) -> Multiplier {
        if self.micro {
            return Multiplier::from_real(f64::from(input * weight) / GATE_SCALE);
        }
        Multiplier::from_real(f64::from(weight * input / GATE_SCALE as f32))
    }

    fn sigmoid(&self, x: i32) -> i32 {
        if self.micro { self.sigmoid.logistic(x) } else { logistic(Width::W16, x, 3) }
    }

    fn tanh(&self, x: i32) -> i32 {
        if self.micro { self.tanh.tanh(x) } else { tanh(Width::W16, x, 3) }
    }

    fn tanh_of_cell(&self, c: i32) -> i32 {
        if self.micro {
            self.cell_tanh.tanh(c)
        } else {
            tanh(Width::W16, c, (15 + self.exponent) as u32)
        }
    }

    /// A gate before its function.
    fn gate(&self, from_input: i32, from_state: i32) -> i32 {
        if self.micro {
            return cut_16(cut_16(from_input) + cut_16(from_state));
        }
        cut_16(cut_16(from_input).saturating_add(from_state))
    }

    /// The product of 16-bit numbers, the scale divided by `2^shift`.
    fn product(&self, a: i32, b: i32, shift: i32) -> i32 {
        if self.micro {
            let m = Multiplier::from_real(2_f64.powi(-shift));
            return cut_16(scale(m, a * b));
        }
        i32::from(rounding_shift_right(a * b, shift as u32) as i16)
    }

    /// The next cell state.
    fn update(&self, c: i32, [i, f, g]: [i32; 3]) -> i32 {
        let kept = self.product(f, c, 15);
        let added = self.product(i, g, 30 + self.exponent);
        let c = cut_16(kept + added);
        if self.cell_clip > 0 { c.clamp(-self.cell_clip, self.cell_clip) } else { c }
    }
}

pub(super) fn run(op: &Lstm, call: &Call<'_>, s: &Sequence) -> Done {
    let t = call.types.inputs;
    let micro = call.rounding == Rounding::Double;
    let (from, hidden_q) = (Affine::of("the input", t[0])?, Affine::of("the state", t[4])?);
    let cell_q = Affine::of("the cell state", t[5])?;
    let exponent = cell_exponent(t[5])?.unwrap_or(-12);
    let cell = Cell {
        micro,
        sigmoid: Table16::new(GATE_SCALE as f32, false),
        tanh: Table16::new(GATE_SCALE as f32, true),
        cell_tanh: Table16::of_power(exponent),
        exponent,
        cell_clip: (f64::from(op.cell_clip) / f64::from(cell_q.scale)).clamp(-32768.0, 32767.0)
            as i32,
    };
    let (w_scales, r_scales) = (gate_scales(t[1])?, gate_scales(t[2])?);
    let w_m = w_scales.map(|w| cell.multiplier(from.scale, w));
    let r_m = r_scales.map(|w| cell.multiplier(hidden_q.scale, w));
    let unit = 2_f64.powi(-15);
    let out_m = if micro {
        Multiplier::from_real(unit * unit / f64::from(hidden_q.scale))
    } else {
        Multiplier::from_real(f64::from((unit / f64::from(hidden_q.scale) * unit) as f32))
    };
    let (x, w, r) = (ints(&call.inputs[0])?, ints(&call.inputs[1])?, ints(&call.inputs[2])?);
    let b = ints(&call.inputs[3])?;
    let (mut last_h, mut last_c) = (ints(&call.inputs[4])?, ints(&call.inputs[5])?);
    let h = s.cells;
    let mut all = filled(s.time * s.directions * s.batch * h, 0)?;
    let row = |w: &[i32], x: &[i32], zero: i32| {
        w.iter().zip(x).fold(0_i32, |sum, (w, x)| sum.wrapping_add(w * (x - zero)))
    };
    for d in 0..s.directions {
        for batch in 0..s.batch {
            let at = (d * s.batch + batch) * h;
            for time in s.steps(op.direction, d, s.time) {
                let from_at = s.input(time, batch);
                let input = &x[from_at..from_at + s.inputs];
                let before = last_h[at..at + h].to_vec();
                for k in 0..h {
                    let gates: [i32; 4] = std::array::from_fn(|g| {
                        let line = d * 4 * h + g * h + k;
                        let own = row(&w[line * s.inputs..(line + 1) * s.inputs], input, from.zero);
                        let state = row(&r[line * h..(line + 1) * h], &before, hidden_q.zero);
                        let own = scale(w_m[g], own.wrapping_add(b[line]));
                        cell.gate(own, scale(r_m[g], state))
                    });
                    let [i, f, o] = [0, 1, 3].map(|g| cell.sigmoid(gates[g]));
                    let c = cell.update(last_c[at + k], [i, f, cell.tanh(gates[2])]);
                    last_c[at + k] = c;
                    let product = o * cell.tanh_of_cell(c);
                    let q = scale(out_m, product).saturating_add(hidden_q.zero);
                    last_h[at + k] = hidden_q.cut(q);
                }
                let to = s.output(time, d, batch);
                all[to..to + h].copy_from_slice(&last_h[at..at + h]);
            }
        }
    }
    let y = stored(hidden_q.dtype, &call.out_shape(0)?, all)?;
    let states: [Tensor; 2] = [
        stored(hidden_q.dtype, call.shape(4), last_h)?,
        stored(cell_q.dtype, call.shape(5), last_c)?,
    ];
    Ok([vec![y], states.to_vec()].concat())
}

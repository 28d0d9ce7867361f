//! TFLite's integer LSTM: 8-bit inputs, weights and hidden states, 16-bit gates and cell states.

use super::recurrent::Sequence;
use crate::kernel::{Call, Done, Types, filled};
use crate::quantized::{Affine, ints, stored};
use paring_backend::requantize::lstm_cell;
use paring_ir::ops::Lstm;
use paring_qmath::Rounding;
use paring_tensor::{DType, Tensor};

pub(super) fn support(op: &Lstm, types: Types<'_>) -> Result<(), String> {
    lstm_cell(op, types.inputs, types.outputs[0], Rounding::Double).map(|_| ())
}

pub(super) fn run(op: &Lstm, call: &Call<'_>, s: &Sequence) -> Done {
    let t = call.types.inputs;
    let cell = lstm_cell(op, t, call.types.outputs[0], call.rounding)?;
    let from = Affine::of("the input", t[0])?;
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
                        let state = row(&r[line * h..(line + 1) * h], &before, cell.zero_point);
                        cell.gate(g, own.wrapping_add(b[line]), state)
                    });
                    let (c, hidden) = cell.next(gates, last_c[at + k]);
                    (last_c[at + k], last_h[at + k]) = (i32::from(c), i32::from(hidden));
                }
                let to = s.output(time, d, batch);
                all[to..to + h].copy_from_slice(&last_h[at..at + h]);
            }
        }
    }
    let y = stored(DType::I8, &call.out_shape(0)?, all)?;
    let states: [Tensor; 2] =
        [stored(DType::I8, call.shape(4), last_h)?, stored(DType::I16, call.shape(5), last_c)?];
    Ok([vec![y], states.to_vec()].concat())
}

//! Recurrent layers.

use crate::{Array, Case, Expected, Operand, Suite, c, op, x};
use paring_ir::ops::{Activation, Direction, Gru, Lstm, Rnn, Svdf};
use paring_tensor::{DType, Quant, Tensor, TensorType};

const T: usize = 4;
const B: usize = 2;
const I: usize = 3;
const H: usize = 2;
/// Sequences of full length.
const ALL: [usize; B] = [T; B];

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `w[d, row] * v`
fn times(w: &Array, d: usize, row: usize, v: &[f64]) -> f64 {
    v.iter().enumerate().map(|(k, v)| w.at(&[d, row, k]) * v).sum()
}

/// Runs a cell over sequences `[T,B,I]` of some lengths: all hidden states `[T,D,B,H]` and the last states `[D,B,H]`.
fn unroll(
    x: &Array,
    direction: Direction,
    lengths: [usize; B],
    states: &[Array],
    cell: impl Fn(usize, &[f64], &[Vec<f64>]) -> Vec<Vec<f64>>,
) -> Vec<Array> {
    let directions = if direction == Direction::Both { 2 } else { 1 };
    let mut all = Array::from_fn(&[T, directions, B, H], |_| 0.0);
    let mut last = states.to_vec();
    for d in 0..directions {
        for (b, length) in lengths.into_iter().enumerate() {
            let mut own: Vec<Vec<f64>> =
                states.iter().map(|s| (0..H).map(|k| s.at(&[d, b, k])).collect()).collect();
            for step in 0..length {
                let back = direction == Direction::Reverse || d == 1;
                let t = if back { length - 1 - step } else { step };
                let input: Vec<f64> = (0..I).map(|k| x.at(&[t, b, k])).collect();
                own = cell(d, &input, &own);
                let to = ((t * directions + d) * B + b) * H;
                all.data[to..to + H].copy_from_slice(&own[0]);
            }
            for (last, own) in last.iter_mut().zip(&own) {
                let to = (d * B + b) * H;
                last.data[to..to + H].copy_from_slice(own);
            }
        }
    }
    [vec![all], last].concat()
}

/// The states of an LSTM with weights, weights with the state, biases and peepholes.
fn lstm(
    x: &Array,
    direction: Direction,
    states: [Array; 2],
    [rw, rr, rb, rp]: [Array; 4],
) -> Vec<Array> {
    unroll(x, direction, ALL, &states, |d, x, s| {
        let sum = |gate: usize, k: usize| {
            let row = gate * H + k;
            times(&rw, d, row, x) + times(&rr, d, row, &s[0]) + rb.at(&[d, row])
        };
        let peep = |which: usize, k: usize| rp.at(&[d, which * H + k]);
        let next: Vec<f64> = (0..H)
            .map(|k| {
                let i = sigmoid(sum(0, k) + peep(0, k) * s[1][k]);
                let f = sigmoid(sum(1, k) + peep(1, k) * s[1][k]);
                f * s[1][k] + i * sum(2, k).tanh()
            })
            .collect();
        let hidden =
            (0..H).map(|k| sigmoid(sum(3, k) + peep(2, k) * next[k]) * next[k].tanh()).collect();
        vec![hidden, next]
    })
}

/// An LSTM of 8-bit numbers with cell states of 16 bits.
fn integer_lstm(suite: &mut Suite, direction: Direction) {
    let d = direction.count();
    let (from, hidden) = (Quant::per_tensor(0.011, 5), Quant::per_tensor(1.0 / 120.0, -4));
    let cells = Quant::per_tensor(1.0 / 2048.0, 0);
    let i = x(200, &[T, B, I]).quantized(from, DType::I8);
    let h = x(201, &[d, B, H]).quantized(hidden.clone(), DType::I8);
    let cell = x(202, &[d, B, H]).quantized(cells.clone(), DType::I16);
    let scales: Vec<f32> = (0..4 * H).map(|row| [0.008, 0.009, 0.01, 0.011][row / H]).collect();
    let quant = |scales: Vec<f32>| Quant::symmetric(1, scales);
    let w = c(203, &[d, 4 * H, I]).quantized(quant(scales.clone()), DType::I8);
    let r = c(204, &[d, 4 * H, H]).quantized(quant(scales.clone()), DType::I8);
    let b = quant(scales.iter().map(|s| s * 0.011).collect());
    let b = c(205, &[d, 4 * H]).quantized(b, DType::I32);
    let none = Array::from_fn(&[d, 3 * H], |_| 0.0);
    let y =
        lstm(&i.real(), direction, [h.real(), cell.real()], [w.real(), r.real(), b.real(), none]);
    let types = [(DType::I8, &hidden), (DType::I8, &hidden), (DType::I16, &cells)];
    let types = types.iter().zip(&y).map(|((dtype, quant), y)| {
        TensorType::new(*dtype, y.shape.clone()).with_quant((*quant).clone())
    });
    let types = types.collect();
    // Two steps of a hidden state, and a thousandth for the tables, add up over time.
    let tolerances = [0.02, 0.02, 0.01];
    let expected = y.into_iter().zip(tolerances);
    let expected = expected.map(|(value, by)| Expected { value, tolerance: [by, 0.0] }).collect();
    let layer = Lstm {
        direction,
        batch_major: false,
        functions: vec![],
        clip: 0.0,
        cell_clip: 0.0,
        input_forget: false,
    };
    let name = format!("i8_{direction:?}").to_lowercase();
    let operands = vec![i, w, r, b, h, cell];
    let case = Case::typed(&name, op(layer), operands, Some(types), expected);
    suite.0.push(case.unwrap_or_else(|e| panic!("{name}: {e}")));
}

/// Filters of integers; what they remember and its weights are of a type.
fn integer_svdf(suite: &mut Suite, kept: DType) {
    let state_scale = if kept == DType::I8 { 0.02 } else { 0.0001 };
    let (time_scale, y_scale) = (if kept == DType::I8 { 0.009 } else { 0.000_05 }, 0.04);
    let per = Quant::per_tensor;
    let i = x(210, &[B, I]).quantized(per(0.01, 7), DType::I8);
    let feature = c(211, &[4, I]).quantized(per(0.009, 0), DType::I8);
    let time = c(212, &[4, 5]).quantized(per(time_scale, 0), kept);
    let bias = c(213, &[2]).quantized(per(state_scale * time_scale, 0), DType::I32);
    let state = x(214, &[B, 20]).quantized(per(state_scale, 0), kept);
    let y = svdf([&i, &feature, &time, &bias, &state].map(Operand::real), f64::NEG_INFINITY);
    let typed =
        |dtype, shape: &Array, quant| TensorType::new(dtype, shape.shape.clone()).with_quant(quant);
    let types =
        vec![typed(DType::I8, &y[0], per(y_scale, -3)), typed(kept, &y[1], per(state_scale, 0))];
    let tolerances = [f64::from(y_scale) * 2.01, f64::from(state_scale) * 1.01];
    let expected = y.into_iter().zip(tolerances);
    let expected = expected.map(|(value, by)| Expected { value, tolerance: [by, 0.0] }).collect();
    let (name, operands) = (format!("kept_{kept}"), vec![i, feature, time, bias, state]);
    let layer = op(Svdf { rank: 2, activation: Activation::None });
    let case = Case::typed(&name, layer, operands, Some(types), expected);
    suite.0.push(case.unwrap_or_else(|e| panic!("{name}: {e}")));
}

/// The outputs of filters of rank 2, at least `low`, and what they remember.
fn svdf([a, f, t, b, s]: [Array; 5], low: f64) -> Vec<Array> {
    // Filter f of sequence n remembers five answers; the newest comes last.
    let next = Array::from_fn(&[B, 20], |k| {
        let (filter, m) = (k[1] / 5, k[1] % 5);
        if m < 4 {
            s.at(&[k[0], k[1] + 1])
        } else {
            (0..I).map(|q| a.at(&[k[0], q]) * f.at(&[filter, q])).sum()
        }
    });
    let y = Array::from_fn(&[B, 2], |k| {
        let filters = [k[1] * 2, k[1] * 2 + 1];
        let sum: f64 = filters
            .iter()
            .flat_map(|f| (0..5).map(move |m| (*f, m)))
            .map(|(f, m)| next.at(&[k[0], f * 5 + m]) * t.at(&[f, m]))
            .sum();
        (sum + b.at(&[k[1]])).max(low)
    });
    vec![y, next]
}

/// A plain layer over sequences of different lengths, the batch outside.
fn lengths(suite: &mut Suite) {
    let (lengths, direction) = ([3, 2], Direction::Both);
    let (w, r, b) = (c(220, &[2, H, I]), c(221, &[2, H, H]), c(222, &[2, H]));
    let (i, h) = (x(223, &[B, T, I]), x(224, &[2, B, H]));
    let (rw, rr, rb, ri) = (w.real(), r.real(), b.real(), i.real());
    let turned = Array::from_fn(&[T, B, I], |k| ri.at(&[k[1], k[0], k[2]]));
    let mut y = unroll(&turned, direction, lengths, &[h.real()], |d, x, s| {
        let sum = |k| times(&rw, d, k, x) + times(&rr, d, k, &s[0]) + rb.at(&[d, k]);
        vec![(0..H).map(|k| sum(k).tanh()).collect()]
    });
    let all = y[0].clone();
    y[0] = Array::from_fn(&[B, T, 2, H], |k| all.at(&[k[1], k[2], k[0], k[3]]));
    let rnn = Rnn { direction, batch_major: true, functions: vec![], clip: 0.0 };
    let ends: Vec<i32> = lengths.iter().map(|n| *n as i32).collect();
    let ends = Operand::input(Tensor::from_vec([B], ends).unwrap_or_else(|e| panic!("{e}")));
    suite.with("lengths", op(rnn), vec![i, w, r, b, h, ends], near(y));
}

fn near(arrays: Vec<Array>) -> Vec<Expected> {
    arrays.into_iter().map(|value| Expected { value, tolerance: [1e-6, 1e-5] }).collect()
}

pub(crate) fn add(suite: &mut Suite) {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Both] {
        let d = direction.count();
        let name = format!("{direction:?}").to_lowercase();
        let i = x(80, &[T, B, I]);
        let (h, cell) = (x(81, &[d, B, H]), x(82, &[d, B, H]));
        let (w, r, b) = (c(83, &[d, 4 * H, I]), c(84, &[d, 4 * H, H]), c(85, &[d, 4 * H]));
        let p = c(86, &[d, 3 * H]);
        let real = [&w, &r, &b, &p].map(Operand::real);
        let y = lstm(&i.real(), direction, [&h, &cell].map(Operand::real), real);
        let layer = Lstm {
            direction,
            batch_major: false,
            functions: vec![],
            clip: 0.0,
            cell_clip: 0.0,
            input_forget: false,
        };
        suite.with(&name, op(layer), vec![i.clone(), w, r, b, h.clone(), cell, p], near(y));
        integer_lstm(suite, direction);
        for linear_before_reset in [false, true] {
            let (w, r, b) = (c(87, &[d, 3 * H, I]), c(88, &[d, 3 * H, H]), c(89, &[d, 6 * H]));
            let (rw, rr, rb) = (w.real(), r.real(), b.real());
            let y = unroll(&i.real(), direction, ALL, &[h.real()], |d, x, s| {
                let own = |gate: usize, k: usize| {
                    times(&rw, d, gate * H + k, x) + rb.at(&[d, gate * H + k])
                };
                let state = |gate: usize, k: usize, h: &[f64]| {
                    times(&rr, d, gate * H + k, h) + rb.at(&[d, 3 * H + gate * H + k])
                };
                let reset: Vec<f64> =
                    (0..H).map(|k| sigmoid(own(1, k) + state(1, k, &s[0]))).collect();
                let gated: Vec<f64> = (0..H).map(|k| s[0][k] * reset[k]).collect();
                vec![
                    (0..H)
                        .map(|k| {
                            let z = sigmoid(own(0, k) + state(0, k, &s[0]));
                            let new = if linear_before_reset {
                                own(2, k) + reset[k] * state(2, k, &s[0])
                            } else {
                                own(2, k) + state(2, k, &gated)
                            };
                            (1.0 - z) * new.tanh() + z * s[0][k]
                        })
                        .collect(),
                ]
            });
            let gru = Gru {
                direction,
                batch_major: false,
                functions: vec![],
                clip: 0.0,
                linear_before_reset,
            };
            let name = format!("{name}_{linear_before_reset}");
            suite.with(&name, op(gru), vec![i.clone(), w, r, b, h.clone()], near(y));
        }
        let (w, r, b) = (c(90, &[d, H, I]), c(91, &[d, H, H]), c(92, &[d, H]));
        let (rw, rr, rb) = (w.real(), r.real(), b.real());
        let y = unroll(&i.real(), direction, ALL, &[h.real()], |d, x, s| {
            vec![
                (0..H)
                    .map(|k| {
                        (times(&rw, d, k, x) + times(&rr, d, k, &s[0]) + rb.at(&[d, k])).tanh()
                    })
                    .collect(),
            ]
        });
        let rnn = Rnn { direction, batch_major: false, functions: vec![], clip: 0.0 };
        suite.with(&name, op(rnn), vec![i, w, r, b, h], near(y));
    }
    let (i, feature, time) = (x(93, &[B, I]), c(94, &[4, I]), c(95, &[4, 5]));
    let (bias, state) = (c(96, &[2]), x(97, &[B, 20]));
    let y = svdf([&i, &feature, &time, &bias, &state].map(Operand::real), 0.0);
    let layer = Svdf { rank: 2, activation: Activation::Relu };
    suite.with("rank_2", op(layer), vec![i, feature, time, bias, state], near(y));
    integer_svdf(suite, DType::I8);
    integer_svdf(suite, DType::I16);
    lengths(suite);
}

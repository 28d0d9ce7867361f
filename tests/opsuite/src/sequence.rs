//! Recurrent layers.

use crate::{Array, Expected, Suite, c, op, x};
use paring_ir::ops::{Activation, Direction, Gru, Lstm, Rnn, Svdf};

const T: usize = 4;
const B: usize = 2;
const I: usize = 3;
const H: usize = 2;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `w[d, row] * v`
fn times(w: &Array, d: usize, row: usize, v: &[f64]) -> f64 {
    v.iter().enumerate().map(|(k, v)| w.at(&[d, row, k]) * v).sum()
}

/// Runs a cell over sequences `[T,B,I]`: all hidden states `[T,D,B,H]` and the last states `[D,B,H]`.
fn unroll(
    x: &Array,
    direction: Direction,
    states: &[Array],
    cell: impl Fn(usize, &[f64], &[Vec<f64>]) -> Vec<Vec<f64>>,
) -> Vec<Array> {
    let directions = if direction == Direction::Both { 2 } else { 1 };
    let mut all = Array::from_fn(&[T, directions, B, H], |_| 0.0);
    let mut last = states.to_vec();
    for d in 0..directions {
        for b in 0..B {
            let mut own: Vec<Vec<f64>> =
                states.iter().map(|s| (0..H).map(|k| s.at(&[d, b, k])).collect()).collect();
            for step in 0..T {
                let t = if direction == Direction::Reverse || d == 1 { T - 1 - step } else { step };
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
        let (rw, rr, rb, rp) = (w.real(), r.real(), b.real(), p.real());
        let y = unroll(&i.real(), direction, &[h.real(), cell.real()], |d, x, s| {
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
            let hidden = (0..H)
                .map(|k| sigmoid(sum(3, k) + peep(2, k) * next[k]) * next[k].tanh())
                .collect();
            vec![hidden, next]
        });
        let lstm = Lstm {
            direction,
            batch_major: false,
            functions: vec![],
            clip: 0.0,
            cell_clip: 0.0,
            input_forget: false,
        };
        suite.with(&name, op(lstm), vec![i.clone(), w, r, b, h.clone(), cell, p], near(y));
        for linear_before_reset in [false, true] {
            let (w, r, b) = (c(87, &[d, 3 * H, I]), c(88, &[d, 3 * H, H]), c(89, &[d, 6 * H]));
            let (rw, rr, rb) = (w.real(), r.real(), b.real());
            let y = unroll(&i.real(), direction, &[h.real()], |d, x, s| {
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
        let y = unroll(&i.real(), direction, &[h.real()], |d, x, s| {
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
    let (a, f, t, b, s) = (i.real(), feature.real(), time.real(), bias.real(), state.real());
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
        (sum + b.at(&[k[1]])).max(0.0)
    });
    let svdf = Svdf { rank: 2, activation: Activation::Relu };
    suite.with("rank_2", op(svdf), vec![i, feature, time, bias, state], near(vec![y, next]));
}

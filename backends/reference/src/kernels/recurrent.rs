use super::lstm_integer;
use crate::kernel::{Call, Done, Fault, Types, filled};
use crate::register_kernel;
use paring_ir::ops::{Direction, GateFn, Gru, Lstm, Rnn};
use paring_tensor::Tensor;

register_kernel!(Lstm, lstm_support, lstm);
register_kernel!(Gru, |_, types| real_only(types), gru);
register_kernel!(Rnn, |_, types| real_only(types), rnn);

fn real_only(types: Types<'_>) -> Result<(), String> {
    if super::any_quantized(types) {
        return Err("a quantized recurrent layer of this kind; dequantize its operands".to_owned());
    }
    super::floats_only("a recurrent layer", types.inputs[0].dtype)
}

fn lstm_support(op: &Lstm, types: Types<'_>) -> Result<(), String> {
    if super::any_quantized(types) {
        return lstm_integer::support(op, types);
    }
    real_only(types)
}

fn apply(f: GateFn, x: f64, clip: f32) -> f64 {
    let bound = f64::from(clip);
    let x = if clip > 0.0 { x.clamp(-bound, bound) } else { x };
    let real = f64::from;
    match f {
        GateFn::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        GateFn::Tanh => x.tanh(),
        GateFn::Relu => x.max(0.0),
        GateFn::HardSigmoid { alpha, beta } => (real(alpha) * x + real(beta)).clamp(0.0, 1.0),
        GateFn::LeakyRelu { alpha } => {
            if x < 0.0 {
                real(alpha) * x
            } else {
                x
            }
        }
        GateFn::ThresholdedRelu { alpha } => {
            if x > real(alpha) {
                x
            } else {
                0.0
            }
        }
        GateFn::ScaledTanh { alpha, beta } => real(alpha) * (real(beta) * x).tanh(),
        GateFn::Elu { alpha } => {
            if x < 0.0 {
                real(alpha) * x.exp_m1()
            } else {
                x
            }
        }
        GateFn::Affine { alpha, beta } => real(alpha) * x + real(beta),
        GateFn::Softsign => x / (1.0 + x.abs()),
        GateFn::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
    }
}

/// How a sequence lies in its operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    pub(super) time: usize,
    pub(super) batch: usize,
    pub(super) inputs: usize,
    pub(super) cells: usize,
    pub(super) directions: usize,
    batch_major: bool,
}

impl Sequence {
    pub(super) fn of(
        call: &Call<'_>,
        direction: Direction,
        batch_major: bool,
    ) -> Result<Self, Fault> {
        let (&[a, b, inputs], &[_, _, cells]) = (call.shape(0), call.shape(2)) else {
            return Err("operands".to_owned().into());
        };
        let (time, batch) = if batch_major { (b, a) } else { (a, b) };
        let directions = direction.count();
        Ok(Self { time, batch, inputs, cells, directions, batch_major })
    }

    /// Where the input of a step begins.
    pub(super) fn input(&self, t: usize, b: usize) -> usize {
        let step = if self.batch_major { b * self.time + t } else { t * self.batch + b };
        step * self.inputs
    }

    /// Where the hidden state after a step goes.
    pub(super) fn output(&self, t: usize, d: usize, b: usize) -> usize {
        let step = if self.batch_major {
            (b * self.time + t) * self.directions + d
        } else {
            (t * self.directions + d) * self.batch + b
        };
        step * self.cells
    }

    /// The steps of a sequence in the order in which a direction reads them.
    pub(super) fn steps(
        &self,
        direction: Direction,
        d: usize,
        len: usize,
    ) -> Box<dyn Iterator<Item = usize>> {
        let back = direction == Direction::Reverse || d == 1;
        if back { Box::new((0..len).rev()) } else { Box::new(0..len) }
    }
}

/// The length of each sequence.
fn lengths(call: &Call<'_>, operand: usize, s: &Sequence) -> Result<Vec<usize>, Fault> {
    let Some(given) = call.inputs.get(operand) else { return Ok(vec![s.time; s.batch]) };
    given
        .to_i64()
        .into_iter()
        .map(|n| {
            usize::try_from(n).ok().filter(|n| *n <= s.time).ok_or_else(|| {
                Fault::Data(format!("a sequence of {n} steps where there are {}", s.time))
            })
        })
        .collect()
}

/// `w * x` of one gate's row.
fn row(w: &[f64], x: &[f64]) -> f64 {
    w.iter().zip(x).map(|(w, x)| w * x).sum()
}

/// Operands as `f64`.
struct Weights {
    x: Vec<f64>,
    w: Vec<f64>,
    r: Vec<f64>,
    b: Vec<f64>,
}

impl Weights {
    fn of(call: &Call<'_>) -> Self {
        let [x, w, r, b] = [0, 1, 2, 3].map(|i| call.inputs[i].to_f64());
        Self { x, w, r, b }
    }

    /// The products of a row (gate and cell) of one direction with an input and with a state.
    fn products(
        &self,
        s: &Sequence,
        rows: usize,
        d: usize,
        k: usize,
        x: &[f64],
        h: &[f64],
    ) -> (f64, f64) {
        let at = d * rows + k;
        (
            row(&self.w[at * s.inputs..(at + 1) * s.inputs], x),
            row(&self.r[at * s.cells..(at + 1) * s.cells], h),
        )
    }
}

/// Runs a cell over all steps of all sequences: `step` gets the direction, the input and the states of
/// one sequence, and changes the states; the first state is what comes out.
fn sequences<const N: usize>(
    call: &Call<'_>,
    s: &Sequence,
    direction: Direction,
    lengths: &[usize],
    x: &[f64],
    states: [usize; N],
    mut step: impl FnMut(usize, &[f64], &mut [Vec<f64>; N]),
) -> Done {
    let mut all = filled(s.time * s.directions * s.batch * s.cells, 0.0)?;
    let mut last: [Vec<f64>; N] = states.map(|i| call.inputs[i].to_f64());
    for d in 0..s.directions {
        for (b, len) in lengths.iter().enumerate() {
            let at = (d * s.batch + b) * s.cells;
            let mut own: [Vec<f64>; N] =
                std::array::from_fn(|k| last[k][at..at + s.cells].to_vec());
            for t in s.steps(direction, d, *len) {
                let from = s.input(t, b);
                step(d, &x[from..from + s.inputs], &mut own);
                let to = s.output(t, d, b);
                all[to..to + s.cells].copy_from_slice(&own[0]);
            }
            for (last, own) in last.iter_mut().zip(own) {
                last[at..at + s.cells].copy_from_slice(&own);
            }
        }
    }
    let dtype = call.dtype(0);
    let mut outputs = vec![Tensor::from_vec(call.out_shape(0)?, all)?.cast(dtype)];
    for (k, last) in last.into_iter().enumerate() {
        outputs.push(Tensor::from_vec(call.shape(states[k]), last)?.cast(dtype));
    }
    Ok(outputs)
}

fn lstm(op: &Lstm, call: &Call<'_>) -> Done {
    let s = Sequence::of(call, op.direction, op.batch_major)?;
    if super::any_quantized(call.types) {
        return lstm_integer::run(op, call, &s);
    }
    let lengths = lengths(call, 7, &s)?;
    let weights = Weights::of(call);
    let peepholes = call.inputs.get(6).map(Tensor::to_f64);
    let h = s.cells;
    let usual = [GateFn::Sigmoid, GateFn::Tanh, GateFn::Tanh];
    sequences(call, &s, op.direction, &lengths, &weights.x, [4, 5], |d, x, [hidden, cell]| {
        let [gate, input, output] = op.functions.get(d).copied().unwrap_or(usual);
        let sum = |g: usize, k: usize, hidden: &[f64]| {
            let (a, b) = weights.products(&s, 4 * h, d, g * h + k, x, hidden);
            a + b + weights.b[d * 4 * h + g * h + k]
        };
        let peep = |which: usize, k: usize, c: f64| {
            peepholes.as_ref().map_or(0.0, |p| p[d * 3 * h + which * h + k] * c)
        };
        let before = hidden.clone();
        for k in 0..h {
            let c = cell[k];
            let i = apply(gate, sum(0, k, &before) + peep(0, k, c), op.clip);
            let f = if op.input_forget {
                1.0 - i
            } else {
                apply(gate, sum(1, k, &before) + peep(1, k, c), op.clip)
            };
            let g = apply(input, sum(2, k, &before), op.clip);
            let mut c = f * c + i * g;
            if op.cell_clip > 0.0 {
                c = c.clamp(-f64::from(op.cell_clip), f64::from(op.cell_clip));
            }
            let o = apply(gate, sum(3, k, &before) + peep(2, k, c), op.clip);
            cell[k] = c;
            hidden[k] = o * apply(output, c, 0.0);
        }
    })
}

fn gru(op: &Gru, call: &Call<'_>) -> Done {
    let s = Sequence::of(call, op.direction, op.batch_major)?;
    let lengths = lengths(call, 5, &s)?;
    let weights = Weights::of(call);
    let h = s.cells;
    let usual = [GateFn::Sigmoid, GateFn::Tanh];
    sequences(call, &s, op.direction, &lengths, &weights.x, [4], |d, x, [hidden]| {
        let [gate, output] = op.functions.get(d).copied().unwrap_or(usual);
        // The products with input and state of a gate, each with its bias.
        let parts = |g: usize, k: usize, state: &[f64]| {
            let (a, b) = weights.products(&s, 3 * h, d, g * h + k, x, state);
            let bias = d * 6 * h + g * h + k;
            (a + weights.b[bias], b + weights.b[bias + 3 * h])
        };
        let total = |(a, b): (f64, f64)| a + b;
        let before = hidden.clone();
        let reset: Vec<f64> =
            (0..h).map(|k| apply(gate, total(parts(1, k, &before)), op.clip)).collect();
        let gated: Vec<f64> = before.iter().zip(&reset).map(|(h, r)| h * r).collect();
        for (k, hidden) in hidden.iter_mut().enumerate() {
            let z = apply(gate, total(parts(0, k, &before)), op.clip);
            let new = if op.linear_before_reset {
                let (a, b) = parts(2, k, &before);
                a + reset[k] * b
            } else {
                total(parts(2, k, &gated))
            };
            *hidden = (1.0 - z) * apply(output, new, op.clip) + z * before[k];
        }
    })
}

fn rnn(op: &Rnn, call: &Call<'_>) -> Done {
    let s = Sequence::of(call, op.direction, op.batch_major)?;
    let lengths = lengths(call, 5, &s)?;
    let weights = Weights::of(call);
    let h = s.cells;
    sequences(call, &s, op.direction, &lengths, &weights.x, [4], |d, x, [hidden]| {
        let f = op.functions.get(d).copied().unwrap_or(GateFn::Tanh);
        let before = hidden.clone();
        for (k, hidden) in hidden.iter_mut().enumerate() {
            let (a, b) = weights.products(&s, h, d, k, x, &before);
            *hidden = apply(f, a + b + weights.b[d * h + k], op.clip);
        }
    })
}

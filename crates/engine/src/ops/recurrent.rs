use super::dense::plain;
use super::{Lower, Part, Several};
use paring_backend::requantize::lstm_cell;
use paring_ir::ops::{Direction, GateFn, Gru, Lstm, Rnn};
use paring_ir::{Node, ValueId};
use paring_runtime::Blob;
use paring_runtime::steps::copy::Copy;
use paring_runtime::steps::lstm::{self, IntegerLstm};
use paring_runtime::steps::products::F32Gemm;
use paring_runtime::steps::recurrent::{Layer, Recurrent, Sequence};
use paring_runtime::steps::unary::Function;
use paring_tensor::{DType, TensorType};

fn function(f: GateFn) -> Function {
    match f {
        GateFn::Sigmoid => Function::Sigmoid,
        GateFn::Tanh => Function::Tanh,
        GateFn::Relu => Function::Relu,
        GateFn::HardSigmoid { alpha, beta } => Function::HardSigmoid { alpha, beta },
        GateFn::LeakyRelu { alpha } => Function::LeakyRelu { alpha },
        GateFn::ThresholdedRelu { alpha } => Function::ThresholdedRelu { alpha },
        GateFn::ScaledTanh { alpha, beta } => Function::ScaledTanh { alpha, beta },
        GateFn::Elu { alpha } => Function::Elu { alpha },
        GateFn::Affine { alpha, beta } => Function::Affine { alpha, beta },
        GateFn::Softsign => Function::Softsign,
        GateFn::Softplus => Function::Softplus,
    }
}

/// The functions of each direction, the usual ones where none are given.
fn functions<const N: usize>(
    given: &[[GateFn; N]],
    directions: usize,
    usual: [GateFn; N],
) -> Vec<[Function; N]> {
    let of = |d: usize| given.get(d).copied().unwrap_or(usual).map(function);
    (0..directions).map(of).collect()
}

/// The weights of a layer and what its products begin with.
struct Weights {
    w: Vec<f32>,
    r: Vec<f32>,
    b: Vec<f32>,
}

impl Lower<'_> {
    /// How the sequences of a layer lie, with its lengths if it has that operand.
    fn sequence(
        &self,
        node: &Node,
        (direction, batch_major): (Direction, bool),
        lengths: usize,
        all: &Several,
    ) -> Option<(Sequence, Option<ValueId>)> {
        let (x, r) = (*node.inputs().first()?, *node.inputs().get(2)?);
        let (&[a, b, inputs], &[_, _, cells]) = (&*self.shape(x)?, &*self.shape(r)?) else {
            return None;
        };
        let (time, batch) = if batch_major { (b, a) } else { (a, b) };
        let lengths = node.inputs().get(lengths).copied();
        let sequence = Sequence {
            time,
            batch,
            inputs,
            cells,
            directions: direction.count(),
            batch_major,
            reverse: direction == Direction::Reverse,
            lengths: match lengths {
                Some(v) => Some(self.wide(v)?),
                None => None,
            },
            results: all.results.clone(),
        };
        Some((sequence, lengths))
    }

    fn weights(&self, node: &Node) -> Option<Weights> {
        let of = |i: usize| self.f32_const(*node.inputs().get(i)?);
        Some(Weights { w: of(1)?, r: of(2)?, b: of(3)? })
    }

    /// Whether the input, the states and the results are all of `f32`.
    fn real(&self, node: &Node, states: &[usize]) -> bool {
        let inputs = [0].iter().chain(states).filter_map(|i| node.inputs().get(*i));
        inputs.chain(node.outputs()).all(|v| self.is_f32(*v))
    }

    /// The product of some rows with weights.
    pub(super) fn product(
        &self,
        rows: usize,
        depth: usize,
        weights: &[f32],
        bias: Option<&[f32]>,
    ) -> Option<F32Gemm> {
        let layout = plain(self.kernels.f32_tile(), rows, [depth, weights.len() / depth])?;
        Some(F32Gemm::new(self.kernels, layout, weights, bias, (f32::NEG_INFINITY, f32::INFINITY)))
    }

    /// Adds the step, and before it those that put there what the states begin with.
    fn recur(
        &self,
        node: &Node,
        mut all: Several,
        states: &[usize],
        lengths: Option<ValueId>,
        (step, scratch): (impl Into<paring_runtime::steps::AnyStep>, usize),
    ) -> Option<Several> {
        for (i, state) in states.iter().enumerate() {
            let initial = *node.inputs().get(*state)?;
            all.parts.push((Part::unary(Copy {}, initial), Some(i + 1)));
        }
        let x = *node.inputs().first()?;
        all.parts.push((Part { step: step.into(), a: x, b: lengths, scratch }, None));
        Some(all)
    }

    /// The step of a layer of `f32`; `input` and `state` are the products.
    fn recurrent(
        &self,
        sequence: Sequence,
        layer: Layer,
        clip: f32,
        input: F32Gemm,
        state: Vec<F32Gemm>,
    ) -> (Recurrent, usize) {
        let inner = state.iter().chain([&input]).map(F32Gemm::scratch).max().unwrap_or(0);
        let step = Recurrent {
            sequence,
            layer,
            clip,
            input: Box::new(input.into()),
            state: state.into_iter().map(Into::into).collect(),
            inner,
        };
        let scratch = step.scratch();
        (step, scratch)
    }

    pub(super) fn lstm(&self, op: &Lstm, node: &Node) -> Option<Several> {
        let all = self.places(node)?;
        let (s, lengths) = self.sequence(node, (op.direction, op.batch_major), 7, &all)?;
        if self.ty(*node.inputs().first()?).dtype == DType::I8 {
            return self.integer_lstm(op, node, all, s);
        }
        if !self.real(node, &[4, 5]) {
            return None;
        }
        let Weights { w, r, b } = self.weights(node)?;
        let peepholes = match node.inputs().get(6) {
            Some(v) => self.f32_const(*v)?,
            None => Vec::new(),
        };
        let usual = [GateFn::Sigmoid, GateFn::Tanh, GateFn::Tanh];
        let layer = Layer::Lstm {
            functions: functions(&op.functions, s.directions, usual),
            peepholes: Blob::of(&peepholes),
            clip: op.cell_clip,
            input_forget: op.input_forget,
        };
        let input = self.product(s.time * s.batch, s.inputs, &w, Some(&b))?;
        let states = r.chunks_exact(4 * s.cells * s.cells);
        let states: Option<Vec<_>> = states.map(|r| self.product(1, s.cells, r, None)).collect();
        let step = self.recurrent(s, layer, op.clip, input, states?);
        self.recur(node, all, &[4, 5], lengths, step)
    }

    pub(super) fn gru(&self, op: &Gru, node: &Node) -> Option<Several> {
        let all = self.places(node)?;
        let (s, lengths) = self.sequence(node, (op.direction, op.batch_major), 5, &all)?;
        if !self.real(node, &[4]) {
            return None;
        }
        let Weights { w, r, b } = self.weights(node)?;
        let after = op.linear_before_reset;
        let usual = [GateFn::Sigmoid, GateFn::Tanh];
        let layer = Layer::Gru { functions: functions(&op.functions, s.directions, usual), after };
        let n = s.cells;
        let begin: Vec<f32> = b.chunks_exact(6 * n).flat_map(|b| b[..3 * n].to_vec()).collect();
        let input = self.product(s.time * s.batch, s.inputs, &w, Some(&begin))?;
        let mut states = Vec::new();
        for (r, b) in r.chunks_exact(3 * n * n).zip(b.chunks_exact(6 * n)) {
            let b = &b[3 * n..];
            // One product for all gates, or the last of them apart.
            let cuts: &[[usize; 2]] = if after { &[[0, 3]] } else { &[[0, 2], [2, 3]] };
            for [from, to] in cuts {
                let (r, b) = (&r[from * n * n..to * n * n], &b[from * n..to * n]);
                states.push(self.product(1, n, r, Some(b))?);
            }
        }
        let step = self.recurrent(s, layer, op.clip, input, states);
        self.recur(node, all, &[4], lengths, step)
    }

    pub(super) fn rnn(&self, op: &Rnn, node: &Node) -> Option<Several> {
        let all = self.places(node)?;
        let (s, lengths) = self.sequence(node, (op.direction, op.batch_major), 5, &all)?;
        if !self.real(node, &[4]) {
            return None;
        }
        let Weights { w, r, b } = self.weights(node)?;
        let of = |d: usize| function(op.functions.get(d).copied().unwrap_or(GateFn::Tanh));
        let layer = Layer::Rnn { functions: (0..s.directions).map(of).collect() };
        let input = self.product(s.time * s.batch, s.inputs, &w, Some(&b))?;
        let states = r.chunks_exact(s.cells * s.cells);
        let states: Option<Vec<_>> = states.map(|r| self.product(1, s.cells, r, None)).collect();
        let step = self.recurrent(s, layer, op.clip, input, states?);
        self.recur(node, all, &[4], lengths, step)
    }

    fn integer_lstm(
        &self,
        op: &Lstm,
        node: &Node,
        all: Several,
        sequence: Sequence,
    ) -> Option<Several> {
        let types: Vec<&TensorType> = node.inputs().iter().map(|v| self.ty(*v)).collect();
        let cell = lstm_cell(op, &types, self.ty(node.outputs()[0]), self.rounding).ok()?;
        let &[x, w, r, b, ..] = node.inputs() else { return None };
        let bias = self.graph.constant(b)?.dense();
        let rows = |weights: Vec<i8>, depth: usize| {
            let rows = weights.chunks_exact(depth.max(1));
            let padded = rows.flat_map(|row| {
                row.iter().copied().chain(std::iter::repeat_n(0, lstm::row(depth) - depth))
            });
            Blob::of(&padded.collect::<Vec<i8>>())
        };
        let step = IntegerLstm {
            zero_point: self.i8_quant(x)?.1,
            input: rows(self.i8_const(w)?, sequence.inputs),
            state: rows(self.i8_const(r)?, sequence.cells),
            sequence,
            bias: Blob::of(&bias.view::<i32>().ok()?),
            cell,
        };
        let scratch = step.scratch();
        self.recur(node, all, &[4, 5], None, (step, scratch))
    }
}

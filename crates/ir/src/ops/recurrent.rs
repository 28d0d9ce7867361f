//! The recurrent layers: [`Lstm`], [`Gru`], [`Rnn`], and what their inference shares.

use super::{arity, is_false};
use crate::{CostEntry, Node, Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};
use std::any::TypeId;

/// In which order a sequence is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the first step to the last.
    #[default]
    Forward,
    /// From the last step to the first.
    Reverse,
    /// Both, each with weights of its own.
    Both,
}

impl Direction {
    /// Number of directions.
    #[must_use]
    pub fn count(self) -> usize {
        if self == Self::Both { 2 } else { 1 }
    }
}

/// A function inside a recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum GateFn {
    Sigmoid,
    Tanh,
    Relu,
    /// `min(max(alpha * x + beta, 0), 1)`
    HardSigmoid {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
        #[serde(with = "crate::attr::f32")]
        beta: f32,
    },
    /// `x` where positive, `alpha * x` elsewhere.
    LeakyRelu {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
    },
    /// `x` above `alpha`, 0 elsewhere.
    ThresholdedRelu {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
    },
    /// `alpha * tanh(beta * x)`
    ScaledTanh {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
        #[serde(with = "crate::attr::f32")]
        beta: f32,
    },
    /// `x` where positive, `alpha * (exp(x) - 1)` elsewhere.
    Elu {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
    },
    /// `alpha * x + beta`
    Affine {
        #[serde(with = "crate::attr::f32")]
        alpha: f32,
        #[serde(with = "crate::attr::f32")]
        beta: f32,
    },
    Softsign,
    Softplus,
}

/// Long short-term memory.
///
/// Inputs, `D` directions, `H` cells: `x` (`[T,B,I]`, or `[B,T,I]` with `batch_major`), `w[D,4H,I]`,
/// `r[D,4H,H]`, `b[D,4H]`, initial hidden state `h[D,B,H]`, initial cell state `c[D,B,H]`; then
/// optionally peepholes `p[D,3H]` (input, forget, output) and, after them, the length of each sequence,
/// `[B]`. Gates stand in the order input, forget, cell, output.
///
/// Outputs: every hidden state (`[T,D,B,H]`, or `[B,T,D,H]`), the last hidden state `[D,B,H]`, the last
/// cell state `[D,B,H]`. Steps after a sequence's length give zeros.
///
/// Quantized: TFLite's integer `UNIDIRECTIONAL_SEQUENCE_LSTM` without layer normalization and
/// projection. `x`, `h` and `y` are `i8`, `w` and `r` are `i8` per axis 1 with one scale a gate, `b` is
/// `i32`, `c` is `i16` whose scale is a power of two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lstm {
    /// In which order the sequence is read.
    #[serde(default, skip_serializing_if = "is_forward")]
    pub direction: Direction,
    /// Whether the batch axis comes before time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub batch_major: bool,
    /// Functions of the gates, of the cell's input, and of the cell's output, one triple for each
    /// direction; the usual ones where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<[GateFn; 3]>,
    /// Bound on the magnitude of what the functions are given; 0 for none.
    #[serde(default, with = "crate::attr::f32", skip_serializing_if = "is_zero")]
    pub clip: f32,
    /// Bound on the magnitude of the cell state (TFLite's `cell_clip`); 0 for none.
    #[serde(default, with = "crate::attr::f32", skip_serializing_if = "is_zero")]
    pub cell_clip: f32,
    /// Whether the forget gate is one less the input gate.
    #[serde(default, skip_serializing_if = "is_false")]
    pub input_forget: bool,
}

/// Gated recurrent units.
///
/// Inputs as of [`Lstm`] with three gates in the order update, reset, hidden and no cell state: `x`,
/// `w[D,3H,I]`, `r[D,3H,H]`, `b[D,6H]` (first the biases of `w`, then those of `r`), `h[D,B,H]`, and
/// optionally the lengths `[B]`. Outputs: every hidden state and the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// In which order the sequence is read.
    #[serde(default, skip_serializing_if = "is_forward")]
    pub direction: Direction,
    /// Whether the batch axis comes before time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub batch_major: bool,
    /// Functions of the gates and of the hidden state, one pair for each direction; the usual ones
    /// where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<[GateFn; 2]>,
    /// Bound on the magnitude of what the functions are given; 0 for none.
    #[serde(default, with = "crate::attr::f32", skip_serializing_if = "is_zero")]
    pub clip: f32,
    /// Whether the reset gate multiplies the product with `r` (after its bias), not the state before
    /// it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub linear_before_reset: bool,
}

/// A plain recurrent layer: `h = f(w x + r h + b)`.
///
/// Inputs: `x`, `w[D,H,I]`, `r[D,H,H]`, `b[D,H]`, `h[D,B,H]`, and optionally the lengths `[B]`; laid out
/// as for [`Lstm`]. Outputs: every hidden state and the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rnn {
    /// In which order the sequence is read.
    #[serde(default, skip_serializing_if = "is_forward")]
    pub direction: Direction,
    /// Whether the batch axis comes before time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub batch_major: bool,
    /// The function for each direction; the hyperbolic tangent where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<GateFn>,
    /// Bound on the magnitude of what the function is given; 0 for none.
    #[serde(default, with = "crate::attr::f32", skip_serializing_if = "is_zero")]
    pub clip: f32,
}

fn is_forward(d: &Direction) -> bool {
    *d == Direction::Forward
}

fn is_zero(x: &f32) -> bool {
    *x == 0.0
}

register_op!(Lstm, "lstm", "long short-term memory over a sequence");
register_op!(Gru, "gru", "gated recurrent units over a sequence");
register_op!(Rnn, "rnn", "plain recurrent layer over a sequence");

/// What the layers have in common.
struct Layer {
    direction: Direction,
    batch_major: bool,
    gates: usize,
    biases: usize,
    functions: usize,
}

impl Layer {
    /// Checks `x`, `w`, `r`, `b` and the states, and gives the types of all hidden states and of one.
    fn infer(
        &self,
        inputs: &[&TensorType],
        states: &[usize],
        lengths: Option<usize>,
    ) -> Result<(TensorType, TensorType), OpError> {
        let d = self.direction.count();
        let fail = |i: usize, wanted: String| {
            OpError::new(format!("operand {i} is {}, not {wanted}", inputs[i].shape))
        };
        let [first, second, depth] = inputs[0].shape.dims() else {
            return Err(fail(0, "[time, batch, inputs]".into()));
        };
        let (time, batch) = if self.batch_major { (second, first) } else { (first, second) };
        let rows = match inputs[2].shape.dims() {
            [_, _, h] => h.fixed(),
            _ => None,
        };
        let h = rows.ok_or_else(|| fail(2, "[directions, gates * cells, cells]".into()))?;
        let num = Dim::Fixed;
        let rows = h.checked_mul(self.gates.max(self.biases));
        if rows.is_none() {
            return Err(OpError::new("too many cells"));
        }
        let mut wanted = vec![
            (1, vec![num(d), num(self.gates * h), depth.clone()]),
            (2, vec![num(d), num(self.gates * h), num(h)]),
            (3, vec![num(d), num(self.biases * h)]),
        ];
        wanted.extend(states.iter().map(|i| (*i, vec![num(d), batch.clone(), num(h)])));
        wanted.extend(lengths.map(|i| (i, vec![batch.clone()])));
        for (i, dims) in wanted {
            if inputs[i].shape.dims() != dims {
                return Err(fail(i, paring_tensor::Shape::from(dims).to_string()));
            }
        }
        if let Some(i) = lengths {
            super::indices(inputs[i])?;
        }
        if self.functions != 0 && self.functions != d {
            let why = format!("functions for {} directions where there are {d}", self.functions);
            return Err(OpError::new(why));
        }
        let (t, b) = (time.clone(), batch.clone());
        let all = if self.batch_major { [b.clone(), t, num(d)] } else { [t, num(d), b.clone()] };
        let mut all = all.to_vec();
        all.push(num(h));
        let dtype = inputs[0].dtype;
        Ok((TensorType::new(dtype, all), TensorType::new(dtype, vec![num(d), b, num(h)])))
    }
}

impl Op for Lstm {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 6..=8)?;
        let layer = Layer {
            direction: self.direction,
            batch_major: self.batch_major,
            gates: 4,
            biases: 4,
            functions: self.functions.len(),
        };
        let (all, _) = layer.infer(inputs, &[4, 5], (inputs.len() == 8).then_some(7))?;
        if let Some(p) = inputs.get(6) {
            let h = inputs[2].shape.dims()[2].fixed().unwrap_or(0);
            let wanted = [self.direction.count(), 3 * h].into();
            if p.shape != wanted {
                return Err(OpError::new(format!("the peepholes {} are not {wanted}", p.shape)));
            }
        }
        Ok(vec![all, inputs[4].clone(), inputs[5].clone()])
    }
}

impl Op for Gru {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 5..=6)?;
        let layer = Layer {
            direction: self.direction,
            batch_major: self.batch_major,
            gates: 3,
            biases: 6,
            functions: self.functions.len(),
        };
        let (all, last) = layer.infer(inputs, &[4], (inputs.len() == 6).then_some(5))?;
        Ok(vec![all, last])
    }
}

impl Op for Rnn {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 5..=6)?;
        let layer = Layer {
            direction: self.direction,
            batch_major: self.batch_major,
            gates: 1,
            biases: 1,
            functions: self.functions.len(),
        };
        let (all, last) = layer.infer(inputs, &[4], (inputs.len() == 6).then_some(5))?;
        Ok(vec![all, last])
    }
}

/// Every weight meets each step of each sequence once.
fn macs(_: &Node, inputs: &[&TensorType], _: &[&TensorType]) -> Option<u64> {
    let x = inputs[0].shape.fixed()?;
    let steps = (x[0] as u64).checked_mul(x[1] as u64)?;
    let weights = inputs[1].shape.elements()?.checked_add(inputs[2].shape.elements()?)?;
    steps.checked_mul(weights as u64)
}

inventory::submit! { CostEntry { key: || TypeId::of::<Lstm>(), macs } }
inventory::submit! { CostEntry { key: || TypeId::of::<Gru>(), macs } }
inventory::submit! { CostEntry { key: || TypeId::of::<Rnn>(), macs } }

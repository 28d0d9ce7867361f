use paring_ir::ops::{Activation, Conv2d, Dense};
use paring_ir::{Graph, Node};
use paring_qmath::{Multiplier, Rounding};
use paring_tensor::{DType, Quant};

/// The arithmetic of a convolution or dense layer with constant weights, as far as constant operands
/// go through it.
pub struct Layer {
    /// Shape of the weights.
    pub(crate) shape: Vec<usize>,
    /// Whether positions outside the input are read.
    pub(crate) pads: bool,
    /// For each filter and each channel it reads, the sum of its taps, in stored numbers.
    sums: Vec<f64>,
    /// For each filter and each channel it reads, whether a tap is not zero.
    used: Vec<bool>,
    bias: Option<Vec<f64>>,
    arithmetic: Arithmetic,
}

enum Arithmetic {
    /// Plain numbers and a clamp.
    Float { low: f32, high: f32 },
    /// Requantization by output channel.
    Integer { input_zero: i64, multipliers: Vec<Multiplier>, zero: i64, low: i64, high: i64 },
}

impl Layer {
    /// What a layer does, if its weights and bias are constants and its types those of float or `i8`
    /// arithmetic.
    pub(crate) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let (x, w) = (*node.inputs().first()?, *node.inputs().get(1)?);
        let data = graph.constant(w)?;
        let shape = data.shape().to_vec();
        let (activation, pads) = match (node.op_as::<Conv2d>(), node.op_as::<Dense>()) {
            (Some(conv), _) => {
                let dims = graph.ty(x).shape.dims();
                let size = [dims.get(1)?.fixed()?, dims.get(2)?.fixed()?];
                let pads = conv.padding(size, [*shape.get(1)?, *shape.get(2)?]) != [0; 4];
                (conv.activation, pads)
            }
            (_, Some(dense)) => (dense.activation, false),
            _ => return None,
        };
        let outputs = *shape.first()?;
        let reads = *shape.last()?;
        let taps: usize = shape[1..shape.len() - 1].iter().product();
        let bias = match node.inputs().get(2) {
            None => None,
            Some(b) => Some(graph.constant(*b)?.dense().to_f64()),
        };
        let arithmetic = arithmetic(graph, node, activation, outputs)?;
        let numbers = data.dense().to_f64();
        let mut sums = vec![0.0; outputs * reads];
        let mut used = vec![false; outputs * reads];
        for o in 0..outputs {
            for tap in 0..taps {
                for i in 0..reads {
                    let weight = numbers[(o * taps + tap) * reads + i];
                    sums[o * reads + i] += weight;
                    used[o * reads + i] |= weight != 0.0;
                }
            }
        }
        Some(Self { shape, pads, sums, used, bias, arithmetic })
    }

    /// Filters.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.shape[0]
    }

    /// Channels that a filter reads.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }

    /// Whether filter `o` depends on its channel `i`.
    pub(crate) fn uses(&self, o: usize, i: usize) -> bool {
        self.used[o * self.reads() + i]
    }

    /// Whether a channel that is `number` everywhere acts as a bias, exactly: `None` if not, else what
    /// it adds to the sum of filter `o` through its channel `i`.
    pub(crate) fn as_bias(&self, o: usize, i: usize, number: f64) -> Option<f64> {
        let real = match &self.arithmetic {
            Arithmetic::Float { .. } => number,
            Arithmetic::Integer { input_zero, .. } => number - *input_zero as f64,
        };
        if real == 0.0 || !self.uses(o, i) {
            return Some(0.0);
        }
        // Sums of floats depend on their order; padded positions do not see the number.
        if self.pads || matches!(self.arithmetic, Arithmetic::Float { .. }) {
            return None;
        }
        Some(real * self.sums[o * self.reads() + i])
    }

    /// The stored number that filter `o` gives everywhere if what it reads adds up to `sum` besides
    /// the bias; `None` if the roundings disagree.
    pub(crate) fn result(&self, o: usize, sum: f64) -> Option<f64> {
        let bias = self.bias.as_ref().map_or(0.0, |b| b[o]);
        match &self.arithmetic {
            Arithmetic::Float { low, high } => {
                let clamped = (bias as f32).max(*low).min(*high);
                Some(f64::from(clamped))
            }
            Arithmetic::Integer { multipliers, zero, low, high, .. } => {
                let total = bias + sum;
                if total.abs() > f64::from(i32::MAX) {
                    return None;
                }
                let scaled = |rounding| {
                    let out = i64::from(multipliers[o].apply(total as i32, rounding)) + zero;
                    out.clamp(*low, *high)
                };
                let double = scaled(Rounding::Double);
                (double == scaled(Rounding::Single)).then_some(double as f64)
            }
        }
    }

    /// The bias with `extra` added to each filter's, for integer layers; `None` if it does not fit.
    pub(crate) fn bias_with(&self, extra: &[f64]) -> Option<Vec<i64>> {
        (0..self.outputs())
            .map(|o| {
                let sum = self.bias.as_ref().map_or(0.0, |b| b[o]) + extra[o];
                (sum.abs() <= f64::from(i32::MAX)).then_some(sum as i64)
            })
            .collect()
    }
}

fn arithmetic(
    graph: &Graph,
    node: &Node,
    activation: Activation,
    outputs: usize,
) -> Option<Arithmetic> {
    let (x, w) = (graph.ty(node.inputs()[0]), graph.ty(node.inputs()[1]));
    let y = graph.ty(*node.outputs().first()?);
    match (&x.quant, &w.quant, &y.quant) {
        (None, None, None) if [x.dtype, w.dtype, y.dtype] == [DType::F32; 3] => {
            let (low, high) = activation.bounds();
            Some(Arithmetic::Float { low, high })
        }
        (Some(xq), Some(wq), Some(yq)) => {
            let weights = matches!(w.dtype, DType::I8 | DType::I4);
            if x.dtype != DType::I8 || y.dtype != DType::I8 || !weights || !wq.is_symmetric() {
                return None;
            }
            let ((xs, xz), (ys, yz)) = (xq.as_per_tensor()?, yq.as_per_tensor()?);
            let scales = match wq {
                Quant::PerAxis { axis: 0, scales, .. } => scales.to_vec(),
                other => vec![other.as_per_tensor()?.0; outputs],
            };
            let real = |s: f32| f64::from(xs) * f64::from(s) / f64::from(ys);
            let (low, high) = activation.quantized_bounds(ys, yz, y.dtype);
            Some(Arithmetic::Integer {
                input_zero: i64::from(xz),
                multipliers: scales.into_iter().map(|s| Multiplier::from_real(real(s))).collect(),
                zero: i64::from(yz),
                low: i64::from(low),
                high: i64::from(high),
            })
        }
        _ => None,
    }
}

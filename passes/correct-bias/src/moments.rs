//! How values are spread, by the batch norms that make them.

use paring_ir::ops::{
    BatchNorm, Binary, BinaryFn, Conv2d, Dense, Pool, PoolKind, Reduce, ReduceFn, Reshape, Unary,
};
use paring_ir::{Graph, Node, ValueId};
use paring_layerwise::{Geometry, is_layer};
use paring_pass::consts;
use std::collections::HashMap;

/// Mean and variance of each channel of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moments {
    pub mean: Vec<f64>,
    pub variance: Vec<f64>,
}

/// The values whose spread is known: results of batch norms, and what layers without one, activations, sums,
/// averages and reshapes make of them. Sums are of values that are taken as independent, and clamps of values
/// that are taken as normal.
pub(crate) fn spread(graph: &Graph) -> HashMap<ValueId, Moments> {
    let mut known: HashMap<ValueId, Moments> = HashMap::new();
    for id in graph.topological() {
        let node = graph.node(id);
        if let Some(moments) = of(graph, node, &known) {
            known.insert(node.outputs()[0], moments);
        }
    }
    known
}

fn of(graph: &Graph, node: &Node, known: &HashMap<ValueId, Moments>) -> Option<Moments> {
    let input = |i: usize| known.get(node.inputs().get(i)?);
    if node.op.is::<BatchNorm>() {
        let number = |i: usize| consts::dense_f32(graph, *node.inputs().get(i)?);
        let mean = number(2)?.into_iter().map(f64::from).collect();
        let variance = number(1)?.into_iter().map(|s| f64::from(s).powi(2)).collect();
        return Some(Moments { mean, variance });
    }
    if is_layer(node) {
        return input(0)?.through(graph, node);
    }
    if let Some(unary) = node.op_as::<Unary>() {
        let bounds = match unary {
            Unary::Relu => (0.0, f64::INFINITY),
            Unary::Relu6 => (0.0, 6.0),
            Unary::ReluN1To1 => (-1.0, 1.0),
            Unary::Clip { min, max } => (f64::from(*min), f64::from(*max)),
            _ => return None,
        };
        return Some(input(0)?.clamped(bounds));
    }
    if let Some(binary) = node.op_as::<Binary>() {
        let (a, b) = (input(0)?, input(1)?);
        if binary.f != BinaryFn::Add || a.mean.len() != b.mean.len() {
            return None;
        }
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect();
        let both = Moments { mean: sum(&a.mean, &b.mean), variance: sum(&a.variance, &b.variance) };
        let (low, high) = binary.activation.bounds();
        return Some(both.clamped((f64::from(low), f64::from(high))));
    }
    if let Some(pool) = node.op_as::<Pool>() {
        // Averages of positions that go together vary about as much as they do.
        return input(0)
            .filter(|_| pool.kind == PoolKind::Average && pool.activation.is_none())
            .cloned();
    }
    if let Some(reduce) = node.op_as::<Reduce>() {
        let rank = graph.ty(node.inputs()[0]).shape.rank();
        let channels = reduce.axes.contains(&(rank - 1));
        return input(0).filter(|_| reduce.f == ReduceFn::Mean && !channels).cloned();
    }
    if node.op.is::<Reshape>() {
        let last = |v: ValueId| graph.ty(v).shape.dims().last()?.fixed();
        let (from, to) = (last(node.inputs()[0])?, last(node.outputs()[0])?);
        return input(0).filter(|_| to.is_multiple_of(from.max(1))).cloned();
    }
    None
}

/// The inputs of a layer's filters, as numbers of one after another.
pub(crate) struct Filters {
    /// Weights of each filter.
    pub depth: usize,
    outputs: usize,
    per_group: usize,
    groups: usize,
}

impl Filters {
    /// Of a layer whose input has so many channels.
    pub(crate) fn of(graph: &Graph, node: &Node, weights: usize, channels: usize) -> Option<Self> {
        let geometry = Geometry::of(graph, node)?;
        let outputs = graph.ty(*node.inputs().get(1)?).shape.dims().first()?.fixed()?;
        let (per_group, groups) = (geometry.per_group(), geometry.groups());
        let even = channels > 0 && (per_group * groups).is_multiple_of(channels);
        let sound = per_group > 0 && even && outputs > 0;
        sound.then_some(Self { depth: weights / outputs, outputs, per_group, groups })
    }

    /// The channel, of so many, that an input of a filter belongs to.
    pub(crate) fn channel(&self, filter: usize, input: usize, channels: usize) -> usize {
        let first = filter * self.groups / self.outputs * self.per_group;
        (first + input % self.per_group) % channels
    }
}

impl Moments {
    /// Of what a layer computes from numbers that are independent of each other.
    fn through(&self, graph: &Graph, node: &Node) -> Option<Self> {
        let weights = consts::dense_f32(graph, *node.inputs().get(1)?)?;
        let bias = match node.inputs().get(2) {
            Some(b) => Some(consts::dense_f32(graph, *b)?),
            None => None,
        };
        let channels = self.mean.len();
        let filters = Filters::of(graph, node, weights.len(), channels)?;
        let sums = weights.chunks_exact(filters.depth.max(1)).enumerate().map(|(o, filter)| {
            let start = bias.as_ref().and_then(|b| b.get(o)).map_or(0.0, |b| f64::from(*b));
            filter.iter().enumerate().fold((start, 0.0), |(mean, variance), (i, w)| {
                let (w, c) = (f64::from(*w), filters.channel(o, i, channels));
                (mean + w * self.mean[c], variance + w * w * self.variance[c])
            })
        });
        let (mean, variance) = sums.unzip();
        let activation = match (node.op_as::<Conv2d>(), node.op_as::<Dense>()) {
            (Some(conv), _) => conv.activation,
            (_, Some(dense)) => dense.activation,
            _ => return None,
        };
        let (low, high) = activation.bounds();
        Some(Self { mean, variance }.clamped((f64::from(low), f64::from(high))))
    }

    /// Of normal numbers that are cut off at bounds.
    fn clamped(&self, (low, high): (f64, f64)) -> Self {
        let each = self.mean.iter().zip(&self.variance);
        let (mean, variance) = each.map(|(m, v)| clamped(*m, v.sqrt(), low, high)).unzip();
        Self { mean, variance }
    }
}

/// Mean and variance of a normal number that is cut off at bounds.
fn clamped(mean: f64, deviation: f64, low: f64, high: f64) -> (f64, f64) {
    if deviation < 1e-12 {
        return (mean.clamp(low, high), 0.0);
    }
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    // An infinite bound has no weight and takes nothing away.
    let end = |bound: f64, below: bool| {
        if bound.is_infinite() {
            return (0.0, 0.0, 0.0);
        }
        let at = (bound - mean) / deviation;
        let share = if below { cumulative(at) } else { cumulative(-at) };
        (bound, share, density(at))
    };
    let ((a, under, from), (b, over, to)) = (end(low, true), end(high, false));
    let inside = (1.0 - under - over).max(0.0);
    let first = a * under + b * over + mean * inside + deviation * (from - to);
    let second = a * a * under
        + b * b * over
        + (mean * mean + deviation * deviation) * inside
        + deviation * ((mean + a) * from - (mean + b) * to);
    (first, (second - first * first).max(0.0))
}

/// The share of standard normal numbers below `x`: formula 7.1.26 of Abramowitz and Stegun, right to 1e-7.
fn cumulative(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let terms = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let tail = 0.5 * terms.iter().fold(0.0, |sum, c| (sum + c) * t) * (-z * z).exp();
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance by adding up over fine steps.
    fn integrated(mean: f64, deviation: f64, low: f64, high: f64) -> (f64, f64) {
        let (mut first, mut second, mut all) = (0.0, 0.0, 0.0);
        for i in -80_000..=80_000 {
            let z = f64::from(i) / 10_000.0;
            let weight = (-0.5 * z * z).exp();
            let x = (mean + deviation * z).clamp(low, high);
            (first, second, all) = (first + weight * x, second + weight * x * x, all + weight);
        }
        (first / all, second / all - (first / all).powi(2))
    }

    #[test]
    fn normal_numbers_cut_off_have_the_moments_that_integrals_give() {
        for (low, high) in [(0.0, f64::INFINITY), (0.0, 6.0), (-1.0, 1.0), (f64::NEG_INFINITY, 2.0)]
        {
            for (mean, deviation) in
                [(0.0, 1.0), (-2.0, 0.5), (3.0, 4.0), (0.3, 1e-3), (-40.0, 2.0)]
            {
                let (found, wanted) =
                    (clamped(mean, deviation, low, high), integrated(mean, deviation, low, high));
                let near = |a: f64, b: f64| (a - b).abs() < 3e-6 * (1.0 + mean * mean);
                assert!(near(found.0, wanted.0) && near(found.1, wanted.1), "{found:?} {wanted:?}");
            }
        }
        assert_eq!(clamped(-1.0, 0.0, 0.0, 6.0), (0.0, 0.0));
    }

    #[test]
    fn values_behind_a_batch_norm_are_known_and_others_are_not() {
        let graph = paring_ir::text::parse(
            "graph @g {
               %x = input : f32[1,4,4,2]
               %s = const [1.0, 2.0] : f32[2]
               %b = const [0.0, 3.0] : f32[2]
               %n = batch_norm(%x, %s, %b, %s, %s) { epsilon = 0.001 } : f32[1,4,4,2]
               %r = unary(%n) { f = \"relu\" } : f32[1,4,4,2]
               %t = binary(%r, %n) { f = \"add\" } : f32[1,4,4,2]
               %p = reduce(%t) { axes = [1, 2], f = \"mean\", keep_dims = false } : f32[1,2]
               %m = pool(%r) { kernel = [2, 2], kind = \"max\", pad = \"valid\", stride = [2, 2] } : f32[1,2,2,2]
               %f = reshape(%m) { shape = [1, 8] } : f32[1,8]
               %w = const [2.0, -1.0] : f32[1,2]
               %c = const [0.5] : f32[1]
               %q = reduce(%r) { axes = [1, 2], f = \"mean\", keep_dims = false } : f32[1,2]
               %y = dense(%q, %w, %c) : f32[1,1]
               output %p
               output %y
               output %f
             }",
        )
        .unwrap();
        let known = spread(&graph);
        let of = |name: &str| known.get(&graph.value_named(name).unwrap().id);
        assert_eq!(of("n").unwrap().mean, [0.0, 3.0]);
        assert_eq!(of("n").unwrap().variance, [1.0, 4.0]);
        let half = 1.0 / (2.0 * std::f64::consts::PI).sqrt();
        assert!((of("r").unwrap().mean[0] - half).abs() < 1e-6);
        assert_eq!(of("p").unwrap().mean, of("t").unwrap().mean);
        assert!((of("t").unwrap().mean[0] - half).abs() < 1e-6);
        // A layer adds up what its weights make of means and variances.
        let y = of("y").unwrap();
        let r = of("r").unwrap();
        assert!((y.mean[0] - (2.0 * r.mean[0] - r.mean[1] + 0.5)).abs() < 1e-12, "{y:?}");
        assert!((y.variance[0] - (4.0 * r.variance[0] + r.variance[1])).abs() < 1e-12, "{y:?}");
        for name in ["x", "m", "f"] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}

//! The `absorb-biases` pass: what a channel never falls below goes into the bias of the layer that reads it.
//!
//! Where a ReLU passes all that a channel ever is, taking a constant off the bias before it and adding what the
//! next layer makes of that constant to the bias there changes nothing, and values reach less far from zero
//! (high-bias absorption: Nagel and others, "Data-free quantization through weight equalization and bias
//! correction", 2019, section 4.1.3; there the constant is the mean less three deviations by the statistics of
//! batch norms, here the least number that samples have shown). It is exact for what reaches no lower than the
//! samples did.
//!
//! The value between must be read by one layer alone, which has no zeros around its images: a window's zeros would
//! have to move, too.

use crate::classes::layer;
use paring_ir::ops::{Activation, AutoPad, Conv2d, Dense, Padding};
use paring_ir::{Graph, Node, NodeId, Patch, ValueId};
use paring_pass::{
    Effect, LayerReport, Pass, PassContext, PassError, PassInfo, Stream, consts, facts,
    register_pass,
};
use paring_tensor::Tensor;
use std::collections::BTreeMap;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AbsorbBiases {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
}

impl Default for AbsorbBiases {
    fn default() -> Self {
        Self { data: None, samples: Some(128) }
    }
}

register_pass!(
    AbsorbBiases,
    PassInfo {
        name: "absorb-biases",
        summary: "move what channels never fall below into the biases of the layers that read them",
        effect: Effect::Lossy,
        needs: &[facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

/// Whether a layer's windows see nothing but its input.
fn is_bare(graph: &Graph, node: &Node) -> bool {
    let Some(conv) = node.op_as::<Conv2d>() else { return node.op.is::<Dense>() };
    let taps = |axis: usize| graph.ty(node.inputs()[1]).shape.dims().get(axis)?.fixed();
    match conv.pad {
        Padding::Explicit(pad) => pad == [0; 4],
        Padding::Auto(AutoPad::Valid) => true,
        Padding::Auto(_) => taps(1) == Some(1) && taps(2) == Some(1),
    }
}

/// The layer that reads what a layer computes, if its input may be shifted.
fn reader<'g>(graph: &'g Graph, node: &Node) -> Option<&'g Node> {
    let y = *node.outputs().first()?;
    if layer(graph, node)? != Activation::Relu || graph.is_visible(y) {
        return None;
    }
    let next = graph.only_user(y)?;
    let reads = layer(graph, next).is_some() && next.inputs().first() == Some(&y);
    (reads && !next.inputs()[1..].contains(&y) && is_bare(graph, next)).then_some(next)
}

/// A layer's bias with something added to each channel.
fn shifted(
    graph: &Graph,
    patch: &mut Patch,
    node: &Node,
    by: &[f64],
) -> Result<Vec<ValueId>, PassError> {
    let mut operands = node.inputs().to_vec();
    let old = operands.get(2).and_then(|b| consts::dense_f32(graph, *b));
    let sum = |(c, by): (usize, &f64)| {
        let old = old.as_ref().and_then(|b| b.get(c)).copied().unwrap_or(0.0);
        (f64::from(old) + by) as f32
    };
    let bias: Vec<f32> = by.iter().enumerate().map(sum).collect();
    let name = match operands.get(2) {
        Some(b) => graph.value(*b).name.clone(),
        None => format!("{}/bias", node.name),
    };
    let bias = patch.constant(name, Tensor::from_vec([bias.len()], bias)?, None);
    operands.truncate(2);
    operands.push(bias);
    Ok(operands)
}

/// What a layer makes of constants in its input channels; `None` if its weights are not real or do not fit.
fn made(graph: &Graph, node: &Node, channels: &[f64]) -> Option<Vec<f64>> {
    let weights = consts::dense_f32(graph, node.inputs()[1])?;
    let shape = graph.ty(node.inputs()[1]).shape.fixed()?;
    let (outputs, per_group) = (*shape.first()?, *shape.last()?);
    let groups = node.op_as::<Conv2d>().map_or(1, |c| c.groups);
    let filter = weights.len() / outputs.max(1);
    if per_group == 0 || filter == 0 || per_group * groups != channels.len() {
        return None;
    }
    let one = |(o, filter): (usize, &[f32])| {
        let from = o * groups / outputs * per_group;
        filter.iter().enumerate().map(|(i, w)| f64::from(*w) * channels[from + i % per_group]).sum()
    };
    Some(weights.chunks_exact(filter).enumerate().map(one).collect())
}

/// The least number of each channel of some values over the samples.
fn least(
    graph: &Graph,
    stream: &mut Stream<'_>,
    values: &BTreeMap<ValueId, usize>,
) -> Result<BTreeMap<ValueId, Vec<f32>>, PassError> {
    let fresh = || -> BTreeMap<ValueId, Vec<f32>> {
        values.iter().map(|(v, n)| (*v, vec![f32::INFINITY; *n])).collect()
    };
    let lower = |to: &mut Vec<f32>, row: &[f32]| {
        to.iter_mut().zip(row).for_each(|(to, x)| *to = if x.is_nan() { *x } else { to.min(*x) });
    };
    let mut lanes = stream.accumulators(fresh);
    let all = 0..stream.len();
    stream.run("absorbing biases", all, &mut lanes, |seen, _, v, tensor| {
        if let (Some(to), Ok(numbers)) = (seen.get_mut(&v), tensor.view::<f32>()) {
            numbers.chunks_exact(to.len()).for_each(|row| lower(to, row));
        }
    })?;
    let mut total = fresh();
    for (v, low) in lanes.iter().flatten() {
        if let Some(to) = total.get_mut(v) {
            lower(to, low);
        }
    }
    for (v, low) in &total {
        if low.iter().any(|x| !x.is_finite()) {
            let name = &graph.value(*v).name;
            return Err(PassError::Input(format!("`{name}` has numbers that are not finite")));
        }
    }
    Ok(total)
}

impl Pass for AbsorbBiases {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        if self.samples == Some(0) {
            return Err(PassError::Input("`samples` must be at least 1".into()));
        }
        let layers: Vec<NodeId> = graph
            .topological()
            .into_iter()
            .filter(|id| layer(graph, graph.node(*id)).is_some() && cx.selects(graph.node(*id)))
            .collect();
        cx.all_named(layers.iter().map(|id| graph.node(*id)), "convolution or dense layer")?;
        let mut pairs = Vec::new();
        let mut values = BTreeMap::new();
        for id in layers {
            let node = graph.node(id);
            let y = node.outputs()[0];
            let channels = graph.ty(y).shape.dims().last().and_then(|d| d.fixed());
            match (reader(graph, node), channels.filter(|n| *n > 0)) {
                (Some(next), Some(channels)) => {
                    pairs.push((id, next.id));
                    values.insert(y, channels);
                }
                _ => cx.decline(
                    &node.name,
                    "no ReLU leads from it to one layer alone that has no zeros around its input",
                ),
            }
        }
        if pairs.is_empty() {
            cx.note("no biases can be absorbed");
            return Ok(());
        }
        let mut stream = Stream::open(cx.host(), graph, self.data.as_deref(), self.samples)?;
        let least = least(graph, &mut stream, &values)?;
        // One after another: a layer may read one shifted value and compute another.
        for (id, next) in pairs {
            let (node, next) = (graph.node(id), graph.node(next));
            let y = node.outputs()[0];
            let off: Vec<f64> = least[&y].iter().map(|x| f64::from(*x).max(0.0)).collect();
            let moved = off.iter().filter(|x| **x > 0.0).count();
            let Some(sums) = made(graph, next, &off) else {
                cx.decline(&next.name, "its weights are not real numbers channel by channel");
                continue;
            };
            if moved == 0 {
                continue;
            }
            let mut patch = Patch::new(graph, "absorb-biases");
            let down: Vec<f64> = off.iter().map(|x| -x).collect();
            let operands = shifted(graph, &mut patch, node, &down)?;
            patch.set_operands(id, operands);
            let operands = shifted(graph, &mut patch, next, &sums)?;
            patch.set_operands(next.id, operands);
            patch.set_range(y, None);
            let mut report = LayerReport::new(node);
            report.note = format!("{moved} of {} channels begin at zero now", off.len());
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
            cx.layer(report);
        }
        Ok(())
    }
}

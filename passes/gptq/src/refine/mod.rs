//! Refining rounded weights block by block.

mod learn;
mod network;

use crate::Gptq;
use learn::{Learned, Pair, error, learn};
pub use network::Tune;
pub(crate) use network::tune;
use paring_ir::{Def, Graph, NodeId, ValueId};
use paring_layerwise::gradient::Program;
use paring_layerwise::{decibels, replace_weights};
use paring_pass::{LayerReport, PassContext, PassError, consts, prepare};
use paring_tensor::{DType, Quant, Tensor};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// How rounded weights are refined: blocks of layers, from one value that all of the network goes through
/// to the next, are brought closer to what the original computes by small steps of all their weights
/// together (after BRECQ: Li and others, 2021; with slopes that pass through the rounding in place of
/// AdaRound's relaxation, and what `gptq` chose to begin with).
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Refine {
    /// How often all samples are gone through.
    pub epochs: usize,
    /// Samples between one step and the next.
    pub batch: usize,
    /// How far a step goes at first, in steps of the rounding.
    pub rate: f32,
    /// How far a weight begins on the side of the integer where the real weight is, up to 0.5 where it
    /// would round otherwise.
    pub lean: f32,
    /// The most samples that are learned and judged from.
    pub samples: usize,
}

impl Default for Refine {
    fn default() -> Self {
        Self { epochs: 20, batch: 16, rate: 0.006, lean: 0.25, samples: 512 }
    }
}

/// One sample in so many judges whether a block has come closer, and is not learned from.
const JUDGES: usize = 8;

/// A part of a network between values that all of it goes through.
struct Block {
    from: ValueId,
    to: ValueId,
    nodes: Vec<NodeId>,
}

/// Cuts a network with one input wherever a single value is all that the rest needs.
fn blocks(graph: &Graph) -> Vec<Block> {
    let mut open: HashMap<ValueId, usize> = HashMap::new();
    let kept: HashSet<ValueId> = graph.outputs().iter().map(|p| p.value).collect();
    let uses = |v: ValueId| graph.value(v).uses().len() + usize::from(kept.contains(&v));
    for port in graph.inputs() {
        open.insert(port.value, uses(port.value));
    }
    let [input] = graph.inputs() else { return Vec::new() };
    let (mut from, mut nodes, mut found) = (input.value, Vec::new(), Vec::new());
    for id in graph.topological() {
        let node = graph.node(id);
        nodes.push(id);
        for v in node.inputs() {
            if let Some(left) = open.get_mut(v) {
                *left = left.saturating_sub(1);
            }
        }
        open.retain(|_, left| *left > 0);
        open.extend(node.outputs().iter().map(|v| (*v, uses(*v))).filter(|(_, uses)| *uses > 0));
        if let (1, Some(&to)) = (open.len(), open.keys().next())
            && matches!(graph.value(to).def(), Def::Node(..))
        {
            found.push(Block { from, to, nodes: std::mem::take(&mut nodes) });
            from = to;
        }
    }
    found
}

/// Joins blocks without layers to the one before.
fn with_layers(graph: &Graph, all: Vec<Block>) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    for block in all {
        let layers = block.nodes.iter().any(|id| paring_layerwise::is_layer(graph.node(*id)));
        match out.last_mut() {
            Some(_) if layers => out.push(block),
            None => out.push(block),
            Some(last) => {
                // Means and clamps that follow a layer are part of what it is for; a softmax is not.
                let plain = Program::new(graph, &block.nodes, (block.from, block.to), DType::F32);
                if plain.is_ok() && layered(graph, last) {
                    last.to = block.to;
                    last.nodes.extend(block.nodes);
                } else {
                    out.push(block);
                }
            }
        }
    }
    out
}

fn layered(graph: &Graph, block: &Block) -> bool {
    block.nodes.iter().any(|id| paring_layerwise::is_layer(graph.node(*id)))
}

/// The values of all samples at one place.
type Values = Vec<Tensor>;

/// Runs a part of a network on each sample.
fn advance(
    graph: &Graph,
    block: &Block,
    values: &Values,
    cx: &PassContext<'_>,
) -> Result<Values, PassError> {
    let (part, _) = graph.part(&[block.from], &[block.to]);
    let session = prepare(cx.host().executor()?, &part)?;
    let lanes = rayon::current_num_threads().clamp(1, values.len().max(1));
    let sessions: Vec<_> = (0..lanes).map(|lane| (lane, session.fork())).collect();
    let results: Vec<Result<Vec<(usize, Tensor)>, PassError>> = sessions
        .into_par_iter()
        .map(|(lane, mut session)| {
            let mut out = Vec::new();
            for i in (lane..values.len()).step_by(lanes) {
                let given = session.run(std::slice::from_ref(&values[i]))?;
                let Some(first) = given.into_iter().next() else {
                    return Err(PassError::Internal("a block without a result".into()));
                };
                out.push((i, first));
            }
            Ok(out)
        })
        .collect();
    let mut all: Vec<Option<Tensor>> = vec![None; values.len()];
    for result in results {
        for (i, tensor) in result? {
            all[i] = Some(tensor);
        }
    }
    Ok(all.into_iter().flatten().collect())
}

/// The rounded weights that a layer has, or its real ones.
fn learned(
    original: &Graph,
    rounded: &Graph,
    id: NodeId,
    free: bool,
    lean: f32,
) -> Option<Learned> {
    let node = rounded.node(id);
    let source = original.node(id);
    let real = consts::dense_f32(original, source.inputs()[1])?;
    let outputs = original.constant(source.inputs()[1])?.shape().first().copied()?;
    let bias = match node.inputs().get(2) {
        Some(b) => consts::dense_f32(rounded, *b)?,
        None => vec![0.0; outputs],
    };
    if !free {
        let scales = vec![1.0; outputs];
        return Some(Learned { latent: real, scales, bias, limits: (0.0, 0.0), zero: None, free });
    }
    let stored = rounded.producer(node.inputs()[1])?.inputs().first().copied()?;
    let ints: Vec<f32> =
        rounded.constant(stored)?.dense().to_i64().into_iter().map(|q| q as f32).collect();
    let scales = rounded.ty(stored).quant.as_ref()?.scales().to_vec();
    let depth = (ints.len() / scales.len().max(1)).max(1);
    // Beside the integer that was chosen, as far to the side of the real weight as rounds to it.
    let latent = ints.iter().zip(&real).enumerate().map(|(i, (q, w))| {
        let off = w / scales[i / depth] - q;
        q + off.clamp(-lean, lean)
    });
    let zero = original.constant(source.inputs()[1])?.sparse().map(|s| {
        let mut zero = vec![true; ints.len()];
        s.kept().into_iter().for_each(|i| zero[i] = false);
        zero
    });
    Some(Learned { latent: latent.collect(), scales, bias, limits: (0.0, 0.0), zero, free })
}

/// Refines the layers that `rounded` has in integers. Returns the copy of it with the refined ones, and
/// what became of each block.
pub(crate) fn refine(
    settings: &Gptq,
    how: &Refine,
    original: &Graph,
    mut rounded: Graph,
    (layers, bits): (&[NodeId], &[u32]),
    cx: &PassContext<'_>,
) -> Result<(Graph, Vec<LayerReport>), PassError> {
    let mut reports = Vec::new();
    let [_] = original.inputs() else {
        for id in layers {
            let mut report = LayerReport::new(original.node(*id));
            report.note = "not refined: the network has several inputs".into();
            reports.push(report);
        }
        return Ok((rounded, reports));
    };
    let samples = cx.host().samples(settings.data.as_deref(), original)?;
    let count = settings.samples.map_or(samples.len(), |n| n.min(samples.len())).min(how.samples);
    let mut wanted: Values = Vec::with_capacity(count);
    for i in 0..count {
        wanted.extend(samples.get(i).map_err(PassError::Input)?.into_iter().take(1));
    }
    let mut given: Vec<Vec<f32>> = wanted.iter().map(Tensor::to_f32).collect();
    let all = with_layers(original, blocks(original));
    let total = all.len();
    for (at, block) in all.iter().enumerate() {
        wanted = advance(original, block, &wanted, cx)?;
        let program =
            Program::new(original, &block.nodes, (block.from, block.to), settings.activations);
        let program = match program {
            Ok(program) => program,
            Err(node) => {
                // The rest of the network stays as it was rounded.
                let left = all[at..].iter().flat_map(|b| &b.nodes);
                for id in left.filter(|id| layers.contains(id)) {
                    let mut report = LayerReport::new(original.node(*id));
                    let (name, op) = (&node.name, node.op.name());
                    report.note = format!("not refined: behind `{name}` ({op})");
                    reports.push(report);
                }
                break;
            }
        };
        let mut own = Vec::with_capacity(program.layers().len());
        for id in program.layers() {
            let place = layers.iter().position(|l| l == id);
            let Some(mut layer) = learned(original, &rounded, *id, place.is_some(), how.lean)
            else {
                return Err(PassError::Internal("weights that are no constant".into()));
            };
            if let Some(place) = place {
                let (least, most) = crate::bits::limits(bits[place]);
                layer.limits = (least as f32, most as f32);
            }
            own.push(layer);
        }
        let targets: Vec<Vec<f32>> = wanted.iter().map(Tensor::to_f32).collect();
        let pairs = || given.iter().zip(&targets).map(|(i, w)| Pair { input: i, wanted: w });
        let judges: Vec<Pair<'_>> = pairs().step_by(JUDGES).collect();
        let lessons: Vec<Pair<'_>> =
            pairs().enumerate().filter(|(i, _)| i % JUDGES != 0).map(|(_, p)| p).collect();
        let before = error(&program, &own, &judges);
        let start: Vec<_> =
            own.iter().map(|l| (l.latent.clone(), l.scales.clone(), l.bias.clone())).collect();
        let what = format!("gptq: refining block {} of {total}", at + 1);
        let progress = |done: usize, of: usize| cx.host().progress(&what, done, of);
        learn(&program, &mut own, &lessons, (how.epochs, how.batch, how.rate), &progress);
        let after = error(&program, &own, &judges);
        let better = after < before;
        if !better {
            for (layer, (latent, scales, bias)) in own.iter_mut().zip(start) {
                (layer.latent, layer.scales, layer.bias) = (latent, scales, bias);
            }
        }
        let power: f64 = judges.iter().flat_map(|s| s.wanted).map(|x| f64::from(*x).powi(2)).sum();
        let signal = power / judges.len().max(1) as f64;
        for (id, layer) in program.layers().iter().zip(&own).filter(|(_, l)| l.free) {
            let mut report = LayerReport::new(original.node(*id));
            report.result_db = Some(decibels(signal, before.min(after)));
            report.note = match better {
                true => format!("block refined from {:.1} dB", decibels(signal, before)),
                false => "block left as rounded: refining did not help".into(),
            };
            reports.push(report);
            if better {
                store(&mut rounded, *id, layer)?;
            }
        }
        let real: Vec<_> = own.iter().enumerate().map(|(i, l)| l.real(program.groups(i))).collect();
        given = given
            .par_iter()
            .map(|x| program.run(x, &real).raw(program.output()).to_vec())
            .collect();
    }
    Ok((rounded, reports))
}

/// Puts the integers that were learned into the graph.
fn store(graph: &mut Graph, id: NodeId, layer: &Learned) -> Result<(), PassError> {
    let node = graph.node(id);
    let stored = graph.producer(node.inputs()[1]).and_then(|n| n.inputs().first().copied());
    let Some((data, dtype)) = stored.and_then(|v| Some((graph.constant(v)?, graph.ty(v).dtype)))
    else {
        return Err(PassError::Internal("weights that are no constant".into()));
    };
    let ints: Vec<i8> = layer.ints().map(|q| q as i8).collect();
    let ints = Tensor::from_vec(data.shape(), ints)?.reinterpret(dtype)?;
    let data = consts::with_elements(data, &ints)?;
    let old = node.inputs().get(2).and_then(|b| consts::dense_f32(graph, *b));
    let shifts: Vec<f64> = layer
        .bias
        .iter()
        .enumerate()
        .map(|(o, b)| {
            let old = old.as_ref().and_then(|all| all.get(o)).copied().unwrap_or(0.0);
            f64::from(*b) - f64::from(old)
        })
        .collect();
    let quant = Some(Quant::symmetric(0, layer.scales.clone()));
    let patch = replace_weights(graph, id, data, quant, &shifts, "refine")?;
    graph.apply(patch)?;
    Ok(())
}

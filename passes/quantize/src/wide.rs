//! Nodes of 16 bits beside activations of 8: named, or chosen by what they spare the network's result.

use crate::groups::{Form, Plan, plan};
use crate::role::Role;
use crate::{Io, Quantize, emit};
use paring_ir::ops::{Dequantize, Quantize as ToQuantized};
use paring_ir::{Graph, NodeId, Patch, ValueId};
use paring_layerwise::closure::{self, Pair};
use paring_layerwise::{Outcome, decibels};
use paring_pass::{PassContext, PassError};
use paring_tensor::{DType, TensorType};
use std::collections::{HashMap, HashSet};
use wildmatch::WildMatch;

/// Which nodes read and compute 16 bits beside activations of `i8`.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(untagged)]
pub enum Wide {
    /// Those whose names match.
    Named(Vec<String>),
    /// Those that spare the network's result the most error for their work.
    Chosen(Chosen),
}

impl Default for Wide {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// What nodes of 16 bits may cost. At least one of the bounds has to be stated.
///
/// What the result suffers because one node sees a value in 8 bits, everything else being as real as before,
/// is measured for each value and each reader. Such an error goes where both the node that computes the
/// value and the one that reads it have 16 bits; errors are taken to add up.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chosen {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// The most work that is done in 16 bits, in parts of all: multiply-accumulates, and one for each number
    /// that is computed.
    pub work: Option<f64>,
    /// The most memory that values may take, layer after layer, in parts of what they take in 8 bits.
    pub ram: Option<f64>,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { data: None, samples: Some(32), work: None, ram: None }
    }
}

impl Wide {
    pub(crate) fn check(&self, activations: DType) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        match self {
            Self::Named(names) if names.is_empty() => return Ok(()),
            Self::Named(_) => {}
            Self::Chosen(chosen) => {
                let bounds = [chosen.work, chosen.ram];
                if bounds.iter().all(Option::is_none) {
                    return wrong("state what `wide` may cost: `work` or `ram`");
                }
                if bounds.iter().flatten().any(|b| b.is_nan() || *b < 0.0) {
                    return wrong("`work` and `ram` of `wide` are 0 or more");
                }
                if chosen.samples == Some(0) {
                    return wrong("`samples` of `wide` must be at least 1");
                }
            }
        }
        match activations {
            DType::I8 => Ok(()),
            _ => wrong("`wide` nodes of 16 bits stand beside activations of i8"),
        }
    }

    /// The nodes.
    pub(crate) fn nodes(
        &self,
        settings: &Quantize,
        graph: &Graph,
        roles: &HashMap<NodeId, Role>,
        limit: f32,
        cx: &mut PassContext<'_>,
    ) -> Result<HashSet<NodeId>, PassError> {
        let able: Vec<NodeId> =
            graph.topological().into_iter().filter(|id| is_able(graph, *id, roles)).collect();
        let chosen = match self {
            Self::Named(names) => return named(names, graph, &able),
            Self::Chosen(chosen) => chosen,
        };
        let narrow = plan(settings, graph, (roles.clone(), HashMap::new()), HashSet::new())?;
        let costs: Vec<f64> = able.iter().map(|id| work(graph, *id)).collect();
        let pairs = chosen.pairs(graph, &able, &narrow, cx)?;
        let all: f64 = roles.keys().map(|id| work(graph, *id)).sum();
        let memory = Memory::of(graph, roles);
        let before = memory.peak(&HashSet::new());
        let set = |chosen: &[bool]| -> HashSet<NodeId> {
            able.iter().zip(chosen).filter(|(_, c)| **c).map(|(id, _)| *id).collect()
        };
        let share = |chosen: &[bool]| -> f64 {
            let own: f64 = costs.iter().zip(chosen).filter(|(_, c)| **c).map(|(w, _)| w).sum();
            own / all.max(1.0)
        };
        let growth = |chosen: &[bool]| memory.peak(&set(chosen)) as f64 / before.max(1) as f64;
        let fits = |picked: &[bool]| {
            chosen.work.is_none_or(|most| share(picked) <= most)
                && chosen.ram.is_none_or(|most| growth(picked) <= most)
        };
        let picked = closure::choose(&costs, &pairs, &fits);
        let wide = set(&picked);
        let variants = [HashSet::new(), wide.clone()]
            .into_iter()
            .map(|wide| {
                let real = Quantize { io: Some(Io::F32), ..settings.clone() };
                let plan = plan(&real, graph, (roles.clone(), HashMap::new()), wide)?;
                let (patch, _) = emit::emit(&real, limit, graph, &plan)?;
                let mut variant = graph.clone();
                variant.apply(patch)?;
                variant.remove_dead();
                Ok(variant)
            })
            .collect::<Result<Vec<Graph>, PassError>>()?;
        let data = (chosen.data.as_deref(), chosen.samples);
        let outcomes = Outcome::compare(cx.host(), graph, &variants, data, "quantize: judging")?;
        let db = |i: usize| outcomes.get(i).map_or(f64::NAN, |o| decibels(o.signal(), o.noise()));
        cx.note(format!(
            "{} of {} nodes in 16 bits, with {:.1} % of the work and {:.2} times the memory of values: output \
             {:.1} dB on the samples, {:.1} dB with 8 bits",
            wide.len(),
            able.len(),
            100.0 * share(&picked),
            growth(&picked),
            db(1),
            db(0),
        ));
        Ok(wide)
    }
}

/// Whether a node has a form of 16 bits that changes what it computes.
fn is_able(graph: &Graph, id: NodeId, roles: &HashMap<NodeId, Role>) -> bool {
    let role = roles.get(&id);
    matches!(role, Some(Role::Layer | Role::Shares | Role::Computes | Role::Fixed(..)))
        && graph.node(id).outputs().iter().all(|v| graph.ty(*v).dtype == DType::F32)
}

fn named(names: &[String], graph: &Graph, able: &[NodeId]) -> Result<HashSet<NodeId>, PassError> {
    let patterns: Vec<WildMatch> = names.iter().map(|n| WildMatch::new(n)).collect();
    let found = |p: &WildMatch| able.iter().any(|id| p.matches(&graph.node(*id).name));
    let left: Vec<String> = names
        .iter()
        .zip(&patterns)
        .filter(|(_, p)| !found(p))
        .map(|(n, _)| format!("`{n}`"))
        .collect();
    if !left.is_empty() {
        return Err(PassError::Input(format!(
            "`wide` names {}, but there is no such node that is quantized and has a form of 16 bits",
            left.join(", ")
        )));
    }
    let matches = |id: &&NodeId| patterns.iter().any(|p| p.matches(&graph.node(**id).name));
    Ok(able.iter().filter(matches).copied().collect())
}

/// Multiply-accumulates of a node, and one for each number that it computes.
fn work(graph: &Graph, id: NodeId) -> f64 {
    let node = graph.node(id);
    let elements: f64 = node.outputs().iter().map(|v| elements(graph, *v) as f64).sum();
    paring_ir::macs(graph, node).unwrap_or(0) as f64 + elements
}

/// Numbers of a value; a batch of unknown size is one sample.
fn elements(graph: &Graph, v: ValueId) -> u64 {
    graph.ty(v).shape.dims().iter().map(|d| d.fixed().unwrap_or(1) as u64).product()
}

/// Variants of the network that run side by side.
const SIDE_BY_SIDE: usize = 12;

impl Chosen {
    /// What two nodes gain if both have 16 bits.
    fn pairs(
        &self,
        graph: &Graph,
        able: &[NodeId],
        narrow: &Plan,
        cx: &PassContext<'_>,
    ) -> Result<Vec<Pair>, PassError> {
        let place: HashMap<NodeId, usize> =
            able.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        let mut edges: Vec<(ValueId, [usize; 2])> = Vec::new();
        for (reader, id) in able.iter().enumerate() {
            for &v in graph.node(*id).inputs() {
                let producer = graph.producer(v).and_then(|n| place.get(&n.id));
                let Some(&producer) = producer else { continue };
                if !edges.contains(&(v, [producer, reader])) {
                    edges.push((v, [producer, reader]));
                }
            }
        }
        let mut pairs = Vec::with_capacity(edges.len());
        for (i, some) in edges.chunks(SIDE_BY_SIDE).enumerate() {
            let variants = some
                .iter()
                .map(|(v, [_, reader])| rounded_for(graph, *v, able[*reader], narrow))
                .collect::<Result<Vec<Graph>, PassError>>()?;
            let parts = edges.len().div_ceil(SIDE_BY_SIDE);
            let what = format!("quantize: what 8 bits cost, part {} of {parts}", i + 1);
            let data = (self.data.as_deref(), self.samples);
            let outcomes = Outcome::compare(cx.host(), graph, &variants, data, &what)?;
            let gain = |((_, items), o): (&(ValueId, [usize; 2]), &Outcome)| Pair {
                items: *items,
                gain: o.relative(),
            };
            pairs.extend(some.iter().zip(&outcomes).map(gain));
        }
        Ok(pairs)
    }
}

/// The network of which one node sees one value rounded.
fn rounded_for(
    graph: &Graph,
    v: ValueId,
    reader: NodeId,
    narrow: &Plan,
) -> Result<Graph, PassError> {
    let mut variant = graph.clone();
    let Some(quant) = narrow.quants.get(&Form::new(v, false)) else { return Ok(variant) };
    let ty = TensorType {
        dtype: DType::I8,
        shape: graph.ty(v).shape.clone(),
        quant: Some(quant.clone()),
    };
    let name = &graph.value(v).name;
    let mut patch = Patch::new(graph, "wide");
    let stored = patch.typed_node(format!("{name}/stored"), ToQuantized::default(), &[v], vec![ty]);
    let real = patch.node(graph, format!("{name}/real"), Dequantize::default(), &stored)?;
    let operands = graph.node(reader).inputs();
    let operands = operands.iter().map(|o| if *o == v { real[0] } else { *o }).collect();
    patch.set_operands(reader, operands);
    variant.apply(patch)?;
    Ok(variant)
}

/// What values take, layer after layer.
struct Memory<'a> {
    graph: &'a Graph,
    /// Where each node runs.
    order: HashMap<NodeId, usize>,
    /// Computed and given values of real numbers.
    values: Vec<ValueId>,
}

impl<'a> Memory<'a> {
    fn of(graph: &'a Graph, roles: &HashMap<NodeId, Role>) -> Self {
        let order = graph.topological().into_iter().enumerate().map(|(i, id)| (id, i)).collect();
        let packed = |v: ValueId| {
            let node = graph.producer(v);
            node.is_some_and(|n| roles.get(&n.id) == Some(&Role::Dequantizes))
        };
        let values = graph
            .values()
            .filter(|v| v.ty.dtype == DType::F32 && graph.constant(v.id).is_none())
            .filter(|v| !packed(v.id))
            .map(|v| v.id)
            .collect();
        Self { graph, order, values }
    }

    /// The most bytes of values that are kept at once.
    fn peak(&self, wide: &HashSet<NodeId>) -> u64 {
        let graph = self.graph;
        let end = self.order.len();
        let mut taken = vec![0_u64; end + 1];
        let at = |id: &NodeId| self.order.get(id).copied().unwrap_or(0);
        for &v in &self.values {
            let native = graph.producer(v).is_some_and(|n| wide.contains(&n.id));
            let born = graph.producer(v).map_or(0, |n| at(&n.id));
            let mut last = if graph.is_visible(v) { end } else { born };
            // Readers of the other width read a copy.
            let mut copy: Option<(usize, usize)> = None;
            for (id, _) in graph.value(v).uses() {
                last = last.max(at(id));
                if wide.contains(id) != native {
                    let (from, to) = copy.unwrap_or((at(id), at(id)));
                    copy = Some((from.min(at(id)), to.max(at(id))));
                }
            }
            let bytes = |wide: bool| elements(graph, v) * if wide { 2 } else { 1 };
            taken[born..=last].iter_mut().for_each(|t| *t += bytes(native));
            if let Some((from, to)) = copy {
                taken[from..=to].iter_mut().for_each(|t| *t += bytes(!native));
            }
        }
        taken.into_iter().max().unwrap_or(0)
    }
}

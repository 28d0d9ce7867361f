//! The `prune-channels` pass: whole channels go, and every shape that they were part of shrinks.
//!
//! Channels that are added, concatenated, pooled, flattened or convolved depthwise go together or not
//! at all ([`paring_channels::Families`]). Which ones go is decided by a criterion:
//!
//! - `l1`, `l2`: those whose filters have the smallest norm;
//! - `geometric-median`: those whose filters lie nearest to all others (He and others, 2019);
//! - `second-order`: those that cost the layers which read them least, when these make up for it with
//!   their other inputs (optimal brain surgeon over calibration data). Where families share an aim, each is taken away
//!   alone to several shares, with the layers that read it fitted to what is left, and what that does to
//!   the outputs is measured: it decides how much of the aim a family bears.
//!
//! Filters of several layers that go together add up, each relative to its layer. Each family of channels
//! loses the share `channels`, or with `macs` the network keeps that share of its multiply-accumulates and
//! those channels go first that cost least for each one saved. `multiple` keeps widths that a target's
//! kernels like.
//!
//! With `latency` and `target = "cortex-m4"` so many channels go that the estimate of the target's backend is within
//! the aim: `0.5` is half of what the network takes now, `"8M"` so many cycles, `"20ms@120MHz"` a time. Those
//! go first that cost least for each cycle saved, as far as the estimate of the whole network asks for. Where
//! `multiple` is left out, the one of 1, 2, 4 and 8 is taken that reaches the aim at the least cost: kernels
//! work on several channels at a time, and a width in between takes as long as the next larger one.
//!
//! The layers that read fewer channels are then fitted to what they computed before, by least squares
//! over calibration data; `update = false` leaves them alone, and then only `second-order` needs data.
//!
//! With `structure = "heads"` the heads of attentions go instead, the share `channels` of those of each: the ones
//! that can add least to the result by the weights that make and read their values.
//!
//! ```
//! use paring_pass_prune_channels as _;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[1,1]
//!        %w = const [2.0, 0.5] : f32[2,1]
//!        %h = dense(%x, %w) : f32[1,2]
//!        %v = const [1.0, 1.0] : f32[1,2]
//!        %y = dense(%h, %v) : f32[1,1]
//!        output %y
//!      }",
//! )?;
//! let settings = "{ channels = 0.5, criterion = \"l2\", update = false }";
//! let done = paring_pass::Pipeline::single("prune-channels", settings)?
//!     .run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! let w = done.graph.value_named("w").unwrap().constant().unwrap().dense();
//! assert_eq!(w.to_f32(), [2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod heads;
mod latency;
mod macs;
mod measure;
mod score;

use paring_channels::{Families, Keep, Link, links};
use paring_ir::{Graph, NodeId, Patch, ValueId};
use paring_layerwise::{Calibration, Problem, Walk, layers, replace_weights};
use paring_pass::{
    Effect, LatencyAim, Pass, PassContext, PassError, PassInfo, consts, facts, register_pass,
};
use paring_tensor::{DType, Tensor};
use rayon::prelude::*;
use std::collections::HashMap;

/// Settings of the pass.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PruneChannels {
    /// Share of each family's channels that goes.
    pub channels: Option<f64>,
    /// Share of multiply-accumulates that stays.
    pub macs: Option<f64>,
    /// How long a run may take on `target`, by estimate.
    pub latency: Option<LatencyAim>,
    /// The target that `latency` is meant for, such as `cortex-m4`.
    pub target: Option<String>,
    /// What goes.
    pub structure: Structure,
    /// Which channels go; by default `second-order`, and `l2` for heads, which know no other.
    pub criterion: Option<Criterion>,
    /// Widths are multiples of this, except those that were not before.
    pub multiple: Option<usize>,
    /// Whether the layers that read fewer channels make up for it; by default they do, unless heads go.
    pub update: Option<bool>,
    /// What is looked at.
    #[serde(flatten)]
    pub calibration: Calibration,
}

/// What goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// Channels of layers.
    #[default]
    Channels,
    /// Heads of attentions.
    Heads,
}

/// Which channels go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The smallest sum of magnitudes.
    L1,
    /// The smallest norm.
    L2,
    /// The nearest to all others.
    GeometricMedian,
    /// The least cost for the layers that read them.
    #[default]
    SecondOrder,
}

register_pass!(
    PruneChannels,
    PassInfo {
        name: "prune-channels",
        summary: "whole channels taken away, through adds, concats, depthwise convolutions and flattens; attention heads",
        effect: Effect::Lossy,
        needs: &[facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

impl PruneChannels {
    fn check(&self) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        let aims = [self.channels.is_some(), self.macs.is_some(), self.latency.is_some()];
        if aims.iter().filter(|a| **a).count() != 1 {
            return wrong("give one of `channels`, `macs` and `latency`");
        }
        if [self.channels, self.macs].iter().flatten().any(|s| !(0.0..1.0).contains(s)) {
            return wrong("`channels` and `macs` are shares: from 0 to less than 1");
        }
        match (&self.latency, &self.target) {
            (Some(aim), Some(_)) => aim.check()?,
            (None, None) => {}
            _ => return wrong("`latency` and `target` go together"),
        }
        self.calibration.check()?;
        if self.multiple == Some(0) {
            return wrong("`multiple` must be at least 1");
        }
        if self.structure == Structure::Heads {
            if self.channels.is_none() {
                return wrong(
                    "`structure = \"heads\"` takes `channels`, the share of heads that goes",
                );
            }
            if self.criterion.is_some_and(|c| c != Criterion::L2) || self.update == Some(true) {
                return wrong(
                    "heads go by `criterion = \"l2\"`, and what stays is left as it is: leave `criterion` and `update` out",
                );
            }
        }
        Ok(())
    }

    fn criterion(&self) -> Criterion {
        self.criterion.unwrap_or_default()
    }

    /// The cheapest of some costs first.
    fn cheapest(costs: &[f64]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..costs.len()).collect();
        order.sort_by(|a, b| costs[*a].total_cmp(&costs[*b]).then(a.cmp(b)));
        order
    }

    /// How many of `n` go where so many should: as many as leave a multiple, and never all.
    fn whole(&self, n: usize, gone: usize) -> usize {
        whole(n, gone, self.multiple.unwrap_or(1))
    }

    /// Takes the share of the heads of each attention away.
    fn heads(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        let (found, not) = heads::find(graph, cx);
        if found.is_empty() {
            let why = match not.as_slice() {
                [] => String::new(),
                not => format!("; {}", not.join("; ")),
            };
            return Err(PassError::Input(format!(
                "`structure = \"heads\"`: no attention was found whose heads can go{why}. Supported are queries, \
                 keys and values that a dense layer each makes and a reshape splits into heads, softmax of \
                 the matrix product of the first two, and a dense layer that reads the joined heads"
            )));
        }
        for why in not {
            cx.note(format!("left alone: {why}"));
        }
        let mut patch = Patch::new(graph, "remove-heads");
        for attention in &found {
            let mut order = Self::cheapest(&attention.norms(graph));
            let n = order.len();
            let share = self.channels.unwrap_or(0.0);
            let gone = self.whole(n, (share * n as f64).round() as usize);
            let mut kept = order.split_off(gone);
            kept.sort_unstable();
            if gone > 0 {
                attention.keep(graph, &kept, &mut patch)?;
            }
            let name = attention.name(graph);
            cx.note(format!("`{name}`: {gone} of {n} heads go"));
        }
        if !patch.is_empty() {
            cx.apply(graph, patch)?;
        }
        Ok(())
    }

    fn walk(&self, graph: &Graph) -> Result<Walk, PassError> {
        Walk::new(graph, self.calibration.observing(DType::F32))
    }

    /// For each family, what its groups cost.
    fn costs(
        &self,
        graph: &Graph,
        links: &HashMap<NodeId, Link>,
        families: &Families,
        readers: &[NodeId],
        cx: &PassContext<'_>,
    ) -> Result<Vec<Vec<f64>>, PassError> {
        if self.criterion() != Criterion::SecondOrder {
            return Ok(score::norms(graph, links, families, self.criterion()));
        }
        let mut costs: Vec<Vec<f64>> =
            families.all.iter().map(|f| vec![0.0; f.groups.len()]).collect();
        let mut walk = self.walk(graph)?;
        for (i, &id) in readers.iter().enumerate() {
            let what = format!("prune-channels: looking at layer {} of {}", i + 1, readers.len());
            if !matches!(links.get(&id), Some(Link::Layer(_))) {
                continue;
            }
            let problems = self.calibration.problems(&mut walk, id, cx, &what, false)?;
            if let Some(problem) = problems.first() {
                score::add_costs(graph, id, problem, families, &mut costs);
            }
        }
        Ok(costs)
    }

    /// Which groups of each family go.
    fn choose(
        &self,
        graph: &Graph,
        links: &HashMap<NodeId, Link>,
        families: &Families,
        (costs, orders): (&[Vec<f64>], &[Vec<usize>]),
        cx: &mut PassContext<'_>,
    ) -> Result<Vec<Vec<usize>>, PassError> {
        let counts: Vec<usize> = match (self.channels, self.macs) {
            (Some(share), _) => orders
                .iter()
                .map(|order| self.whole(order.len(), (share * order.len() as f64).round() as usize))
                .collect(),
            (None, Some(share)) => {
                let work = macs::Work::of(graph, links, &|node| paring_ir::macs(graph, node));
                let target = share * work.total(&HashMap::new());
                let path = Path { families, costs, orders, work: &work };
                path.walk(self.multiple.unwrap_or(1), target).pop().unwrap_or_default()
            }
            (None, None) => self.within(graph, links, families, (costs, orders), cx)?,
        };
        Ok(first(orders.to_vec(), counts))
    }
}

/// The first groups of each family, as many as counted.
fn first(orders: Vec<Vec<usize>>, counts: Vec<usize>) -> Vec<Vec<usize>> {
    let both = orders.into_iter().zip(counts);
    both.map(|(mut order, count)| {
        order.truncate(count);
        order
    })
    .collect()
}

/// How many of `n` go where so many should: as many as leave a multiple, and never all.
fn whole(n: usize, gone: usize, multiple: usize) -> usize {
    let left = (n - gone.min(n.saturating_sub(1))).next_multiple_of(multiple);
    n.saturating_sub(left)
}

/// The channels of those groups.
fn channels_of(families: &Families, chosen: &[Vec<usize>]) -> Vec<(ValueId, usize)> {
    let both = families.all.iter().zip(chosen);
    both.flat_map(|(f, groups)| groups.iter().flat_map(|g| f.groups[*g].iter().copied())).collect()
}

/// Channels in the order in which they go.
struct Path<'a> {
    families: &'a Families,
    /// What the groups of each family cost.
    costs: &'a [Vec<f64>],
    /// The cheapest groups of each family first.
    orders: &'a [Vec<usize>],
    work: &'a macs::Work,
}

impl Path<'_> {
    /// How many channels of each value are gone with so many groups of each family.
    fn gone(&self, counts: &[usize]) -> HashMap<ValueId, usize> {
        let mut gone: HashMap<ValueId, usize> = HashMap::new();
        for (family, count) in self.families.all.iter().zip(counts) {
            for v in &family.values {
                let per_group = family
                    .groups
                    .first()
                    .map_or(0, |g| g.iter().filter(|(value, _)| value == v).count());
                *gone.entry(*v).or_default() += per_group * count;
            }
        }
        gone
    }

    /// How many groups of each family are gone, step by step until the work is at most `target`: a step takes
    /// those of the family that cost least for the work that they save.
    fn walk(&self, multiple: usize, target: f64) -> Vec<Vec<usize>> {
        let mut counts = vec![0_usize; self.orders.len()];
        let mut now = self.work.total(&HashMap::new());
        let mut path = vec![counts.clone()];
        while now > target {
            let mut best: Option<(f64, usize, f64)> = None;
            for (f, order) in self.orders.iter().enumerate() {
                let (n, to) = (order.len(), counts[f] + multiple);
                if to >= n || whole(n, to, multiple) < to {
                    continue;
                }
                let cost: f64 = order[counts[f]..to].iter().map(|g| self.costs[f][*g]).sum();
                let mut next = counts.clone();
                next[f] = to;
                let after = self.work.total(&self.gone(&next));
                let ratio = cost / (now - after).max(1e-9);
                if best.is_none_or(|b| ratio < b.0) {
                    best = Some((ratio, f, after));
                }
            }
            let Some((_, f, after)) = best else { break };
            counts[f] += multiple;
            now = after;
            path.push(counts.clone());
        }
        path
    }

    /// What the groups that are gone cost together.
    fn cost(&self, counts: &[usize]) -> f64 {
        let each = counts.iter().enumerate();
        each.flat_map(|(f, n)| self.orders[f][..*n].iter().map(move |g| self.costs[f][*g])).sum()
    }
}

impl Pass for PruneChannels {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.check()?;
        if self.structure == Structure::Heads {
            return self.heads(graph, cx);
        }
        let links = links(graph, cx);
        let families = Families::of(graph, &links);
        let (readers, _) = layers(graph, cx);
        let mut costs = self.costs(graph, &links, &families, &readers, cx)?;
        let orders: Vec<Vec<usize>> = costs.iter().map(|costs| Self::cheapest(costs)).collect();
        if self.channels.is_none() && self.criterion() == Criterion::SecondOrder {
            costs = self.measured(graph, &links, &families, &readers, (&costs, &orders), cx)?;
        }
        let chosen = self.choose(graph, &links, &families, (&costs, &orders), cx)?;
        let keep = Keep::all_but(graph, channels_of(&families, &chosen));
        let widths = |v: ValueId| keep.kept(v).map(|k| k.len());
        let predicted = macs::Work::of(graph, &links, &|node| paring_ir::macs(graph, node));
        let removed: HashMap<ValueId, usize> = graph
            .values()
            .filter_map(|v| {
                let all = paring_channels::channels(graph, v.id)?;
                Some((v.id, all - widths(v.id)?))
            })
            .collect();
        let (before, after) = (predicted.total(&HashMap::new()), predicted.total(&removed));
        if self.update.unwrap_or(true) {
            self.refit(graph, &readers, &keep, cx)?;
        }
        let Some((patch, notes)) = paring_channels::remove(graph, &links, &HashMap::new(), &keep)?
        else {
            cx.note("no channel can go");
            return Ok(());
        };
        for note in notes {
            cx.note(note);
        }
        cx.note(format!(
            "multiply-accumulates of the layers: {before:.0} before, {after:.0} predicted"
        ));
        if cx.apply(graph, patch)? {
            self.report(graph, cx)?;
        }
        Ok(())
    }
}

impl PruneChannels {
    /// Fits each layer to what it computed before, with weights only for inputs that stay.
    fn refit(
        &self,
        graph: &mut Graph,
        readers: &[NodeId],
        keep: &Keep,
        cx: &mut PassContext<'_>,
    ) -> Result<(), PassError> {
        let mut walk = self.walk(graph)?;
        for (i, &id) in readers.iter().enumerate() {
            let what = format!("prune-channels: layer {} of {}", i + 1, readers.len());
            let problems = self.calibration.problems(&mut walk, id, cx, &what, true)?;
            let node = graph.node(id);
            let (x, w) = (node.inputs()[0], node.inputs()[1]);
            let (Some(weights), Some(data)) = (consts::dense_f32(graph, w), graph.constant(w))
            else {
                continue;
            };
            let shape = data.shape().to_vec();
            let outputs = shape[0];
            let depth = weights.len() / outputs.max(1);
            let reads = shape[shape.len() - 1];
            let one_group = problems.len() == 1;
            // The filters of a group of their own see channels that go or stay with them.
            let free: Vec<bool> =
                (0..depth).map(|i| !one_group || keep.keeps(x, i % reads)).collect();
            let (flat, shifts) = fitted(&problems, &weights, outputs, &free);
            let data = consts::with_elements(data, &Tensor::from_vec(shape, flat)?)?;
            let patch = replace_weights(graph, id, data, None, &shifts, "prune-channels")?;
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
            walk.adopt(graph, id)?;
        }
        Ok(())
    }
}

/// The weights that bring filters closest to what they computed with all inputs, of which only free ones are left,
/// and what is added to their biases.
fn fitted(
    problems: &[Problem],
    weights: &[f32],
    outputs: usize,
    free: &[bool],
) -> (Vec<f32>, Vec<f64>) {
    let depth = weights.len() / outputs.max(1);
    let rows: Vec<(Vec<f64>, f64)> = (0..outputs)
        .into_par_iter()
        .map(|o| {
            let problem = &problems[o * problems.len() / outputs];
            let filter = &weights[o * depth..(o + 1) * depth];
            let values = problem.refit(&problem.target(filter), free);
            let shift = problem.shift(filter, &values);
            (values, shift)
        })
        .collect();
    let flat = rows.iter().flat_map(|r| r.0.iter().map(|v| *v as f32)).collect();
    (flat, rows.iter().map(|r| r.1).collect())
}

#[cfg(test)]
mod tests;

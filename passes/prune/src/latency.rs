//! As many zeros as the time that a target takes asks for.

use crate::choose::counts;
use crate::{Criterion, Layer, Prune, Structure, targets};
use paring_ir::{Graph, NodeId};
use paring_layerwise::replace_weights;
use paring_pass::{LatencyAim, PassContext, PassError};
use paring_tensor::{ConstData, Sparse, Tensor};

/// The largest share of zeros that is tried.
const MOST: f64 = 0.98;

/// How finely a share of zeros is sought.
const STEP: f64 = 0.005;

/// How often the layers are pruned before the aim is given up.
const ATTEMPTS: usize = 5;

impl Prune {
    /// Prunes layers so far that the target's estimate is within the aim.
    ///
    /// The share of zeros is sought with blocks of the smallest weights in every layer; the pass then prunes by
    /// its criterion to that share, and to a larger one as long as the estimate of the result is over the aim.
    pub(crate) fn run_within(
        &self,
        aim: &LatencyAim,
        target: &str,
        blocks: &[(Structure, Vec<NodeId>)],
        graph: &mut Graph,
        cx: &mut PassContext<'_>,
    ) -> Result<(), PassError> {
        let host = cx.host();
        let now = host.estimate(target, graph)?;
        let before = now.known_cycles(target)?;
        let allowed = aim.cycles(before)?;
        cx.note(format!("`{target}`: about {before} cycles before; the aim is {allowed}"));
        if before <= allowed {
            return Ok(());
        }
        let layers: Vec<(Structure, Layer)> = blocks
            .iter()
            .flat_map(|(structure, ids)| ids.iter().map(move |id| (*structure, *id)))
            .filter_map(|(structure, id)| Some((structure, Layer::of(graph, id)?)))
            .collect();
        let cycles = |share: f64| {
            host.estimate(target, &self.stand_in(graph, &layers, share)?)?.known_cycles(target)
        };
        let least = cycles(MOST)?;
        if least > allowed {
            return Err(PassError::Input(format!(
                "`{target}` takes about {before} cycles, and with {:.0} % of the weights zero of the {} layers \
                 whose zeros it leaves out still {least}; {allowed} cannot be reached so: `prune-channels` makes \
                 every layer faster",
                100.0 * MOST,
                layers.len()
            )));
        }
        let (mut low, mut high) = (0.0, MOST);
        while high - low > STEP {
            let middle = f64::midpoint(low, high);
            if cycles(middle)? <= allowed { high = middle } else { low = middle }
        }
        // Cycles that a whole of zeros more would save there.
        let more = (high + 0.1).min(MOST);
        let slope = cycles(high)?.saturating_sub(cycles(more)?) as f64 / (more - high).max(STEP);
        let mut own = Self { latency: None, ..self.clone() };
        for (_, layer) in &layers {
            if let Some(all) = now.cycles_of(&graph.node(layer.id).name) {
                own.prices.insert(layer.id, all as f64 / layer.weights.len().max(1) as f64);
            }
        }
        let mut share = high;
        for _ in 0..ATTEMPTS {
            own.sparsity = Some(share);
            let mut trial = graph.clone();
            own.run_blocks(target, blocks, &mut trial, cx)?;
            let after = host.estimate(target, &trial)?.known_cycles(target)?;
            if after <= allowed || cx.is_stopped() {
                cx.note(format!("`{target}`: about {after} cycles after"));
                *graph = trial;
                return Ok(());
            }
            cx.note(format!("`{target}`: about {after} cycles, more than the aim: once more"));
            let step = (after - allowed) as f64 / slope.max(1.0);
            share = (share + step.clamp(STEP, 0.1)).min(MOST);
        }
        Err(PassError::Input(format!(
            "`{target}`: {allowed} cycles were not reached with {:.0} % of the weights zero",
            100.0 * share
        )))
    }

    /// The network with the smallest blocks of each layer zero, as stored when pruned.
    fn stand_in(
        &self,
        graph: &Graph,
        layers: &[(Structure, Layer)],
        share: f64,
    ) -> Result<Graph, PassError> {
        let mut out = graph.clone();
        for (structure, layer) in layers {
            let own = Self {
                criterion: Criterion::Magnitude,
                update: Some(false),
                structure: *structure,
                ..self.clone()
            };
            let targets = targets(layer, &[]);
            let plan = own.plan(layer, &[], &targets, share);
            let counts = counts(&[&plan], &[1.0], share * layer.weights.len() as f64);
            let (values, ..) = own.values(layer, &[], &targets, &plan, &counts[0]);
            let flat: Vec<f32> = values.iter().flatten().map(|v| *v as f32 + 0.0).collect();
            let dense = Tensor::from_vec(layer.shape.clone(), flat)?;
            let sparse = Sparse::from_dense(&dense, &structure.block(layer.shape.len()), 0)?;
            let none = vec![0.0; layer.outputs()];
            let data = ConstData::Sparse(sparse);
            let patch = replace_weights(&out, layer.id, data, None, &none, "prune")?;
            out.apply(patch)?;
        }
        Ok(out)
    }
}

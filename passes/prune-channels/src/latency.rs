//! As many channels as the time that a target takes asks for.

use crate::{Path, PruneChannels, channels_of, first, macs};
use paring_channels::{Families, Keep, Link};
use paring_ir::{Graph, NodeId};
use paring_pass::{PassContext, PassError};
use std::collections::HashMap;

/// Multiples of channels that are tried.
const MULTIPLES: [usize; 4] = [1, 2, 4, 8];

impl PruneChannels {
    /// How many groups of each family go so that the target's estimate is within the aim.
    pub(crate) fn within(
        &self,
        graph: &Graph,
        links: &HashMap<NodeId, Link>,
        families: &Families,
        (costs, orders): (&[Vec<f64>], &[Vec<usize>]),
        cx: &mut PassContext<'_>,
    ) -> Result<Vec<usize>, PassError> {
        let (Some(aim), Some(target)) = (&self.latency, &self.target) else {
            return Err(PassError::Internal("no aim of latency".into()));
        };
        let now = cx.host().estimate(target, graph)?;
        let before = now.known_cycles(target)?;
        let allowed = aim.cycles(before)?;
        cx.note(format!("`{target}`: about {before} cycles before; the aim is {allowed}"));
        if before <= allowed {
            return Ok(vec![0; orders.len()]);
        }
        let work = macs::Work::of(graph, links, &|node| now.cycles_of(&node.name));
        let path = Path { families, costs, orders, work: &work };
        let mut best: Option<(f64, Vec<usize>)> = None;
        let mut least = before;
        for multiple in self.multiple.map_or_else(|| MULTIPLES.to_vec(), |own| vec![own]) {
            let all = path.walk(multiple, 0.0);
            let cycles = |counts: &[usize]| -> Result<u64, PassError> {
                let chosen = first(orders.to_vec(), counts.to_vec());
                let keep = Keep::all_but(graph, channels_of(families, &chosen));
                let mut without = graph.clone();
                let removed = paring_channels::remove(graph, links, &HashMap::new(), &keep)?;
                if let Some((patch, _)) = removed {
                    without.apply(patch)?;
                }
                cx.host().estimate(target, &without)?.known_cycles(target)
            };
            // The shortest part of the path that is enough lies after `low`.
            let (mut low, mut high) = (0, all.len() - 1);
            let end = cycles(&all[high])?;
            least = least.min(end);
            if end > allowed {
                continue;
            }
            while low + 1 < high {
                let middle = low.midpoint(high);
                cx.host().progress(
                    "prune-channels: estimating",
                    all.len() - (high - low),
                    all.len(),
                );
                if cycles(&all[middle])? <= allowed { high = middle } else { low = middle }
            }
            let cost = path.cost(&all[high]);
            if best.as_ref().is_none_or(|b| cost < b.0) {
                best = Some((cost, all[high].clone()));
            }
        }
        best.map(|b| b.1).ok_or_else(|| {
            PassError::Input(format!(
                "`{target}` takes about {before} cycles, and with as few channels as there can be still \
                 {least}; {allowed} cannot be reached by taking channels away"
            ))
        })
    }

    /// Says what the network takes now.
    pub(crate) fn report(&self, graph: &Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        if let Some(target) = &self.target {
            let after = cx.host().estimate(target, graph)?.known_cycles(target)?;
            cx.note(format!("`{target}`: about {after} cycles after"));
        }
        Ok(())
    }
}

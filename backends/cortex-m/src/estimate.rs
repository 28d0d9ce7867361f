//! What layers take, without running them.

use paring_backend::{LayerSize, SizeReport};
use paring_cortex_m_kernels::Core;
use paring_cortex_m_kernels::cost::{Calls, Cost};
use paring_ir::macs;

use crate::goals::Goals;
use crate::lower::{Lowering, Step};
use crate::memory::Memory;

/// What each step takes on a core; `None` where the costs of one of its kernels are not known.
pub(crate) fn steps(lowering: &Lowering<'_>, core: Core) -> Vec<Option<Cost>> {
    let kernels = lowering.steps.iter().flat_map(|s| &s.calls).flat_map(|c| &c.kernel.loops);
    let calls = Calls::of(kernels);
    let step =
        |step: &Step| calls.total(step.calls.iter().flat_map(|c| &c.kernel.loops), core, None);
    lowering.steps.iter().map(step).collect()
}

/// What a lowered and planned network takes on a core.
pub(crate) fn sizes(
    lowering: &Lowering<'_>,
    memory: &Memory,
    core: Core,
    goals: &Goals,
) -> SizeReport {
    let layers = layers(lowering, memory, core);
    let sum = |f: &dyn Fn(&LayerSize) -> Option<u64>| layers.iter().map(f).sum::<Option<u64>>();
    let (instructions, cycles) = (sum(&|l| l.instructions), sum(&|l| l.cycles));
    let picojoules = goals.energy.or(core.picojoules_per_cycle());
    SizeReport {
        ram_bytes: memory.arena_bytes,
        weight_bytes: lowering.unit.constant_bytes(),
        code_bytes: Some(lowering.code_estimate()),
        instructions,
        cycles,
        microjoules: cycles.zip(picojoules).map(|(n, each)| n as f64 * each / 1e6),
        picojoules_per_cycle: picojoules,
        layers,
    }
}

fn layers(lowering: &Lowering<'_>, memory: &Memory, core: Core) -> Vec<LayerSize> {
    let graph = lowering.graph;
    let costs = steps(lowering, core);
    let cost = |at: usize| costs.get(at).copied().flatten();
    let stages = lowering.stages();
    let by_rows = |at: usize| stages.iter().any(|s| s.1.is_some() && s.0.contains(&at));
    let kernel = |at: usize, step: &Step| {
        let variant = step.calls.last().map_or("none", |c| c.kernel.variant);
        if by_rows(at) { format!("{variant}, by rows") } else { variant.to_owned() }
    };
    let layer = |(at, step): (usize, &Step)| {
        let node = graph.node(step.node);
        LayerSize {
            name: node.name.clone(),
            op: node.op.name().to_string(),
            kernel: kernel(at, step),
            macs: macs(graph, node).unwrap_or(0),
            weight_bytes: step.constant_bytes,
            live_bytes: memory.live.get(at).copied().unwrap_or(0),
            instructions: cost(at).map(|c| c.instructions.round() as u64),
            cycles: cost(at).map(|c| c.cycles.round() as u64),
            weights: step.choice.as_ref().map_or("", |c| c.coding.name()).to_string(),
            why: step.choice.as_ref().map_or_else(String::new, |c| c.why.clone()),
        }
    };
    lowering.steps.iter().enumerate().map(layer).collect()
}

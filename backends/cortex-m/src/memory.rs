//! Which values share memory, and where each lies in the arena.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use paring_backend::planner::{self, Block, Nearness, Rule};
use paring_cortex_m_kernels::Overlap;
use paring_ir::ValueId;

use crate::lower::{Lowering, Operand};

/// Where everything lies.
pub(crate) struct Memory {
    /// Offset of each value's block.
    offsets: HashMap<ValueId, usize>,
    /// Offset of each step's scratch memory.
    scratch: Vec<usize>,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// No plan is smaller.
    pub lower_bound: usize,
    /// Bytes in use during each step.
    pub live: Vec<usize>,
}

impl Memory {
    pub fn offset(&self, value: ValueId) -> usize {
        self.offsets.get(&value).copied().unwrap_or(0)
    }

    pub fn scratch(&self, step: usize) -> usize {
        self.scratch.get(step).copied().unwrap_or(0)
    }
}

/// Plans the arena of a lowered graph.
pub(crate) fn plan(lowering: &Lowering<'_>) -> Result<Memory, String> {
    let graph = lowering.graph;
    let mut block_of: HashMap<ValueId, usize> = HashMap::new();
    let mut blocks: Vec<Block> = Vec::new();
    let bytes = |value: ValueId| -> Result<usize, String> {
        graph.ty(value).byte_len().ok_or_else(|| {
            format!("`{}` has an unbound shape; bind it first", graph.value(value).name)
        })
    };
    for port in graph.inputs() {
        if let Entry::Vacant(entry) = block_of.entry(port.value) {
            entry.insert(blocks.len());
            blocks.push(Block::new(bytes(port.value)?, 0, 0));
        }
    }
    let mut rules = Vec::new();
    let mut scratch_blocks = Vec::new();
    let mut overreads: Vec<(usize, usize)> = Vec::new();
    for (at, step) in lowering.steps.iter().enumerate() {
        if let Some((input, output)) = step.alias {
            let block = *block_of.get(&input).ok_or("a value is used before it is computed")?;
            block_of.insert(output, block);
            blocks[block].last = blocks[block].last.max(at);
        }
        let mut scratch = 0;
        for call in &step.calls {
            scratch = scratch.max(call.kernel.scratch_bytes);
            for operand in &call.inputs {
                if let Operand::Value(value) = operand {
                    let block =
                        *block_of.get(value).ok_or("a value is used before it is computed")?;
                    blocks[block].last = at;
                }
            }
            if let Entry::Vacant(entry) = block_of.entry(call.output) {
                entry.insert(blocks.len());
                blocks.push(Block::new(bytes(call.output)?, at, at));
            }
        }
        scratch_blocks.push(blocks.len());
        blocks.push(Block::new(scratch, at, at));
        for call in &step.calls {
            if call.kernel.overread > 0
                && let Some(Operand::Value(value)) = call.inputs.first()
            {
                overreads.push((block_of[value], call.kernel.overread));
            }
        }
        // With several calls the later ones still read what the first has written over.
        if let [call] = step.calls.as_slice() {
            for (operand, overlap) in call.inputs.iter().zip(&call.kernel.overlap) {
                let Operand::Value(value) = operand else { continue };
                let nearness = match overlap {
                    Overlap::Disjoint => continue,
                    Overlap::AtLeast(d) => Nearness::AtLeast(*d),
                    Overlap::Same => Nearness::Same,
                };
                let (input, output) = (block_of[value], block_of[&call.output]);
                rules.push(Rule { input, output, nearness });
            }
        }
    }
    let end = lowering.steps.len();
    for port in graph.outputs() {
        if let Some(&block) = block_of.get(&port.value) {
            blocks[block].last = end;
        } else {
            return Err(format!("output `{}` is a constant", port.name));
        }
    }
    let plan = planner::plan(&blocks, &rules);
    if let Err((a, b)) = planner::check(&plan, &blocks, &rules) {
        return Err(format!("blocks {a} and {b} of the memory plan collide; please report this"));
    }
    let reach = overreads.iter().map(|&(b, more)| plan.offsets[b] + blocks[b].size + more);
    let arena_bytes = reach.max().unwrap_or(0).max(plan.size).next_multiple_of(8).max(8);
    let live = (0..end)
        .map(|at| {
            let live = blocks.iter().filter(|b| b.first <= at && at <= b.last);
            live.map(|b| b.size).sum::<usize>().min(plan.size)
        })
        .collect();
    Ok(Memory {
        offsets: block_of.iter().map(|(&v, &b)| (v, plan.offsets[b])).collect(),
        scratch: scratch_blocks.iter().map(|&b| plan.offsets[b]).collect(),
        arena_bytes,
        lower_bound: plan.lower_bound,
        live,
    })
}

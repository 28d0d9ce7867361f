//! Which values share memory, and where each lies in the arena.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use paring_backend::planner::{self, Block, Nearness, Rule};
use paring_backend::schedule::{self, Piece, Schedule, Task};
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
    /// No plan for this order of steps is smaller.
    pub lower_bound: usize,
    /// No order of steps has less in use at once.
    pub order_bound: usize,
    /// Bytes in use during each step.
    pub live: Vec<usize>,
    /// Every piece of the arena, in the order in which they come into use.
    pub rooms: Vec<Room>,
}

/// A piece of the arena and when it is in use.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// The values in it, or the step whose scratch it is.
    pub name: String,
    pub offset: usize,
    pub bytes: usize,
    /// The first and the last step that uses it.
    pub steps: (usize, usize),
    /// Whether it holds only while one step runs.
    pub scratch: bool,
}

impl Memory {
    pub fn offset(&self, value: ValueId) -> usize {
        self.offsets.get(&value).copied().unwrap_or(0)
    }

    pub fn scratch(&self, step: usize) -> usize {
        self.scratch.get(step).copied().unwrap_or(0)
    }
}

/// Notes that a task reads a value; the value's piece.
fn read(
    task: &mut Task,
    at: usize,
    value: ValueId,
    piece_of: &HashMap<ValueId, usize>,
    task_of: &HashMap<ValueId, usize>,
) -> Option<usize> {
    let piece = *piece_of.get(&value)?;
    if !task.reads.contains(&piece) {
        task.reads.push(piece);
    }
    task.after.extend(task_of.get(&value).filter(|&&t| t != at));
    Some(piece)
}

/// The order of the lowered steps that needs the least memory.
pub(crate) fn order(lowering: &Lowering<'_>) -> Schedule {
    let graph = lowering.graph;
    let bytes = |value: ValueId| graph.ty(value).byte_len().unwrap_or(0);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut piece_of: HashMap<ValueId, usize> = HashMap::new();
    let mut task_of: HashMap<ValueId, usize> = HashMap::new();
    for port in graph.inputs() {
        piece_of.entry(port.value).or_insert_with(|| {
            pieces.push(Piece::input(bytes(port.value)));
            pieces.len() - 1
        });
    }
    let mut tasks: Vec<Task> = Vec::new();
    for (at, step) in lowering.steps.iter().enumerate() {
        let mut task = Task::default();
        if let Some((input, output)) = step.alias
            && let Some(piece) = read(&mut task, at, input, &piece_of, &task_of)
        {
            piece_of.insert(output, piece);
            task_of.insert(output, at);
        }
        for call in &step.calls {
            task.scratch = task.scratch.max(call.kernel.scratch_bytes.next_multiple_of(4));
            for (index, operand) in call.inputs.iter().enumerate() {
                let Operand::Value(value) = operand else { continue };
                let found = read(&mut task, at, *value, &piece_of, &task_of);
                let Some(piece) = found else { continue };
                let (into, out) = (pieces[piece].bytes, bytes(call.output));
                let saved = match call.kernel.overlap.get(index) {
                    Some(Overlap::AtLeast(d)) => {
                        let both = (into + (*d).max(0) as usize).max(out).min(into + out);
                        into + out - both
                    }
                    Some(Overlap::Same) => into.min(out),
                    _ => 0,
                };
                if step.calls.len() == 1 && saved > 0 {
                    task.shares.push((piece, saved));
                }
            }
            if let Entry::Vacant(entry) = piece_of.entry(call.output) {
                entry.insert(pieces.len());
                task.writes = Some(pieces.len());
                pieces.push(Piece::new(bytes(call.output)));
            }
            task_of.insert(call.output, at);
        }
        tasks.push(task);
    }
    for port in graph.outputs() {
        if let Some(&piece) = piece_of.get(&port.value) {
            pieces[piece].to_end = true;
        }
    }
    schedule::schedule(&pieces, &tasks)
}

/// Plans the arena of a lowered graph.
pub(crate) fn plan(lowering: &Lowering<'_>) -> Result<Memory, String> {
    let graph = lowering.graph;
    let mut block_of: HashMap<ValueId, usize> = HashMap::new();
    let mut blocks: Vec<Block> = Vec::new();
    let name = |value: ValueId| graph.value(value).name.clone();
    let mut names: Vec<(String, bool)> = Vec::new();
    let bytes = |value: ValueId| -> Result<usize, String> {
        graph.ty(value).byte_len().ok_or_else(|| {
            format!("`{}` has an unbound shape; bind it first", graph.value(value).name)
        })
    };
    for port in graph.inputs() {
        if let Entry::Vacant(entry) = block_of.entry(port.value) {
            entry.insert(blocks.len());
            blocks.push(Block::new(bytes(port.value)?, 0, 0));
            names.push((name(port.value), false));
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
                names.push((name(call.output), false));
            }
        }
        scratch_blocks.push(blocks.len());
        blocks.push(Block::new(scratch, at, at));
        names.push((format!("scratch of {}", graph.node(step.node).name), true));
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
    let mut rooms: Vec<Room> = names
        .into_iter()
        .zip(&blocks)
        .zip(&plan.offsets)
        .filter(|((_, block), _)| block.size > 0)
        .map(|(((name, scratch), block), &offset)| Room {
            name,
            offset,
            bytes: block.size,
            steps: (block.first, block.last.min(end.saturating_sub(1))),
            scratch,
        })
        .collect();
    rooms.sort_by_key(|r| (r.steps.0, r.scratch, r.offset));
    Ok(Memory {
        rooms,
        offsets: block_of.iter().map(|(&v, &b)| (v, plan.offsets[b])).collect(),
        scratch: scratch_blocks.iter().map(|&b| plan.offsets[b]).collect(),
        arena_bytes,
        lower_bound: plan.lower_bound,
        order_bound: 0,
        live,
    })
}

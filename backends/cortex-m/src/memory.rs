//! Which values share memory, and where each lies in the arena.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use paring_backend::planner::{self, Block, Nearness, Rule};
use paring_backend::schedule::{self, Piece, Schedule, Task};
use paring_cortex_m_kernels::Overlap;
use paring_ir::ValueId;

use crate::lower::{Lowering, Operand, Step};

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

/// Bytes of both an input and an output that may lie over each other.
fn above(input: usize, output: usize, distance: i64) -> usize {
    (input + distance.max(0) as usize).max(output).min(input + output)
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
    for (at, (range, stream)) in lowering.stages().into_iter().enumerate() {
        let mut task = Task::default();
        let mut written = |value: ValueId, task: &mut Task, piece_of: &mut HashMap<_, _>| {
            if let Entry::Vacant(entry) = piece_of.entry(value) {
                entry.insert(pieces.len());
                task.writes = Some(pieces.len());
                pieces.push(Piece::new(bytes(value)));
            }
        };
        let scratch = |step: &Step| -> usize {
            step.calls.iter().map(|c| c.kernel.scratch_bytes.next_multiple_of(4)).max().unwrap_or(0)
        };
        let steps = lowering.steps.get(range).unwrap_or_default();
        task.scratch = steps.iter().map(scratch).max().unwrap_or(0);
        if let Some(stream) = stream
            && let (Some(input), Some(output)) = (stream.input(), stream.output())
        {
            task.scratch += stream.kept.iter().map(|k| k.next_multiple_of(4)).sum::<usize>();
            if let Some(piece) = read(&mut task, at, input, &piece_of, &task_of) {
                let (into, out) = (bytes(input), bytes(output));
                let both = match &stream.patches {
                    Some(p) if p.upward => above(out, into, p.distance as i64),
                    Some(p) => above(into, out, p.distance as i64),
                    None => above(into, out, stream.distance),
                };
                let saved = into + out - both;
                if saved > 0 {
                    task.shares.push((piece, saved));
                }
            }
            written(output, &mut task, &mut piece_of);
            task_of.insert(output, at);
            tasks.push(task);
            continue;
        }
        for step in steps {
            if let Some((input, output)) = step.alias
                && let Some(piece) = read(&mut task, at, input, &piece_of, &task_of)
            {
                piece_of.insert(output, piece);
                task_of.insert(output, at);
            }
            for call in &step.calls {
                for (index, operand) in call.inputs.iter().enumerate() {
                    let Operand::Value(value) = operand else { continue };
                    let found = read(&mut task, at, *value, &piece_of, &task_of);
                    let Some(piece) = found else { continue };
                    let (into, out) = (bytes(*value), bytes(call.output));
                    let saved = match call.kernel.overlap.get(index) {
                        Some(Overlap::AtLeast(d)) => into + out - above(into, out, *d),
                        Some(Overlap::Same) => into.min(out),
                        _ => 0,
                    };
                    if step.calls.len() == 1 && saved > 0 {
                        task.shares.push((piece, saved));
                    }
                }
                written(call.output, &mut task, &mut piece_of);
                task_of.insert(call.output, at);
            }
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
    let stages = lowering.stages();
    for (at, (range, stream)) in stages.iter().enumerate() {
        let steps = lowering.steps.get(range.clone()).unwrap_or_default();
        if let Some(stream) = stream {
            let unknown = "a stream reads a value before it is computed";
            let (Some((x, links)), Some(output)) = (stream.links.split_first(), stream.output())
            else {
                return Err("a stream is empty; please report this".into());
            };
            let input = *block_of.get(&x.value).ok_or(unknown)?;
            blocks[input].last = at;
            for (link, kept) in links.iter().zip(stream.kept.iter().skip(1)) {
                let whole = link.value == output;
                if stream.patches.is_some() && !whole {
                    continue;
                }
                block_of.insert(link.value, blocks.len());
                blocks.push(Block::new(if whole { bytes(output)? } else { *kept }, at, at));
                let rows = kept / link.row.max(1);
                names.push(if whole {
                    (name(output), false)
                } else {
                    (format!("{rows} of {} rows of {}", link.height, name(link.value)), true)
                });
            }
            let nearness = match &stream.patches {
                Some(p) if p.upward => Nearness::Above(p.distance as i64),
                Some(p) => Nearness::Below(p.distance as i64),
                None => Nearness::AtLeast(stream.distance),
            };
            rules.push(Rule { input, output: block_of[&output], nearness });
        }
        let mut scratch = 0;
        for step in steps {
            if let Some((input, output)) = step.alias {
                let block = *block_of.get(&input).ok_or("a value is used before it is computed")?;
                block_of.insert(output, block);
                blocks[block].last = blocks[block].last.max(at);
            }
            for call in &step.calls {
                scratch = scratch.max(call.kernel.scratch_bytes);
                for operand in &call.inputs {
                    if let Operand::Value(value) = operand {
                        // Within patches there are values that have no place.
                        if stream.is_some_and(|s| s.patches.is_some()) {
                            continue;
                        }
                        let block =
                            *block_of.get(value).ok_or("a value is used before it is computed")?;
                        blocks[block].last = at;
                    }
                }
                if stream.is_none()
                    && let Entry::Vacant(entry) = block_of.entry(call.output)
                {
                    entry.insert(blocks.len());
                    blocks.push(Block::new(bytes(call.output)?, at, at));
                    names.push((name(call.output), false));
                }
            }
        }
        scratch_blocks.push(blocks.len());
        blocks.push(Block::new(scratch, at, at));
        let first = steps.first().map_or_else(String::new, |s| graph.node(s.node).name.clone());
        let more = if steps.len() > 1 { " and on" } else { "" };
        names.push((format!("scratch of {first}{more}"), true));
        for step in steps {
            for call in &step.calls {
                if call.kernel.overread > 0
                    && let Some(Operand::Value(value)) = call.inputs.first()
                    && let Some(&block) = block_of.get(value)
                {
                    overreads.push((block, call.kernel.overread));
                }
            }
        }
        // With several calls the later ones still read what the first has written over.
        if stream.is_none()
            && let [step] = steps
            && let [call] = step.calls.as_slice()
        {
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
    let end = stages.len();
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
    // Every step of a stage, and of each stage its first and last.
    let live = stages.iter().enumerate().flat_map(|(at, (range, _))| {
        let live = blocks.iter().filter(|b| b.first <= at && at <= b.last);
        let bytes = live.map(|b| b.size).sum::<usize>().min(plan.size);
        range.clone().map(move |_| bytes)
    });
    let live = live.collect();
    let first = |stage: usize| stages.get(stage).map_or(0, |s| s.0.start);
    let last = |stage: usize| stages.get(stage.min(end - 1)).map_or(0, |s| s.0.end - 1);
    let scratch = stages.iter().zip(&scratch_blocks);
    let scratch = scratch.flat_map(|(s, &b)| s.0.clone().map(move |_| b));
    let scratch = scratch.map(|b| plan.offsets[b]).collect();
    let mut patch_rooms = Vec::new();
    for (range, stream) in &stages {
        let Some((stream, patches)) = stream.and_then(|s| Some((s, s.patches.as_ref()?))) else {
            continue;
        };
        let of = |v: Option<ValueId>| v.and_then(|v| block_of.get(&v)).copied();
        let (Some(x), Some(y)) = (of(stream.input()), of(stream.output())) else { continue };
        // Where the first patch finds its room; it moves as rows are read and written.
        let (from, to) = if patches.upward {
            (plan.offsets[x] + blocks[x].size, plan.offsets[y] + blocks[y].size)
        } else {
            (plan.offsets[y], plan.offsets[x])
        };
        let node = stream.nodes().next().map_or("", |n| graph.node(n).name.as_str());
        let (least, most) = patches.rooms();
        let order = if patches.upward { "from the last one" } else { "from the first" };
        patch_rooms.push(Room {
            name: format!("patches of {node} and on, {order}: {least} to {most} bytes before them"),
            offset: from,
            bytes: to.saturating_sub(from),
            steps: (range.start, range.end.saturating_sub(1)),
            scratch: true,
        });
    }
    let mut rooms: Vec<Room> = names
        .into_iter()
        .zip(&blocks)
        .zip(&plan.offsets)
        .filter(|((_, block), _)| block.size > 0)
        .map(|(((name, scratch), block), &offset)| Room {
            name,
            offset,
            bytes: block.size,
            steps: (first(block.first), last(block.last)),
            scratch,
        })
        .collect();
    rooms.extend(patch_rooms);
    rooms.sort_by_key(|r| (r.steps.0, r.scratch, r.offset));
    Ok(Memory {
        rooms,
        offsets: block_of.iter().map(|(&v, &b)| (v, plan.offsets[b])).collect(),
        scratch,
        arena_bytes,
        lower_bound: plan.lower_bound,
        order_bound: 0,
        live,
    })
}

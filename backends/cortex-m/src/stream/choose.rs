//! Which layers run as streams so that the arena fits.

use std::collections::HashMap;

use paring_ir::ValueId;
use paring_ir::ops::Conv2d;

use super::{Chain, Stream, patches};
use crate::lower::{Lowering, Operand, Step};
use paring_cortex_m_kernels::Overlap;

/// Rows of the output that a round of a stream may give.
const ROUNDS: [usize; 5] = [1, 2, 4, 8, 16];
/// Layers that a stream has at most.
const LONGEST: usize = 40;

/// The streams that need the least time among those that fit, or, where none fit, the least memory.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub streams: Vec<Stream>,
    /// Bytes in use at once, what is lost between pieces not counted.
    pub need: usize,
    /// No choice of streams needs less.
    pub least: usize,
}

/// Bytes and the steps that write and last read each piece of memory.
struct Lives {
    root: HashMap<ValueId, ValueId>,
    /// Bytes, and the first and the last step that a value and its other names live in, from 1: inputs live
    /// from 0.
    spans: HashMap<ValueId, (usize, usize, usize)>,
}

impl Lives {
    fn of(lowering: &Lowering<'_>) -> Self {
        let graph = lowering.graph;
        let mut lives = Self { root: HashMap::new(), spans: HashMap::new() };
        for port in graph.inputs() {
            lives.begin(lowering, port.value, 0);
        }
        for (at, step) in lowering.steps.iter().enumerate().map(|(i, s)| (i + 1, s)) {
            if let Some((input, output)) = step.alias {
                let root = lives.root.get(&input).copied().unwrap_or(input);
                lives.root.insert(output, root);
                lives.touch(output, at);
            }
            for call in &step.calls {
                for operand in &call.inputs {
                    if let Operand::Value(value) = operand {
                        lives.touch(*value, at);
                    }
                }
                if !lives.root.contains_key(&call.output) {
                    lives.begin(lowering, call.output, at);
                }
            }
        }
        for port in graph.outputs() {
            lives.touch(port.value, lowering.steps.len() + 1);
        }
        lives
    }

    fn begin(&mut self, lowering: &Lowering<'_>, value: ValueId, at: usize) {
        let bytes = lowering.graph.ty(value).byte_len().unwrap_or(0).next_multiple_of(4);
        self.root.insert(value, value);
        self.spans.entry(value).or_insert((bytes, at, at));
    }

    fn touch(&mut self, value: ValueId, at: usize) {
        let root = self.root.get(&value).copied().unwrap_or(value);
        if let Some(span) = self.spans.get_mut(&root) {
            span.2 = span.2.max(at);
        }
    }

    fn span(&self, value: ValueId) -> Option<(usize, usize, usize)> {
        self.spans.get(self.root.get(&value)?).copied()
    }

    /// Bytes of what is there before a step and still wanted then, and of what is written.
    fn around(&self, step: usize, written: &[ValueId]) -> usize {
        let before = self.spans.values().filter(|s| s.1 < step && s.2 >= step);
        let new = written.iter().filter_map(|&v| self.span(v)).filter(|s| s.1 >= step);
        before.chain(&new.collect::<Vec<_>>()).map(|s| s.0).sum()
    }

    /// Bytes that an output may share with an input that dies by step `last`.
    fn saved(&self, input: ValueId, output: ValueId, distance: i64, last: usize) -> usize {
        let (Some(x), Some(y)) = (self.span(input), self.span(output)) else { return 0 };
        if x.2 > last {
            return 0;
        }
        let both = (x.0 + distance.max(0) as usize).max(y.0).min(x.0 + y.0);
        x.0 + y.0 - both
    }
}

/// What a single step needs.
fn need(lives: &Lives, at: usize, step: &Step) -> usize {
    let outputs: Vec<ValueId> = step.calls.iter().map(|c| c.output).take(1).collect();
    let scratch = step.calls.iter().map(|c| c.kernel.scratch_bytes).max().unwrap_or(0);
    let mut saved = 0;
    if let [call] = step.calls.as_slice() {
        for (operand, overlap) in call.inputs.iter().zip(&call.kernel.overlap) {
            let Operand::Value(value) = operand else { continue };
            let distance = match overlap {
                Overlap::AtLeast(d) => *d,
                Overlap::Same => 0,
                Overlap::Disjoint => continue,
            };
            saved = saved.max(lives.saved(*value, call.output, distance, at + 1));
        }
    }
    (lives.around(at + 1, &outputs) + scratch).saturating_sub(saved)
}

/// A stream that could be, over steps `first..=last`.
struct Candidate {
    first: usize,
    last: usize,
    stream: Stream,
    need: usize,
    /// Cycles beyond those of the layers one after the other, about.
    cost: u64,
}

/// The scratch that a step takes in bands of `rows` rows, about, and the bytes that it widens anew.
fn scratch_and_again(
    lowering: &Lowering<'_>,
    step: &Step,
    stream: &Stream,
    at: usize,
) -> (usize, u64) {
    let plain = step.calls.iter().map(|c| c.kernel.scratch_bytes).max().unwrap_or(0);
    let node = lowering.graph.node(step.node);
    let (Some(conv), Some(bands)) = (node.op_as::<Conv2d>(), stream.bands.get(at)) else {
        return (plain, 0);
    };
    let Some(input) = stream.links.get(at).and_then(|l| stream.links.get(*l.inputs.first()?))
    else {
        return (plain, 0);
    };
    if conv.groups == 1 {
        return (plain, 0);
    }
    let width = input.row / conv.groups.max(1);
    let tallest = bands.iter().map(|b| b.above + b.in_rows).max().unwrap_or(0);
    let again = bands.iter().map(|b| b.in_rows).sum::<usize>().saturating_sub(input.height);
    (tallest * (width + 16) * 2, 3 * (again * input.row) as u64)
}

fn candidates(lowering: &Lowering<'_>, lives: &Lives, limit: usize) -> Vec<Candidate> {
    let (graph, steps) = (lowering.graph, &lowering.steps);
    let alone = |step: &Step| matches!(step.calls.as_slice(), [c] if c.kernel.in_rows);
    let mut out = Vec::new();
    for first in 0..steps.len() {
        let mut chain: Option<Chain> = None;
        for (last, step) in steps.iter().enumerate().skip(first).take(LONGEST) {
            let node = graph.node(step.node);
            let grown = match &mut chain {
                _ if !alone(step) => None,
                None => Chain::start(graph, node).map(|c| chain = Some(c)),
                Some(chain) => chain.push(graph, node),
            };
            let (Some(()), Some(chain)) = (grown, &chain) else { break };
            let Some((end, between)) = chain.links.get(1..).and_then(<[_]>::split_last) else {
                continue;
            };
            let inside = |v: ValueId| lives.span(v).is_some_and(|s| s.1 > first && s.2 <= last + 1);
            let (x, y) = (chain.links[0].value, end.value);
            if between.is_empty() || !between.iter().all(|l| inside(l.value)) {
                continue;
            }
            let around = lives.around(first + 1, &[y]);
            // Patches use what lies between input and output, so nothing else may.
            let own = lives.span(x).filter(|s| s.2 <= last + 1).map_or(0, |s| s.0)
                + lives.span(y).map_or(0, |s| s.0);
            if around == own {
                for (stream, need, cost) in patches::of(chain, lowering, &steps[first..=last]) {
                    if need <= limit {
                        out.push(Candidate { first, last, stream, need, cost });
                    }
                }
            }
            for rows in ROUNDS.into_iter().filter(|&r| r == 1 || r < end.height) {
                let Some(stream) = chain.run(rows) else { continue };
                let (mut scratch, mut cost) = (0, stream.moved as u64 / 2);
                for (at, step) in steps[first..=last].iter().enumerate() {
                    let (bytes, again) = scratch_and_again(lowering, step, &stream, at + 1);
                    scratch = scratch.max(bytes);
                    cost += again;
                }
                cost += stream.bands.iter().map(|b| 100 * b.len() as u64).sum::<u64>();
                let kept: usize = stream.kept.iter().map(|k| k.next_multiple_of(4)).sum();
                let saved = lives.saved(x, y, stream.distance, last + 1);
                let need = (around + kept + scratch).saturating_sub(saved);
                if need <= limit {
                    out.push(Candidate { first, last, stream, need, cost });
                }
            }
        }
    }
    out
}

/// What it counts as to need more than can be spared, in cycles.
const CLOSE: u64 = 1 << 40;

/// Picks streams and single steps that cover all steps: the least cost within `limit`, with as few as can be
/// that leave less than `spare` of it.
fn cover(needs: &[usize], all: &[Candidate], limit: usize, spare: usize) -> Option<Vec<usize>> {
    let n = needs.len();
    let close = |need: usize| if need + spare > limit { CLOSE } else { 0 };
    // Cost up to each step, and the candidate that ends there.
    let mut best: Vec<Option<(u64, Option<usize>)>> = vec![None; n + 1];
    best[0] = Some((0, None));
    for end in 1..=n {
        let need = needs[end - 1];
        let alone = best[end - 1].filter(|_| need <= limit);
        let mut found = alone.map(|b| (b.0 + close(need), None));
        for (index, c) in all.iter().enumerate() {
            if c.last + 1 == end
                && c.need <= limit
                && let Some((cost, _)) = best[c.first]
                && let cost = cost + c.cost + close(c.need)
                && found.is_none_or(|f| cost < f.0)
            {
                found = Some((cost, Some(index)));
            }
        }
        best[end] = found;
    }
    let mut picked = Vec::new();
    let mut at = n;
    while at > 0 {
        match best[at]?.1 {
            Some(index) => {
                picked.push(index);
                at = all[index].first;
            }
            None => at -= 1,
        }
    }
    picked.reverse();
    Some(picked)
}

/// The least limit that a cover keeps.
fn least(needs: &[usize], all: &[Candidate]) -> usize {
    let mut best = vec![usize::MAX; needs.len() + 1];
    best[0] = 0;
    for end in 1..=needs.len() {
        best[end] = best[end - 1].max(needs[end - 1]);
        for c in all.iter().filter(|c| c.last + 1 == end) {
            best[end] = best[end].min(best[c.first].max(c.need));
        }
    }
    best.last().copied().unwrap_or(0)
}

/// Finds streams for lowered steps, none of which runs in a stream yet, so that `limit` bytes are in use at once, and
/// where that can be `spare` bytes fewer.
pub(crate) fn find(lowering: &Lowering<'_>, limit: usize, spare: usize) -> Found {
    let lives = Lives::of(lowering);
    let needs: Vec<usize> =
        lowering.steps.iter().enumerate().map(|(at, step)| need(&lives, at, step)).collect();
    let most = needs.iter().copied().max().unwrap_or(0);
    let all = candidates(lowering, &lives, most);
    let least = least(&needs, &all);
    let need = limit.max(least);
    let picked = cover(&needs, &all, need, spare).unwrap_or_default();
    let streams = picked.iter().map(|&i| all[i].stream.clone()).collect();
    Found { streams, need, least }
}

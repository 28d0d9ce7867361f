//! Why a network does not fit: the tensors, the layer, and what would help.

use std::fmt::Write as _;

use crate::lower::Lowering;
use crate::memory::Memory;

/// Why the arena is larger than `limit`.
pub(crate) fn ram(lowering: &Lowering<'_>, memory: &Memory, limit: usize) -> String {
    let graph = lowering.graph;
    let mut text = format!(
        "the network needs {} bytes of RAM, {} more than the {limit} allowed",
        memory.arena_bytes,
        memory.arena_bytes - limit
    );
    let over = memory.live.iter().filter(|&&live| live > limit).count();
    let worst = (0..memory.live.len()).max_by_key(|&at| (memory.live[at], usize::MAX - at));
    let Some((at, step)) = worst.and_then(|at| Some((at, lowering.steps.get(at)?))) else {
        return text;
    };
    let node = graph.node(step.node);
    let _ = write!(
        text,
        "\nthe most is in use during `{}` ({}, layer {at}): {} bytes",
        node.name,
        node.op.name(),
        memory.live[at]
    );
    let mut there: Vec<_> =
        memory.rooms.iter().filter(|r| r.steps.0 <= at && at <= r.steps.1).collect();
    there.sort_by_key(|r| std::cmp::Reverse(r.bytes));
    for room in &there {
        let waits = room.steps.1 > at && room.steps.0 < at && !room.scratch;
        let _ = write!(text, "\n  {:>9} bytes  {}", room.bytes, room.name);
        if waits {
            let user = lowering.steps.get(room.steps.1).map(|s| graph.node(s.node).name.as_str());
            let _ = write!(text, ", kept for `{}`", user.unwrap_or("an output"));
        }
    }
    text.push_str("\nwhat would help:");
    if memory.lower_bound <= limit {
        let _ = write!(
            text,
            "\n  a denser plan: {} bytes are in use at most, the rest is lost between tensors",
            memory.lower_bound
        );
    }
    if let Some(kept) = there.iter().find(|r| r.steps.1 > at && r.steps.0 < at && !r.scratch) {
        let _ = write!(
            text,
            "\n  dropping or shrinking the connection that keeps `{}` ({} bytes)",
            kept.name, kept.bytes
        );
    }
    if let Some(largest) = there.iter().find(|r| !r.scratch) {
        let share = largest.bytes.saturating_sub(memory.arena_bytes - limit);
        let percent = 100 * share / largest.bytes.max(1);
        let _ = write!(
            text,
            "\n  making `{}` smaller: at {percent} % of its size or less this layer fits; a smaller input, an \
             earlier stride or fewer channels before it do that",
            largest.name
        );
    }
    if over > 1 {
        let _ = write!(text, "\n{over} layers in all need more than {limit} bytes");
    }
    text
}

/// Why the constants alone are larger than `limit`.
pub(crate) fn flash(lowering: &Lowering<'_>, limit: usize) -> String {
    let graph = lowering.graph;
    let total = lowering.unit.constant_bytes();
    let mut text = format!(
        "the constants alone take {total} bytes of flash, {} more than the {limit} allowed",
        total - limit
    );
    let mut layers: Vec<_> = lowering.steps.iter().filter(|s| s.constant_bytes > 0).collect();
    layers.sort_by_key(|s| std::cmp::Reverse(s.constant_bytes));
    text.push_str("\nthe largest:");
    for step in layers.iter().take(5) {
        let node = graph.node(step.node);
        let weights = node.inputs().iter().find(|v| graph.constant(**v).is_some());
        let tensor = weights.map_or("", |v| graph.value(*v).name.as_str());
        let percent = 100 * step.constant_bytes / total.max(1);
        let _ = write!(
            text,
            "\n  {:>9} bytes, {percent} %  `{}` ({}), weights `{tensor}`",
            step.constant_bytes,
            node.name,
            node.op.name()
        );
    }
    text.push_str("\nwhat would help:");
    let needed = 100 * limit / total.max(1);
    if limit >= total / 2 {
        text.push_str(
            "\n  4-bit weights (recipe `int4`, half the bytes) or a palette of 16 values",
        );
    } else if needed >= 37 {
        text.push_str("\n  3-bit weights (recipe `int3`)");
    }
    let _ = write!(
        text,
        "\n  pruning channels of the layers above until {needed} % of the weights are left"
    );
    text
}

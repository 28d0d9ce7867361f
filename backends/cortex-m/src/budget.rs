//! Why a network does not fit: the tensors, the layer, and what would help, with numbers.

use paring_backend::{Item, Latency, Remedy, Shortfall, brief};
use paring_cortex_m_kernels::{Coding, Isa};

use crate::lower::{Lowering, Step};
use crate::memory::Memory;

/// Items that are listed.
const LISTED: usize = 6;

fn remedy(change: impl Into<String>, leaves: Option<usize>) -> Remedy {
    Remedy { change: change.into(), leaves: leaves.map(|n| n as u64) }
}

/// What two channels' worth of numbers have to become for `limit` to do.
fn percent(limit: u64, total: u64) -> u64 {
    (100 * limit).checked_div(total).unwrap_or(100)
}

/// Why the arena is larger than `limit`.
pub(crate) fn ram(lowering: &Lowering<'_>, memory: &Memory, limit: usize) -> Shortfall {
    let graph = lowering.graph;
    let needed = memory.arena_bytes;
    let mut report = Shortfall {
        budget: "ram".into(),
        unit: "bytes".into(),
        needed: needed as u64,
        allowed: limit as u64,
        ..Shortfall::default()
    };
    let live = |at: usize| memory.live.get(at).copied().unwrap_or(0);
    let worst = (0..memory.live.len()).max_by_key(|&at| (live(at), usize::MAX - at));
    let Some((at, step)) = worst.and_then(|at| Some((at, lowering.steps.get(at)?))) else {
        return report;
    };
    let node = graph.node(step.node);
    report.layer.clone_from(&node.name);
    let rows = lowering.stages().iter().any(|s| s.1.is_some());
    let already = if rows { ", though layers run row by row" } else { "" };
    report.what = format!(
        "the most is in use during `{}` ({}, layer {at}), {} bytes{already}",
        brief(&node.name),
        node.op.name(),
        live(at)
    );
    let mut there: Vec<_> =
        memory.rooms.iter().filter(|r| r.steps.0 <= at && at <= r.steps.1).collect();
    there.sort_by_key(|r| std::cmp::Reverse(r.bytes));
    let waits = |r: &crate::memory::Room| r.steps.0 < at && at < r.steps.1 && !r.scratch;
    for room in &there {
        let user = lowering.steps.get(room.steps.1).map(|s| graph.node(s.node).name.as_str());
        let note = if waits(room) {
            user.map_or("kept as an output".into(), |user| format!("kept for `{}`", brief(user)))
        } else {
            String::new()
        };
        report.items.push(Item { name: room.name.clone(), amount: room.bytes as u64, note });
    }
    if memory.lower_bound <= limit {
        let change = "a denser plan, as the rest is lost between tensors";
        report.remedies.push(remedy(change, Some(memory.lower_bound)));
    }
    // The peak is elsewhere once this layer needs less.
    let others = (0..memory.live.len()).filter(|&i| i != at).map(live).max().unwrap_or(0);
    if let Some(kept) = there.iter().find(|r| waits(r)) {
        let change = format!(
            "drop or shrink the connection that keeps `{}` ({} bytes) while `{}` runs",
            brief(&kept.name),
            kept.bytes,
            brief(&node.name)
        );
        let left = live(at).saturating_sub(kept.bytes).max(others.saturating_sub(kept.bytes));
        report.remedies.push(remedy(change, Some(left)));
    }
    if let Some(largest) = there.iter().find(|r| !r.scratch) {
        let share = largest.bytes.saturating_sub(live(at).saturating_sub(limit));
        let share = percent(share as u64, largest.bytes as u64);
        let change = format!(
            "make `{}` smaller, to {share} % of its {} bytes or less: a smaller input, an earlier stride or \
             fewer channels before `{}`",
            brief(&largest.name),
            largest.bytes,
            brief(&node.name)
        );
        report.remedies.push(remedy(change, None));
    }
    let over = memory.live.iter().filter(|&&live| live > limit).count();
    if over > 1 {
        report.remedies.push(remedy(
            format!("the same for the {over} layers that need more than {limit} bytes"),
            None,
        ));
    }
    report
}

/// Bytes of a step's weights with a byte each, where they can be stored otherwise.
fn plain_bytes(step: &Step) -> Option<usize> {
    let choice = step.choice.as_ref()?;
    choice.candidates.iter().find(|c| c.coding == Coding::Plain).map(|c| c.bytes)
}

/// Why code and constants take more than `limit`.
pub(crate) fn flash(lowering: &Lowering<'_>, limit: usize) -> Shortfall {
    let graph = lowering.graph;
    let (constants, code) = (lowering.unit.constant_bytes(), lowering.code_estimate());
    let total = constants + code;
    let mut layers: Vec<_> = lowering.steps.iter().filter(|s| s.constant_bytes > 0).collect();
    layers.sort_by_key(|s| std::cmp::Reverse(s.constant_bytes));
    let name = |step: &Step| graph.node(step.node).name.clone();
    let mut report = Shortfall {
        budget: "flash".into(),
        unit: "bytes".into(),
        needed: total as u64,
        allowed: limit as u64,
        layer: layers.first().map_or(String::new(), |s| name(s)),
        what: format!("{constants} are constants, about {code} code; the largest layers"),
        ..Shortfall::default()
    };
    for step in layers.iter().take(LISTED) {
        let node = graph.node(step.node);
        let weights = node.inputs().iter().find(|v| graph.constant(**v).is_some());
        let tensor = weights.map_or(String::new(), |v| brief(&graph.value(*v).name));
        let share = percent(step.constant_bytes as u64, total as u64);
        report.items.push(Item {
            name: name(step),
            amount: step.constant_bytes as u64,
            note: format!("{}, {share} %, weights `{tensor}`", node.op.name()),
        });
    }
    let full: usize =
        layers.iter().filter_map(|s| Some(plain_bytes(s)?.min(s.constant_bytes))).sum();
    let blocks = "four fifths of the weights pruned in blocks of 4x4, the rest a palette of 16";
    let change = "weights in 4 bits (recipe `int4`) or as a palette of 16 values";
    let skips = (lowering.unit.isa() != Isa::Helium).then_some((blocks, full / 8));
    for (change, kept) in [(change, full / 2)].into_iter().chain(skips).filter(|_| full > 0) {
        report.remedies.push(remedy(change, Some(total - full + kept)));
    }
    let left = percent(limit.saturating_sub(code) as u64, constants as u64);
    if left > 0 {
        let change =
            format!("prune channels of the layers above until {left} % of the constants are left");
        report.remedies.push(remedy(change, Some(code + constants * left as usize / 100)));
    } else {
        let change = format!("a smaller network: the code alone takes about {code} bytes");
        report.remedies.push(remedy(change, None));
    }
    report
}

/// Why a run takes longer than allowed; `cycles` are those of each step.
pub(crate) fn latency(lowering: &Lowering<'_>, cycles: &[u64], limit: Latency) -> Shortfall {
    let graph = lowering.graph;
    let total: u64 = cycles.iter().sum();
    let mut layers: Vec<(u64, &Step)> = cycles.iter().copied().zip(&lowering.steps).collect();
    layers.sort_by_key(|l| std::cmp::Reverse(l.0));
    let name = |step: &Step| graph.node(step.node).name.clone();
    let time = |cycles: u64| match limit.clock {
        Some(hertz) => {
            format!(" ({:.2} ms at {:.0} MHz)", cycles as f64 / hertz * 1e3, hertz / 1e6)
        }
        None => String::new(),
    };
    let mut report = Shortfall {
        budget: "latency".into(),
        unit: "cycles".into(),
        needed: total,
        allowed: limit.cycles,
        layer: layers.first().map_or(String::new(), |l| name(l.1)),
        what: format!(
            "a run takes about {total} cycles{}, without wait states; the slowest layers",
            time(total)
        ),
        ..Shortfall::default()
    };
    for (amount, step) in layers.iter().take(LISTED) {
        let share = percent(*amount, total);
        let note = format!("{}, {share} %{}", graph.node(step.node).op.name(), time(*amount));
        report.items.push(Item { name: name(step), amount: *amount, note });
    }
    if let Some(hertz) = limit.clock.filter(|_| limit.cycles > 0) {
        let wanted = hertz * total as f64 / limit.cycles as f64;
        let change = format!("a clock of {:.0} MHz or more", (wanted / 1e6).ceil());
        report.remedies.push(remedy(change, None));
    }
    let left = percent(limit.cycles, total);
    if left > 0 {
        let change = format!(
            "prune channels, or blocks of 4x4 weights, of the layers above until {left} % of the work is left"
        );
        report.remedies.push(remedy(change, Some((total * left / 100) as usize)));
    } else {
        report.remedies.push(remedy("a smaller network or a faster core", None));
    }
    report
}

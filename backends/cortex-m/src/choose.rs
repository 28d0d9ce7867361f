//! Which coding of its weights each layer gets.

use std::collections::BTreeMap;

use paring_cortex_m_kernels::cost::{Calls, Use};
use paring_cortex_m_kernels::{Coding, Core, Layer, Unit};
use paring_ir::NodeId;

use crate::stream::Stream;

/// What is wanted of the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Optimize {
    /// Weights as they are stored: compressed ones stay compressed unless that is far slower.
    #[default]
    Balanced,
    /// The fastest kernels.
    Speed,
    /// The smallest constants, or the fastest of those that are about as small.
    Size,
}

/// How weights are coded: by the rule, except where a budget said otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub optimize: Optimize,
    /// Layers that a budget decided, and why.
    pub decided: BTreeMap<NodeId, (Coding, String)>,
    /// Layers that run together, row by row.
    pub streams: Vec<Stream>,
}

/// One way to store a layer's weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub coding: Coding,
    pub bytes: usize,
    pub instructions: u64,
    pub cycles: u64,
    pub scratch: usize,
}

/// The ways there were and the one that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub candidates: Vec<Candidate>,
    pub coding: Coding,
    pub why: String,
}

impl Choice {
    pub fn chosen(&self) -> Option<&Candidate> {
        self.candidates.iter().find(|c| c.coding == self.coding)
    }
}

/// A faster coding that takes no more than one of so many parts beyond the smallest is small enough.
const SMALLER: usize = 10;

/// Instructions of a compressed coding beyond which a balanced compilation stores bytes: 1.625 times.
const PATIENCE: (u64, u64) = (13, 8);

/// Every coding that a layer's kernels can do, and what each takes on a core in a program that uses its function
/// elsewhere too.
pub(crate) fn candidates(layer: &dyn Layer, core: Core) -> Vec<Candidate> {
    Coding::ALL
        .iter()
        .filter_map(|&coding| {
            let mut unit = Unit::new(core.isa());
            let kernel = unit.add(layer.coded(coding)?.as_ref(), "trial").ok()?;
            let cost = Calls::of(&kernel.loops).total(&kernel.loops, core, Some(Use::default()))?;
            Some(Candidate {
                coding,
                bytes: unit.constant_bytes(),
                instructions: cost.instructions.round() as u64,
                cycles: cost.cycles.round() as u64,
                scratch: kernel.scratch_bytes,
            })
        })
        .collect()
}

/// Chooses for one layer; `compressed` says whether its weights are stored so that they take less than a
/// byte each.
pub(crate) fn choose(
    policy: &Policy,
    node: NodeId,
    candidates: Vec<Candidate>,
    compressed: bool,
) -> Choice {
    if let Some((coding, why)) = policy.decided.get(&node) {
        return Choice { candidates, coding: *coding, why: why.clone() };
    }
    let Some(plain) = candidates.first().copied() else {
        let why = "no kernel stores these weights otherwise".to_owned();
        return Choice { candidates, coding: Coding::Plain, why };
    };
    let fastest = candidates.iter().min_by_key(|c| (c.cycles, c.bytes)).copied().unwrap_or(plain);
    let least = candidates.iter().map(|c| c.bytes).min().unwrap_or(plain.bytes);
    let about = |c: &&Candidate| c.bytes <= least + least / SMALLER;
    let smallest = candidates
        .iter()
        .filter(about)
        .min_by_key(|c| (c.cycles, c.bytes))
        .copied()
        .unwrap_or(plain);
    let patient = |c: &&Candidate| c.instructions * PATIENCE.1 <= plain.instructions * PATIENCE.0;
    let taken = match policy.optimize {
        Optimize::Speed => fastest,
        Optimize::Size => smallest,
        Optimize::Balanced if compressed => candidates
            .iter()
            .filter(patient)
            .min_by_key(|c| (c.bytes, c.cycles))
            .copied()
            .unwrap_or(plain),
        Optimize::Balanced
            if fastest.bytes < plain.bytes && 10 * fastest.cycles <= 9 * plain.cycles =>
        {
            fastest
        }
        Optimize::Balanced => plain,
    };
    let against = |c: &Candidate| {
        let (bytes, cycles) =
            (percent(c.bytes as u64, plain.bytes as u64), percent(c.cycles, plain.cycles));
        format!("{}: {bytes} of the bytes, about {cycles} of the cycles", c.coding.name())
    };
    let why = if candidates.len() == 1 {
        "the only kernel for these weights".to_owned()
    } else if taken.coding == plain.coding {
        let others: Vec<_> = candidates.iter().skip(1).map(against).collect();
        format!("a byte a weight; rejected {}", others.join("; "))
    } else {
        format!("chosen {}", against(&taken))
    };
    Choice { candidates, coding: taken.coding, why }
}

pub(crate) fn percent(part: u64, whole: u64) -> String {
    format!("{} %", (100 * part).checked_div(whole).unwrap_or(100))
}

//! Budgets: what is asked for, and the choices that meet it.

use std::collections::BTreeMap;

use paring_backend::{
    CompileError, CompileOptions, Latency, Shortfall, parse_energy, parse_latency,
};
use paring_cortex_m_kernels::Core;
use paring_cortex_m_kernels::cost::Cost;
use paring_ir::{NodeId, Verified};

use crate::budget;
use crate::choose::{Candidate, Optimize, Policy};
use crate::estimate;
use crate::lower::Lowering;
use crate::memory::Memory;
use crate::package::Layout;
use crate::stream::{self, Stream};

/// How often streams are sought with less memory than is allowed.
const TRIES: usize = 6;
/// Bytes that are spared in turn where no less can be in use at once, so that fewer are lost between pieces.
const SPARE: [usize; 3] = [1024, 4096, 12_288];

/// What is asked of a compilation.
#[derive(Clone, Copy)]
pub(crate) struct Goals {
    pub layout: Layout,
    pub optimize: Optimize,
    /// Bytes of flash.
    pub flash: Option<usize>,
    /// Bytes of the arena; 0 is as few as there can be.
    pub ram: Option<usize>,
    /// Cycles of a run.
    pub cycles: Option<Latency>,
    /// Picojoules a cycle.
    pub energy: Option<f64>,
}

impl Goals {
    pub fn parse(options: &CompileOptions) -> Result<Self, String> {
        let mut goals = Self {
            layout: Layout::C,
            optimize: Optimize::default(),
            flash: None,
            ram: None,
            cycles: None,
            energy: None,
        };
        for (key, value) in &options.settings {
            let bytes = || paring_backend::parse_bytes(value);
            match key.as_str() {
                "optimize" => {
                    goals.optimize = match value.as_str() {
                        "balanced" => Optimize::Balanced,
                        "speed" => Optimize::Speed,
                        "size" => Optimize::Size,
                        _ => {
                            return Err(format!(
                                "`optimize = {value}`: expected balanced, speed or size"
                            ));
                        }
                    }
                }
                "flash" => goals.flash = Some(bytes()?),
                "ram" if value == "min" => goals.ram = Some(0),
                "ram" => goals.ram = Some(bytes()?.max(1)),
                "package" => goals.layout = value.parse()?,
                "latency" => goals.cycles = Some(parse_latency(value)?),
                "energy" => goals.energy = Some(parse_energy(value)?),
                _ => {
                    return Err(format!(
                        "unknown setting `{key}`; known: energy, flash, latency, optimize, package, ram"
                    ));
                }
            }
        }
        Ok(goals)
    }
}

/// Chooses codings until the budgets are met.
pub(crate) fn meet(
    graph: &Verified<'_>,
    core: Core,
    goals: &Goals,
) -> Result<Policy, CompileError> {
    let mut policy = Policy { optimize: goals.optimize, ..Policy::default() };
    if goals.ram.is_none() && goals.flash.is_none() && goals.cycles.is_none() {
        return Ok(policy);
    }
    if let Some(ram) = goals.ram {
        policy.streams = streams(graph, core, &policy, ram)?;
    }
    // Every round decides one layer, and later ones may only go further: what less flash asked for is not undone to save
    // time.
    let mut decided: BTreeMap<NodeId, Shortage> = BTreeMap::new();
    loop {
        let change = {
            let mut lowering = crate::lower_all(graph, core, &policy)?;
            let memory = crate::planned(&mut lowering).map_err(CompileError::Options)?;
            let Some(short) = shortage(&lowering, &memory, core, goals) else { break };
            let change = short.change(&lowering, &memory, &decided);
            let change = change.ok_or_else(|| {
                CompileError::Budget(Box::new(short.report(&lowering, &memory, core, goals)))
            })?;
            decided.insert(change.0, short);
            change
        };
        let (node, coding, why) = change;
        policy.decided.insert(node, (coding, why));
    }
    Ok(policy)
}

/// The layers that run row by row so that the arena has at most `ram` bytes: none if it does anyway, and
/// those that need the least if none do.
fn streams(
    graph: &Verified<'_>,
    core: Core,
    policy: &Policy,
    ram: usize,
) -> Result<Vec<Stream>, CompileError> {
    let mut plain = crate::lower_all(graph, core, policy)?;
    let memory = crate::planned(&mut plain).map_err(CompileError::Options)?;
    let mut best = (memory.arena_bytes, Vec::new());
    let (mut limit, mut spare) = (ram, 0);
    let mut spares = SPARE.into_iter();
    for at in 0..TRIES + SPARE.len() {
        if best.0 <= ram {
            break;
        }
        let found = stream::find(&plain, limit, spare);
        let trial = Policy { streams: found.streams.clone(), ..policy.clone() };
        let mut lowering = crate::lower_all(graph, core, &trial)?;
        let arena = crate::planned(&mut lowering).map_err(CompileError::Options)?.arena_bytes;
        if arena < best.0 {
            best = (arena, found.streams);
        }
        if found.need <= found.least {
            // A little is lost in most arenas, and plans take time.
            let much = best.0 > found.need + found.need / 64 + 8;
            let Some(next) = spares.next().filter(|_| much) else { break };
            spare = next;
            continue;
        }
        // What is lost between pieces has to be saved elsewhere; the last of the tries is for the least.
        let left = TRIES.saturating_sub(at + 1).max(1);
        let step = (found.need - found.least).div_ceil(left);
        limit = found.need.saturating_sub(arena.saturating_sub(ram).max(step));
    }
    Ok(best.1)
}

/// Cycles of every step, estimated for the core; 0 where nothing is known.
fn cycles(lowering: &Lowering<'_>, core: Core) -> Vec<u64> {
    let each = |cost: Option<Cost>| cost.map_or(0, |c| c.cycles as u64);
    estimate::steps(lowering, core).into_iter().map(each).collect()
}

/// The first budget that is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shortage {
    Ram,
    Flash,
    Time,
}

fn shortage(
    lowering: &Lowering<'_>,
    memory: &Memory,
    core: Core,
    goals: &Goals,
) -> Option<Shortage> {
    let flash = lowering.unit.constant_bytes() + lowering.code_estimate();
    let time = || cycles(lowering, core).iter().sum::<u64>();
    if goals.ram.is_some_and(|b| b > 0 && memory.arena_bytes > b) {
        Some(Shortage::Ram)
    } else if goals.flash.is_some_and(|b| flash > b) {
        Some(Shortage::Flash)
    } else if goals.cycles.is_some_and(|b| time() > b.cycles) {
        Some(Shortage::Time)
    } else {
        None
    }
}

type Change = (NodeId, paring_cortex_m_kernels::Coding, String);

impl Shortage {
    /// The change of one layer's coding that gains most for what it costs. A layer that another budget has
    /// decided stays.
    fn change(
        self,
        lowering: &Lowering<'_>,
        memory: &Memory,
        decided: &BTreeMap<NodeId, Self>,
    ) -> Option<Change> {
        let peak = memory.live.iter().copied().max().unwrap_or(0);
        let mut best: Option<(f64, Change)> = None;
        for (at, step) in lowering.steps.iter().enumerate() {
            let Some(choice) = &step.choice else { continue };
            let Some(now) = choice.chosen() else { continue };
            if decided.get(&step.node).is_some_and(|&by| by != self) {
                continue;
            }
            for other in choice.candidates.iter().filter(|c| c.coding != now.coding) {
                let less = |a: u64, b: u64| a.saturating_sub(b) as f64;
                let gain = match self {
                    Self::Ram if memory.live.get(at) == Some(&peak) => {
                        less(now.scratch as u64, other.scratch as u64)
                    }
                    Self::Ram => 0.0,
                    Self::Flash => {
                        less(now.bytes as u64, other.bytes as u64)
                            / (1.0 + less(other.cycles, now.cycles))
                    }
                    Self::Time => {
                        less(now.cycles, other.cycles)
                            / (1.0 + less(other.bytes as u64, now.bytes as u64))
                    }
                };
                if gain > best.as_ref().map_or(0.0, |b| b.0) {
                    best = Some((gain, (step.node, other.coding, self.why(now, other))));
                }
            }
        }
        best.map(|b| b.1)
    }

    /// What does not fit, where, and what would help.
    fn report(
        self,
        lowering: &Lowering<'_>,
        memory: &Memory,
        core: Core,
        goals: &Goals,
    ) -> Shortfall {
        match self {
            Self::Ram => budget::ram(lowering, memory, goals.ram.unwrap_or(0)),
            Self::Flash => budget::flash(lowering, goals.flash.unwrap_or(0)),
            Self::Time => {
                let limit = goals.cycles.unwrap_or(Latency { cycles: 0, clock: None });
                budget::latency(lowering, &cycles(lowering, core), limit)
            }
        }
    }

    fn why(self, now: &Candidate, other: &Candidate) -> String {
        let budget = match self {
            Self::Ram => "RAM",
            Self::Flash => "flash",
            Self::Time => "latency",
        };
        format!(
            "the {budget} budget asks for {} instead of {}: {} bytes instead of {}, about {} cycles instead of {}",
            other.coding.name(),
            now.coding.name(),
            other.bytes,
            now.bytes,
            other.cycles,
            now.cycles
        )
    }
}

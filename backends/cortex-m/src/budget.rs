//! Budgets: what is asked for, and the choices that meet it.

use paring_backend::{CompileError, CompileOptions};
use paring_cortex_m_kernels::Isa;
use paring_ir::Verified;

use crate::choose::{Candidate, Optimize, Policy};
use crate::lower::{Lowering, Step};
use crate::memory::{self, Memory};

/// What is asked of a compilation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Goals {
    pub optimize: Optimize,
    /// Bytes of flash.
    pub flash: Option<u64>,
    /// Bytes of the arena.
    pub ram: Option<u64>,
    /// Cycles of a run.
    pub cycles: Option<u64>,
}

/// A number with an optional `k` or `M`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (digits, unit) = match text.chars().last()? {
        'k' | 'K' => (text.get(..text.len() - 1)?, 1e3),
        'M' => (text.get(..text.len() - 1)?, 1e6),
        _ => (text, 1.0),
    };
    digits.trim().parse::<f64>().ok().map(|n| n * unit).filter(|n| n.is_finite() && *n >= 0.0)
}

/// Cycles, from `8M` or `20ms@120MHz`.
fn latency(text: &str) -> Option<u64> {
    let Some((time, clock)) = text.split_once('@') else {
        return number(text).map(|n| n as u64);
    };
    let time = time.trim();
    let seconds = match (time.strip_suffix("ms"), time.strip_suffix("us"), time.strip_suffix('s')) {
        (Some(t), ..) => number(t)? / 1e3,
        (_, Some(t), _) => number(t)? / 1e6,
        (_, _, Some(t)) => number(t)?,
        _ => return None,
    };
    let hertz = number(clock.trim().strip_suffix("Hz")?)?;
    Some((seconds * hertz) as u64)
}

impl Goals {
    pub fn parse(options: &CompileOptions) -> Result<Self, String> {
        let mut goals = Self::default();
        for (key, value) in &options.settings {
            let bytes = || {
                let wrong = || format!("`{key} = {value}`: expected bytes, such as 65536 or 64k");
                number(value).map(|n| n as u64).ok_or_else(wrong)
            };
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
                "ram" => goals.ram = Some(bytes()?),
                "latency" => {
                    let wrong = || {
                        format!("`latency = {value}`: expected cycles (8M) or a time (20ms@120MHz)")
                    };
                    goals.cycles = Some(latency(value).ok_or_else(wrong)?);
                }
                _ => {
                    return Err(format!(
                        "unknown setting `{key}`; known: flash, latency, optimize, ram"
                    ));
                }
            }
        }
        Ok(goals)
    }
}

/// Chooses codings until the budgets are met.
pub(crate) fn meet(graph: &Verified<'_>, isa: Isa, goals: &Goals) -> Result<Policy, CompileError> {
    let mut policy = Policy { optimize: goals.optimize, ..Policy::default() };
    let layers = graph.order().len();
    // Every round decides at least one layer for good, in each direction at most once.
    for _ in 0..=2 * layers {
        let (change, failure) = {
            let lowering = crate::lower_all(graph, isa, &policy)?;
            let memory = memory::plan(&lowering).map_err(CompileError::Options)?;
            let Some(short) = shortage(&lowering, &memory, goals) else { return Ok(policy) };
            let change = short.change(&lowering, &memory, &policy);
            (change, change_failed(short, &lowering, &memory, goals))
        };
        match change {
            Some((node, coding, why)) => {
                policy.decided.insert(node, (coding, why));
            }
            None => return Err(CompileError::Budget(failure)),
        }
    }
    Err(CompileError::Budget("the budgets contradict each other".into()))
}

/// The first budget that is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shortage {
    Ram,
    Flash,
    Time,
}

fn shortage(lowering: &Lowering<'_>, memory: &Memory, goals: &Goals) -> Option<Shortage> {
    let over = |budget: Option<u64>, value: u64| budget.is_some_and(|b| value > b);
    let flash = (lowering.unit.constant_bytes() + lowering.code_estimate()) as u64;
    if over(goals.ram, memory.arena_bytes as u64) {
        Some(Shortage::Ram)
    } else if over(goals.flash, flash) {
        Some(Shortage::Flash)
    } else if over(goals.cycles, lowering.cost().cycles) {
        Some(Shortage::Time)
    } else {
        None
    }
}

type Change = (paring_ir::NodeId, paring_cortex_m_kernels::Coding, String);

impl Shortage {
    /// The change of one layer's coding that gains most for what it costs. A layer that a budget has
    /// decided stays.
    fn change(self, lowering: &Lowering<'_>, memory: &Memory, policy: &Policy) -> Option<Change> {
        let peak = memory.live.iter().copied().max().unwrap_or(0);
        let mut best: Option<(f64, Change)> = None;
        for (at, step) in lowering.steps.iter().enumerate() {
            let Some(choice) = &step.choice else { continue };
            let Some(now) = choice.chosen() else { continue };
            if policy.decided.contains_key(&step.node) {
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

/// What does not fit, where, and what would help.
fn change_failed(
    short: Shortage,
    lowering: &Lowering<'_>,
    memory: &Memory,
    goals: &Goals,
) -> String {
    let graph = lowering.graph;
    let name = |step: &Step| graph.node(step.node).name.clone();
    let largest = |key: &dyn Fn(usize, &Step) -> u64| {
        let mut all: Vec<(u64, String)> =
            lowering.steps.iter().enumerate().map(|(i, s)| (key(i, s), name(s))).collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        all.truncate(3);
        all
    };
    let list = |all: &[(u64, String)], unit: &str| {
        all.iter().map(|(n, name)| format!("\n  `{name}`: {n} {unit}")).collect::<String>()
    };
    match short {
        Shortage::Ram => {
            let peak = memory.live.iter().copied().max().unwrap_or(0);
            let at = memory.live.iter().position(|&l| l == peak).unwrap_or(0);
            let mut text = format!(
                "the arena takes {} bytes, {} are allowed; no plan for this order of layers takes less than {}.",
                memory.arena_bytes,
                goals.ram.unwrap_or(0),
                memory.lower_bound
            );
            if let Some(step) = lowering.steps.get(at) {
                text += &format!("\nMost is in use during `{}`:", name(step));
                for call in &step.calls {
                    let values = call.inputs.iter().filter_map(|o| match o {
                        crate::lower::Operand::Value(v) => Some(*v),
                        crate::lower::Operand::Const(_) => None,
                    });
                    for value in values.chain([call.output]) {
                        let bytes = graph.ty(value).byte_len().unwrap_or(0);
                        text += &format!(
                            "\n  `{}` {}: {bytes} bytes",
                            graph.value(value).name,
                            graph.ty(value).shape
                        );
                    }
                    if call.kernel.scratch_bytes > 0 {
                        text += &format!("\n  scratch: {} bytes", call.kernel.scratch_bytes);
                    }
                }
            }
            text + "\nRemedy: a smaller input, fewer channels there (structured pruning), or a larger stride before it."
        }
        Shortage::Flash => {
            let constants = lowering.unit.constant_bytes();
            format!(
                "constants take {constants} bytes and the code about {}; {} bytes of flash are allowed. The largest layers:{}\n\
                 Remedy: cluster their weights to 16 values or quantize them to 4 bits (half the bytes), or prune blocks of 4x4; \
                 `--optimize size` uses every coding there is.",
                lowering.code_estimate(),
                goals.flash.unwrap_or(0),
                list(&largest(&|_, s| s.constant_bytes as u64), "bytes"),
            )
        }
        Shortage::Time => format!(
            "a run takes about {} cycles, {} are allowed. The slowest layers:{}\n\
             Remedy: prune their channels or blocks of 4x4, or a target with more arithmetic (cortex-m55).",
            lowering.cost().cycles,
            goals.cycles.unwrap_or(0),
            list(&largest(&|_, s| s.cost().cycles), "cycles"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{latency, number};

    #[test]
    fn budgets_read() {
        assert_eq!(number("64k"), Some(64_000.0));
        assert_eq!(number("65536"), Some(65_536.0));
        assert_eq!(latency("8M"), Some(8_000_000));
        assert_eq!(latency("20ms@120MHz"), Some(2_400_000));
        assert_eq!(latency("20ms"), None);
        assert_eq!(number("-3"), None);
    }
}

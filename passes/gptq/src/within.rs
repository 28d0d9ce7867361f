//! Bits for each layer within what a target has.

use crate::bits::Budgets;
use crate::budget::{Measured, sizes};
use paring_ir::{Graph, NodeId};
use paring_layerwise::budgets::{Way, solve};
use paring_layerwise::decibels;
use paring_pass::{Estimate, LayerEstimate, PassContext, PassError};

/// How often budgets are tightened where layers take more together than each for itself.
const TRIES: usize = 8;

/// One budget that adds up over layers.
struct Budget {
    name: &'static str,
    unit: &'static str,
    /// What is allowed to the whole network.
    allowed: u64,
    /// What one layer takes of it with each number of bits.
    each: Vec<Vec<u64>>,
    /// What everything else takes.
    rest: u64,
    /// What the whole network takes by an estimate.
    whole: fn(&Estimate) -> u64,
}

/// The number of bits of each layer: the choice whose errors add up to the least, with every budget met by the estimate
/// of the target's backend.
///
/// Bytes and cycles of layers add up. The most memory is in use during one layer: numbers of bits with which a
/// layer alone is over that budget are left out. What is chosen is then estimated as a whole; where that is over a budget,
/// because layers share code or memory is planned differently, the budget is tightened by as much.
pub(crate) fn assign(
    budgets: &Budgets,
    measured: &Measured,
    graph: &Graph,
    layers: &[NodeId],
    cx: &mut PassContext<'_>,
) -> Result<Vec<u32>, PassError> {
    let (target, of) = (budgets.target.as_str(), &measured.of);
    let host = cx.host();
    let with = |chosen: &[usize]| -> Result<Estimate, PassError> {
        let mut whole = graph.clone();
        for ((id, rounded), k) in layers.iter().zip(&measured.rounded).zip(chosen) {
            if let Some(choice) = &rounded[*k] {
                let patch = choice.clone().patch(&whole, *id)?.0;
                whole.apply(patch)?;
            }
        }
        host.estimate(target, &whole)
    };
    let alike: Vec<Estimate> =
        (0..of.len()).map(|k| with(&vec![k; layers.len()])).collect::<Result<_, _>>()?;
    let names: Vec<&str> = layers.iter().map(|id| graph.node(*id).name.as_str()).collect();
    let layer = |k: usize, name: &str| alike[k].layers.iter().find(|l| l.name == name);
    let budget =
        |name, unit, allowed, own: fn(&LayerEstimate) -> u64, whole: fn(&Estimate) -> u64| {
            let each: Vec<Vec<u64>> = names
                .iter()
                .map(|name| (0..of.len()).map(|k| layer(k, name).map_or(0, own)).collect())
                .collect();
            let others = |k: usize| {
                let layers: u64 = each.iter().map(|own| own[k]).sum();
                whole(&alike[k]).saturating_sub(layers)
            };
            let rest = (0..of.len()).map(others).max().unwrap_or(0);
            Budget { name, unit, allowed, each, rest, whole }
        };
    let [flash, ram] = budgets.bytes()?;
    let mut all = Vec::new();
    if let Some(allowed) = flash {
        all.push(budget("flash", "bytes", allowed, |l| l.weight_bytes, |e| e.flash_bytes));
    }
    if let Some(aim) = &budgets.latency {
        let most = alike.last().map_or(Ok(0), |e| e.known_cycles(target))?;
        let own = |l: &LayerEstimate| l.cycles.unwrap_or(0);
        all.push(budget("latency", "cycles", aim.cycles(most)?, own, |e| e.cycles.unwrap_or(0)));
    }
    let sizes = sizes(graph, layers);
    let total: u64 = sizes.iter().sum();
    // Where memory is short, the fewest bytes in use at a layer have to do.
    let fits = |i: usize, k: usize| {
        let live = |k: usize| layer(k, names[i]).map_or(0, |l| l.ram_bytes);
        let least = (0..of.len()).map(live).min().unwrap_or(0);
        ram.is_none_or(|ram| live(k) <= ram.max(least))
    };
    let ways: Vec<Vec<usize>> =
        (0..layers.len()).map(|i| (0..of.len()).filter(|k| fits(i, *k)).collect()).collect();
    let items: Vec<Vec<Way>> = (0..layers.len())
        .map(|i| {
            let way = |k: &usize| {
                let mut weights: Vec<u64> = all.iter().map(|b| b.each[i][*k]).collect();
                if budgets.average.is_some() {
                    weights.push(u64::from(of[*k]) * sizes[i]);
                }
                Way { weights, loss: measured.losses[i][*k] }
            };
            ways[i].iter().map(way).collect()
        })
        .collect();
    let mut tightened = vec![0_u64; all.len()];
    let short = || {
        let mut said: Vec<String> = all
            .iter()
            .map(|b| {
                let least = alike.iter().map(b.whole).min().unwrap_or(0);
                format!("{} of {} {}, of which {} are there", b.name, least, b.unit, b.allowed)
            })
            .collect();
        if let Some(ram) = ram {
            let least = alike.iter().map(|e| e.ram_bytes).min().unwrap_or(0);
            said.push(format!("ram of {least} bytes, of which {ram} are there"));
        }
        let same = "with the same bits everywhere the network takes at least";
        PassError::Input(format!(
            "no choice of bits keeps all budgets of `{target}`; {same} {}",
            said.join("; ")
        ))
    };
    for _ in 0..TRIES {
        let mut capacities = Vec::with_capacity(all.len() + 1);
        for (budget, less) in all.iter().zip(&tightened) {
            let left = budget.allowed.checked_sub(budget.rest + less);
            capacities.push(left.ok_or_else(short)?);
        }
        if let Some(average) = budgets.average {
            capacities.push((average * total as f64).floor() as u64);
        }
        let found = solve(&items, &capacities).ok_or_else(short)?;
        let chosen: Vec<usize> = found.chosen.iter().zip(&ways).map(|(w, own)| own[*w]).collect();
        let whole = with(&chosen)?;
        let mut over = false;
        for (budget, less) in all.iter().zip(&mut tightened) {
            let excess = (budget.whole)(&whole).saturating_sub(budget.allowed);
            *less += excess;
            over |= excess > 0;
        }
        if over {
            continue;
        }
        if ram.is_some_and(|ram| whole.ram_bytes > ram) {
            return Err(short());
        }
        let used: u64 = chosen.iter().zip(&sizes).map(|(k, size)| u64::from(of[*k]) * size).sum();
        let mut takes: Vec<String> = all
            .iter()
            .map(|b| format!("{} {} of {}", (b.whole)(&whole), b.unit, b.allowed))
            .collect();
        if let Some(ram) = ram {
            takes.push(format!("RAM {} of {ram}", whole.ram_bytes));
        }
        let proof = if found.bound < found.loss {
            let more = 100.0 * (found.loss / found.bound.max(1e-300) - 1.0);
            format!("no choice is better by more than {more:.2} %")
        } else {
            "no choice is better".to_owned()
        };
        let less: Vec<String> = all
            .iter()
            .zip(&tightened)
            .filter(|(_, less)| **less > 0)
            .map(|(b, less)| format!("{less} {} less than is allowed", b.unit))
            .collect();
        let less = match less.as_slice() {
            [] => String::new(),
            less => format!(
                " (for a choice of {}, since layers take more together than each for itself)",
                less.join(" and ")
            ),
        };
        cx.note(format!(
            "`{target}`: about {}; {:.3} bits a weight on average; {proof} if the errors of layers add up{less}: \
             together {:.1} dB below the result",
            takes.join(", "),
            used as f64 / total.max(1) as f64,
            decibels(1.0, found.loss)
        ));
        return Ok(chosen.iter().map(|k| of[*k]).collect());
    }
    Err(short())
}

//! Places blocks of memory in one arena: blocks that live at different times share bytes, and an
//! operation's output may lie over an input as far as its kernel allows.
//!
//! ```
//! use paring_backend::planner::{Block, Nearness, Rule, plan};
//!
//! // A chain of three values; the second operation may write over its input.
//! let blocks = [Block::new(100, 0, 0), Block::new(60, 0, 1), Block::new(40, 1, 2)];
//! let rules = [Rule { input: 1, output: 2, nearness: Nearness::AtLeast(0) }];
//! let plan = plan(&blocks, &rules);
//! assert_eq!(plan.size, 160);
//! assert!(plan.is_optimal());
//! ```

use std::collections::HashMap;

/// Offsets are multiples of this.
pub const ALIGNMENT: usize = 4;

/// A piece of memory and when it is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Bytes.
    pub size: usize,
    /// The first step that uses it.
    pub first: usize,
    /// The last step that uses it.
    pub last: usize,
}

impl Block {
    /// A block of `size` bytes in use from step `first` through step `last`.
    #[must_use]
    pub fn new(size: usize, first: usize, last: usize) -> Self {
        Self { size, first, last }
    }

    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// How an output may lie over an input that dies with the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// The input begins at least this many bytes above the output.
    AtLeast(i64),
    /// Both begin at the same offset.
    Same,
    /// The input begins at least this many bytes above the output wherever they lie: what lies between is
    /// used.
    Below(i64),
    /// The output begins at least this many bytes above the input, likewise.
    Above(i64),
}

impl Nearness {
    /// Whether an input that begins `distance` bytes above its output is where it may be; `apart` if the two
    /// share no byte.
    fn allows(self, distance: i64, apart: bool) -> bool {
        match self {
            Self::AtLeast(d) => apart || distance >= d,
            Self::Same => apart || distance == 0,
            Self::Below(d) => distance >= d,
            Self::Above(d) => -distance >= d,
        }
    }

    /// The fewest bytes that both take.
    fn both(self, input: i64, output: i64) -> i64 {
        let least = match self {
            Self::AtLeast(d) | Self::Below(d) => input + d,
            Self::Above(d) => output + d,
            Self::Same => 0,
        };
        least.max(input).max(output).min(input + output)
    }
}

/// Permission for two blocks to overlap although both are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Index of the input's block; its last step is the output's first.
    pub input: usize,
    /// Index of the output's block.
    pub output: usize,
    /// How near they may be.
    pub nearness: Nearness,
}

/// Where every block lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// An offset for each block.
    pub offsets: Vec<usize>,
    /// Bytes of the arena.
    pub size: usize,
    /// No plan for this order of steps is smaller than this.
    pub lower_bound: usize,
}

impl Plan {
    /// Whether the plan is proved to be the smallest.
    #[must_use]
    pub fn is_optimal(&self) -> bool {
        self.size == self.lower_bound
    }
}

/// How many orders of placement are tried beyond the first few.
const TRIES: usize = 6000;
/// Places that may be compared in all: fewer orders are tried where very many blocks are in use at once.
const WORK: usize = 200_000_000;

struct Problem {
    /// Sizes rounded up.
    sizes: Vec<i64>,
    /// Blocks in use at the same time.
    meets: Vec<Vec<usize>>,
    /// For pairs that may overlap: input, output, nearness with the distance rounded up.
    rules: Vec<Rule>,
    /// Where the rule of a pair is, the lower block first.
    rule_of: HashMap<(usize, usize), usize>,
}

impl Problem {
    fn new(blocks: &[Block], rules: &[Rule]) -> Self {
        let round = |n: usize| n.next_multiple_of(ALIGNMENT) as i64;
        let meets = blocks
            .iter()
            .enumerate()
            .map(|(i, a)| {
                let near = |&(j, b): &(usize, &Block)| i != j && a.meets(b) && b.size > 0;
                blocks.iter().enumerate().filter(near).map(|(j, _)| j).collect()
            })
            .collect();
        let step = ALIGNMENT as i64;
        let rules: Vec<Rule> = rules
            .iter()
            .filter(|r| {
                let (input, output) = (blocks.get(r.input), blocks.get(r.output));
                input.zip(output).is_some_and(|(i, o)| i.last == o.first && r.input != r.output)
            })
            .map(|r| {
                let up = |d: i64| {
                    let up = d.max(0).div_euclid(step) * step;
                    if up < d { up + step } else { up }
                };
                let nearness = match r.nearness {
                    Nearness::AtLeast(d) => Nearness::AtLeast(up(d)),
                    Nearness::Below(d) => Nearness::Below(up(d)),
                    Nearness::Above(d) => Nearness::Above(up(d)),
                    Nearness::Same => Nearness::Same,
                };
                Rule { nearness, ..*r }
            })
            .collect();
        let mut rule_of = HashMap::new();
        for (at, rule) in rules.iter().enumerate() {
            let pair = (rule.input.min(rule.output), rule.input.max(rule.output));
            rule_of.entry(pair).or_insert(at);
        }
        Self { sizes: blocks.iter().map(|b| round(b.size)).collect(), meets, rules, rule_of }
    }

    fn rule(&self, a: usize, b: usize) -> Option<&Rule> {
        self.rules.get(*self.rule_of.get(&(a.min(b), a.max(b)))?)
    }

    /// Whether block `a` at `at` is compatible with block `b` at `other`.
    fn fits(&self, a: usize, at: i64, b: usize, other: i64) -> bool {
        let apart = at + self.sizes[a] <= other || other + self.sizes[b] <= at;
        self.rule(a, b).map_or(apart, |r| {
            r.nearness.allows(if r.input == a { at - other } else { other - at }, apart)
        })
    }

    /// Places blocks one after another, each as low as it goes beside those already placed.
    /// `work` counts comparisons.
    fn place(&self, order: &[usize], limit: i64, work: &mut usize) -> Option<(Vec<i64>, i64)> {
        let mut offsets = vec![-1; self.sizes.len()];
        let mut top = 0;
        let mut candidates = Vec::new();
        for &a in order {
            let placed: Vec<usize> =
                self.meets[a].iter().copied().filter(|&b| offsets[b] >= 0).collect();
            candidates.clear();
            candidates.push(0);
            for &b in &placed {
                candidates.push(offsets[b] + self.sizes[b]);
                if let Some(rule) = self.rule(a, b) {
                    let lower = match rule.nearness {
                        Nearness::Same => 0,
                        Nearness::AtLeast(d) | Nearness::Below(d) => d,
                        Nearness::Above(d) => -d,
                    };
                    let sign = if rule.input == a { 1 } else { -1 };
                    candidates.push(offsets[b] + sign * lower);
                }
            }
            candidates.retain(|&c| c >= 0);
            candidates.sort_unstable();
            candidates.dedup();
            *work += placed.len() * candidates.len().min(32);
            let fits = |&&at: &&i64| placed.iter().all(|&b| self.fits(a, at, b, offsets[b]));
            let at = *candidates.iter().find(fits)?;
            offsets[a] = at;
            top = top.max(at + self.sizes[a]);
            if top >= limit {
                return None;
            }
        }
        Some((offsets, top))
    }

    /// The most that any step needs even if its own output overlaps its inputs as far as it may.
    fn lower_bound(&self, blocks: &[Block]) -> i64 {
        let steps = blocks.iter().map(|b| b.last).max().unwrap_or(0);
        (0..=steps)
            .map(|step| {
                let live = |i: usize| blocks[i].first <= step && step <= blocks[i].last;
                let sum: i64 = (0..blocks.len()).filter(|&i| live(i)).map(|i| self.sizes[i]).sum();
                let saved = self
                    .rules
                    .iter()
                    .filter(|r| live(r.input) && live(r.output))
                    .map(|r| {
                        let (input, output) = (self.sizes[r.input], self.sizes[r.output]);
                        // Several inputs may each share with the output; count every saving.
                        input + output - r.nearness.both(input, output)
                    })
                    .sum::<i64>();
                sum - saved
            })
            .max()
            .unwrap_or(0)
    }
}

/// Finds offsets for all blocks such that blocks in use at the same time do not overlap, except as
/// `rules` allow. Deterministic; tries to reach the lower bound and keeps the best it finds.
#[must_use]
pub fn plan(blocks: &[Block], rules: &[Rule]) -> Plan {
    let problem = Problem::new(blocks, rules);
    let bound = problem.lower_bound(blocks).max(0);
    let n = blocks.len();
    let real: Vec<usize> = (0..n).filter(|&i| blocks[i].size > 0).collect();
    let mut orders: Vec<Vec<usize>> = Vec::new();
    let mut sorted = |key: &dyn Fn(usize) -> (i64, i64)| {
        let mut order = real.clone();
        order.sort_by_key(|&i| key(i));
        orders.push(order);
    };
    let span = |i: usize| (blocks[i].last - blocks[i].first) as i64;
    sorted(&|i| (-problem.sizes[i], blocks[i].first as i64));
    sorted(&|i| (blocks[i].first as i64, -problem.sizes[i]));
    sorted(&|i| (-(blocks[i].last as i64), -problem.sizes[i]));
    sorted(&|i| (-problem.sizes[i] * (span(i) + 1), 0));
    sorted(&|i| (-span(i), -problem.sizes[i]));

    let mut work = 0;
    let mut best: Option<(Vec<i64>, i64)> = None;
    let mut best_order = real.clone();
    for order in orders {
        let limit = best.as_ref().map_or(i64::MAX, |b| b.1);
        if let Some(found) = problem.place(&order, limit, &mut work) {
            best = Some(found);
            best_order = order;
        }
    }
    // Exchange and move blocks of the best order; accept equal sizes to wander.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound.max(1) as u64) as usize
    };
    for _ in 0..if real.len() > 1 { TRIES } else { 0 } {
        let top = best.as_ref().map_or(i64::MAX, |b| b.1);
        if top <= bound || work > WORK {
            break;
        }
        let mut order = best_order.clone();
        for _ in 0..=random(2) {
            let (from, to) = (random(order.len()), random(order.len()));
            let moved = order.remove(from);
            order.insert(to, moved);
        }
        if let Some(found) = problem.place(&order, top.saturating_add(1), &mut work) {
            best = Some(found);
            best_order = order;
        }
    }
    let (offsets, size) = best.unwrap_or_default();
    let mut plan = Plan {
        offsets: offsets.into_iter().map(|o| o.max(0) as usize).collect(),
        size: size.max(0) as usize,
        lower_bound: bound as usize,
    };
    plan.offsets.resize(n, 0);
    plan
}

/// Checks a plan against its blocks and rules; the first pair that collides.
///
/// # Errors
/// The indices of two blocks that overlap without permission.
pub fn check(plan: &Plan, blocks: &[Block], rules: &[Rule]) -> Result<(), (usize, usize)> {
    for (i, a) in blocks.iter().enumerate() {
        for (j, b) in blocks.iter().enumerate().skip(i + 1) {
            let (x, y) = (plan.offsets[i], plan.offsets[j]);
            if !a.meets(b) || a.size == 0 || b.size == 0 {
                continue;
            }
            let apart = x + a.size <= y || y + b.size <= x;
            let pair = |r: &&Rule| [(i, j), (j, i)].contains(&(r.input, r.output));
            if apart && !rules.iter().any(|r| pair(&r)) {
                continue;
            }
            let allowed = rules.iter().any(|r| {
                let distance = if (r.input, r.output) == (i, j) {
                    x as i64 - y as i64
                } else if (r.output, r.input) == (i, j) {
                    y as i64 - x as i64
                } else {
                    return false;
                };
                let meet = blocks[r.input].last == blocks[r.output].first;
                if meet { r.nearness.allows(distance, apart) } else { apart }
            });
            if !allowed {
                return Err((i, j));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(blocks: &[Block], rules: &[Rule]) -> Plan {
        let plan = plan(blocks, rules);
        assert_eq!(check(&plan, blocks, rules), Ok(()));
        for (block, offset) in blocks.iter().zip(&plan.offsets) {
            assert!(offset % ALIGNMENT == 0);
            assert!(block.size == 0 || offset + block.size <= plan.size);
        }
        assert!(plan.lower_bound <= plan.size);
        plan
    }

    #[test]
    fn a_chain_needs_its_widest_step() {
        let sizes = [3072, 16384, 16384, 8192, 8192, 640];
        let blocks: Vec<Block> =
            sizes.iter().enumerate().map(|(i, &s)| Block::new(s, i, i + 1)).collect();
        let plan = checked(&blocks, &[]);
        assert_eq!((plan.size, plan.is_optimal()), (32768, true));
    }

    #[test]
    fn an_output_slides_under_its_input() {
        let blocks = [Block::new(1000, 0, 1), Block::new(1000, 1, 2), Block::new(1000, 2, 3)];
        let near = |input, output, d| Rule { input, output, nearness: Nearness::AtLeast(d) };
        let rules = [near(0, 1, 98), near(1, 2, 0)];
        let plan = checked(&blocks, &rules);
        assert_eq!(plan.size, 1100);
        assert!(plan.offsets[0] >= plan.offsets[1] + 98);
    }

    #[test]
    fn what_lies_between_is_kept() {
        let blocks = [Block::new(1000, 0, 1), Block::new(700, 1, 2), Block::new(2000, 2, 2)];
        for (nearness, order) in [(Nearness::Above(400), 1), (Nearness::Below(100), -1)] {
            let rules = [Rule { input: 0, output: 1, nearness }];
            let plan = checked(&blocks, &rules);
            assert_eq!((plan.size, plan.is_optimal()), (2700, true));
            let above = plan.offsets[1] as i64 - plan.offsets[0] as i64;
            assert!(above * order >= if order > 0 { 400 } else { 100 }, "{nearness:?}: {plan:?}");
            let both = Plan { offsets: vec![1000, 0, 700], ..plan.clone() };
            assert_eq!(check(&both, &blocks, &rules).is_ok(), order < 0);
        }
    }

    #[test]
    fn the_same_place_or_none() {
        let blocks = [Block::new(100, 0, 1), Block::new(25, 1, 2), Block::new(10, 1, 1)];
        let rules = [Rule { input: 0, output: 1, nearness: Nearness::Same }];
        let plan = checked(&blocks, &rules);
        assert_eq!(plan.size, 112);
    }

    #[test]
    fn random_problems_give_sound_plans() {
        let mut state = 7_u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..200 {
            let steps = 2 + random(12) as usize;
            let blocks: Vec<Block> = (0..2 + random(14))
                .map(|_| {
                    let first = random(steps as u64) as usize;
                    Block::new(random(500) as usize, first, first + random(4) as usize)
                })
                .collect();
            let mut rules = Vec::new();
            for input in 0..blocks.len() {
                for output in 0..blocks.len() {
                    if blocks[input].last == blocks[output].first && random(2) == 0 {
                        let nearness = match random(3) {
                            0 => Nearness::Same,
                            d => Nearness::AtLeast(d as i64 * 37),
                        };
                        rules.push(Rule { input, output, nearness });
                    }
                }
            }
            let free = checked(&blocks, &[]);
            let near = checked(&blocks, &rules);
            assert!(near.lower_bound <= free.lower_bound);
        }
    }
}

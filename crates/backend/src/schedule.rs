//! The order of steps that needs the least memory: exact for graphs whose sets of done steps can be
//! searched, bounded from below beyond.
//!
//! ```
//! use paring_backend::schedule::{Piece, Task, schedule};
//!
//! // Two branches of one input; doing the one that shrinks first is cheaper.
//! let pieces = [Piece::input(10), Piece::new(100), Piece::new(4), Piece::new(8), Piece::output(4)];
//! let tasks = [
//!     Task { reads: vec![0], writes: Some(1), ..Task::default() },
//!     Task { reads: vec![0], writes: Some(3), ..Task::default() },
//!     Task { reads: vec![1], writes: Some(2), after: vec![0], ..Task::default() },
//!     Task { reads: vec![2, 3], writes: Some(4), after: vec![1, 2], ..Task::default() },
//! ];
//! let found = schedule(&pieces, &tasks);
//! assert_eq!((found.peak, found.lower_bound), (114, 114));
//! assert_eq!(found.order, [0, 2, 1, 3]);
//! ```

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// A block of memory that tasks read and write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes.
    pub bytes: usize,
    /// Whether it is there before the first task.
    pub from_start: bool,
    /// Whether it has to hold after the last task.
    pub to_end: bool,
}

impl Piece {
    /// A block that a task writes and others read.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes, from_start: false, to_end: false }
    }

    /// A block that is there from the start.
    #[must_use]
    pub fn input(bytes: usize) -> Self {
        Self { from_start: true, ..Self::new(bytes) }
    }

    /// A block that holds to the end.
    #[must_use]
    pub fn output(bytes: usize) -> Self {
        Self { to_end: true, ..Self::new(bytes) }
    }
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Tasks that have to be done before.
    pub after: Vec<usize>,
    /// Pieces it reads.
    pub reads: Vec<usize>,
    /// The piece it writes first, if it is new.
    pub writes: Option<usize>,
    /// Bytes it needs only while it runs.
    pub scratch: usize,
    /// For pieces it reads: bytes that the output may share with them if they die here.
    pub shares: Vec<(usize, usize)>,
}

/// An order of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// All tasks, each after those it needs.
    pub order: Vec<usize>,
    /// The most bytes in use at once in this order.
    pub peak: usize,
    /// No order needs less.
    pub lower_bound: usize,
}

/// Sets of done tasks, times tasks, that are looked at before the search gives way to the order as given.
const WORK: usize = 4_000_000;

type Done = Vec<u64>;

struct Search<'a> {
    pieces: &'a [Piece],
    tasks: &'a [Task],
    /// For each piece the tasks that read it.
    readers: Vec<Vec<usize>>,
}

fn has(done: &Done, task: usize) -> bool {
    done.get(task / 64).is_some_and(|word| word >> (task % 64) & 1 == 1)
}

fn with(done: &Done, task: usize) -> Done {
    let mut next = done.clone();
    if let Some(word) = next.get_mut(task / 64) {
        *word |= 1 << (task % 64);
    }
    next
}

impl Search<'_> {
    /// Whether a piece is of no use once `done` are done.
    fn dead(&self, piece: usize, done: &Done) -> bool {
        !self.pieces[piece].to_end && self.readers[piece].iter().all(|&t| has(done, t))
    }

    /// Bytes in use while `task` runs after `live` bytes were, and after it.
    fn step(&self, task: usize, live: usize, done: &Done) -> (usize, usize) {
        let t = &self.tasks[task];
        let new = t.writes.map_or(0, |piece| self.pieces[piece].bytes);
        let after = with(done, task);
        let shared = t.shares.iter().filter(|(piece, _)| self.dead(*piece, &after));
        let shared: usize = shared.map(|s| s.1).sum::<usize>().min(new);
        let during = live + new + t.scratch - shared;
        let mut touched: Vec<usize> = t.reads.iter().copied().chain(t.writes).collect();
        touched.sort_unstable();
        touched.dedup();
        let freed = touched.iter().filter(|&&p| self.dead(p, &after));
        let freed: usize = freed.map(|&p| self.pieces[p].bytes).sum();
        (during, (live + new).saturating_sub(freed))
    }

    fn peak(&self, order: &[usize]) -> usize {
        let (mut done, mut live, mut peak) = self.start();
        for &task in order {
            let (during, after) = self.step(task, live, &done);
            peak = peak.max(during);
            live = after;
            done = with(&done, task);
        }
        peak
    }

    fn start(&self) -> (Done, usize, usize) {
        let live = self.pieces.iter().filter(|p| p.from_start).map(|p| p.bytes).sum();
        (vec![0; self.tasks.len().div_ceil(64)], live, live)
    }

    /// The order with the lowest peak if there is one below `limit`; and a bound that no order is below.
    fn best(&self, limit: usize) -> (Option<Vec<usize>>, usize) {
        let (start, live, peak) = self.start();
        let n = self.tasks.len();
        // Sets by the lowest peak that leads to them, those with more tasks done first.
        let mut queue = BinaryHeap::new();
        let mut known: HashMap<Done, (usize, usize)> = HashMap::new();
        known.insert(start.clone(), (peak, usize::MAX));
        queue.push(Reverse((peak, n, start, live)));
        while let Some(Reverse((peak, left, done, live))) = queue.pop() {
            if peak >= limit {
                return (None, limit);
            }
            if left == 0 {
                return (Some(self.trace(done, &known)), peak);
            }
            if known.len() > WORK / n.max(1) {
                return (None, peak);
            }
            if known.get(&done).is_some_and(|k| k.0 < peak) {
                continue;
            }
            for (task, t) in self.tasks.iter().enumerate() {
                if has(&done, task) || !t.after.iter().all(|&before| has(&done, before)) {
                    continue;
                }
                let (during, after) = self.step(task, live, &done);
                let (next, reached) = (with(&done, task), peak.max(during));
                if known.get(&next).is_none_or(|k| reached < k.0) {
                    known.insert(next.clone(), (reached, task));
                    queue.push(Reverse((reached, left - 1, next, after)));
                }
            }
        }
        (None, limit)
    }

    fn trace(&self, mut done: Done, known: &HashMap<Done, (usize, usize)>) -> Vec<usize> {
        let mut order = Vec::new();
        while let Some(&(_, task)) = known.get(&done) {
            if task == usize::MAX {
                break;
            }
            order.push(task);
            if let Some(word) = done.get_mut(task / 64) {
                *word &= !(1 << (task % 64));
            }
        }
        order.reverse();
        order
    }
}

/// Finds an order of the tasks, which come in an order that is possible, with the lowest peak. The order as
/// given is kept where none is lower, or where the search had to end before it found one.
#[must_use]
pub fn schedule(pieces: &[Piece], tasks: &[Task]) -> Schedule {
    let mut readers = vec![Vec::new(); pieces.len()];
    for (index, task) in tasks.iter().enumerate() {
        for &piece in &task.reads {
            if let Some(all) = readers.get_mut(piece) {
                all.push(index);
            }
        }
    }
    let search = Search { pieces, tasks, readers };
    let given: Vec<usize> = (0..tasks.len()).collect();
    let peak = search.peak(&given);
    match search.best(peak) {
        (Some(order), peak) => Schedule { order, peak, lower_bound: peak },
        (None, bound) => Schedule { order: given, peak, lower_bound: bound },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lowest peak over every order.
    fn by_force(search: &Search<'_>, order: &mut Vec<usize>, best: &mut usize) {
        if order.len() == search.tasks.len() {
            *best = (*best).min(search.peak(order));
            return;
        }
        for task in 0..search.tasks.len() {
            let ready = search.tasks[task].after.iter().all(|t| order.contains(t));
            if !order.contains(&task) && ready {
                order.push(task);
                by_force(search, order, best);
                order.pop();
            }
        }
    }

    #[test]
    fn small_graphs_get_the_best_order() {
        let mut state = 11_u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 33) % n) as usize
        };
        let mut lower = 0;
        for _ in 0..120 {
            let n = 2 + random(6);
            // Piece 0 is the input, piece i + 1 what task i writes.
            let mut pieces = vec![Piece::input(random(50))];
            let mut tasks = Vec::new();
            for i in 0..n {
                let mut reads = vec![random(i as u64 + 1)];
                reads.extend((random(2) == 0).then(|| random(i as u64 + 1)));
                reads.dedup();
                let after = reads.iter().filter(|&&p| p > 0).map(|&p| p - 1).collect();
                let shares = if random(2) == 0 { vec![(reads[0], random(30))] } else { vec![] };
                pieces.push(Piece::new(1 + random(100)));
                tasks.push(Task { after, reads, writes: Some(i + 1), scratch: random(20), shares });
            }
            if let Some(last) = pieces.last_mut() {
                last.to_end = true;
            }
            let found = schedule(&pieces, &tasks);
            let mut readers = vec![Vec::new(); pieces.len()];
            for (i, t) in tasks.iter().enumerate() {
                t.reads.iter().for_each(|&p| readers[p].push(i));
            }
            let search = Search { pieces: &pieces, tasks: &tasks, readers };
            let mut best = usize::MAX;
            by_force(&search, &mut Vec::new(), &mut best);
            assert_eq!((found.peak, found.lower_bound), (best, best));
            assert_eq!(search.peak(&found.order), best);
            lower += usize::from(search.peak(&(0..n).collect::<Vec<_>>()) > best);
        }
        assert!(lower > 10, "few of these graphs gain from an order of their own: {lower}");
    }

    #[test]
    fn a_search_that_ends_early_still_bounds() {
        // Thirty branches off one input: far more sets than are searched.
        let mut pieces = vec![Piece::input(100)];
        let mut tasks = Vec::new();
        for i in 0..30 {
            pieces.push(Piece::new(1000 + i));
            tasks.push(Task { reads: vec![0], writes: Some(2 * i + 1), ..Task::default() });
            pieces.push(Piece::output(1));
            tasks.push(Task {
                reads: vec![2 * i + 1],
                writes: Some(2 * i + 2),
                after: vec![2 * i],
                ..Task::default()
            });
        }
        let found = schedule(&pieces, &tasks);
        assert!(found.lower_bound <= found.peak && found.lower_bound > 1000);
        assert_eq!(found.order.len(), 60);
    }
}

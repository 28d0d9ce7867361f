//! Dividing rows of work among the threads of the pool that the caller runs in.

#[cfg(feature = "threads")]
pub(crate) use pool::{divide, divide_once, divide_with, worth};
#[cfg(feature = "threads")]
pub use pool::{threads, together};

#[cfg(not(feature = "threads"))]
pub(crate) use alone::{divide, divide as divide_once, divide_with, worth};
#[cfg(not(feature = "threads"))]
pub use alone::{threads, together};

/// What it takes to copy to memory, as [`Step::work`](crate::step::Step::work) counts.
pub(crate) fn copying<T>(to: &[T]) -> usize {
    4 * size_of_val(to)
}

/// Copies `from`, of the same length.
pub fn bring(from: &[u8], to: &mut [u8]) {
    divide_once(to.len(), 1, copying(to), to, &|range, to| to.copy_from_slice(&from[range]));
}

#[cfg(feature = "threads")]
mod pool {
    use paring_crew::{MOST, share};
    use std::ops::Range;
    use std::sync::{Mutex, PoisonError};

    /// Work that is not worth a second thread that is awake, in `f32` multiply-accumulates or the like: about a third of
    /// a microsecond.
    const GRAIN: usize = 40_000;
    /// Work of a program for which waking other threads pays, and of a step where they are not kept awake.
    const AWAKE: usize = 1_000_000;
    const ALONE: usize = 3_000_000;

    /// What is left of one thread's part.
    struct Share<'a, T> {
        range: Range<usize>,
        out: &'a mut [T],
    }

    impl<T> Default for Share<'_, T> {
        fn default() -> Self {
            Self { range: 0..0, out: &mut [] }
        }
    }

    impl<'a, T> Share<'a, T> {
        /// Takes the first `n` indices off.
        fn front(&mut self, n: usize, per: usize) -> Self {
            let out = std::mem::take(&mut self.out);
            let (first, rest) = out.split_at_mut((n * per).min(out.len()));
            let mid = self.range.start + n;
            let range = self.range.start..mid;
            (self.range.start, self.out) = (mid, rest);
            Self { range, out: first }
        }

        /// Takes the last `n` indices off.
        fn back(&mut self, n: usize, per: usize) -> Self {
            let kept = self.front(self.range.len() - n, per);
            std::mem::replace(self, kept)
        }
    }

    /// Calls `f` with ranges that together are `0..count` and the part of `out` that belongs to each: `per`
    /// elements an index, the last index perhaps with fewer. `work` is what all of it takes.
    ///
    /// Each thread begins with a part of its own, the same part of each layer, so that what it wrote is in its
    /// cache; one that has done its part takes from what is left of others.
    pub(crate) fn divide<T: Send>(
        count: usize,
        per: usize,
        work: usize,
        out: &mut [T],
        f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
    ) {
        let least = (count / (work / (GRAIN / 2)).max(1)).max(1);
        divide_by(count, per, work, least, out, f);
    }

    /// As [`divide`], with a part for each thread that is done at once: for work that goes through much memory
    /// once a call.
    pub(crate) fn divide_once<T: Send>(
        count: usize,
        per: usize,
        work: usize,
        out: &mut [T],
        f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
    ) {
        match worth(work).min(count) {
            0 | 1 => f(0..count, out),
            parts if paring_crew::threads().is_some() => {
                paring_crew::divide(parts, count, per, out, f)
            }
            _ => divide_by(count, per, work, count, out, f),
        }
    }

    /// As [`divide`]; no thread takes fewer than `least` indices where there are as many.
    fn divide_by<T: Send>(
        count: usize,
        per: usize,
        work: usize,
        least: usize,
        out: &mut [T],
        f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
    ) {
        let parts = worth(work).min(count);
        if parts < 2 {
            return f(0..count, out);
        }
        let mut all = Share { range: 0..count, out };
        let shares: [Mutex<Share<'_, T>>; MOST] = std::array::from_fn(|i| {
            let n = if i < parts { count * (i + 1) / parts - count * i / parts } else { 0 };
            Mutex::new(all.front(n, per))
        });
        let take = |own: usize| {
            (0..parts).find_map(|i| {
                let other = &shares[(own + i) % parts];
                let mut other = other.lock().unwrap_or_else(PoisonError::into_inner);
                match other.range.len() {
                    0 => None,
                    // Most of it at once: each piece goes through all weights.
                    n if i == 0 => Some(other.front((n - n / 4).max(least).min(n), per)),
                    n => Some(other.back((n / 2).max(least).min(n), per)),
                }
            })
        };
        each(parts, &|own| {
            while let Some(share) = take(own) {
                f(share.range, share.out);
            }
        });
    }

    /// Calls `f` with `parts` parts of `range`, at most [`MOST`], each with as much of `scratch`.
    pub(crate) fn divide_with<S: Send, T: Send>(
        range: Range<usize>,
        per: usize,
        parts: usize,
        scratch: &mut [S],
        out: &mut [T],
        f: &(impl Fn(Range<usize>, &mut [S], &mut [T]) + Sync),
    ) {
        let parts = parts.min(range.len()).min(MOST);
        if parts < 2 {
            return f(range, scratch, out);
        }
        let lane = scratch.len() / parts;
        let (mut all, mut lanes) =
            (Share { range: range.clone(), out }, scratch.chunks_exact_mut(lane.max(1)));
        let count = range.len();
        let shares = std::array::from_fn::<_, MOST, _>(|i| {
            let n = if i < parts { count * (i + 1) / parts - count * i / parts } else { 0 };
            Mutex::new((n > 0).then(|| (all.front(n, per), lanes.next().unwrap_or_default())))
        });
        each(parts, &|own| {
            for i in 0..parts {
                let share = &shares[(own + i) % parts];
                let share = share.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some((share, scratch)) = share {
                    f(share.range, scratch, share.out);
                }
            }
        });
    }

    /// Calls `f` with 0, and with other numbers below `parts` at once where threads are free. Each call does what is left.
    fn each(parts: usize, f: &(dyn Fn(usize) + Sync)) {
        fn apart(numbers: Range<usize>, f: &(dyn Fn(usize) + Sync)) {
            if numbers.len() < 2 {
                return f(numbers.start);
            }
            let mid = numbers.start + numbers.len() / 2;
            rayon::join(|| apart(numbers.start..mid, f), || apart(mid..numbers.end, f));
        }
        if paring_crew::threads().is_some() {
            share(parts, f);
        } else {
            apart(0..parts, f);
        }
    }

    /// How many threads some work is worth.
    pub(crate) fn worth(work: usize) -> usize {
        let most = match paring_crew::threads() {
            Some(awake) => awake,
            None if work < ALONE => 1,
            None => threads().min(MOST),
        };
        (work / GRAIN).clamp(1, most)
    }

    /// The threads of the pool that the caller runs in.
    #[must_use]
    pub fn threads() -> usize {
        rayon::current_num_threads().max(1)
    }

    /// Does `f`, a sequence of steps that take `work`. Where that pays, as many threads as the pool has that the caller
    /// runs in stay awake for it.
    pub fn together<R>(work: usize, f: impl FnOnce() -> R) -> R {
        paring_crew::together(if work < AWAKE { 1 } else { threads() }, f)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_index_gets_its_part_once() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            for (count, last) in [(1, 2), (7, 3), (100, 1)] {
                let mut out = vec![0_u32; (count - 1) * 3 + last];
                let add = |range: Range<usize>, out: &mut [u32]| {
                    for (i, v) in out.iter_mut().enumerate() {
                        *v += (range.start + i / 3) as u32 + 1;
                    }
                };
                let mut all = || {
                    divide(count, 3, usize::MAX, &mut out, &add);
                    divide_once(count, 3, usize::MAX, &mut out, &add);
                    let mut scratch = [0_u8; 30];
                    divide_with(0..count, 3, 3, &mut scratch, &mut out, &|range, scratch, out| {
                        scratch.iter_mut().for_each(|s| *s += 1);
                        add(range, out);
                    });
                    assert_eq!(scratch, [1; 30]);
                };
                pool.install(|| {
                    together(usize::MAX, &mut all);
                    all();
                });
                let want: Vec<u32> = (0..out.len()).map(|i| 6 * ((i / 3) as u32 + 1)).collect();
                assert_eq!(out, want);
            }
        }

        #[test]
        fn a_program_runs_on_the_thread_that_asks() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            let id = || std::thread::current().id();
            pool.install(|| assert_eq!(together(usize::MAX, id), id()));
            assert_eq!(together(usize::MAX, id), id());
        }
    }
}

/// As with threads, all of it here.
#[cfg(not(feature = "threads"))]
mod alone {
    use std::ops::Range;

    pub(crate) fn divide<T: Send>(
        count: usize,
        _: usize,
        _: usize,
        out: &mut [T],
        f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
    ) {
        f(0..count, out);
    }

    pub(crate) fn worth(work: usize) -> usize {
        work.min(1)
    }

    /// One: there is no pool.
    #[must_use]
    pub fn threads() -> usize {
        1
    }

    pub(crate) fn divide_with<S: Send, T: Send>(
        range: Range<usize>,
        _: usize,
        _: usize,
        scratch: &mut [S],
        out: &mut [T],
        f: &(impl Fn(Range<usize>, &mut [S], &mut [T]) + Sync),
    ) {
        f(range, scratch, out);
    }

    /// Does `f`.
    pub fn together<R>(_: usize, f: impl FnOnce() -> R) -> R {
        f()
    }
}

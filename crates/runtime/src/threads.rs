//! Dividing rows of work among the threads of the pool that the caller runs in.

use std::ops::Range;

#[cfg(feature = "threads")]
pub(crate) use pool::{divide, divide_once, join, worth};
#[cfg(feature = "threads")]
pub use pool::{threads, together};

#[cfg(not(feature = "threads"))]
pub(crate) use alone::{divide, divide as divide_once, join, worth};
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

/// Calls `f` with parts of `range` as [`divide_once`] does, of which there are at most `parts`, each with as much of
/// `scratch`.
pub(crate) fn divide_with<S: Send, T: Send>(
    range: Range<usize>,
    per: usize,
    parts: usize,
    scratch: &mut [S],
    out: &mut [T],
    f: &(impl Fn(Range<usize>, &mut [S], &mut [T]) + Sync),
) {
    let parts = parts.min(range.len());
    if parts < 2 {
        return f(range, scratch, out);
    }
    let half = parts / 2;
    let mid = range.start + range.len() * half / parts;
    let (one, two) = scratch.split_at_mut(scratch.len() / parts * half);
    let (upper, lower) = out.split_at_mut(((mid - range.start) * per).min(out.len()));
    join(
        || divide_with(range.start..mid, per, half, one, upper, f),
        || divide_with(mid..range.end, per, parts - half, two, lower, f),
    );
}

#[cfg(feature = "threads")]
mod pool {
    use std::ops::Range;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};

    /// Work that is not worth a second thread that is awake, in `f32` multiply-accumulates or the like: about a
    /// microsecond.
    const GRAIN: usize = 100_000;
    /// Work of a program, or of a step alone, for which waking other threads pays.
    const AWAKE: usize = 30 * GRAIN;
    /// Most threads that share a piece of work.
    const MOST: usize = 16;
    /// How often an idle thread looks for work before it lets other programs have the processor.
    const PATIENCE: u32 = 1 << 10;

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
        let least = (count / (work / (GRAIN / 4)).max(1)).max(1);
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
        divide_by(count, per, work, count, out, f);
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
        let mut shares: [Share<'_, T>; MOST] = std::array::from_fn(|_| Share::default());
        for (i, share) in shares[..parts].iter_mut().enumerate() {
            *share = all.front(count * (i + 1) / parts - count * i / parts, per);
        }
        let shares = Mutex::new(shares);
        let take = |own: usize| {
            let mut shares = shares.lock().unwrap_or_else(PoisonError::into_inner);
            let n = shares[own].range.len();
            if n > 0 {
                // Most of it at once: each piece goes through all weights.
                return Some(shares[own].front((n - n / 4).max(least).min(n), per));
            }
            let other = shares[..parts].iter_mut().max_by_key(|s| s.range.len())?;
            let n = other.range.len();
            (n > 0).then(|| other.back((n / 2).max(least).min(n), per))
        };
        each(0..parts, &|own| {
            while let Some(share) = take(own) {
                f(share.range, share.out);
            }
        });
    }

    /// Calls `f` with each number, at once where there are threads.
    fn each(numbers: Range<usize>, f: &(impl Fn(usize) + Sync)) {
        match numbers.len() {
            0 => (),
            1 => f(numbers.start),
            n => {
                let mid = numbers.start + n / 2;
                join(|| each(numbers.start..mid, f), || each(mid..numbers.end, f));
            }
        }
    }

    /// How many threads some work is worth, of those of the pool.
    pub(crate) fn worth(work: usize) -> usize {
        let awake = work >= AWAKE || AWAKE_NOW.load(Ordering::Relaxed) > 0;
        if awake { (work / GRAIN).clamp(1, threads().min(MOST)) } else { 1 }
    }

    /// The threads of the pool that the caller runs in.
    #[must_use]
    pub fn threads() -> usize {
        rayon::current_num_threads().max(1)
    }

    /// Does both, at once where there are threads. Where another thread has begun with `b`, its end is waited for
    /// without going to sleep: it is near, and to be woken takes longer.
    pub(crate) fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
        rayon::join(
            || {
                a();
                if begun.load(Ordering::Acquire) {
                    patiently(|| done.load(Ordering::Acquire));
                }
            },
            || {
                begun.store(true, Ordering::Release);
                let _done = Done(&done);
                b();
            },
        );
    }

    /// Waits until something is so; after a while, other programs have the processor in between.
    fn patiently(is_so: impl Fn() -> bool) {
        let mut turns = 0;
        while !is_so() {
            if turns < PATIENCE {
                turns += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// Programs that keep threads awake.
    static AWAKE_NOW: AtomicUsize = AtomicUsize::new(0);

    struct Count;

    impl Count {
        /// `None` where there is another one already.
        fn only() -> Option<Self> {
            let count = (AWAKE_NOW.fetch_add(1, Ordering::Relaxed), Self);
            (count.0 == 0).then_some(count.1)
        }
    }

    impl Drop for Count {
        fn drop(&mut self) {
            AWAKE_NOW.fetch_sub(1, Ordering::Relaxed);
        }
    }

    struct Done<'a>(&'a AtomicBool);

    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    /// Does `f`, a sequence of steps that take `work`. Where that pays, the other threads of the pool stay awake
    /// for it, looking for parts of the steps. They do not where another program runs at the same time, as
    /// the samples of an evaluation do: it has work for them.
    pub fn together(work: usize, f: impl FnOnce() + Send) {
        if work < AWAKE || threads() < 2 {
            return f();
        }
        let Some(_count) = Count::only() else { return f() };
        let done = AtomicBool::new(false);
        let helpers = threads().min(MOST) - 1;
        let run = || {
            let _done = Done(&done);
            f();
        };
        rayon::join(run, || each(0..helpers, &|_| look_for_work(&done)));
    }

    /// Does what other threads of the pool leave to be done.
    fn look_for_work(done: &AtomicBool) {
        let mut idle = 0;
        while !done.load(Ordering::Acquire) {
            match rayon::yield_now() {
                Some(rayon::Yield::Executed) => idle = 0,
                _ if idle < PATIENCE => {
                    idle += 1;
                    std::hint::spin_loop();
                }
                _ => std::thread::yield_now(),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_index_gets_its_part_once() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            for (count, last) in [(1, 2), (7, 3), (100, 1)] {
                let mut out = vec![0_u32; (count - 1) * 3 + last];
                pool.install(|| {
                    together(usize::MAX, || {
                        let add = |range: Range<usize>, out: &mut [u32]| {
                            for (i, v) in out.iter_mut().enumerate() {
                                *v += (range.start + i / 3) as u32 + 1;
                            }
                        };
                        divide(count, 3, usize::MAX, &mut out, &add);
                        divide_once(count, 3, usize::MAX, &mut out, &add);
                    });
                });
                let want: Vec<u32> = (0..out.len()).map(|i| 2 * ((i / 3) as u32 + 1)).collect();
                assert_eq!(out, want);
            }
        }

        #[test]
        fn other_threads_take_part() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            let seen = Mutex::new(std::collections::HashSet::new());
            let mut out = [0; 64];
            pool.install(|| {
                together(usize::MAX, || {
                    divide(64, 1, usize::MAX, &mut out, &|range, out| {
                        seen.lock().unwrap().insert(std::thread::current().id());
                        for (i, v) in range.zip(out) {
                            std::thread::sleep(std::time::Duration::from_millis(1));
                            *v = i;
                        }
                    });
                });
            });
            assert_eq!(seen.lock().unwrap().len(), 2);
            assert!(out.iter().enumerate().all(|(i, v)| *v == i));
        }

        #[test]
        fn threads_are_let_go_where_a_step_panics() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            let panics = std::panic::AssertUnwindSafe(|| {
                pool.install(|| together(usize::MAX, || panic!("a step")));
            });
            assert!(std::panic::catch_unwind(panics).is_err());
            // Every thread answers.
            assert_eq!(pool.broadcast(|_| ()).len(), 3);
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

    pub(crate) fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        a();
        b();
    }

    /// Does `f`.
    pub fn together(_: usize, f: impl FnOnce() + Send) {
        f();
    }
}

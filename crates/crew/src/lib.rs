//! Threads that stay awake to help one thread through many short steps.
//!
//! To wake a thread takes longer than most steps of a small network do. [`together`] wakes the crew once for a whole
//! sequence of steps; in it, [`share`] hands a step to the threads that are awake, in far less than a microsecond.
//! Who has nothing to do looks out for the next step, lets other programs have the processor in between, and goes to
//! sleep after [`LINGER`]: so runs that follow each other closely find the crew awake.
//!
//! Nothing waits for a thread to come: one that is late finds that the others have done its part.
//!
//! ```
//! let mut squares = [0; 100];
//! paring_crew::together(4, || {
//!     paring_crew::divide(4, 100, 1, &mut squares, &|range, out| {
//!         out.iter_mut().zip(range).for_each(|(y, i)| *y = i * i);
//!     });
//! });
//! assert_eq!(squares[99], 99 * 99);
//! ```
#![deny(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{Thread, available_parallelism, park, yield_now};

/// Most threads that share a step, the one that asks among them.
pub const MOST: usize = 16;
/// How often a thread looks for the next step before it goes to sleep: for about 400 microseconds where nobody else wants
/// its processor. Time alone would not do: a thread that waits for a processor is on its way.
pub const LINGER: u32 = 10_000;
/// How often a thread looks for something before it lets other programs have the processor in between: for about a
/// microsecond, since what it waits for may be on its own processor.
const PATIENCE: u32 = 64;
/// How often it looks from then on before it does so again.
const AGAIN: u32 = 16;

/// Cache lines of its own.
#[repr(align(128))]
struct Line<T>(T);

/// A step: what its threads do, each with its number.
type Part<'a> = dyn Fn(usize) + Sync + 'a;

/// The step that is shared: all that one thread tells the others, in one cache line.
struct Turn {
    /// The number of the step, from one to the next one higher, and below it in [`BITS`] the threads that it is for.
    number: AtomicU64,
    /// What they do.
    part: UnsafeCell<Option<&'static Part<'static>>>,
}

/// Bits that hold up to [`MOST`] threads.
const BITS: u32 = 8;

/// One thread of the crew. What it writes in each step lies apart from what is waited for, so that nobody takes it away
/// from its processor.
struct Helper {
    /// The last step in which its part was begun, by itself or by who could not wait for it.
    begun: Line<AtomicU64>,
    /// The last step that it is done with: it did its part, or saw that it has none.
    done: Line<AtomicU64>,
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

struct Crew {
    turn: Line<Turn>,
    helpers: [Helper; MOST - 1],
    /// Sequences of steps that run now. The crew helps the first, and only as long as there is no other: where there are
    /// several, each processor has its own.
    sequences: AtomicUsize,
    panicked: AtomicBool,
    /// What a helper's part panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: all fields but the cell are. The cell is written by the one thread that shares steps, while no helper has begun
// a part that is not done; a helper reads it after it began a part and before that is done.
#[allow(unsafe_code)]
unsafe impl Sync for Crew {}

static CREW: Crew = Crew {
    turn: Line(Turn { number: AtomicU64::new(0), part: UnsafeCell::new(None) }),
    helpers: [const {
        Helper {
            begun: Line(AtomicU64::new(0)),
            done: Line(AtomicU64::new(0)),
            asleep: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }; MOST - 1],
    sequences: AtomicUsize::new(0),
    panicked: AtomicBool::new(false),
    panic: Mutex::new(None),
};

thread_local! {
    /// Threads that may share the steps of the calling one; 0 where it is in no sequence.
    static THREADS: Cell<usize> = const { Cell::new(0) };
}

/// Looks for something that comes soon.
#[derive(Default)]
struct Watch {
    turns: u32,
}

impl Watch {
    fn pause(&mut self) {
        self.turns = self.turns.wrapping_add(1);
        if self.turns < PATIENCE || !self.turns.is_multiple_of(AGAIN) {
            std::hint::spin_loop();
        } else {
            yield_now();
        }
    }
}

/// The threads of the crew that a machine has processors for. They are threads of a pool of their own, which does
/// nothing else.
fn crew() -> usize {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let helpers = available_parallelism().map_or(1, usize::from).min(MOST) - 1;
        let name = |i| format!("crew {i}");
        let pool = (helpers > 0).then(|| {
            rayon::ThreadPoolBuilder::new().num_threads(helpers).thread_name(name).build().ok()
        });
        let pool = pool.flatten()?;
        (1..=helpers).for_each(|own| pool.spawn(move || CREW.serve(own)));
        Some(pool)
    });
    pool.as_ref().map_or(0, rayon::ThreadPool::current_num_threads)
}

impl Helper {
    /// Whether the part of step `turn` is now the caller's to do.
    fn begin(&self, turn: u64) -> bool {
        let last = self.begun.0.load(Relaxed);
        last < turn && self.begun.0.compare_exchange(last, turn, AcqRel, Relaxed).is_ok()
    }

    /// Whether it looks out for the next step, as far as one can know.
    fn is_there(&self) -> bool {
        !self.asleep.load(Relaxed) && self.done.0.load(Acquire) == CREW.turn.0.number.load(Relaxed)
    }

    /// Wakes those that are asleep.
    fn wake(helpers: &[Helper]) {
        for helper in helpers {
            if helper.asleep.load(Relaxed) && helper.asleep.swap(false, SeqCst) {
                helper.thread.get().map(Thread::unpark);
            }
        }
    }
}

impl Crew {
    /// What a thread of the crew does.
    fn serve(&self, own: usize) {
        let helper = &self.helpers[own - 1];
        let _ = helper.thread.set(std::thread::current());
        let (mut last, mut watch) = (0, Watch::default());
        loop {
            let turn = self.turn.0.number.load(Acquire);
            if turn != last {
                last = turn;
                if (own as u64) < turn & ((1 << BITS) - 1) && helper.begin(turn) {
                    self.help(own);
                }
                helper.done.0.store(turn, Release);
                watch = Watch::default();
            } else if watch.turns < LINGER {
                watch.pause();
            } else {
                helper.asleep.store(true, SeqCst);
                while helper.asleep.load(Acquire) {
                    park();
                }
                watch = Watch::default();
            }
        }
    }

    /// Does the part of a step that was begun.
    fn help(&self, own: usize) {
        // SAFETY: who shares the step waits until the part is done that this thread began, and until then does not write
        // the cell; what is in it lives as long.
        #[allow(unsafe_code)]
        let part = unsafe { *self.turn.0.part.get() };
        let done = catch_unwind(AssertUnwindSafe(|| part.map(|part| part(own))));
        if let Err(why) = done {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            self.panicked.store(true, Relaxed);
        }
    }
}

/// A step that is shared. When it is dropped, no helper is at it and none will begin.
struct Shared {
    turn: u64,
    threads: usize,
    /// One bit for each helper that did not come in time.
    left: Cell<u32>,
}

impl Shared {
    /// # Safety
    /// `part` must live until the result is dropped. There may be no other one.
    #[allow(unsafe_code)]
    unsafe fn new(threads: usize, part: &Part<'_>) -> Self {
        let all = &CREW.turn.0;
        // SAFETY: as the caller promises.
        let part = unsafe { std::mem::transmute::<&Part<'_>, &'static Part<'static>>(part) };
        // SAFETY: the last one is gone, so no helper reads.
        unsafe { *all.part.get() = Some(part) };
        let turn = ((all.number.load(Relaxed) >> BITS) + 1) << BITS | threads as u64;
        all.number.store(turn, Release);
        Self { turn, threads, left: Cell::new(0) }
    }

    fn is_done(&self, helper: &Helper) -> bool {
        helper.done.0.load(Acquire) == self.turn
    }

    /// Whether a helper has not begun, even after a moment; it will not any more.
    fn is_left(&self, own: usize) -> bool {
        let helper = &CREW.helpers[own - 1];
        for _ in 0..PATIENCE {
            if self.is_done(helper) {
                return false;
            }
            std::hint::spin_loop();
        }
        let left = helper.begin(self.turn);
        self.left.set(self.left.get() | u32::from(left) << own);
        left
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for own in 1..self.threads {
            let helper = &CREW.helpers[own - 1];
            let is_left = self.left.get() >> own & 1 == 1;
            if !is_left && !self.is_done(helper) && !helper.begin(self.turn) {
                let mut watch = Watch::default();
                while !self.is_done(helper) {
                    watch.pause();
                }
            }
        }
    }
}

/// A sequence of steps.
struct Sequence(bool);

impl Sequence {
    fn begin() -> Self {
        Self(CREW.sequences.fetch_add(1, SeqCst) == 0)
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        CREW.sequences.fetch_sub(1, SeqCst);
    }
}

/// What [`THREADS`] is set to, and set back at the end.
struct Set(usize);

impl Set {
    fn to(threads: usize) -> Self {
        Self(THREADS.replace(threads))
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        THREADS.set(self.0);
    }
}

/// Does `f`, a sequence of steps that up to so many threads share, of which the calling one is the first.
///
/// They are no more than the machine has processors. While another sequence runs there is but the calling one.
pub fn together<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    if THREADS.get() > 0 || threads < 2 {
        return f();
    }
    let threads = threads.min(crew() + 1);
    let sequence = Sequence::begin();
    if !sequence.0 || threads < 2 {
        return f();
    }
    Helper::wake(&CREW.helpers[..threads - 1]);
    let _set = Set::to(threads);
    f()
}

/// The threads that would share a step of the calling one now: those of [`together`] that are there. One that was too
/// late for the last step is not, until it looks out for the next. `None` where the crew does not help it.
#[must_use]
pub fn threads() -> Option<usize> {
    let all = THREADS.get();
    if all == 0 || CREW.sequences.load(Relaxed) > 1 {
        return None;
    }
    let helpers = &CREW.helpers[..all - 1];
    // Those that fell asleep since the sequence began are there again soon.
    Helper::wake(helpers);
    Some(1 + helpers.iter().take_while(|h| h.is_there()).count())
}

/// Calls `part` with each number below `threads` once, at once on as many threads as come in time. Of those there should
/// not be more than [`threads`](threads()) says.
///
/// # Panics
/// If a call does.
pub fn share(threads: usize, part: &Part<'_>) {
    let there = threads.min(THREADS.get());
    if there < 2 {
        return (0..threads).for_each(part);
    }
    // What a helper panicked with goes with its step, where the caller's own part ended that, too.
    CREW.panicked.store(false, Relaxed);
    // What is shared by a part is done alone.
    let _set = Set::to(1);
    // SAFETY: `part` lives until the end of this function. Only one thread at a time has more than one thread, and it is
    // not in another step, where it would have but one.
    #[allow(unsafe_code)]
    let shared = unsafe { Shared::new(there, part) };
    part(0);
    (1..there).filter(|own| shared.is_left(*own)).for_each(part);
    (there..threads).for_each(part);
    drop(shared);
    if CREW.panicked.swap(false, Relaxed) {
        let why = CREW.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        resume_unwind(why.unwrap_or_else(|| Box::new("a part of a step")));
    }
}

struct Place<T>(*mut T);

// SAFETY: it is only used for elements that one thread alone has.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Place<T> {}

/// Calls `f` with `threads` ranges that together are `0..count` and the part of `out` that belongs to each, as
/// [`share`] does: `per` elements an index, the last index perhaps with fewer.
pub fn divide<T: Send>(
    threads: usize,
    count: usize,
    per: usize,
    out: &mut [T],
    f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
) {
    let (place, len) = (Place(out.as_mut_ptr()), out.len());
    let place = &place;
    share(threads, &|i| {
        let range = count * i / threads..count * (i + 1) / threads;
        let [from, to] = [range.start, range.end].map(|n| n.saturating_mul(per).min(len));
        // SAFETY: inside `out`, and of each part another piece; each part is done once.
        #[allow(unsafe_code)]
        let own = unsafe { std::slice::from_raw_parts_mut(place.0.add(from), to - from) };
        f(range, own);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::MutexGuard;
    use std::time::{Duration, Instant};

    /// One test at a time has the crew, with how many threads of two.
    fn alone() -> (MutexGuard<'static, ()>, usize) {
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        (one, available_parallelism().map_or(1, usize::from).min(2))
    }

    /// Shares steps that take some time until `is_so`.
    fn until(is_so: impl Fn() -> bool, part: &Part<'_>) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(300), "no helper comes");
            share(threads().unwrap_or(1), &|own| {
                let begin = Instant::now();
                part(own);
                while begin.elapsed() < Duration::from_micros(200) {}
            });
        }
    }

    fn a_helper_comes() {
        let seen = AtomicBool::new(false);
        let caller = std::thread::current().id();
        let part = |_| {
            if std::thread::current().id() != caller {
                seen.store(true, Relaxed);
            }
        };
        together(2, || until(|| seen.load(Relaxed), &part));
    }

    #[test]
    fn every_part_is_done_once_in_each_of_many_steps() {
        let _one = alone();
        let mut out = [0; 7];
        together(4, || {
            for step in 0..50_000_u32 {
                let f = |range: Range<usize>, out: &mut [u32]| {
                    let from = 3 * range.start as u32 + step;
                    out.iter_mut().zip(from..).for_each(|(y, n)| *y = n);
                };
                divide(2 + step as usize % 2, 3, 3, &mut out, &f);
                assert_eq!(out, std::array::from_fn(|i| step + i as u32));
            }
        });
    }

    #[test]
    fn helpers_come_again_after_they_slept() {
        let (_one, all) = alone();
        for _ in 0..if all > 1 { 3 } else { 0 } {
            std::thread::sleep(Duration::from_millis(20));
            a_helper_comes();
        }
    }

    #[test]
    fn a_panic_comes_back_and_the_crew_goes_on() {
        let (_one, all) = alone();
        for who in 0..all {
            let why = catch_unwind(|| {
                together(2, || until(|| false, &|own| assert_ne!(own, who, "part")));
            });
            assert!(why.unwrap_err().downcast_ref::<String>().unwrap().contains("part"));
            assert_eq!((threads(), CREW.sequences.load(SeqCst)), (None, 0));
            if all > 1 {
                a_helper_comes();
            }
        }
    }

    #[test]
    fn a_panic_of_all_parts_is_not_kept_for_the_next_step() {
        let (_one, all) = alone();
        let caller = std::thread::current().id();
        let (seen, begin) = (AtomicBool::new(all == 1), Instant::now());
        while !seen.load(Relaxed) {
            assert!(begin.elapsed() < Duration::from_secs(300), "no helper comes");
            let part = |_| {
                let mine = Instant::now();
                if std::thread::current().id() != caller {
                    seen.store(true, Relaxed);
                }
                while mine.elapsed() < Duration::from_micros(200) {}
                panic!("part");
            };
            let step = || share(threads().unwrap_or(1), &part);
            assert!(catch_unwind(AssertUnwindSafe(|| together(2, step))).is_err());
        }
        together(2, || share(2, &|_| ()));
    }

    #[test]
    fn a_second_sequence_and_a_step_in_a_step_are_done_alone() {
        let (_one, all) = alone();
        if all == 1 {
            return;
        }
        together(2, || {
            assert_eq!(THREADS.get(), 2);
            std::thread::scope(|s| {
                let other = s.spawn(|| together(2, || (threads(), THREADS.get())));
                assert_eq!(other.join().unwrap(), (None, 0));
            });
            assert_eq!(together(2, || THREADS.get()), 2);
            share(2, &|own| assert!(own == 1 || together(2, threads) == Some(1)));
            assert_eq!(THREADS.get(), 2);
        });
        assert_eq!((threads(), THREADS.get()), (None, 0));
    }
}

//! Dividing rows of work among the threads of the pool that the caller runs in.

use std::ops::Range;

/// Work that is not worth a second thread, in multiply-accumulates or the like.
#[cfg(feature = "threads")]
const GRAIN: usize = 200_000;

/// Calls `f` with ranges that together are `0..count` and the part of `out` that belongs to each: `per`
/// elements an index, the last index perhaps with fewer. `work` is what all of it takes.
#[cfg(feature = "threads")]
pub(crate) fn divide<T: Send>(
    count: usize,
    per: usize,
    work: usize,
    out: &mut [T],
    f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
) {
    let threads = rayon::current_num_threads();
    let parts = if threads > 1 { (work / GRAIN).min(3 * threads).min(count) } else { 1 };
    part(0..count, per, parts.max(1), out, f);
}

/// How many threads some work is worth, of those of the pool.
pub(crate) fn worth(work: usize) -> usize {
    #[cfg(feature = "threads")]
    let parts = (work / GRAIN).clamp(1, threads());
    #[cfg(not(feature = "threads"))]
    let parts = work.min(1);
    parts
}

/// The threads of the pool that the caller runs in.
#[must_use]
pub fn threads() -> usize {
    #[cfg(feature = "threads")]
    let threads = rayon::current_num_threads().max(1);
    #[cfg(not(feature = "threads"))]
    let threads = 1;
    threads
}

/// Does both, at once where there are threads.
pub(crate) fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    #[cfg(feature = "threads")]
    rayon::join(a, b);
    #[cfg(not(feature = "threads"))]
    {
        a();
        b();
    }
}

/// As with threads, all of it here.
#[cfg(not(feature = "threads"))]
pub(crate) fn divide<T: Send>(
    count: usize,
    _: usize,
    _: usize,
    out: &mut [T],
    f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
) {
    f(0..count, out);
}

#[cfg(feature = "threads")]
fn part<T: Send>(
    range: Range<usize>,
    per: usize,
    parts: usize,
    out: &mut [T],
    f: &(impl Fn(Range<usize>, &mut [T]) + Sync),
) {
    if parts < 2 || range.len() < 2 {
        f(range, out);
        return;
    }
    let half = parts / 2;
    let mid = range.start + (range.len() * half / parts).max(1);
    let (left, right) = out.split_at_mut((mid - range.start) * per);
    rayon::join(
        || part(range.start..mid, per, half, left, f),
        || part(mid..range.end, per, parts - half, right, f),
    );
}

#[cfg(all(test, feature = "threads"))]
mod tests {
    use super::*;

    #[test]
    fn every_index_gets_its_part_once() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for (count, last) in [(1, 2), (7, 3), (100, 1)] {
            let mut out = vec![0_u32; (count - 1) * 3 + last];
            pool.install(|| {
                divide(count, 3, usize::MAX, &mut out, &|range, out| {
                    for (i, v) in out.iter_mut().enumerate() {
                        *v += (range.start + i / 3) as u32 + 1;
                    }
                });
            });
            let want: Vec<u32> = (0..out.len()).map(|i| (i / 3) as u32 + 1).collect();
            assert_eq!(out, want);
        }
    }
}

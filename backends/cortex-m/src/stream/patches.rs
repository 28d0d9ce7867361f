//! Streams whose last layer's output comes patch by patch.
//!
//! What lies between the layers is computed anew for each patch, in memory between the input and the output that is
//! free then: a few pixels at first, whole rows once more of the input has been read. That takes less memory than
//! rows that are kept where the input is nearly all that fits.

use std::collections::HashMap;

use paring_cortex_m_kernels::Patch;
use paring_ir::{NodeId, macs};

use super::{Chain, Link, Stream, Window};
use crate::lower::{Lowering, Step};

/// Layers that a stream of patches has at most: what is computed anew grows with each.
const LONGEST: usize = 6;
/// Rows of a patch that is as wide as the output.
const ROWS: [usize; 5] = [16, 8, 4, 2, 1];
/// Bytes beyond the fewest that are tried.
const MORE: [usize; 7] = [0, 256, 1024, 2048, 4096, 8192, 16_384];
/// Cycles that a patch costs for each layer, about.
const CALL: u64 = 300;

/// Patches of one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// How many rows of such patches.
    pub times: usize,
    pub rows: usize,
    pub cols: usize,
    /// Bytes between the input and the output that they need.
    pub room: usize,
}

/// The patches of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Patches {
    /// Whether they go from the last row and column back.
    pub upward: bool,
    /// How far the output begins above the input, or if not upward the input above the output.
    pub distance: usize,
    pub(super) kinds: Vec<Kind>,
    /// For each link the patches and how often each comes.
    parts: Vec<Vec<(Patch, u64)>>,
}

/// The first of some rows or columns and their end.
type Span = [usize; 2];

/// What a patch takes of every link: rows and columns, and the padding of what is seen.
struct Cut {
    spans: Vec<[Span; 2]>,
    before: Vec<[usize; 2]>,
}

/// A chain, each layer of which reads the one before alone.
struct Line<'a> {
    links: &'a [Link],
    /// Kernels of the layers.
    steps: &'a [Step],
    upward: bool,
}

impl Line<'_> {
    fn last(&self) -> &Link {
        &self.links[self.links.len() - 1]
    }

    fn cut(&self, rows: Span, cols: Span) -> Cut {
        let n = self.links.len();
        let (mut spans, mut before) = (vec![[rows, cols]; n], vec![[0; 2]; n]);
        for i in (1..n).rev() {
            let (link, input) = (&self.links[i], &self.links[i - 1]);
            let axes = [(link.window, input.height), (link.across, input.width)];
            for (axis, (Window { kernel, stride, pad }, whole)) in axes.into_iter().enumerate() {
                let [from, end] = spans[i][axis];
                before[i][axis] = pad.saturating_sub(from * stride);
                let end = ((end - 1) * stride + kernel).saturating_sub(pad).min(whole);
                spans[i - 1][axis] = [(from * stride).saturating_sub(pad), end];
            }
        }
        Cut { spans, before }
    }

    /// Bytes that a patch needs beside input and output: each layer's own, what it reads and what it writes.
    ///
    /// What the first layer left stays while patches are as wide as the output: the next one takes it over.
    fn room(&self, cut: &Cut) -> usize {
        let last = self.links.len() - 1;
        let size = |i: usize, axis: usize| cut.spans[i][axis][1] - cut.spans[i][axis][0];
        let bytes = |i: usize| match i {
            0 => 0,
            _ if i == last => 0,
            _ => (size(i, 0) * size(i, 1) * self.links[i].channels()).next_multiple_of(4),
        };
        let scratch = |i: usize| {
            let kernels = self.steps[i - 1].calls.iter().map(|c| &c.kernel);
            let most = kernels.map(|k| k.patch_scratch(size(i, 0), size(i, 1))).max();
            most.unwrap_or(0).next_multiple_of(4)
        };
        let kept = if self.is_wide(cut) { bytes(1) } else { 0 };
        let lower = |i: usize| match i {
            1 => bytes(1),
            _ => kept + bytes(i),
        };
        let needs = (1..=last).map(|i| {
            let (below, above) = if i % 2 == 1 { (i, i - 1) } else { (i - 1, i) };
            let below = if below == last { kept } else { lower(below) };
            below + bytes(above) + scratch(i)
        });
        needs.max().unwrap_or(0)
    }

    fn is_wide(&self, cut: &Cut) -> bool {
        cut.spans.last().is_some_and(|s| s[1] == [0, self.last().width])
    }

    /// What the first layer has to do for a patch after another: rows of its output that are not there yet, the
    /// input's rows that they see and the padding above those; `None` where all are there.
    fn fresh(&self, cut: &Cut, before: Option<&Cut>) -> Option<(Span, Span, usize)> {
        let [from, end] = cut.spans[1][0];
        let all = Some(([from, end], cut.spans[0][0], cut.before[1][0]));
        let Some(before) = before.filter(|b| self.is_wide(b) && self.is_wide(cut)) else {
            return all;
        };
        let there = before.spans[1][0];
        let rows = match self.upward {
            true if end <= there[0] => return all,
            true => [from, there[0]],
            false if there[1] <= from => return all,
            false => [there[1], end],
        };
        let Window { kernel, stride, pad } = self.links[1].window;
        let seen = [
            (rows[0] * stride).saturating_sub(pad),
            (rows[1].max(1) - 1).saturating_mul(stride) + kernel,
        ];
        let seen = [seen[0], seen[1].saturating_sub(pad).min(self.links[0].height)];
        (rows[0] < rows[1]).then_some((rows, seen, pad.saturating_sub(rows[0] * stride)))
    }

    /// The first and the end of the bytes of the input that a patch reads after another.
    fn reads(&self, cut: &Cut, before: Option<&Cut>) -> Option<Span> {
        let input = &self.links[0];
        let (_, [top, bottom], _) = self.fresh(cut, before)?;
        let [left, right] = cut.spans[0][1];
        let end = (bottom - 1) * input.row + right * input.channels();
        Some([top * input.row + left * input.channels(), end])
    }

    /// The rows or columns that are done after `done` of `whole`.
    fn next(&self, done: usize, count: usize, whole: usize) -> Span {
        let end = (done + count).min(whole);
        if self.upward { [whole - end, whole - done] } else { [done, end] }
    }

    /// The patches of rows after `done` rows, in order.
    fn cuts(&self, done: usize, rows: usize, cols: usize) -> Vec<Cut> {
        let (height, width) = (self.last().height, self.last().width);
        let down = self.next(done, rows, height);
        let across = (0..width).step_by(cols);
        across.map(|x| self.cut(down, self.next(x, cols, width))).collect()
    }

    /// For patches in order: how far apart input and output have to begin if after them the bytes `later` of the input
    /// are still read and each has `room`; and the bytes that are read from them on.
    fn apart(
        &self,
        cuts: &[Cut],
        before: Option<&Cut>,
        mut later: Option<Span>,
        room: usize,
    ) -> (usize, Option<Span>) {
        let (width, channels) = (self.last().width, self.last().channels());
        let mut distance = 0;
        for (at, cut) in cuts.iter().enumerate().rev() {
            let before = if at == 0 { before } else { cuts.get(at - 1) };
            let read = self.reads(cut, before);
            later = match (read, later) {
                (Some(a), Some(b)) => Some([a[0].min(b[0]), a[1].max(b[1])]),
                (a, b) => a.or(b),
            };
            let Some([rows, cols]) = cut.spans.last() else { continue };
            let from = (rows[0] * width + cols[0]) * channels;
            let to = ((rows[1] - 1) * width + cols[1]) * channels;
            // Where nothing is read any more, places need only be there.
            let [low, high] = later.unwrap_or([self.links[0].row * self.links[0].height, 0]);
            distance = distance.max(if self.upward {
                (high + room + 3).saturating_sub(from)
            } else {
                (to + 3 + room).saturating_sub(low)
            });
        }
        (distance.next_multiple_of(4), later)
    }

    /// For rows of patches after `done` rows, the one before as wide as the output or not: how far apart input and
    /// output have to begin, and the room.
    fn row(&self, done: usize, rows: usize, cols: usize, wide: bool) -> (usize, usize) {
        let (height, width) = (self.last().height, self.last().width);
        let cuts = self.cuts(done, rows, cols);
        let room = cuts.iter().map(|c| self.room(c)).max().unwrap_or(0);
        let before =
            (wide && done > 0).then(|| self.cut(self.next(done - 1, 1, height), [0, width]));
        let later = (done + rows < height).then(|| {
            // After wide patches come others.
            let cols = if cols == width { [0, width] } else { self.next(0, 1, width) };
            let next = self.cut(self.next(done + rows, 1, height), cols);
            self.reads(&next, cuts.last())
        });
        (self.apart(&cuts, before.as_ref(), later.flatten(), room).0, room)
    }

    /// Widths of patches that share a row out, the widest first.
    fn widths(&self) -> Vec<usize> {
        let mut all: Vec<usize> =
            (1..=self.last().width).map(|n| self.last().width.div_ceil(n)).collect();
        all.dedup();
        all
    }

    /// How far apart input and output have to begin at least.
    fn least(&self) -> Option<usize> {
        // Wider ones need more room.
        let widths = [1, 2, 4].map(|w| w.min(self.last().width));
        let row = |done: usize| widths.iter().map(|&w| self.row(done, 1, w, false).0).min();
        (0..self.last().height).map(row).try_fold(0, |most, d| Some(d?.max(most)))
    }

    /// The largest patches at a distance.
    fn patches(&self, distance: usize) -> Option<Patches> {
        let (height, width) = (self.last().height, self.last().width);
        let widths = self.widths();
        let mut kinds: Vec<Kind> = Vec::new();
        let (mut done, mut wide) = (0, false);
        while done < height {
            let tall = ROWS.into_iter().map(|rows| (rows.min(height - done), width));
            let mut sizes = tall.chain(widths.iter().map(|&w| (1, w)));
            let (rows, cols, room) = sizes.find_map(|(rows, cols)| {
                let (needed, room) = self.row(done, rows, cols, wide);
                (needed <= distance).then_some((rows, cols, room))
            })?;
            match kinds.last_mut() {
                Some(kind) if (kind.rows, kind.cols) == (rows, cols) => {
                    kind.times += 1;
                    kind.room = kind.room.max(room);
                }
                _ => kinds.push(Kind { times: 1, rows, cols, room }),
            }
            (done, wide) = (done + rows, cols == width);
        }
        // The patches as they are, from the last one back: a kind has one room for all.
        let mut all: Vec<(Cut, usize)> = Vec::new();
        let mut done = 0;
        for kind in &kinds {
            for _ in 0..kind.times {
                let rows = kind.rows.min(height - done);
                all.extend(self.cuts(done, rows, kind.cols).into_iter().map(|c| (c, kind.room)));
                done += rows;
            }
        }
        let mut later = None;
        let mut parts: Vec<HashMap<Patch, u64>> = vec![HashMap::new(); self.links.len()];
        for at in (0..all.len()).rev() {
            let before = at.checked_sub(1).and_then(|b| all.get(b)).map(|b| &b.0);
            let Some((cut, room)) = all.get(at) else { continue };
            let (needed, reads) = self.apart(std::slice::from_ref(cut), before, later, *room);
            if needed > distance {
                return None;
            }
            later = reads;
            let fresh = self.fresh(cut, before);
            for (i, parts) in parts.iter_mut().enumerate().skip(1) {
                let (mut out, mut seen) = (cut.spans[i], cut.spans[i - 1]);
                let mut above = cut.before[i][0];
                if i == 1 {
                    let Some((rows, reads, pad)) = fresh else { continue };
                    (out[0], seen[0], above) = (rows, reads, pad);
                }
                let size = |span: Span| span[1] - span[0];
                let patch = Patch {
                    rows: size(out[0]),
                    cols: size(out[1]),
                    in_rows: size(seen[0]),
                    in_cols: size(seen[1]),
                    above,
                    left: cut.before[i][1],
                };
                *parts.entry(patch).or_default() += 1;
            }
        }
        let sorted = |of: HashMap<Patch, u64>| {
            let mut all: Vec<(Patch, u64)> = of.into_iter().collect();
            all.sort_by_key(|(p, _)| (p.rows, p.cols, p.in_rows, p.in_cols, p.above, p.left));
            all
        };
        let parts = parts.into_iter().map(sorted).collect();
        Some(Patches { upward: self.upward, distance, kinds, parts })
    }
}

/// The streams of patches that a chain over `steps` can be, with bytes of input and output together and about the
/// cycles beyond those of the layers one after the other.
pub(super) fn of(
    chain: &Chain,
    lowering: &Lowering<'_>,
    steps: &[Step],
) -> Vec<(Stream, usize, u64)> {
    let links = &chain.links;
    let mut found = Vec::new();
    let cut = |step: &Step| matches!(step.calls.as_slice(), [c] if c.kernel.in_patches);
    let chained = links.iter().enumerate().skip(1).all(|(i, l)| l.inputs == [i - 1]);
    let Some((last, first)) = links.last().zip(steps.first()) else { return found };
    // What reads the image itself has to do so by rows.
    let by_rows = first.calls.iter().all(|c| c.kernel.variant != "pointwise");
    let sees = links.windows(2).all(|l| {
        let Window { kernel, stride, pad } = l[1].across;
        pad < kernel && (l[1].width - 1) * stride < pad + l[0].width && kernel.max(stride) <= 127
    });
    let small = links.iter().all(|l| l.height.max(l.width) * l.channels() <= 65_535);
    if links.len() > LONGEST + 1
        || !chained
        || !by_rows
        || !sees
        || !small
        || !steps.iter().all(cut)
    {
        return found;
    }
    let (input, output) = (links[0].row * links[0].height, last.row * last.height);
    for upward in [false, true] {
        let line = Line { links, steps, upward };
        let Some(least) = line.least() else { continue };
        for more in MORE {
            let distance = least + more;
            let both = if upward { distance + output } else { distance + input };
            let both = both.max(input).max(output).next_multiple_of(4);
            if both >= input + output {
                break;
            }
            let Some(patches) = line.patches(distance) else { continue };
            let mut cost = 0;
            for (link, parts) in links.iter().zip(&patches.parts).skip(1) {
                let pixels: usize = parts.iter().map(|(p, n)| p.rows * p.cols * *n as usize).sum();
                let calls: u64 = parts.iter().map(|(_, n)| n).sum();
                let whole = link.height * link.width;
                let node = link.node.map(|n| lowering.graph.node(n));
                let each = node.and_then(|n| macs(lowering.graph, n)).unwrap_or(0);
                let again = pixels.saturating_sub(whole) as u64;
                cost += 2 * each * again / whole as u64 + CALL * calls;
            }
            let stream = Stream {
                links: links.clone(),
                rows: 0,
                kept: vec![0; links.len()],
                bands: vec![Vec::new(); links.len()],
                distance: 0,
                moved: 0,
                patches: Some(patches),
            };
            found.push((stream, both, cost));
        }
    }
    found
}

impl Patches {
    /// Bytes between input and output that the first patch and the largest need.
    pub fn rooms(&self) -> (usize, usize) {
        let first = self.kinds.first().map_or(0, |k| k.room);
        (first, self.kinds.iter().map(|k| k.room).max().unwrap_or(0))
    }
}

impl Stream {
    /// The patches of a layer.
    pub fn parts(&self, node: NodeId) -> Option<&[(Patch, u64)]> {
        let at = self.links.iter().position(|l| l.node == Some(node))?;
        self.patches.as_ref()?.parts.get(at).map(Vec::as_slice)
    }
}

//! What convolutions and dense layers share: the table of pieces, panels, and the loops around tiles.

use super::stored::{Short, Stored};
use crate::blob::Blob;
use crate::buffer::Buffer;
use crate::step::{ByRows, Io, RowShape, Step, numbers, numbers_mut};
use crate::threads::{copying, divide, divide_once, divide_with, worth};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::{Kernels, PAD, Rows, Table, Tile};
use std::fmt::Debug;
use std::ops::Range;

/// Bytes of the left side that are worked on before the next panel is taken: what stays in a
/// second-level cache beside a panel.
const BLOCK: usize = 512 << 10;

/// A copy of each image with padding around it, made where a row of the window is then one piece.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Rows, columns and channels of an image.
    pub image: [usize; 3],
    /// Rows and columns of padding before.
    pub before: [usize; 2],
    /// Rows and columns of the copy.
    pub size: [usize; 2],
}

impl Frame {
    /// Elements of a copy.
    pub fn elements(&self) -> usize {
        self.size[0] * self.size[1] * self.image[2]
    }

    fn copy<T: Copy + Send + Sync>(&self, x: &[T], to: &mut [T], pad: T) {
        let [h, w, c] = self.image;
        let pitch = self.size[1] * c;
        let to = &mut to[..self.elements()];
        divide_once(self.size[0], pitch, copying(to), to, &|rows, to| {
            for (y, to) in rows.zip(to.chunks_exact_mut(pitch)) {
                match y.checked_sub(self.before[0]).filter(|y| *y < h) {
                    Some(y) => {
                        let row = &x[y * w * c..(y + 1) * w * c];
                        let start = self.before[1] * c;
                        to[..start].fill(pad);
                        to[start..start + w * c].copy_from_slice(row);
                        to[start + w * c..].fill(pad);
                    }
                    None => to.fill(pad),
                }
            }
        });
    }
}

/// Where a product finds its operands.
#[derive(Debug)]
pub struct Layout {
    /// Products of this kind, one after another.
    pub samples: usize,
    /// Elements of the left side of a sample.
    pub sample: usize,
    /// Rows of a sample.
    pub rows: usize,
    /// Pieces of a row.
    pub taps: usize,
    /// Elements of a piece.
    pub depth: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// The table of pieces; see [`Rows::at`].
    pub at: Blob,
    /// Whether the left side is a padded copy.
    pub frame: Option<Frame>,
    /// Rows that are one row of an image; 0 where they are no image.
    pub width: usize,
    /// Tiles that the table is for, where it holds again for those after them; 0 where it is for all.
    pub again: usize,
    /// Elements of the left side from where it holds to where it holds again.
    pub shift: usize,
}

/// Rows that the table of rows which lie side by side is for.
const STRETCH: usize = 336;

/// Tiles of these rows.
fn tiles_of_a_stretch(tile: Tile) -> usize {
    (STRETCH / tile.rows).max(1)
}

impl Layout {
    /// The table of pieces from the place of each piece; `None` where a place does not fit it.
    pub fn table(
        tile: Tile,
        rows: usize,
        taps: usize,
        place: impl Fn(usize, usize) -> Option<usize>,
    ) -> Option<Blob> {
        let mut at = Vec::with_capacity(rows.next_multiple_of(tile.rows).checked_mul(taps)?);
        for first in (0..rows).step_by(tile.rows) {
            for tap in 0..taps {
                for lane in 0..tile.rows {
                    let row = (first + lane).min(rows - 1);
                    at.push(match place(row, tap) {
                        None => PAD,
                        Some(place) => u32::try_from(place).ok().filter(|p| *p != PAD)?,
                    });
                }
            }
        }
        Some(Blob::of(&at))
    }

    /// The same with every piece twice, for weights that are sums of two.
    #[must_use]
    pub fn doubled(mut self, tile: Tile) -> Self {
        let per = self.taps * tile.rows;
        let at: &[u32] = self.at.numbers();
        let both: Vec<u32> = at.chunks_exact(per).flat_map(|tile| [tile, tile].concat()).collect();
        self.at = Blob::of(&both);
        self.taps *= 2;
        self
    }

    /// Whether the rows are few and lie side by side.
    fn is_short(&self, tile: Tile, at: &[u32]) -> bool {
        self.taps == 1
            && self.groups == 1
            && self.frame.is_none()
            && self.again == 0
            && self.rows.next_multiple_of(tile.rows) <= MOST_ROWS
            && at.iter().zip(0..self.rows).all(|(at, row)| *at as usize == row * self.depth)
    }

    fn per_group(&self) -> usize {
        self.channels / self.groups
    }

    /// The same with a short table where rows lie side by side, or rows of the image all look alike.
    fn shortened(mut self, tile: Tile) -> Self {
        let at: &[u32] = self.at.numbers();
        if self.groups != 1 || tile.rows > MOST_ROWS {
            return self;
        }
        let straight = self.taps == 1
            && self.frame.is_none()
            && at.iter().zip(0..self.rows).all(|(at, row)| *at as usize == row * self.depth);
        let (again, shift) = if straight {
            (tiles_of_a_stretch(tile), tiles_of_a_stretch(tile) * tile.rows * self.depth)
        } else {
            let again = self.width / tile.rows;
            let period = self.width * self.taps;
            // Shorter rows would bring the weights in too often.
            let whole = self.width >= STRETCH / 4
                && self.width.is_multiple_of(tile.rows)
                && self.rows.is_multiple_of(self.width);
            let (Some(first), Some(second)) = (at.first(), at.get(period)) else { return self };
            let Some(shift) = second.checked_sub(*first).filter(|_| whole) else { return self };
            let alike = |(from, to): (&u32, &u32)| {
                *from != PAD && *to != PAD && to.checked_sub(*from) == Some(shift)
            };
            if !at.iter().zip(&at[period..]).all(alike) {
                return self;
            }
            (again, shift as usize)
        };
        if self.rows > again * tile.rows {
            self.at = Blob::of(&at[..again * tile.rows * self.taps]);
            (self.again, self.shift) = (again, shift);
        }
        self
    }

    /// What a row of the image needs, where each pixel of the output is made from that of the input at
    /// its place. `size` is the bytes of an element.
    fn pixels(&self, size: usize) -> Option<RowShape> {
        let at: &[u32] = self.at.numbers();
        let straight = self.samples == 1
            && self.taps == 1
            && self.groups == 1
            && self.frame.is_none()
            && self.width > 0
            && self.rows * self.depth == self.sample
            && at.iter().zip(0..self.rows).all(|(at, row)| *at as usize == row * self.depth);
        straight.then(|| RowShape {
            rows: [self.rows / self.width; 2],
            bytes: [self.depth, self.channels].map(|c| self.width * c * size),
            reach: 1,
            stride: 1,
            pad: 0,
            work: weighed(self.depth, self.width * self.channels, size),
        })
    }

    /// What a sample takes; `size` is the bytes of an element.
    fn work(&self, size: usize) -> usize {
        let depth = self.taps.saturating_mul(self.depth);
        weighed(depth, self.rows.saturating_mul(self.channels), size)
    }
}

/// What `results` of `depth` products each take, as multiply-accumulates of `f32`: those of bytes go about four times
/// as fast, those of 16 bits twice, and each result takes some time of its own.
fn weighed(depth: usize, results: usize, size: usize) -> usize {
    let products = depth.saturating_mul(size) / 4;
    products.saturating_add(8).saturating_mul(results)
}

/// Some channels with their weights.
#[derive(Debug)]
pub(super) struct Panel {
    /// Elements or bytes before it in the packed weights.
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) width: usize,
    /// The first of its channels.
    pub(super) first: usize,
    pub(super) cols: usize,
    group: usize,
    /// Bytes before it in the weights as they are stored.
    pub(super) stored: usize,
}

/// Cuts the channels into panels; `len` gives what a panel of some width takes.
pub(super) fn panels(
    layout: &Layout,
    tile: Tile,
    len: impl Fn(usize) -> usize,
) -> (Vec<Panel>, usize) {
    let (mut all, mut total) = (Vec::new(), 0);
    for group in 0..layout.groups {
        let mut done = 0;
        while done < layout.per_group() {
            let left = layout.per_group() - done;
            let width = if left <= tile.width / 2 { tile.width / 2 } else { tile.width };
            let (len, cols) = (len(width), left.min(width));
            let first = group * layout.per_group() + done;
            all.push(Panel { start: total, len, width, first, cols, group, stored: 0 });
            // Panels begin at cache lines, counted in bytes or in numbers.
            total += len.next_multiple_of(64);
            done += cols;
        }
    }
    (all, total)
}

/// The table of few rows that lie side by side.
pub(super) fn side_by_side(rows: usize, depth: usize) -> [u32; MOST_ROWS] {
    std::array::from_fn(|lane| (lane.min(rows.saturating_sub(1)) * depth) as u32)
}

/// A run of rows: the first, how many, the element that places in their table are counted from, and their
/// table.
struct Stretch<'a> {
    row: usize,
    rows: usize,
    base: usize,
    at: Table<'a>,
}

/// Most threads that there is memory for where each needs some of its own.
const LANES: usize = 4;

/// Memory for the threads of a product: nothing, or as much for each of [`LANES`].
struct Lanes<'a>(&'a mut [u8]);

impl Lanes<'_> {
    /// As [`divide`]; `once` makes it [`divide_once`].
    fn divide<T: Send>(
        self,
        once: bool,
        count: usize,
        per: usize,
        work: usize,
        out: &mut [T],
        f: &(impl Fn(Range<usize>, &mut [u8], &mut [T]) + Sync),
    ) {
        let all = |range: Range<usize>, out: &mut [T]| f(range, &mut [], out);
        match (self.0.len() / LANES, once) {
            (0, false) => divide(count, per, work, out, &all),
            (0, true) => divide_once(count, per, work, out, &all),
            (lane, _) => {
                let parts = worth(work).clamp(1, LANES.min(count.max(1)));
                divide_with(0..count, per, parts, &mut self.0[..parts * lane], out, f);
            }
        }
    }
}

/// Calls `each` for each run of rows and each panel, with memory for the panel and the output from the run's first row
/// and the panel's first channel on.
fn product<T: Send>(
    kernels: &dyn Kernels,
    layout: &Layout,
    tile: Tile,
    panels: &[Panel],
    size: usize,
    lanes: Lanes<'_>,
    out: &mut [T],
    each: &(impl Fn(&Stretch<'_>, &Panel, &mut [u8], &mut [T]) + Sync),
) {
    let n = layout.channels;
    let at_all: &[u32] = layout.at.numbers();
    if layout.rows == 1 {
        // One row: the panels are what is divided.
        let width = tile.width;
        let plain = layout.groups == 1;
        let at = kernels.pieces(at_all);
        let run = |range: Range<usize>, memory: &mut [u8], out: &mut [T]| {
            let base = panels[range.start].first;
            for panel in &panels[range] {
                let stretch = Stretch { row: 0, rows: 1, base: 0, at };
                each(&stretch, panel, memory, &mut out[panel.first - base..]);
            }
        };
        let work = if plain { layout.work(size) } else { 0 };
        return lanes.divide(false, panels.len(), width, work, out, &run);
    }
    if worth(layout.work(size)) > 1 && layout.is_short(tile, at_all) {
        // Whole tiles would leave one thread with more rows than another, and each call goes through all weights.
        return lanes.divide(
            true,
            layout.rows,
            n,
            layout.work(size),
            out,
            &|range, memory, out| {
                let (rows, base) = (range.len(), range.start * layout.depth);
                let at = side_by_side(rows, layout.depth);
                let at = kernels.pieces(&at[..rows.next_multiple_of(tile.rows)]);
                let stretch = Stretch { row: range.start, rows, base, at };
                for panel in panels {
                    each(&stretch, panel, memory, &mut out[panel.first..]);
                }
            },
        );
    }
    let tiles = layout.rows.div_ceil(tile.rows);
    let bytes = tile.rows * layout.taps * layout.depth * size;
    let block = (BLOCK / bytes.max(1)).max(1);
    lanes.divide(false, tiles, tile.rows * n, layout.work(size), out, &|range, memory, out| {
        let first = range.start;
        let mut start = first;
        while start < range.end {
            let mut end = (start + block).min(range.end);
            let (row, per) = (start * tile.rows, layout.taps * tile.rows);
            let (last, base, at);
            if layout.again == 0 {
                (base, at) = (0, &at_all[start * per..end * per]);
            } else if row + tile.rows > layout.rows {
                // The rows that are left fill no tile.
                last = side_by_side(layout.rows - row, layout.depth);
                (base, at) = (row * layout.depth, &last[..tile.rows]);
            } else {
                let (turn, from) = (start / layout.again, start % layout.again);
                end = end.min(start + layout.again - from).min(layout.rows / tile.rows);
                let to = from + end - start;
                (base, at) = (turn * layout.shift, &at_all[from * per..to * per]);
            }
            let rows = (end * tile.rows).min(layout.rows) - row;
            let stretch = Stretch { row, rows, base, at: kernels.pieces(at) };
            for panel in panels {
                let out = &mut out[(start - first) * tile.rows * n + panel.first..];
                each(&stretch, panel, memory, out);
            }
            start = end;
        }
    });
}

/// Most rows of a tile.
pub(super) const MOST_ROWS: usize = 64;

/// Calls `each` for the whole tiles among `n` neighbouring pixels, and for the rest: the first pixel,
/// how many, and their table.
fn neighbours(l: &Layout, tile: Tile, n: usize, mut each: impl FnMut(usize, usize, &[u32])) {
    let table: &[u32] = l.at.numbers();
    let (whole, most) = (n / tile.rows * tile.rows, table.len() / tile.rows * tile.rows);
    let mut done = 0;
    while done < whole && most > 0 {
        let now = (whole - done).min(most);
        each(done, now, &table[..now]);
        done += now;
    }
    if n > whole {
        each(whole, n - whole, &side_by_side(n - whole, l.depth)[..tile.rows]);
    }
}

/// What products of one element type do in their own way.
pub(super) trait Kind: Wire + Debug + Sized {
    /// Elements of the left side and of the output.
    type Number: bytemuck::Pod + Default + Send + Sync;
    /// Elements of the packed weights.
    type Weight: bytemuck::AnyBitPattern + Sync;

    /// Whether the numbers are of half precision.
    const IN_HALF: bool = false;

    /// Elements that are read beyond the copy of an image.
    fn beyond(&self) -> usize;

    /// The weights among the bytes of a panel, where they are stored in a shorter form.
    fn weights(&self, kernels: &dyn Kernels, layout: &Layout, panel: &Panel) -> Range<usize>;

    /// The product of some rows and a panel; see [`Kernels::f32_gemm`].
    fn product(
        &self,
        kernels: &dyn Kernels,
        rows: &Rows<'_, Self::Number>,
        weights: &[Self::Weight],
        panel: &Panel,
        rest: Option<&[Self::Number]>,
        stride: usize,
        out: &mut [Self::Number],
    );

    /// The same with weights in a shorter form, where kernels have that for so many rows; says whether it is done.
    fn product_of(
        &self,
        kernels: &dyn Kernels,
        rows: &Rows<'_, Self::Number>,
        short: &Short<'_>,
        panel: &Panel,
        rest: Option<&[Self::Number]>,
        stride: usize,
        out: &mut [Self::Number],
    ) -> bool {
        let _ = (kernels, rows, short, panel, rest, stride, out);
        false
    }
}

/// A product with packed weights.
#[derive(Debug)]
#[expect(private_bounds, reason = "there are no other kinds")]
pub struct Gemm<K: Kind> {
    layout: Layout,
    shape: Option<RowShape>,
    tile: Tile,
    panels: Vec<Panel>,
    packed: Stored,
    pad: Vec<K::Number>,
    kind: K,
}

#[expect(private_bounds, reason = "there are no other kinds")]
impl<K: Kind> Gemm<K> {
    const SIZE: usize = size_of::<K::Number>();

    /// `pad` is the piece of padding; `short` a shorter form of the packed weights, if there is one.
    pub(super) fn of(
        layout: Layout,
        tile: Tile,
        mut panels: Vec<Panel>,
        packed: Buffer,
        short: Option<(Stored, Vec<usize>)>,
        pad: Vec<K::Number>,
        kind: K,
    ) -> Self {
        let packed = stored(short, packed, &mut panels, size_of::<K::Weight>());
        let shape = layout.pixels(Self::SIZE);
        let shape = shape.filter(|_| tile.rows <= MOST_ROWS && !packed.is_coded());
        let layout = layout.shortened(tile);
        Self { layout, shape, tile, panels, packed, pad, kind }
    }

    /// Bytes of the copy of an image, and of the memory of a thread.
    fn memory(&self) -> [usize; 2] {
        let image = |f: Frame| (f.elements() + self.kind.beyond()) * Self::SIZE;
        let lane = lane(&self.packed, &self.panels, size_of::<K::Weight>());
        [self.layout.frame.map_or(0, image), lane]
    }

    /// Bytes of scratch memory.
    pub fn scratch(&self) -> usize {
        all_lanes(self.memory())
    }
}

/// What is kept of the packed weights: `short`, where there is such a form, whose places the panels take.
fn stored(
    short: Option<(Stored, Vec<usize>)>,
    packed: Buffer,
    panels: &mut [Panel],
    size: usize,
) -> Stored {
    let (weights, places) = short.unwrap_or_else(|| {
        let places = panels.iter().map(|p| p.start * size).collect();
        (Stored::whole(packed.into()), places)
    });
    panels.iter_mut().zip(places).for_each(|(panel, place)| panel.stored = place);
    weights
}

/// Bytes that a thread needs to bring panels to their form.
fn lane(packed: &Stored, panels: &[Panel], size: usize) -> usize {
    let most = panels.iter().map(|p| p.len.saturating_mul(size)).max().unwrap_or(0);
    if packed.is_coded() { most.next_multiple_of(64) } else { 0 }
}

/// Bytes of scratch memory: those of the copy of an image, then those of all threads.
fn all_lanes([image, lane]: [usize; 2]) -> usize {
    if lane == 0 { image } else { image.next_multiple_of(64) + LANES * lane }
}

/// The two parts of scratch memory.
fn parts(scratch: &mut [u8], memory: [usize; 2]) -> (&mut [u8], Lanes<'_>) {
    let end = all_lanes(memory);
    let (image, lanes) = scratch[..end].split_at_mut(end - LANES * memory[1]);
    (image, Lanes(lanes))
}

impl<K: Kind> Step for Gemm<K>
where
    Self: Sync,
{
    fn in_half(&self) -> bool {
        K::IN_HALF
    }

    fn by_rows(&self) -> Option<&dyn ByRows> {
        self.shape.is_some().then_some(self)
    }

    fn work(&self) -> usize {
        self.layout.work(Self::SIZE).saturating_mul(self.layout.samples)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let l = &self.layout;
        let x: &[K::Number] = numbers(io.a);
        let rest: &[K::Number] = numbers(io.b);
        let out: &mut [K::Number] = numbers_mut(io.out);
        let (packed, result) = (self.packed.open(), l.rows * l.channels);
        for sample in 0..l.samples {
            let (scratch, lanes) = parts(io.scratch, self.memory());
            let scratch: &mut [K::Number] = numbers_mut(scratch);
            // What lies beyond the sample is multiplied with zeros.
            let mut a = &x[sample * l.sample..];
            if let Some(frame) = l.frame {
                frame.copy(a, scratch, self.pad[0]);
                a = scratch;
            }
            let rest = (!rest.is_empty()).then(|| &rest[sample * result..][..result]);
            let out = &mut out[sample * result..][..result];
            product(
                kernels,
                l,
                self.tile,
                &self.panels,
                Self::SIZE,
                lanes,
                out,
                &|s, panel, memory, out| {
                    let a = &a[s.base + panel.group * (l.depth * (l.groups > 1) as usize)..];
                    let rows =
                        Rows::of(a, s.at, &self.pad, l.taps, l.depth, s.rows, self.tile.rows);
                    let rest = rest.map(|r| &r[s.row * l.channels + panel.first..]);
                    let (kind, n) = (&self.kind, l.channels);
                    let weights = match packed.short(panel, || kind.weights(kernels, l, panel)) {
                        None => packed.whole(panel),
                        Some(short) => {
                            if kind.product_of(kernels, &rows, &short, panel, rest, n, out) {
                                return;
                            }
                            short.decoded(kernels, memory)
                        }
                    };
                    kind.product(kernels, &rows, weights, panel, rest, n, out);
                },
            );
        }
    }
}

impl<K: Kind> ByRows for Gemm<K>
where
    Self: Sync,
{
    fn shape(&self) -> RowShape {
        self.shape.unwrap_or_default()
    }

    fn run_rows(
        &self,
        kernels: &dyn Kernels,
        x: &[u8],
        first: usize,
        rows: Range<usize>,
        b: &[u8],
        out: &mut [u8],
    ) {
        let l = &self.layout;
        let x = &x[(rows.start - first) * l.width * l.depth * Self::SIZE..];
        let (x, b): (&[K::Number], &[K::Number]) = (numbers(x), numbers(b));
        let out: &mut [K::Number] = numbers_mut(out);
        let packed = self.packed.open();
        neighbours(l, self.tile, rows.len() * l.width, |pixel, n, at| {
            let a = &x[pixel * l.depth..];
            let rows = Rows::new(a, at, &self.pad, 1, l.depth, n, self.tile.rows);
            for panel in &self.panels {
                let from = pixel * l.channels + panel.first;
                let rest = (!b.is_empty()).then(|| &b[from..]);
                let (weights, out) = (packed.whole(panel), &mut out[from..]);
                self.kind.product(kernels, &rows, weights, panel, rest, l.channels, out);
            }
        });
    }
}

impl<K: Kind> Wire for Gemm<K>
where
    K::Number: Wire,
{
    fn put(&self, w: &mut Writer) {
        self.layout.put(w);
        self.shape.put(w);
        self.tile.put(w);
        self.panels.put(w);
        self.packed.put(w);
        self.pad.put(w);
        self.kind.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            layout: Wire::get(r)?,
            shape: Wire::get(r)?,
            tile: Wire::get(r)?,
            panels: Wire::get(r)?,
            packed: Wire::get(r)?,
            pad: Wire::get(r)?,
            kind: Wire::get(r)?,
        })
    }
}

wire!(Frame { image, before, size });
wire!(Layout {
    samples,
    sample,
    rows,
    taps,
    depth,
    channels,
    groups,
    at,
    frame,
    width,
    again,
    shift
});
wire!(Panel { start, len, width, first, cols, group, stored });

//! What convolutions and dense layers share: the table of pieces, panels, and the loops around tiles.

use super::stored::Stored;
use crate::blob::Blob;
use crate::buffer::Buffer;
use crate::step::{ByRows, Io, RowShape, Step, numbers, numbers_mut};
use crate::threads::{copying, divide, divide_once, divide_with, worth};
use crate::wire::wire;
use paring_kernels::{I8Panel, Kernels, PAD, Rows, Table, Tile};
use paring_qmath::{Multiplier, Rounding};
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
/// as fast, and each result takes some time of its own.
fn weighed(depth: usize, results: usize, size: usize) -> usize {
    let products = if size == 1 { depth / 4 } else { depth };
    products.saturating_add(8).saturating_mul(results)
}

/// Some channels with their weights.
#[derive(Debug)]
pub(super) struct Panel {
    /// Elements or bytes before it in the packed weights.
    pub(super) start: usize,
    pub(super) len: usize,
    width: usize,
    /// The first of its channels.
    first: usize,
    cols: usize,
    group: usize,
    /// Bytes before it in the weights as they are stored.
    pub(super) stored: usize,
}

/// Cuts the channels into panels; `len` gives what a panel of some width takes.
fn panels(layout: &Layout, tile: Tile, len: impl Fn(usize) -> usize) -> (Vec<Panel>, usize) {
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

/// A product of `f32`.
#[derive(Debug)]
pub struct F32Gemm {
    layout: Layout,
    shape: Option<RowShape>,
    tile: Tile,
    panels: Vec<Panel>,
    packed: Stored,
    pad: Vec<f32>,
    clamp: (f32, f32),
}

impl F32Gemm {
    /// `weights` are `taps * depth` numbers a channel.
    pub fn new(
        kernels: &dyn Kernels,
        layout: Layout,
        weights: &[f32],
        bias: Option<&[f32]>,
        clamp: (f32, f32),
    ) -> Self {
        let tile = kernels.f32_tile();
        let k = layout.taps * layout.depth;
        let (mut panels, total) = panels(&layout, tile, |width| width * (1 + k));
        let mut packed = Buffer::zeroed(4 * total);
        let numbers: &mut [f32] = bytemuck::cast_slice_mut(packed.bytes_mut());
        for panel in &panels {
            let to = &mut numbers[panel.start..panel.start + panel.len];
            for c in 0..panel.cols {
                let channel = panel.first + c;
                to[c] = bias.map_or(0.0, |b| b[channel]);
                for (k, w) in weights[channel * k..(channel + 1) * k].iter().enumerate() {
                    to[(1 + k) * panel.width + c] = *w;
                }
            }
        }
        let places = panels.iter().map(|p| (4 * p.start..4 * (p.start + p.len), Self::weights(p)));
        let places: Vec<_> = places.collect();
        let short = kernels.f32_as_halves().then(|| Stored::halves(numbers, &places)).flatten();
        let packed = stored(short, packed, &mut panels, 4);
        let pad = vec![0.0; layout.depth];
        let shape = layout.pixels(4).filter(|_| tile.rows <= MOST_ROWS && !packed.is_coded());
        let layout = layout.shortened(tile);
        Self { layout, shape, tile, panels, packed, pad, clamp }
    }

    /// The weights among the bytes of a panel.
    fn weights(panel: &Panel) -> Range<usize> {
        4 * panel.width..4 * panel.len
    }

    /// Bytes of the copy of an image, and of the memory of a thread.
    fn memory(&self) -> [usize; 2] {
        [self.layout.frame.map_or(0, |f| 4 * f.elements()), lane(&self.packed, &self.panels, 4)]
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

impl Step for F32Gemm {
    fn by_rows(&self) -> Option<&dyn ByRows> {
        self.shape.is_some().then_some(self)
    }

    fn work(&self) -> usize {
        self.layout.work(4).saturating_mul(self.layout.samples)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let l = &self.layout;
        let x: &[f32] = numbers(io.a);
        let rest: &[f32] = numbers(io.b);
        let out: &mut [f32] = numbers_mut(io.out);
        let (packed, result) = (self.packed.open(), l.rows * l.channels);
        for sample in 0..l.samples {
            let (scratch, lanes) = parts(io.scratch, self.memory());
            let scratch: &mut [f32] = numbers_mut(scratch);
            let mut a = &x[sample * l.sample..][..l.sample];
            if let Some(frame) = l.frame {
                frame.copy(a, scratch, 0.0);
                a = scratch;
            }
            let rest = (!rest.is_empty()).then(|| &rest[sample * result..][..result]);
            let out = &mut out[sample * result..][..result];
            product(
                kernels,
                l,
                self.tile,
                &self.panels,
                4,
                lanes,
                out,
                &|s, panel, memory, out| {
                    let a = &a[s.base + panel.group * (l.depth * (l.groups > 1) as usize)..];
                    let rows =
                        Rows::of(a, s.at, &self.pad, l.taps, l.depth, s.rows, self.tile.rows);
                    let rest = rest.map(|r| &r[s.row * l.channels + panel.first..]);
                    let weights = packed.panel(kernels, panel, || Self::weights(panel), memory);
                    let (width, cols) = (panel.width, panel.cols);
                    kernels
                        .f32_gemm(&rows, weights, width, rest, self.clamp, cols, l.channels, out);
                },
            );
        }
    }
}

impl ByRows for F32Gemm {
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
        let x: &[f32] = numbers(&x[(rows.start - first) * l.width * l.depth * 4..]);
        let (b, out): (&[f32], &mut [f32]) = (numbers(b), numbers_mut(out));
        let packed = self.packed.open();
        neighbours(l, self.tile, rows.len() * l.width, |pixel, n, at| {
            let a = &x[pixel * l.depth..];
            let rows = Rows::new(a, at, &self.pad, 1, l.depth, n, self.tile.rows);
            for panel in &self.panels {
                let from = pixel * l.channels + panel.first;
                let rest = (!b.is_empty()).then(|| &b[from..]);
                let weights = packed.panel(kernels, panel, || 0..0, &mut []);
                let (width, cols, out) = (panel.width, panel.cols, &mut out[from..]);
                kernels.f32_gemm(&rows, weights, width, rest, self.clamp, cols, l.channels, out);
            }
        });
    }
}

/// The integer constants of a convolution or dense layer.
pub struct I8Constants {
    /// Zero point of the input.
    pub x_zero: i32,
    /// One a channel; without the input's zero point.
    pub bias: Vec<i32>,
    /// One a channel.
    pub multipliers: Vec<Multiplier>,
    pub rounding: Rounding,
    /// Zero point of the output.
    pub zero_point: i32,
    pub bounds: (i8, i8),
}

impl I8Constants {
    /// The bias of a channel less what the input's zero point adds to the sum of these weights.
    pub fn folded(&self, channel: usize, weights: impl Iterator<Item = i8>) -> Option<i32> {
        let sum: i64 = weights.map(i64::from).sum();
        let bias = i64::from(self.bias[channel]) - i64::from(self.x_zero) * sum;
        i32::try_from(bias).ok()
    }
}

/// A product of `i8`.
#[derive(Debug)]
pub struct I8Gemm {
    layout: Layout,
    shape: Option<RowShape>,
    tile: Tile,
    panels: Vec<Panel>,
    packed: Stored,
    pad: Vec<i8>,
    step: usize,
}

impl I8Gemm {
    /// `weights` are `taps * depth` numbers a channel. `None` where the kernels cannot reproduce the
    /// arithmetic of a channel.
    pub fn new(
        kernels: &dyn Kernels,
        layout: Layout,
        weights: &[i8],
        c: &I8Constants,
    ) -> Option<Self> {
        let tile = kernels.i8_tile();
        let k = layout.taps * layout.depth;
        let len = |width| kernels.i8_panel_len(layout.taps, layout.depth, width);
        let (mut panels, total) = panels(&layout, tile, len);
        let mut packed = Buffer::zeroed(total);
        for panel in &panels {
            let channels = panel.first..panel.first + panel.cols;
            let weights = &weights[channels.start * k..channels.end * k];
            let bias: Option<Vec<i32>> = channels
                .clone()
                .zip(weights.chunks_exact(k))
                .map(|(channel, w)| c.folded(channel, w.iter().copied()))
                .collect();
            let from = I8Panel {
                weights,
                taps: layout.taps,
                depth: layout.depth,
                width: panel.width,
                bias: &bias?,
                multipliers: &c.multipliers[channels],
                rounding: c.rounding,
                zero_point: c.zero_point,
                bounds: c.bounds,
            };
            let to = &mut packed.bytes_mut()[panel.start..panel.start + panel.len];
            if !kernels.i8_pack(&from, to) {
                return None;
            }
        }
        let places = panels.iter().map(|p| {
            let weights = kernels.i8_weights(layout.taps, layout.depth, p.width)?;
            Some((p.start..p.start + p.len, weights))
        });
        let places: Option<Vec<_>> = places.collect();
        let short = places.and_then(|places| Stored::codes(packed.bytes(), &places));
        let packed = stored(short, packed, &mut panels, 1);
        let step = kernels.i8_step();
        let pad = vec![c.x_zero as i8; layout.depth.next_multiple_of(step)];
        let shape = layout.pixels(1).filter(|_| tile.rows <= MOST_ROWS && !packed.is_coded());
        let layout = layout.shortened(tile);
        Some(Self { layout, shape, tile, panels, packed, pad, step })
    }

    /// As [`F32Gemm::memory`].
    fn memory(&self) -> [usize; 2] {
        let image = self.layout.frame.map_or(0, |f| f.elements() + self.step);
        [image, lane(&self.packed, &self.panels, 1)]
    }

    /// Bytes of scratch memory.
    pub fn scratch(&self) -> usize {
        all_lanes(self.memory())
    }
}

impl Step for I8Gemm {
    fn by_rows(&self) -> Option<&dyn ByRows> {
        self.shape.is_some().then_some(self)
    }

    fn work(&self) -> usize {
        self.layout.work(1).saturating_mul(self.layout.samples)
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let l = &self.layout;
        let x: &[i8] = numbers(io.a);
        let out: &mut [i8] = numbers_mut(io.out);
        let (packed, result) = (self.packed.open(), l.rows * l.channels);
        for sample in 0..l.samples {
            let (scratch, lanes) = parts(io.scratch, self.memory());
            let scratch: &mut [i8] = numbers_mut(scratch);
            // What lies beyond the sample is multiplied with zeros.
            let mut a = &x[sample * l.sample..];
            if let Some(frame) = l.frame {
                frame.copy(a, scratch, self.pad[0]);
                a = scratch;
            }
            let out = &mut out[sample * result..][..result];
            product(
                kernels,
                l,
                self.tile,
                &self.panels,
                1,
                lanes,
                out,
                &|s, panel, memory, out| {
                    let a = &a[s.base + panel.group * (l.depth * (l.groups > 1) as usize)..];
                    let rows =
                        Rows::of(a, s.at, &self.pad, l.taps, l.depth, s.rows, self.tile.rows);
                    let weights =
                        || kernels.i8_weights(l.taps, l.depth, panel.width).unwrap_or(0..0);
                    let weights = packed.panel(kernels, panel, weights, memory);
                    kernels.i8_gemm(&rows, weights, panel.width, panel.cols, l.channels, out);
                },
            );
        }
    }
}

impl ByRows for I8Gemm {
    fn shape(&self) -> RowShape {
        self.shape.unwrap_or_default()
    }

    fn run_rows(
        &self,
        kernels: &dyn Kernels,
        x: &[u8],
        first: usize,
        rows: Range<usize>,
        _: &[u8],
        out: &mut [u8],
    ) {
        let l = &self.layout;
        let x: &[i8] = numbers(&x[(rows.start - first) * l.width * l.depth..]);
        let out: &mut [i8] = numbers_mut(out);
        let packed = self.packed.open();
        neighbours(l, self.tile, rows.len() * l.width, |pixel, n, at| {
            let a = &x[pixel * l.depth..];
            let rows = Rows::new(a, at, &self.pad, 1, l.depth, n, self.tile.rows);
            for panel in &self.panels {
                let out = &mut out[pixel * l.channels + panel.first..];
                let weights = packed.panel(kernels, panel, || 0..0, &mut []);
                kernels.i8_gemm(&rows, weights, panel.width, panel.cols, l.channels, out);
            }
        });
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
wire!(F32Gemm { layout, shape, tile, panels, packed, pad, clamp });
wire!(I8Gemm { layout, shape, tile, panels, packed, pad, step });

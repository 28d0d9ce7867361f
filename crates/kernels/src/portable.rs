//! Kernels in plain Rust.

use crate::interface::{I8Depthwise, I8Panel, Kernels, PAD, Rows, Tile, Window};
use crate::sparse::{I8Scale, Sparse};
use core::ops::Range;
use paring_qmath::{Multiplier, Rounding};

/// The kernels in plain Rust, for processors without others and for tests of the engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Kernels for Portable {
    fn name(&self) -> &str {
        "portable"
    }
}

pub(crate) const TILE: Tile = Tile { rows: 4, width: 8 };

/// Channels of the widest panel.
pub(crate) const WIDEST: usize = 32;

/// The pieces of a row.
pub(crate) fn pieces<'a, T>(rows: &'a Rows<'_, T>, row: usize) -> impl Iterator<Item = &'a [T]> {
    let (tile, lane) = (row / rows.tile(), row % rows.tile());
    let (taps, depth) = (rows.taps(), rows.depth());
    (0..taps).map(move |tap| match rows.at()[(tile * taps + tap) * rows.tile() + lane] {
        PAD => &rows.pad()[..depth],
        at => &rows.a()[at as usize..at as usize + depth],
    })
}

pub(crate) fn clamp_f32(x: f32, (low, high): (f32, f32)) -> f32 {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

pub(crate) fn f32_gemm(
    rows: &Rows<'_, f32>,
    panel: &[f32],
    width: usize,
    rest: Option<&[f32]>,
    clamp: (f32, f32),
    cols: usize,
    stride: usize,
    out: &mut [f32],
) {
    for row in 0..rows.rows() {
        let mut acc = [0.0_f32; WIDEST];
        let acc = &mut acc[..width];
        let (bias, mut w) = panel.split_at(width);
        acc.copy_from_slice(bias);
        for piece in pieces(rows, row) {
            for x in piece {
                let (now, later) = w.split_at(width);
                for (acc, w) in acc.iter_mut().zip(now) {
                    *acc += x * w;
                }
                w = later;
            }
        }
        let out = &mut out[row * stride..][..cols];
        for (c, out) in out.iter_mut().enumerate() {
            let y = rest.map_or(acc[c], |r| acc[c] + r[row * stride + c]);
            *out = clamp_f32(y, clamp);
        }
    }
}

pub(crate) fn f32_sparse(
    a: &[f32],
    w: &Sparse<'_, f32>,
    bias: &[f32],
    rest: Option<&[f32]>,
    clamp: (f32, f32),
    out: &mut [f32],
) {
    let channels = w.counts().len();
    let rows = a.chunks_exact(w.depth()).zip(out.chunks_exact_mut(channels));
    for (row, (a, out)) in rows.enumerate() {
        let mut all = w.index().iter().zip(w.weights());
        for (c, y) in out.iter_mut().enumerate() {
            let own = all.by_ref().take(w.counts()[c] as usize);
            let sum = own.fold(bias[c], |sum, (k, w)| sum + a[*k as usize] * w);
            let y_rest = rest.map_or(sum, |r| sum + r[row * channels + c]);
            *y = clamp_f32(y_rest, clamp);
        }
    }
}

pub(crate) fn i8_sparse(a: &[i8], w: &Sparse<'_, i16>, scale: &I8Scale<'_>, out: &mut [i8]) {
    let channels = w.counts().len();
    let (low, high) = (i32::from(scale.bounds.0), i32::from(scale.bounds.1));
    for (a, out) in a.chunks_exact(w.depth()).zip(out.chunks_exact_mut(channels)) {
        let mut all = w.index().iter().zip(w.weights());
        for (c, y) in out.iter_mut().enumerate() {
            let own = all.by_ref().take(w.counts()[c] as usize);
            let product = |(k, w): (&u32, &i16)| i32::from(a[*k as usize]) * i32::from(*w);
            let sum = own.map(product).fold(scale.bias[c], i32::wrapping_add);
            let m = Multiplier { mantissa: scale.mantissas[c], shift: scale.shifts[c] };
            let scaled = m.apply(sum, Rounding::Double).saturating_add(scale.zero_point);
            *y = scaled.max(low).min(high) as i8;
        }
    }
}

/// Bytes of the numbers that lead packed weights: rounding, zero point, bounds.
const HEAD: usize = 16;
/// Bytes of the numbers of a channel: bias, mantissa, shift.
const CHANNEL: usize = 12;

pub(crate) fn i8_panel_len(taps: usize, depth: usize, width: usize) -> usize {
    HEAD + width * (CHANNEL + taps * depth)
}

struct Head {
    rounding: Rounding,
    zero_point: i32,
    bounds: (i8, i8),
}

fn number(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn write_head(to: &mut [u8], head: &Head) {
    let rounding = i32::from(head.rounding == Rounding::Single);
    let (low, high) = (i32::from(head.bounds.0), i32::from(head.bounds.1));
    for (i, n) in [rounding, head.zero_point, low, high].into_iter().enumerate() {
        to[4 * i..4 * i + 4].copy_from_slice(&n.to_le_bytes());
    }
}

fn head(from: &[u8]) -> Head {
    let rounding = if number(from, 0) == 1 { Rounding::Single } else { Rounding::Double };
    let bounds = (number(from, 8) as i8, number(from, 12) as i8);
    Head { rounding, zero_point: number(from, 4), bounds }
}

impl Head {
    /// The output for a sum of a channel.
    fn finish(&self, channel: &[u8], sum: i32) -> i8 {
        let m = Multiplier { mantissa: number(channel, 4), shift: number(channel, 8) };
        let y = m.apply(sum, self.rounding).saturating_add(self.zero_point);
        y.max(i32::from(self.bounds.0)).min(i32::from(self.bounds.1)) as i8
    }
}

fn write_channels(to: &mut [u8], bias: &[i32], multipliers: &[Multiplier]) {
    for ((to, bias), m) in to.chunks_exact_mut(CHANNEL).zip(bias).zip(multipliers) {
        for (i, n) in [*bias, m.mantissa, m.shift].into_iter().enumerate() {
            to[4 * i..4 * i + 4].copy_from_slice(&n.to_le_bytes());
        }
    }
}

pub(crate) fn i8_pack(p: &I8Panel<'_>, packed: &mut [u8]) -> bool {
    let (top, rest) = packed.split_at_mut(HEAD);
    let (channels, weights) = rest.split_at_mut(CHANNEL * p.width);
    let head = Head { rounding: p.rounding, zero_point: p.zero_point, bounds: p.bounds };
    write_head(top, &head);
    write_channels(channels, p.bias, p.multipliers);
    let len = p.taps * p.depth;
    for (c, w) in p.weights.chunks_exact(len.max(1)).enumerate() {
        for (k, w) in w.iter().enumerate() {
            weights[k * p.width + c] = *w as u8;
        }
    }
    true
}

pub(crate) fn i8_gemm(
    rows: &Rows<'_, i8>,
    packed: &[u8],
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i8],
) {
    let (top, rest) = packed.split_at(HEAD);
    let (channels, weights) = rest.split_at(CHANNEL * width);
    let (head, weights) = (head(top), bytemuck::cast_slice::<u8, i8>(weights));
    for row in 0..rows.rows() {
        let mut acc = [0_i32; WIDEST];
        let acc = &mut acc[..width];
        for (acc, channel) in acc.iter_mut().zip(channels.chunks_exact(CHANNEL)) {
            *acc = number(channel, 0);
        }
        let mut w = weights;
        for piece in pieces(rows, row) {
            for x in piece {
                let (now, later) = w.split_at(width);
                for (acc, w) in acc.iter_mut().zip(now) {
                    *acc = acc.wrapping_add(i32::from(*x) * i32::from(*w));
                }
                w = later;
            }
        }
        let out = &mut out[row * stride..][..cols];
        for ((out, acc), channel) in out.iter_mut().zip(acc).zip(channels.chunks_exact(CHANNEL)) {
            *out = head.finish(channel, *acc);
        }
    }
}

/// Calls `each` for every output pixel of some rows with its place in `out`, and for every tap that is
/// inside with the tap and its place in `x`.
pub(crate) fn pixels(
    window: &Window,
    rows: Range<usize>,
    mut each: impl FnMut(usize, &mut dyn Iterator<Item = (usize, Option<usize>)>),
) {
    let first = rows.start;
    for y in rows {
        for column in 0..window.out_width {
            let mut taps = (0..window.taps()).map(|tap| {
                let row = window.at(0, y, tap / window.kernel[1]);
                let column = window.at(1, column, tap % window.kernel[1]);
                let at = row.zip(column);
                (tap, at.map(|(r, c)| (r * window.input[1] + c) * window.channels))
            });
            each(((y - first) * window.out_width + column) * window.channels, &mut taps);
        }
    }
}

pub(crate) fn f32_depthwise(
    window: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [f32],
) {
    let channels = window.channels;
    pixels(window, rows, |to, taps| {
        let out = &mut out[to..to + channels];
        out.copy_from_slice(bias);
        for (tap, at) in taps {
            let Some(at) = at else { continue };
            let w = &weights[tap * channels..][..channels];
            for ((y, x), w) in out.iter_mut().zip(&x[at..]).zip(w) {
                *y += x * w;
            }
        }
        for y in out {
            *y = clamp_f32(*y, clamp);
        }
    });
}

pub(crate) fn i8_depthwise_pack(p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
    let (top, rest) = packed.split_at_mut(HEAD);
    let (channels, weights) = rest.split_at_mut(CHANNEL * p.channels);
    let head = Head { rounding: p.rounding, zero_point: p.zero_point, bounds: p.bounds };
    write_head(top, &head);
    write_channels(channels, p.bias, p.multipliers);
    weights.copy_from_slice(bytemuck::cast_slice(p.weights));
    true
}

pub(crate) fn i8_depthwise(
    window: &Window,
    x: &[i8],
    pad: i8,
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    const BLOCK: usize = 64;
    let padding = [pad; BLOCK];
    let (top, rest) = packed.split_at(HEAD);
    let (channels, weights) = rest.split_at(CHANNEL * window.channels);
    let (head, weights) = (head(top), bytemuck::cast_slice::<u8, i8>(weights));
    for first in (0..window.channels).step_by(BLOCK) {
        let n = BLOCK.min(window.channels - first);
        let channels = &channels[CHANNEL * first..][..CHANNEL * n];
        pixels(window, rows.clone(), |to, taps| {
            let mut acc = [0_i32; BLOCK];
            for (acc, channel) in acc.iter_mut().zip(channels.chunks_exact(CHANNEL)) {
                *acc = number(channel, 0);
            }
            for (tap, at) in taps {
                let x = at.map_or(&padding[..n], |at| &x[at + first..at + first + n]);
                let w = &weights[tap * window.channels + first..][..n];
                for ((acc, x), w) in acc.iter_mut().zip(x).zip(w) {
                    *acc = acc.wrapping_add(i32::from(*x) * i32::from(*w));
                }
            }
            let out = &mut out[to + first..to + first + n];
            let each = out.iter_mut().zip(acc).zip(channels.chunks_exact(CHANNEL));
            for ((out, acc), channel) in each {
                *out = head.finish(channel, acc);
            }
        });
    }
}

pub(crate) fn i16_dot(x: &[i16], w: &[i8]) -> i64 {
    let product = |(x, w): (&i16, &i8)| i64::from(i32::from(*x) * i32::from(*w));
    x.iter().zip(w).map(product).sum()
}

pub(crate) fn table(table: &[u8; 256], x: &[u8], out: &mut [u8]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = table[usize::from(*x)];
    }
}

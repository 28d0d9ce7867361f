//! Products of `f32`, in half precision, of `i8`, and of `i16` with weights of `i8`.

use super::gemm::{Gemm, Kind, Layout, Panel, panels};
use super::stored::{Short, Stored};
use crate::buffer::Buffer;
use crate::wire::wire;
use paring_kernels::{I8Panel, I16Panel, Kernels, Rows, Tile, to_half};
use paring_qmath::{Multiplier, Rounding};
use std::ops::Range;

/// What belongs to products of `f32` alone.
#[derive(Debug)]
pub struct F32 {
    clamp: (f32, f32),
}

/// A product of `f32`.
pub type F32Gemm = Gemm<F32>;

/// The weights among the bytes of a panel of `f32`.
fn f32_weights(panel: &Panel) -> Range<usize> {
    4 * panel.width..4 * panel.len
}

impl Kind for F32 {
    type Number = f32;
    type Weight = f32;

    fn beyond(&self) -> usize {
        0
    }

    fn weights(&self, _: &dyn Kernels, _: &Layout, panel: &Panel) -> Range<usize> {
        f32_weights(panel)
    }

    fn product(
        &self,
        kernels: &dyn Kernels,
        rows: &Rows<'_, f32>,
        weights: &[f32],
        panel: &Panel,
        rest: Option<&[f32]>,
        stride: usize,
        out: &mut [f32],
    ) {
        kernels.f32_gemm(rows, weights, panel.width, rest, self.clamp, panel.cols, stride, out);
    }

    fn product_of(
        &self,
        kernels: &dyn Kernels,
        rows: &Rows<'_, f32>,
        short: &Short<'_>,
        panel: &Panel,
        rest: Option<&[f32]>,
        stride: usize,
        out: &mut [f32],
    ) -> bool {
        let (width, cols) = (panel.width, panel.cols);
        short.halves().is_some_and(|halves| {
            kernels.f32_gemm_of_halves(rows, halves, width, rest, self.clamp, cols, stride, out)
        })
    }
}

/// The panels of real numbers: for each the biases of its channels, and after them weights of each channel by turns.
fn real_panels<T: bytemuck::Pod>(
    layout: &Layout,
    tile: Tile,
    weights: &[f32],
    bias: Option<&[f32]>,
    number: impl Fn(f32) -> T,
) -> (Vec<Panel>, Buffer) {
    let k = layout.taps * layout.depth;
    let (panels, total) = panels(layout, tile, |width| width * (1 + k));
    let mut packed = Buffer::zeroed(size_of::<T>() * total);
    let numbers: &mut [T] = bytemuck::cast_slice_mut(packed.bytes_mut());
    for panel in &panels {
        let to = &mut numbers[panel.start..panel.start + panel.len];
        for c in 0..panel.cols {
            let channel = panel.first + c;
            to[c] = number(bias.map_or(0.0, |b| b[channel]));
            for (k, w) in weights[channel * k..(channel + 1) * k].iter().enumerate() {
                to[(1 + k) * panel.width + c] = number(*w);
            }
        }
    }
    (panels, packed)
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
        let (panels, packed) = real_panels(&layout, tile, weights, bias, |x| x);
        let places = panels.iter().map(|p| (4 * p.start..4 * (p.start + p.len), f32_weights(p)));
        let places: Vec<_> = places.collect();
        let numbers = bytemuck::cast_slice(packed.bytes());
        let short = kernels.f32_as_halves().then(|| Stored::halves(numbers, &places)).flatten();
        let pad = vec![0.0; layout.depth];
        Self::of(layout, tile, panels, packed, short, pad, F32 { clamp })
    }
}

/// What belongs to products in half precision alone.
#[derive(Debug)]
pub struct F16 {
    clamp: (f32, f32),
}

/// A product in half precision.
pub type F16Gemm = Gemm<F16>;

impl Kind for F16 {
    type Number = u16;
    type Weight = u16;

    const IN_HALF: bool = true;

    fn beyond(&self) -> usize {
        0
    }

    fn weights(&self, _: &dyn Kernels, _: &Layout, _: &Panel) -> Range<usize> {
        0..0
    }

    fn product(
        &self,
        kernels: &dyn Kernels,
        rows: &Rows<'_, u16>,
        weights: &[u16],
        panel: &Panel,
        rest: Option<&[u16]>,
        stride: usize,
        out: &mut [u16],
    ) {
        kernels.f16_gemm(rows, weights, panel.width, rest, self.clamp, panel.cols, stride, out);
    }
}

impl F16Gemm {
    /// As [`F32Gemm::new`]; weights and biases are rounded.
    pub fn new(
        kernels: &dyn Kernels,
        layout: Layout,
        weights: &[f32],
        bias: Option<&[f32]>,
        clamp: (f32, f32),
    ) -> Self {
        let tile = kernels.f16_tile();
        let (panels, packed) = real_panels(&layout, tile, weights, bias, to_half);
        let pad = vec![0; layout.depth];
        Self::of(layout, tile, panels, packed, None, pad, F16 { clamp })
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

/// What belongs to products of `i8` alone.
#[derive(Debug)]
pub struct I8 {
    step: usize,
}

/// A product of `i8`.
pub type I8Gemm = Gemm<I8>;

impl Kind for I8 {
    type Number = i8;
    type Weight = u8;

    fn beyond(&self) -> usize {
        self.step
    }

    fn weights(&self, kernels: &dyn Kernels, l: &Layout, panel: &Panel) -> Range<usize> {
        kernels.i8_weights(l.taps, l.depth, panel.width).unwrap_or(0..0)
    }

    fn product(
        &self,
        kernels: &dyn Kernels,
        rows: &Rows<'_, i8>,
        weights: &[u8],
        panel: &Panel,
        _: Option<&[i8]>,
        stride: usize,
        out: &mut [i8],
    ) {
        kernels.i8_gemm(rows, weights, panel.width, panel.cols, stride, out);
    }

    fn product_of(
        &self,
        kernels: &dyn Kernels,
        rows: &Rows<'_, i8>,
        short: &Short<'_>,
        panel: &Panel,
        _: Option<&[i8]>,
        stride: usize,
        out: &mut [i8],
    ) -> bool {
        let (width, cols) = (panel.width, panel.cols);
        short.codes().is_some_and(|p| kernels.i8_gemm_of_codes(rows, &p, width, cols, stride, out))
    }
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
        let (panels, total) = panels(&layout, tile, len);
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
        let numbers = kernels.codes_as_numbers();
        let short = places.and_then(|places| Stored::codes(packed.bytes(), &places, numbers));
        let step = kernels.i8_step();
        let pad = vec![c.x_zero as i8; layout.depth.next_multiple_of(step)];
        Some(Self::of(layout, tile, panels, packed, short, pad, I8 { step }))
    }
}

/// The integer constants of a layer of `i16` whose zero points are 0.
#[derive(Debug)]
pub struct I16Constants {
    /// One a channel.
    pub bias: Vec<i64>,
    /// One a channel.
    pub multipliers: Vec<Multiplier>,
    pub bounds: (i16, i16),
}

impl I16Constants {
    /// What some channels are packed from; `weights` are theirs.
    pub(super) fn panel<'a>(
        &'a self,
        channels: Range<usize>,
        weights: &'a [i8],
        [taps, depth, width]: [usize; 3],
    ) -> I16Panel<'a> {
        I16Panel {
            weights,
            taps,
            depth,
            width,
            bias: &self.bias[channels.clone()],
            multipliers: &self.multipliers[channels],
            bounds: self.bounds,
        }
    }
}

/// What belongs to products of `i16` alone.
#[derive(Debug)]
pub struct I16 {
    step: usize,
}

/// A product of `i16` and weights of `i8` whose sums fit 32 bits.
pub type I16Gemm = Gemm<I16>;

impl Kind for I16 {
    type Number = i16;
    type Weight = u8;

    fn beyond(&self) -> usize {
        self.step
    }

    fn weights(&self, _: &dyn Kernels, _: &Layout, _: &Panel) -> Range<usize> {
        0..0
    }

    fn product(
        &self,
        kernels: &dyn Kernels,
        rows: &Rows<'_, i16>,
        weights: &[u8],
        panel: &Panel,
        _: Option<&[i16]>,
        stride: usize,
        out: &mut [i16],
    ) {
        kernels.i16_gemm(rows, weights, panel.width, panel.cols, stride, out);
    }
}

impl I16Gemm {
    /// `weights` are `taps * depth` numbers a channel. `None` where the sums of a channel may not fit.
    pub fn new(
        kernels: &dyn Kernels,
        layout: Layout,
        weights: &[i8],
        c: &I16Constants,
    ) -> Option<Self> {
        let (tile, step) = (kernels.i16_tile(), kernels.i16_step());
        let (taps, depth) = (layout.taps, layout.depth);
        let k = taps * depth;
        let (panels, total) =
            panels(&layout, tile, |width| kernels.i16_panel_len(taps, depth, width));
        let mut packed = Buffer::zeroed(total);
        for panel in &panels {
            let channels = panel.first..panel.first + panel.cols;
            let weights = &weights[channels.start * k..channels.end * k];
            let from = c.panel(channels, weights, [taps, depth, panel.width]);
            let to = &mut packed.bytes_mut()[panel.start..panel.start + panel.len];
            if !kernels.i16_pack(&from, to) {
                return None;
            }
        }
        let pad = vec![0; depth.next_multiple_of(step)];
        Some(Self::of(layout, tile, panels, packed, None, pad, I16 { step }))
    }
}

wire!(F32 { clamp });
wire!(F16 { clamp });
wire!(I8 { step });
wire!(I16 { step });

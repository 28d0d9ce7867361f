//! Depthwise convolutions of one image in NHWC, some rows of the output at a time.

use crate::Level;
use crate::requant::Affine;
use paring_qmath::{Multiplier, Rounding};
use std::ops::Range;

/// Taps that a window may have.
pub const MAX_TAPS: usize = 64;

/// The geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// Channels.
    pub channels: usize,
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Rows of padding above and columns to the left.
    pub pad: [usize; 2],
    /// Columns of the output.
    pub out_width: usize,
}

impl Window {
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The position in the input of a tap along an axis, if it is inside.
    #[inline(always)]
    pub(crate) fn at(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let i =
            (out * self.stride[axis] + tap * self.dilation[axis]).checked_sub(self.pad[axis])?;
        (i < self.input[axis]).then_some(i)
    }

    /// The output columns for which every tap of a row is inside.
    pub(crate) fn inner_columns(&self) -> Range<usize> {
        let first = self.pad[1].div_ceil(self.stride[1]);
        let reach = (self.kernel[1] - 1) * self.dilation[1];
        let room = (self.input[1] + self.pad[1]).checked_sub(reach + 1);
        let end = room.map_or(0, |r| r / self.stride[1] + 1).min(self.out_width);
        first.min(end)..end
    }

    fn check(&self, x: usize, rows: &Range<usize>, out: usize) {
        assert!(self.kernel[0] > 0 && self.kernel[1] > 0 && self.taps() <= MAX_TAPS);
        assert!(self.stride[0] > 0 && self.stride[1] > 0);
        assert!(rows.start <= rows.end);
        assert_eq!(x, self.input[0] * self.input[1] * self.channels);
        assert_eq!(out, rows.len() * self.out_width * self.channels);
    }
}

/// `f32`: the weights are `taps` rows of one number a channel.
///
/// # Panics
/// If lengths disagree, there is no kernel, or the processor lacks the level's features.
pub fn f32_depthwise(
    level: Level,
    window: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [f32],
) {
    window.check(x.len(), &rows, out.len());
    assert!(level != Level::Scalar && level.is_available());
    assert_eq!(weights.len(), window.taps() * window.channels);
    assert_eq!(bias.len(), window.channels);
    // SAFETY: lengths and features are checked above.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => f32_rows_avx512(window, x, weights, bias, clamp, rows, out),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => f32_rows_avx2(window, x, weights, bias, clamp, rows, out),
            _ => unreachable!("a level with a kernel"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
unsafe fn f32_rows_avx512(
    window: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [f32],
) {
    // SAFETY: as the caller's.
    unsafe { f32_rows::<16>(window, x, weights, bias, clamp, rows, out) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn f32_rows_avx2(
    window: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [f32],
) {
    // SAFETY: as the caller's.
    unsafe { f32_rows::<8>(window, x, weights, bias, clamp, rows, out) }
}

/// Blocks of `L` channels, then the rest one by one.
#[inline(always)]
unsafe fn f32_rows<const L: usize>(
    window: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [f32],
) {
    let first = rows.start;
    for y in rows {
        let out = &mut out[(y - first) * window.out_width * window.channels..]
            [..window.out_width * window.channels];
        let mut c = 0;
        // SAFETY: blocks are inside the channels; the caller checked the rest.
        unsafe {
            while c + L <= window.channels {
                f32_block::<L>(window, x, weights, bias, clamp, y, c, out);
                c += L;
            }
            while c < window.channels {
                f32_block::<1>(window, x, weights, bias, clamp, y, c, out);
                c += 1;
            }
        }
    }
}

#[inline(always)]
unsafe fn f32_block<const L: usize>(
    window: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    (low, high): (f32, f32),
    y: usize,
    c: usize,
    out: &mut [f32],
) {
    let channels = window.channels;
    let [kh, kw] = window.kernel;
    // SAFETY: every index is a valid tap of a valid channel block.
    unsafe {
        let start: [f32; L] = bias.as_ptr().add(c).cast::<[f32; L]>().read();
        let w = weights.as_ptr().add(c);
        let finish = |mut acc: [f32; L], column: usize, out: &mut [f32]| {
            for v in &mut acc {
                *v = v.max(low).min(high);
            }
            out.as_mut_ptr().add(column * channels + c).cast::<[f32; L]>().write(acc);
        };
        let edge = |column: usize, out: &mut [f32]| {
            let mut acc = start;
            for ky in 0..kh {
                let Some(row) = window.at(0, y, ky) else { continue };
                for kx in 0..kw {
                    let Some(col) = window.at(1, column, kx) else { continue };
                    let x = x.as_ptr().add((row * window.input[1] + col) * channels + c);
                    add::<L>(&mut acc, x, w.add((ky * kw + kx) * channels));
                }
            }
            finish(acc, column, out);
        };
        let inner = window.inner_columns();
        let rows_inside = window.at(0, y, 0).is_some() && window.at(0, y, kh - 1).is_some();
        let plain = rows_inside && window.dilation == [1, 1] && kh == kw;
        if !plain || !(kh == 3 || kh == 5) {
            for column in 0..window.out_width {
                edge(column, out);
            }
            return;
        }
        for column in 0..inner.start {
            edge(column, out);
        }
        let top = y * window.stride[0] - window.pad[0];
        let origin = x.as_ptr().add(top * window.input[1] * channels + c);
        let pitch = window.input[1] * channels;
        let step = window.stride[1] * channels;
        let mut left =
            (inner.start * window.stride[1]).wrapping_sub(window.pad[1]).wrapping_mul(channels);
        if kh == 3 {
            let mut k = [[0.0; L]; 9];
            for (tap, k) in k.iter_mut().enumerate() {
                *k = w.add(tap * channels).cast::<[f32; L]>().read();
            }
            for column in inner.clone() {
                let mut acc = start;
                for ky in 0..3 {
                    for kx in 0..3 {
                        let x = origin.add(left + ky * pitch + kx * channels);
                        add::<L>(&mut acc, x, k[ky * 3 + kx].as_ptr());
                    }
                }
                finish(acc, column, out);
                left += step;
            }
        } else {
            for column in inner.clone() {
                let mut acc = start;
                for ky in 0..5 {
                    for kx in 0..5 {
                        let x = origin.add(left + ky * pitch + kx * channels);
                        add::<L>(&mut acc, x, w.add((ky * 5 + kx) * channels));
                    }
                }
                finish(acc, column, out);
                left += step;
            }
        }
        for column in inner.end..window.out_width {
            edge(column, out);
        }
    }
}

#[inline(always)]
unsafe fn add<const L: usize>(acc: &mut [f32; L], x: *const f32, w: *const f32) {
    // SAFETY: the caller gives pointers to `L` elements.
    unsafe {
        for (i, acc) in acc.iter_mut().enumerate() {
            *acc = fused(*x.add(i), *w.add(i), *acc);
        }
    }
}

/// `a * b + c`, in one instruction where the function that this is inlined into has it.
#[inline(always)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

/// What depthwise `i8` weights are packed from.
#[derive(Clone, Copy, Debug)]
pub struct I8Depthwise<'a> {
    /// `taps` rows of one number a channel.
    pub weights: &'a [i8],
    /// Channels.
    pub channels: usize,
    /// What each channel's sum begins with; the zero point of the input is already in it.
    pub bias: &'a [i32],
    /// The factor of each channel.
    pub multipliers: &'a [Multiplier],
    /// How products with it are rounded.
    pub rounding: Rounding,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Bounds of the output.
    pub bounds: (i8, i8),
}

impl I8Depthwise<'_> {
    /// As [`crate::gemm::I8Panel::lane`].
    pub(crate) fn lane(&self, channel: usize, taps: usize) -> Option<(i32, Affine)> {
        let mut w = [0; MAX_TAPS];
        for (tap, w) in w.iter_mut().enumerate().take(taps) {
            *w = self.weights[tap * self.channels + channel];
        }
        crate::gemm::lane(
            &w[..taps],
            self.bias[channel],
            self.multipliers[channel],
            self.rounding,
            self.zero_point,
        )
    }
}

/// Whether there is an `i8` kernel.
#[must_use]
pub fn has_i8(level: Level) -> bool {
    level == Level::Avx512
}

/// Bytes of the packed weights.
#[must_use]
pub fn i8_len(taps: usize, channels: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    return crate::i8_depthwise_avx512::len(taps, channels);
    #[cfg(not(target_arch = "x86_64"))]
    return 0 * (taps + channels);
}

/// Packs the weights; `false` where the requantization of a channel could overflow.
///
/// # Panics
/// If lengths disagree.
#[must_use]
pub fn i8_pack(p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
    let taps = p.weights.len() / p.channels.max(1);
    assert!(taps > 0 && taps <= MAX_TAPS && taps * p.channels == p.weights.len());
    assert!(p.bias.len() == p.channels && p.multipliers.len() == p.channels);
    assert_eq!(packed.len(), i8_len(taps, p.channels));
    #[cfg(target_arch = "x86_64")]
    return crate::i8_depthwise_avx512::pack(p, taps, packed);
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// `i8` with packed weights. `pad` is one pixel of the input's zero point.
///
/// # Panics
/// If lengths disagree, there is no kernel, or the processor lacks the level's features.
pub fn i8_depthwise(
    level: Level,
    window: &Window,
    x: &[i8],
    pad: &[i8],
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    window.check(x.len(), &rows, out.len());
    assert!(has_i8(level) && level.is_available());
    assert_eq!(pad.len(), window.channels);
    assert_eq!(packed.len(), i8_len(window.taps(), window.channels));
    #[cfg(target_arch = "x86_64")]
    // SAFETY: lengths and features are checked above.
    unsafe {
        crate::i8_depthwise_avx512::rows(window, x, pad, packed, rows, out);
    }
}

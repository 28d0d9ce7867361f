//! Depthwise convolutions of one image in NHWC, some rows of the output at a time.

use crate::Level;
use crate::gemm::Lane;
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
            Level::Avx512 if crate::f32_depthwise3::serves(window, weights) => {
                crate::f32_depthwise3::rows(window, x, weights, bias, clamp, rows, out)
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                crate::f32_depthwise::avx512::rows(window, x, weights, bias, clamp, rows, out)
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => {
                crate::f32_depthwise::avx2::rows(window, x, weights, bias, clamp, rows, out)
            }
            _ => unreachable!("a level with a kernel"),
        }
    }
}

/// What depthwise `i8` weights are packed from.
#[derive(Clone, Copy, Debug)]
pub struct I8Depthwise<'a> {
    /// `taps` rows of one number a channel.
    pub weights: &'a [i8],
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
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
    /// As [`crate::gemm::I8Panel::lane`]; `more` is added to the weights where it is not empty.
    pub(crate) fn lane(&self, channel: usize, taps: usize, more: &[i8]) -> Option<Lane> {
        let mut w = [0; 2 * MAX_TAPS];
        for tap in 0..taps {
            w[tap] = self.weights[tap * self.channels + channel];
            if let Some(more) = more.get(tap * self.channels + channel) {
                w[taps + tap] = *more;
            }
        }
        crate::gemm::lane(
            &w[..2 * taps],
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
    level != Level::Scalar
}

/// Bytes of the packed weights.
#[must_use]
pub fn i8_len(level: Level, kernel: [usize; 2], channels: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        // Weights that are sums of two bytes are packed for AVX2 at every level.
        let narrow = crate::i8_depthwise_avx2::len(kernel, channels);
        match level {
            Level::Avx512 => narrow.max(crate::i8_depthwise_avx512::len(kernel, channels)),
            _ => narrow,
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    return 0 * (level as usize + kernel[0] + channels);
}

/// Packs the weights; `false` where the requantization of a channel could overflow.
///
/// # Panics
/// If lengths disagree.
#[must_use]
pub fn i8_pack(level: Level, p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
    let taps = p.kernel[0] * p.kernel[1];
    assert!(taps > 0 && taps <= MAX_TAPS && taps * p.channels == p.weights.len());
    assert!(p.bias.len() == p.channels && p.multipliers.len() == p.channels);
    assert_eq!(packed.len(), i8_len(level, p.kernel, p.channels));
    #[cfg(target_arch = "x86_64")]
    return match level {
        Level::Avx512 => {
            let len = crate::i8_depthwise_avx512::len(p.kernel, p.channels);
            crate::i8_depthwise_avx512::pack(p, &mut packed[..len])
        }
        _ => crate::i8_depthwise_avx2::pack(p, &[], packed),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// As [`i8_pack`] for weights that are the sums of two bytes: those of `p` and `more`.
///
/// # Panics
/// If lengths disagree.
#[must_use]
pub fn i8_pack_sum(level: Level, p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
    let taps = p.kernel[0] * p.kernel[1];
    assert!(taps > 0 && taps <= MAX_TAPS && taps * p.channels == p.weights.len());
    assert!(p.bias.len() == p.channels && p.multipliers.len() == p.channels);
    assert_eq!(more.len(), p.weights.len());
    assert_eq!(packed.len(), i8_len(level, p.kernel, p.channels));
    #[cfg(target_arch = "x86_64")]
    {
        let len = crate::i8_depthwise_avx2::len(p.kernel, p.channels);
        crate::i8_depthwise_avx2::pack(p, more, &mut packed[..len])
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// `i8` with packed weights. `pad` is the input's zero point.
///
/// # Panics
/// If lengths disagree, there is no kernel, or the processor lacks the level's features.
pub fn i8_depthwise(
    level: Level,
    window: &Window,
    x: &[i8],
    pad: i8,
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    window.check(x.len(), &rows, out.len());
    assert!(has_i8(level) && level.is_available());
    assert_eq!(packed.len(), i8_len(level, window.kernel, window.channels));
    #[cfg(target_arch = "x86_64")]
    // SAFETY: lengths and features are checked above.
    unsafe {
        let (kernel, channels) = (window.kernel, window.channels);
        if level == Level::Avx512 && !crate::i8_depthwise_avx2::is_packed(packed) {
            let len = crate::i8_depthwise_avx512::len(kernel, channels);
            crate::i8_depthwise_avx512::rows(window, x, pad, &packed[..len], rows, out);
        } else {
            let len = crate::i8_depthwise_avx2::len(kernel, channels);
            crate::i8_depthwise_avx2::rows(window, x, pad, &packed[..len], rows, out);
        }
    }
}

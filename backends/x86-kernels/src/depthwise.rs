//! Depthwise convolutions of one image in NHWC, some rows of the output at a time.

use crate::Level;
use crate::gemm::Lane;
use paring_kernels::{I8Depthwise, I16Panel, Window};
use std::ops::Range;

/// Taps that a window may have.
pub(crate) const MAX_TAPS: usize = 64;

fn check(w: &Window, x: usize, rows: &Range<usize>, out: usize) {
    assert!(w.kernel[0] > 0 && w.kernel[1] > 0 && w.taps() <= MAX_TAPS);
    assert!(w.stride[0] > 0 && w.stride[1] > 0);
    assert!(rows.start <= rows.end);
    assert_eq!(x, w.input[0] * w.input[1] * w.channels);
    assert_eq!(out, rows.len() * w.out_width * w.channels);
}

/// `f32`: the weights are `taps` rows of one number a channel.
///
/// # Panics
/// If lengths disagree, there is no kernel, or the processor lacks the level's features.
pub(crate) fn f32_depthwise(
    level: Level,
    window: &Window,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [f32],
) {
    check(window, x.len(), &rows, out.len());
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
            Level::Avx512 if window.channels >= 16 => {
                crate::f32_depthwise::avx512::rows(window, x, weights, bias, clamp, rows, out)
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx2 => {
                crate::f32_depthwise::avx2::rows(window, x, weights, bias, clamp, rows, out)
            }
            _ => unreachable!("a level with a kernel"),
        }
    }
}

/// As [`crate::gemm::panel_lane`]; `more` is added to the weights where it is not empty.
pub(crate) fn lane(p: &I8Depthwise<'_>, channel: usize, taps: usize, more: &[i8]) -> Option<Lane> {
    let mut w = [0; 2 * MAX_TAPS];
    for tap in 0..taps {
        w[tap] = p.weights[tap * p.channels + channel];
        if let Some(more) = more.get(tap * p.channels + channel) {
            w[taps + tap] = *more;
        }
    }
    let (bias, m) = (p.bias[channel], p.multipliers[channel]);
    crate::gemm::lane(&w[..2 * taps], bias, m, p.rounding, p.zero_point, p.bounds)
}

/// Whether there is an `i8` kernel.
pub(crate) fn has_i8(level: Level) -> bool {
    level != Level::Scalar
}

/// Bytes of the packed weights, or of sums of two bytes.
pub(crate) fn i8_len(level: Level, kernel: [usize; 2], channels: usize, sum: bool) -> usize {
    #[cfg(target_arch = "x86_64")]
    return match level {
        Level::Avx512 => crate::i8_depthwise_avx512::len(kernel, channels, 1 + usize::from(sum)),
        _ => crate::i8_depthwise_avx2::len(kernel, channels),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return 0 * (level as usize + kernel[0] + channels + usize::from(sum));
}

/// Packs the weights, those of `p` and `more` added where there are more; `false` where the requantization
/// of a channel could overflow.
///
/// # Panics
/// If lengths disagree.
pub(crate) fn i8_pack(level: Level, p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
    let taps = p.kernel[0] * p.kernel[1];
    assert!(taps > 0 && taps <= MAX_TAPS && taps * p.channels == p.weights.len());
    assert!(p.bias.len() == p.channels && p.multipliers.len() == p.channels);
    assert!(more.is_empty() || more.len() == p.weights.len());
    assert_eq!(packed.len(), i8_len(level, p.kernel, p.channels, !more.is_empty()));
    #[cfg(target_arch = "x86_64")]
    return match level {
        Level::Avx512 => crate::i8_depthwise_avx512::pack(p, more, packed),
        _ => crate::i8_depthwise_avx2::pack(p, more, packed),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// `i8` with packed weights. `pad` is the input's zero point.
///
/// # Panics
/// If lengths disagree, there is no kernel, or the processor lacks the level's features.
pub(crate) fn i8_depthwise(
    level: Level,
    window: &Window,
    x: &[i8],
    pad: i8,
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    check(window, x.len(), &rows, out.len());
    assert!(has_i8(level) && level.is_available());
    let (kernel, channels) = (window.kernel, window.channels);
    let is_long = |sum| packed.len() == i8_len(level, kernel, channels, sum);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: lengths and features are checked here and above.
    unsafe {
        if level == Level::Avx512 {
            assert!(is_long(crate::i8_depthwise_avx512::is_sum(packed)), "length of the weights");
            crate::i8_depthwise_avx512::rows(window, x, pad, packed, rows, out);
        } else {
            assert!(is_long(false), "length of the weights");
            crate::i8_depthwise_avx2::rows(window, x, pad, packed, rows, out);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (pad, is_long);
}

/// `i16` with weights packed in plain Rust.
///
/// # Panics
/// If lengths disagree or the processor lacks the level's features.
pub(crate) fn i16_depthwise(
    level: Level,
    window: &Window,
    x: &[i16],
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i16],
) {
    check(window, x.len(), &rows, out.len());
    assert!(level.is_available());
    let channels = window.channels;
    assert_eq!(packed.len(), I16Panel::lanes_len(channels) + window.taps() * channels);
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: lengths and features are checked above.
        Level::Avx512 if channels >= 16 => unsafe {
            crate::i16::avx512::depthwise(window, x, packed, rows, out);
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: lengths and features are checked above.
        Level::Avx512 | Level::Avx2 if channels >= 8 => unsafe {
            crate::i16::avx2::depthwise(window, x, packed, rows, out);
        },
        _ => paring_kernels::i16_depthwise(window, x, packed, rows, 0..channels, out),
    }
}

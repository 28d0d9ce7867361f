//! Products of an indirect left side with packed panels.

use crate::Level;
use crate::requant::{Affine, Raised, Short};
#[cfg(target_arch = "x86_64")]
use core::ops::Range;
use paring_kernels::{I8Panel, Rows, Table, Tile};
use paring_qmath::{Multiplier, Rounding};

/// Whether `rows` rows of `cols` elements that are `stride` apart fit a slice.
pub(crate) fn fits(len: usize, rows: usize, cols: usize, stride: usize) -> bool {
    rows > 0 && cols > 0 && cols <= stride && len >= (rows - 1) * stride + cols
}

/// A table of pieces.
pub(crate) fn table(level: Level, at: &[u32]) -> Table<'_> {
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512 && level.is_available() {
        // SAFETY: the processor has the features; all pieces are looked at.
        return unsafe {
            let (end, padded) = crate::f32_avx512::farthest(at);
            Table::checked(at, end, padded)
        };
    }
    let _ = level;
    Table::new(at)
}

/// The tile of `f32` products; `None` where there is no kernel.
pub(crate) fn f32_tile(level: Level) -> Option<Tile> {
    match level {
        Level::Scalar => None,
        Level::Avx2 => Some(Tile { rows: 6, width: 16 }),
        Level::Avx512 => Some(Tile { rows: 14, width: 32 }),
    }
}

/// `out[r][c] = clamp(bias[c] + sum(a[r][k] * w[k][c]) + rest[r][c])` for one panel: `width` biases,
/// then for each `k` the `width` weights. Rows of `out` and `rest` are `stride` elements apart; `cols`
/// channels are written.
///
/// # Panics
/// If a slice is too short, the level has no tile, or the processor lacks its features.
pub(crate) fn f32_gemm(
    level: Level,
    rows: &Rows<'_, f32>,
    panel: &[f32],
    width: usize,
    rest: Option<&[f32]>,
    clamp: (f32, f32),
    cols: usize,
    stride: usize,
    out: &mut [f32],
) {
    let tile = f32_tile(level).expect("a level with a tile");
    assert!(level.is_available());
    assert!(width == tile.width || width == tile.width / 2);
    assert!(rows.tile() == tile.rows && rows.is_inside(rows.depth()));
    assert!(cols <= width && fits(out.len(), rows.rows(), cols, stride));
    assert!(rest.is_none_or(|r| fits(r.len(), rows.rows(), cols, stride)));
    assert_eq!(panel.len(), width * (1 + rows.taps() * rows.depth()));
    #[cfg(target_arch = "x86_64")]
    // SAFETY: features and lengths are checked above.
    unsafe {
        if level == Level::Avx512 {
            crate::f32_avx512::gemm(rows, panel, width, rest, clamp, cols, stride, out);
        } else {
            crate::f32_avx2::gemm(rows, panel, width, rest, clamp, cols, stride, out);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = clamp;
}

/// The tile of `i8` products; `None` where there is no kernel.
pub(crate) fn i8_tile(level: Level) -> Option<Tile> {
    match level {
        Level::Scalar => None,
        Level::Avx2 => Some(Tile { rows: 6, width: 16 }),
        Level::Avx512 => Some(Tile { rows: 14, width: 32 }),
    }
}

/// Pieces of `i8` rows are read to the next multiple of this many elements.
pub(crate) fn i8_step(level: Level) -> usize {
    match level {
        Level::Scalar => 1,
        Level::Avx2 => 16,
        Level::Avx512 => 8,
    }
}

/// The first value of a channel's accumulator when the left side is offset by 128, and its requantization.
pub(crate) fn panel_lane(p: &I8Panel<'_>, channel: usize, weights: &[i8]) -> Option<Lane> {
    let (bias, m) = (p.bias[channel], p.multipliers[channel]);
    lane(weights, bias, m, p.rounding, p.zero_point, p.bounds)
}

/// The constants of a channel whose accumulator begins at `start`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub(crate) start: i32,
    pub(crate) affine: Affine,
    pub(crate) short: Option<Short>,
    pub(crate) raised: Option<Raised>,
}

impl Lane {
    /// A channel that is not there.
    pub(crate) const UNUSED: Self = Self {
        start: 0,
        affine: Affine { m: 0, k: 0, t: 31, sign: 0 },
        short: Some(Short { m: 0, c: 0, e: 1 }),
        raised: Some(Raised::constant(0)),
    };
}

/// The constants of a channel for a left side that is offset by 128; `None` where something could
/// overflow.
pub(crate) fn lane(
    weights: &[i8],
    bias: i32,
    multiplier: Multiplier,
    rounding: Rounding,
    zero_point: i32,
    bounds: (i8, i8),
) -> Option<Lane> {
    let sum: i64 = weights.iter().map(|w| i64::from(*w)).sum();
    let magnitude: i64 = weights.iter().map(|w| i64::from(w.unsigned_abs())).sum();
    // The largest true sum, and the largest on the way to it.
    let bound = i64::from(bias).abs() + 128 * magnitude;
    let start = i64::from(bias) - 128 * sum;
    let (spread, bytes) = (128 * magnitude, (-128, 127));
    if let Some(result) = multiplier.constant(bias, spread, rounding, zero_point, bytes) {
        return Some(Lane {
            start: start as i32,
            affine: Affine { m: 0, k: i64::from(result) << 31, t: 31, sign: 0 },
            // Odd, so that the sign of the sum changes nothing.
            short: Some(Short { m: 0, c: 2 * result + 1, e: 1 }),
            raised: Some(Raised::constant(result)),
        });
    }
    if start.abs() + 255 * magnitude > i64::from(i32::MAX) {
        return None;
    }
    Some(Lane {
        start: start as i32,
        affine: Affine::new(multiplier, rounding, zero_point, bound)?,
        short: Short::new(multiplier, rounding, zero_point, bound),
        raised: Raised::new(multiplier, rounding, zero_point, bounds, bound),
    })
}

/// Bytes of a packed panel.
pub(crate) fn i8_panel_len(level: Level, taps: usize, depth: usize, width: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    return match level {
        Level::Avx512 => crate::i8_avx512::panel_len(taps, depth, width),
        _ => crate::i8_avx2::panel_len(taps, depth, width),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return 0 * (level as usize + taps + depth + width);
}

/// The weights among the bytes of a packed panel.
#[cfg(target_arch = "x86_64")]
pub(crate) fn i8_weights(level: Level, taps: usize, depth: usize, width: usize) -> Range<usize> {
    // They come last, after the constants of channels.
    let start = match level {
        Level::Avx512 => crate::i8_avx512::panel_len(0, depth, width),
        _ => crate::i8_avx2::panel_len(0, depth, width),
    };
    start..i8_panel_len(level, taps, depth, width)
}

/// Packs a panel; `false` where the requantization of a channel could overflow.
///
/// # Panics
/// If lengths disagree or the level has no tile.
pub(crate) fn i8_pack(level: Level, p: &I8Panel<'_>, panel: &mut [u8]) -> bool {
    let tile = i8_tile(level).expect("a level with a tile");
    assert_eq!(panel.len(), i8_panel_len(level, p.taps, p.depth, p.width));
    assert!(p.width == tile.width || p.width == tile.width / 2);
    assert!(p.bias.len() <= p.width && p.bias.len() == p.multipliers.len());
    assert_eq!(p.weights.len(), p.bias.len() * p.taps * p.depth);
    #[cfg(target_arch = "x86_64")]
    return match level {
        Level::Avx512 => crate::i8_avx512::pack(p, panel),
        _ => crate::i8_avx2::pack(p, panel),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// `out[r][c]` is the requantized `bias[c] + sum(a[r][k] * w[k][c])` for one packed panel. Pieces are
/// read to the next multiple of [`i8_step`] elements, so `a` and the row of padding reach that far.
///
/// # Panics
/// If a slice is too short, the level has no tile, or the processor lacks its features.
pub(crate) fn i8_gemm(
    level: Level,
    rows: &Rows<'_, i8>,
    panel: &[u8],
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i8],
) {
    let tile = i8_tile(level).expect("a level with a tile");
    assert!(level.is_available());
    assert!(width == tile.width || width == tile.width / 2);
    let reach = rows.depth().next_multiple_of(i8_step(level));
    assert!(rows.tile() == tile.rows && rows.is_inside(reach));
    assert!(cols <= width && fits(out.len(), rows.rows(), cols, stride));
    assert_eq!(panel.len(), i8_panel_len(level, rows.taps(), rows.depth(), width));
    #[cfg(target_arch = "x86_64")]
    // SAFETY: features and lengths are checked above.
    unsafe {
        match level {
            Level::Avx512 => crate::i8_avx512::gemm(rows, panel, width, cols, stride, out),
            _ => crate::i8_avx2::gemm(rows, panel, width, cols, stride, out),
        }
    }
}

/// `out[r][c]` is the requantized `bias[c] + sum(a[r][k] * w[k][c])` for one packed panel of `i16` products.
///
/// # Panics
/// If a slice is too short, the level has no tile, or the processor lacks its features.
pub(crate) fn i16_gemm(
    level: Level,
    rows: &Rows<'_, i16>,
    panel: &[u8],
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i16],
) {
    let tile = i8_tile(level).expect("a level with a tile");
    assert!(level.is_available());
    assert!(width == tile.width || width == tile.width / 2);
    let reach = rows.depth().next_multiple_of(i16_step(level));
    assert!(rows.tile() == tile.rows && rows.is_inside(reach));
    assert!(cols <= width && fits(out.len(), rows.rows(), cols, stride));
    #[cfg(target_arch = "x86_64")]
    // SAFETY: features and lengths are checked here and above.
    unsafe {
        assert_eq!(panel.len(), crate::i16::panel_len(rows.taps(), rows.depth(), width));
        match level {
            Level::Avx512 => crate::i16::avx512::gemm(rows, panel, width, cols, stride, out),
            _ => crate::i16::avx2::gemm(rows, panel, width, cols, stride, out),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = panel;
}

/// Pieces of `i16` rows are read to the next multiple of this many elements.
pub(crate) fn i16_step(level: Level) -> usize {
    if level == Level::Scalar { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_gives_one_byte_needs_no_room_for_its_sums() {
        let tiny = Multiplier::from_real(1e-9);
        let lane = lane(&[0, 0], 1 << 30, tiny, Rounding::Double, 5, (-128, 127)).unwrap();
        for acc in [i32::MIN, -1, 0, 1, i32::MAX] {
            assert_eq!(lane.affine.apply(acc), 6);
            assert_eq!(lane.short.unwrap().apply(acc), 6);
        }
    }
}

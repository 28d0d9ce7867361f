//! The products of packed weights in plain Rust.

use crate::pack::{BLOCK, CONSTANTS, DOUBLED, TAPS, block_len, get, parts, place};
use core::ops::Range;
use paring_kernels::{PAD, Rows, Window};
use paring_qmath::{Multiplier, Rounding};

/// Requantizes a sum with the constants of its panel.
fn finish(constants: &[u8], sum: i32, mantissa: i32, shift: i32) -> i8 {
    let zero = i32::from(i16::from_le_bytes([constants[0], constants[1]]));
    let y = Multiplier { mantissa, shift }.apply(sum, Rounding::Double).saturating_add(zero);
    let (low, high) = (constants[16] as i8, constants[32] as i8);
    y.max(i32::from(low)).min(i32::from(high)) as i8
}

#[cfg_attr(target_arch = "aarch64", expect(dead_code))]
pub(crate) fn i8_gemm(
    rows: &Rows<'_, i8>,
    packed: &[u8],
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i8],
) {
    let (taps, depth) = (rows.taps(), rows.depth());
    let parts = parts(taps, depth, width);
    let (groups, constants) = (depth.div_ceil(4), &packed[parts.constants..]);
    for row in 0..rows.rows() {
        let (tile, lane) = (row / rows.tile(), row % rows.tile());
        for c in 0..cols {
            let mut sum = get(packed, 4 * c);
            for tap in 0..taps {
                let piece = match rows.at()[(tile * taps + tap) * rows.tile() + lane] {
                    PAD => &rows.pad()[..depth],
                    at => &rows.a()[at as usize..][..depth],
                };
                for (k, x) in piece.iter().enumerate() {
                    let group = tap * groups + k / 4;
                    let w = packed[parts.weights + (group * width + c) * 4 + k % 4] as i8;
                    sum = sum.wrapping_add(i32::from(*x) * i32::from(w));
                }
            }
            let at = parts.factors + c / 8 * 64 + c % 8 * 4;
            out[row * stride + c] = finish(constants, sum, get(packed, at), get(packed, at + 32));
        }
    }
}

/// Some rows of a depthwise convolution.
#[cfg_attr(target_arch = "aarch64", expect(dead_code))]
pub(crate) fn i8_depthwise(
    w: &Window,
    x: &[i8],
    pad: i8,
    packed: &[u8],
    rows: Range<usize>,
    out: &mut [i8],
) {
    let (constants, blocks) = packed.split_at(CONSTANTS);
    let per = if get(constants, 48) as u32 & DOUBLED == 0 { 1 } else { 2 };
    let taps = w.taps() * per;
    for (y, out) in rows.zip(out.chunks_exact_mut(w.out_width * w.channels)) {
        for (column, out) in out.chunks_exact_mut(w.channels).enumerate() {
            for c in 0..w.channels {
                let (block, lane) = place(w.channels, c);
                let block = &blocks[block * block_len(taps)..];
                let mut sum = get(block, 4 * lane);
                for tap in 0..taps {
                    let (row, col) = (tap / per / w.kernel[1], tap / per % w.kernel[1]);
                    let x = match (w.at(0, y, row), w.at(1, column, col)) {
                        (Some(r), Some(at)) => x[(r * w.input[1] + at) * w.channels + c],
                        _ => pad,
                    };
                    let w = block[TAPS + tap * BLOCK + lane] as i8;
                    sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
                let (m, s) = (get(block, 4 * BLOCK + 4 * lane), get(block, 8 * BLOCK + 4 * lane));
                out[c] = finish(constants, sum, m, s);
            }
        }
    }
}

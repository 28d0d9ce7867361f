//! Products of `i8` with sparse weights in assembly: tiles of pixels, transposed and widened.

use crate::dispatch::SPARSE_TILE as LARGEST;
use crate::pack::{CONSTANTS, put_constants};
use paring_kernels::{I8Scale, Sparse};

/// What a function is called with; the assembly knows the offsets.
#[repr(C)]
struct Call {
    tile: *const i16,
    index: *const u32,
    out: *mut i8,
    /// Bytes between rows of the output.
    stride: usize,
    /// Groups of four channels.
    groups: usize,
    /// Whether a factor does not shift right.
    any_shift: u64,
    weights: *const i16,
    counts: *const u32,
    bias: *const i32,
    mantissas: *const i32,
    shifts: *const i32,
    constants: *const u8,
}

type Product = unsafe extern "C" fn(&mut Call);
type Widen = unsafe extern "C" fn(pixel: *const i8, groups: usize, stride: usize, tile: *mut i16);

unsafe extern "C" {
    fn paring_neon_i8_sparse_32(call: &mut Call);
    fn paring_neon_i8_sparse_16(call: &mut Call);
    fn paring_neon_i8_sparse_8(call: &mut Call);
    fn paring_neon_i8_widen_32(pixel: *const i8, groups: usize, stride: usize, tile: *mut i16);
    fn paring_neon_i8_widen_16(pixel: *const i8, groups: usize, stride: usize, tile: *mut i16);
    fn paring_neon_i8_widen_8(pixel: *const i8, groups: usize, stride: usize, tile: *mut i16);
}

/// The functions for tiles of so many pixels.
const TILES: [(usize, Product, Widen); 3] = [
    (32, paring_neon_i8_sparse_32, paring_neon_i8_widen_32),
    (16, paring_neon_i8_sparse_16, paring_neon_i8_widen_16),
    (8, paring_neon_i8_sparse_8, paring_neon_i8_widen_8),
];

pub(crate) fn product(
    a: &[i8],
    w: &Sparse<'_, i16>,
    scale: &I8Scale<'_>,
    scratch: &mut [i16],
    out: &mut [i8],
) {
    let (depth, channels) = (w.depth(), w.counts().len());
    assert!(depth > 0 && scratch.len() >= LARGEST * depth);
    assert!([scale.bias, scale.mantissas, scale.shifts].iter().all(|s| s.len() == channels));
    let pixels = a.len() / depth;
    assert!(a.len() == pixels * depth && out.len() == pixels * channels);
    let mut constants = [0; CONSTANTS];
    put_constants(&mut constants, scale.zero_point, scale.bounds, 0);
    let whole = channels / 4;
    let mut done = 0;
    while done < pixels {
        let left = pixels - done;
        let (lanes, product, widen) =
            TILES.into_iter().find(|(lanes, ..)| *lanes <= left).unwrap_or(TILES[2]);
        let n = left.min(lanes);
        let tile = &mut scratch[..lanes * depth];
        let mut from = 0;
        if n == lanes && depth >= 4 {
            from = depth & !3;
            let pixel = a[done * depth..].as_ptr();
            // SAFETY: `lanes` pixels are there, and the tile has room for all of their elements.
            unsafe { widen(pixel, depth / 4, depth, tile.as_mut_ptr()) };
        }
        for (k, row) in tile.chunks_exact_mut(lanes).enumerate().skip(from) {
            for (lane, to) in row.iter_mut().enumerate() {
                *to = i16::from(a[(done + lane.min(n - 1)) * depth + k]);
            }
        }
        let start = done * channels;
        let mut call = Call {
            tile: tile.as_ptr(),
            index: w.index().as_ptr(),
            out: out[start..].as_mut_ptr(),
            stride: channels,
            groups: whole,
            any_shift: u64::from(scale.shifts.iter().any(|s| *s >= 0)),
            weights: w.weights().as_ptr(),
            counts: w.counts().as_ptr(),
            bias: scale.bias.as_ptr(),
            mantissas: scale.mantissas.as_ptr(),
            shifts: scale.shifts.as_ptr(),
            constants: constants.as_ptr(),
        };
        let direct = if n == lanes { whole } else { 0 };
        if direct > 0 {
            // SAFETY: the weights are for rows of the tile, as `Sparse` promises, and the output has room for all
            // channels of `lanes` pixels.
            unsafe { product(&mut call) };
        }
        // What is less than four channels or than a tile goes through memory of its own.
        call.groups = 1;
        call.stride = 4;
        for first in (4 * direct..channels).step_by(4) {
            let cols = (channels - first).min(4);
            let mut counts = [0; 4];
            counts[..cols].copy_from_slice(&w.counts()[first..first + cols]);
            let part = |from: &[i32], none: i32| {
                let mut part = [none; 4];
                part[..cols].copy_from_slice(&from[first..first + cols]);
                part
            };
            let bias = part(scale.bias, 0);
            let (mantissas, shifts) = (part(scale.mantissas, 0), part(scale.shifts, -1));
            let mut edge = [0_i8; 4 * LARGEST];
            call.counts = counts.as_ptr();
            (call.bias, call.out) = (bias.as_ptr(), edge.as_mut_ptr());
            (call.mantissas, call.shifts) = (mantissas.as_ptr(), shifts.as_ptr());
            // SAFETY: as above, with room for four channels of `lanes` pixels; the call before has left the
            // weights of this group.
            unsafe { product(&mut call) };
            for (lane, edge) in edge.chunks_exact(4).enumerate().take(n) {
                out[start + lane * channels + first..][..cols].copy_from_slice(&edge[..cols]);
            }
        }
        done += n;
    }
}

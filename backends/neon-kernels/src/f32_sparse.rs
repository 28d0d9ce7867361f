//! Products of `f32` with sparse weights in assembly: tiles of pixels, transposed.

use crate::assembly::flags_of;
use crate::dispatch::SPARSE_TILE as LARGEST;
use core::ptr::null;
use paring_kernels::Sparse;

/// What a function is called with; the assembly knows the offsets.
#[repr(C)]
struct Call {
    tile: *const f32,
    index: *const u32,
    out: *mut f32,
    /// Bytes between rows of the output.
    stride: usize,
    rest: *const f32,
    /// Groups of four channels.
    groups: usize,
    clamp: [f32; 2],
    flags: u64,
    weights: *const f32,
    counts: *const u32,
    bias: *const f32,
}

type Product = unsafe extern "C" fn(&mut Call);
type Transpose =
    unsafe extern "C" fn(pixel: *const f32, groups: usize, stride: usize, tile: *mut f32);

unsafe extern "C" {
    fn paring_neon_f32_sparse_32(call: &mut Call);
    fn paring_neon_f32_sparse_16(call: &mut Call);
    fn paring_neon_f32_sparse_8(call: &mut Call);
    fn paring_neon_f32_sparse_4(call: &mut Call);
    fn paring_neon_f32_transpose_32(
        pixel: *const f32,
        groups: usize,
        stride: usize,
        tile: *mut f32,
    );
    fn paring_neon_f32_transpose_16(
        pixel: *const f32,
        groups: usize,
        stride: usize,
        tile: *mut f32,
    );
    fn paring_neon_f32_transpose_8(pixel: *const f32, groups: usize, stride: usize, tile: *mut f32);
    fn paring_neon_f32_transpose_4(pixel: *const f32, groups: usize, stride: usize, tile: *mut f32);
}

/// The functions for tiles of so many pixels.
const TILES: [(usize, Product, Transpose); 4] = [
    (32, paring_neon_f32_sparse_32, paring_neon_f32_transpose_32),
    (16, paring_neon_f32_sparse_16, paring_neon_f32_transpose_16),
    (8, paring_neon_f32_sparse_8, paring_neon_f32_transpose_8),
    (4, paring_neon_f32_sparse_4, paring_neon_f32_transpose_4),
];

pub(crate) fn product(
    a: &[f32],
    w: &Sparse<'_, f32>,
    bias: &[f32],
    rest: Option<&[f32]>,
    clamp: (f32, f32),
    scratch: &mut [f32],
    out: &mut [f32],
) {
    let (depth, channels) = (w.depth(), w.counts().len());
    assert!(depth > 0 && bias.len() == channels && scratch.len() >= LARGEST * depth);
    let pixels = a.len() / depth;
    assert!(a.len() == pixels * depth && out.len() == pixels * channels);
    assert!(rest.is_none_or(|r| r.len() == out.len()));
    let whole = channels / 4;
    let mut done = 0;
    while done < pixels {
        let left = pixels - done;
        let (lanes, product, transpose) =
            TILES.into_iter().find(|(lanes, ..)| *lanes <= left).unwrap_or(TILES[3]);
        let n = left.min(lanes);
        let tile = &mut scratch[..lanes * depth];
        let mut from = 0;
        if n == lanes && depth >= 4 {
            from = depth & !3;
            let pixel = a[done * depth..].as_ptr();
            // SAFETY: `lanes` pixels are there, and the tile has room for all of their elements.
            unsafe { transpose(pixel, depth / 4, 4 * depth, tile.as_mut_ptr()) };
        }
        for (k, row) in tile.chunks_exact_mut(lanes).enumerate().skip(from) {
            for (lane, to) in row.iter_mut().enumerate() {
                *to = a[(done + lane.min(n - 1)) * depth + k];
            }
        }
        let start = done * channels;
        let mut call = Call {
            tile: tile.as_ptr(),
            index: w.index().as_ptr(),
            out: out[start..].as_mut_ptr(),
            stride: 4 * channels,
            rest: rest.map_or(null(), |r| r[start..].as_ptr()),
            groups: whole,
            clamp: [clamp.0, clamp.1],
            flags: flags_of(clamp),
            weights: w.weights().as_ptr(),
            counts: w.counts().as_ptr(),
            bias: bias.as_ptr(),
        };
        let direct = if n == lanes { whole } else { 0 };
        if direct > 0 {
            // SAFETY: the weights are for rows of the tile, as `Sparse` promises; the output, and what is added,
            // have room for all channels of `lanes` pixels.
            unsafe { product(&mut call) };
        }
        // What is less than four channels or pixels goes through memory of its own.
        call.groups = 1;
        call.stride = 16;
        for first in (4 * direct..channels).step_by(4) {
            let cols = (channels - first).min(4);
            let mut counts = [0; 4];
            let mut biases = [0.0; 4];
            counts[..cols].copy_from_slice(&w.counts()[first..first + cols]);
            biases[..cols].copy_from_slice(&bias[first..first + cols]);
            (call.counts, call.bias) = (counts.as_ptr(), biases.as_ptr());
            let mut edge = [0.0; 4 * LARGEST];
            let mut add = [0.0; 4 * LARGEST];
            call.out = edge.as_mut_ptr();
            if let Some(rest) = rest {
                for (lane, add) in add.chunks_exact_mut(4).enumerate().take(n) {
                    add[..cols].copy_from_slice(&rest[start + lane * channels + first..][..cols]);
                }
                call.rest = add.as_ptr();
            }
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

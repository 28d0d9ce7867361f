//! The products in assembly.

use crate::Level;
use crate::pack::{ANY_SHIFT, LARGE, Parts, parts};
use core::arch::global_asm;
use paring_kernels::{CodedPanel, Codes, Rows};

// One block: the files share macros.
global_asm!(
    include_str!("asm/f32_gemm.s"),
    include_str!("asm/f16_gemm.s"),
    include_str!("asm/f32_sparse.s"),
    include_str!("asm/i8_mlal.s"),
    include_str!("asm/i8_dot.s"),
    include_str!("asm/i8_mmla.s"),
    include_str!("asm/i8_codes.s"),
    include_str!("asm/i8_sparse.s"),
    include_str!("asm/depthwise3.s"),
    include_str!("asm/depthwise3_dot.s"),
    options(raw)
);

/// What a function is called with; the assembly knows the offsets.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    a: *const u8,
    at: *const u32,
    /// Null where no piece is padding.
    pad: *const u8,
    out: *mut u8,
    rest: *const u8,
    /// Of real numbers the panel. `i8`: what the sums begin with.
    panel: *const u8,
    /// Bytes between rows of the output.
    stride: usize,
    taps: usize,
    /// Elements of a piece; of `i8` to the next multiple of four.
    depth: usize,
    tiles: usize,
    clamp: [f32; 2],
    flags: u64,
    factors: *const u8,
    constants: *const u8,
    /// `i8`: a byte for each step of elements, not zero where products may not be added in 16 bits; null where
    /// they always may.
    large: *const u8,
    /// Of codes that are places in a table, the table; of `f32`, weights that do not lie behind their biases.
    aside: *const u8,
}

/// Where weights of `i8` begin, in the place of what is added to `f32`.
type Kernel = unsafe extern "C" fn(&Call);

unsafe extern "C" {
    fn paring_neon_f32_4x16(call: &Call);
    fn paring_neon_f32_4x8(call: &Call);
    fn paring_neon_f32_1x16(call: &Call);
    fn paring_neon_f32_1x8(call: &Call);
    fn paring_neon_f32_1x16_of_halves(call: &Call);
    fn paring_neon_f32_1x8_of_halves(call: &Call);
    fn paring_neon_f16_8x16(call: &Call);
    fn paring_neon_f16_8x8(call: &Call);
    fn paring_neon_f16_1x16(call: &Call);
    fn paring_neon_f16_1x8(call: &Call);
    fn paring_neon_i8_mlal_4x8_of16(call: &Call);
    fn paring_neon_i8_mlal_4x8(call: &Call);
    fn paring_neon_i8_mlal_1x8_of16(call: &Call);
    fn paring_neon_i8_mlal_1x8(call: &Call);
    fn paring_neon_i8_mmla_4x16(call: &Call);
    fn paring_neon_i8_dot_4x16(call: &Call);
    fn paring_neon_i8_dot_4x8(call: &Call);
    fn paring_neon_i8_dot_1x16(call: &Call);
    fn paring_neon_i8_dot_1x8(call: &Call);
    fn paring_neon_i8_mlal_1x8_of16_table(call: &Call);
    fn paring_neon_i8_mlal_1x8_of16_numbers(call: &Call);
    fn paring_neon_i8_mlal_1x8_table(call: &Call);
    fn paring_neon_i8_mlal_1x8_numbers(call: &Call);
    fn paring_neon_i8_dot_1x16_table(call: &Call);
    fn paring_neon_i8_dot_1x16_numbers(call: &Call);
    fn paring_neon_i8_dot_1x8_table(call: &Call);
    fn paring_neon_i8_dot_1x8_numbers(call: &Call);
}

/// Rows of a tile, and of one in half precision.
pub(crate) const TILE: usize = 4;
const HALF_TILE: usize = 8;

/// Rows that go through memory of their own at once, and channels of the widest panel.
const BATCH: usize = 32;
const WIDEST: usize = 16;

/// Whether the rows of an output are inside.
fn fits(out: usize, rows: usize, cols: usize, stride: usize) -> bool {
    rows == 0 || (rows - 1) * stride + cols <= out
}

/// Calls the kernels for all rows: whole tiles, then single rows. Where `cols` is less than `width` the
/// results go through memory of their own, and so does what is added.
///
/// # Safety
/// All pieces are inside, and `call.out` and `call.rest` have room for `cols` of all rows.
#[inline(always)]
unsafe fn all<T: Copy + Default, const TILE: usize>(
    call: Call,
    rows: usize,
    cols: usize,
    width: usize,
    kernels: [Kernel; 2],
    has_rest: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if cols == width {
            each::<TILE>(call, rows, kernels, has_rest);
        } else {
            at_the_edge::<T, TILE>(&call, rows, cols, width, kernels, has_rest);
        }
    }
}

/// As [`all`] where rows are as wide as the kernels write them.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn each<const TILE: usize>(
    mut call: Call,
    rows: usize,
    [whole_tiles, one]: [Kernel; 2],
    has_rest: bool,
) {
    let tiles = rows / TILE;
    let done = tiles * TILE;
    // SAFETY: offsets stay within the table and the output by the caller's promise.
    unsafe {
        if tiles > 0 {
            call.tiles = tiles;
            whole_tiles(&call);
            call.at = call.at.add(done * call.taps);
            call.out = call.out.add(done * call.stride);
            if has_rest {
                call.rest = call.rest.add(done * call.stride);
            }
        }
        for _ in done..rows {
            one(&call);
            call.at = call.at.add(1);
            call.out = call.out.add(call.stride);
            if has_rest {
                call.rest = call.rest.add(call.stride);
            }
        }
    }
}

/// As [`all`] where rows are narrower.
///
/// # Safety
/// As there.
#[inline(never)]
unsafe fn at_the_edge<T: Copy + Default, const TILE: usize>(
    call: &Call,
    rows: usize,
    cols: usize,
    width: usize,
    kernels: [Kernel; 2],
    has_rest: bool,
) {
    let (size, stride) = (size_of::<T>(), call.stride);
    let (mut edge, mut rest) = ([T::default(); BATCH * WIDEST], [T::default(); BATCH * WIDEST]);
    for first in (0..rows).step_by(BATCH) {
        let n = (rows - first).min(BATCH);
        // SAFETY: offsets stay within the table and the output by the caller's promise; `edge` and `rest` have room for
        // a batch.
        unsafe {
            let mut part = *call;
            part.at = call.at.add(first * call.taps);
            part.out = edge.as_mut_ptr().cast();
            part.stride = width * size;
            if has_rest {
                for row in 0..n {
                    let from = call.rest.add((first + row) * stride);
                    copy(from, rest.as_mut_ptr().add(row * width).cast(), cols * size);
                }
                part.rest = rest.as_ptr().cast();
            }
            each::<TILE>(part, n, kernels, has_rest);
            for row in 0..n {
                let from = edge.as_ptr().add(row * width).cast();
                copy(from, call.out.add((first + row) * stride), cols * size);
            }
        }
    }
}

/// Copies few bytes without a call.
///
/// # Safety
/// Both have room for `n` bytes.
#[inline(always)]
unsafe fn copy(mut from: *const u8, mut to: *mut u8, mut n: usize) {
    // SAFETY: the caller's promise; parts add up to `n`.
    unsafe {
        while n >= 8 {
            to.cast::<[u8; 8]>().write_unaligned(from.cast::<[u8; 8]>().read_unaligned());
            (from, to, n) = (from.add(8), to.add(8), n - 8);
        }
        if n & 4 != 0 {
            to.cast::<[u8; 4]>().write_unaligned(from.cast::<[u8; 4]>().read_unaligned());
            (from, to) = (from.add(4), to.add(4));
        }
        if n & 2 != 0 {
            to.cast::<[u8; 2]>().write_unaligned(from.cast::<[u8; 2]>().read_unaligned());
            (from, to) = (from.add(2), to.add(2));
        }
        if n & 1 != 0 {
            to.write(from.read());
        }
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
    let kernels: [Kernel; 2] = if width == 16 {
        [paring_neon_f32_4x16, paring_neon_f32_1x16]
    } else {
        [paring_neon_f32_4x8, paring_neon_f32_1x8]
    };
    let panel = (panel, None);
    // SAFETY: every aarch64 processor has NEON.
    unsafe { real_gemm::<_, TILE>(kernels, rows, panel, width, rest, clamp, cols, stride, out) }
}

/// Says whether the rows were few enough: numbers brought to single precision are used once each.
pub(crate) fn f32_gemm_of_halves(
    rows: &Rows<'_, f32>,
    (bias, halves): (&[f32], &[u16]),
    width: usize,
    rest: Option<&[f32]>,
    clamp: (f32, f32),
    cols: usize,
    stride: usize,
    out: &mut [f32],
) -> bool {
    // By instructions: 64 weights take 37 with each row; 40 to bring them back, and then 23 with each row.
    if rows.rows() > 2 {
        return false;
    }
    let kernel: Kernel =
        if width == 16 { paring_neon_f32_1x16_of_halves } else { paring_neon_f32_1x8_of_halves };
    let (kernels, panel) = ([kernel; 2], (bias, Some(halves)));
    // SAFETY: every aarch64 processor has NEON and converts half precision; there is no whole tile of rows.
    unsafe { real_gemm::<_, TILE>(kernels, rows, panel, width, rest, clamp, cols, stride, out) }
    true
}

/// The processor computes in half precision.
pub(crate) fn f16_gemm(
    rows: &Rows<'_, u16>,
    panel: &[u16],
    width: usize,
    rest: Option<&[u16]>,
    clamp: (f32, f32),
    cols: usize,
    stride: usize,
    out: &mut [u16],
) {
    let kernels: [Kernel; 2] = if width == 16 {
        [paring_neon_f16_8x16, paring_neon_f16_1x16]
    } else {
        [paring_neon_f16_8x8, paring_neon_f16_1x8]
    };
    // Kernels come from `NeonKernels::new`, which asks the processor.
    let panel = (panel, None);
    // SAFETY: the processor has the instructions.
    unsafe {
        real_gemm::<_, HALF_TILE>(kernels, rows, panel, width, rest, clamp, cols, stride, out)
    }
}

/// A product of real numbers with tiles of `ROWS` rows. Where there are `halves` these are the weights, and the panel has
/// biases alone.
///
/// # Safety
/// The kernels are for the element type, such tiles and this width, and the processor has their instructions.
unsafe fn real_gemm<T: Copy + Default, const ROWS: usize>(
    kernels: [Kernel; 2],
    rows: &Rows<'_, T>,
    (panel, halves): (&[T], Option<&[u16]>),
    width: usize,
    rest: Option<&[T]>,
    clamp: (f32, f32),
    cols: usize,
    stride: usize,
    out: &mut [T],
) {
    assert!(rows.tile() == ROWS && rows.is_inside(rows.depth()));
    assert!(rows.taps() > 0 && rows.depth() > 0);
    assert!((width == 16 || width == 8) && cols <= width);
    let weights = panel.len() - width + halves.map_or(0, <[u16]>::len);
    assert_eq!(weights, width * rows.taps() * rows.depth());
    assert!(halves.is_none() || panel.len() == width);
    assert!(fits(out.len(), rows.rows(), cols, stride));
    assert!(rest.is_none_or(|r| fits(r.len(), rows.rows(), cols, stride)));
    let call = Call {
        a: rows.a().as_ptr().cast(),
        at: rows.at().as_ptr(),
        pad: pad(rows),
        out: out.as_mut_ptr().cast(),
        rest: rest.map_or(core::ptr::null(), |r| r.as_ptr().cast()),
        panel: panel.as_ptr().cast(),
        stride: size_of::<T>() * stride,
        taps: rows.taps(),
        depth: rows.depth(),
        tiles: 0,
        clamp: [clamp.0, clamp.1],
        flags: flags_of(clamp),
        factors: core::ptr::null(),
        constants: core::ptr::null(),
        large: core::ptr::null(),
        aside: halves.map_or(core::ptr::null(), |h| h.as_ptr().cast()),
    };
    // SAFETY: lengths are checked above; the caller's promise.
    unsafe { all::<T, ROWS>(call, rows.rows(), cols, width, kernels, rest.is_some()) }
}

/// Which bounds cut.
pub(crate) fn flags_of(clamp: (f32, f32)) -> u64 {
    u64::from(clamp.0 > f32::NEG_INFINITY) | u64::from(clamp.1 < f32::INFINITY) << 1
}

fn pad<T>(rows: &Rows<'_, T>) -> *const u8 {
    if rows.is_padded() { rows.pad().as_ptr().cast() } else { core::ptr::null() }
}

/// What products of `i8` are called with, and the flags of the panel. `head` is what comes before the weights in it.
#[inline(always)]
fn i8_call(
    level: Level,
    rows: &Rows<'_, i8>,
    parts: &Parts,
    head: &[u8],
    weights: &[u8],
    cols: usize,
    stride: usize,
    out: &mut [i8],
) -> (Call, u32) {
    let depth = rows.depth().next_multiple_of(4);
    assert!(rows.tile() == TILE && rows.is_inside(depth));
    assert!(rows.taps() > 0 && depth > 0);
    assert!(fits(out.len(), rows.rows(), cols, stride));
    assert!(head.len() >= parts.weights);
    // Levels come from `NeonKernels::new`, which asks the processor.
    debug_assert!(level <= Level::detect());
    let flags = crate::pack::get(head, parts.constants + 48) as u32;
    let part = |at: usize| head[at..].as_ptr();
    let call = Call {
        a: rows.a().as_ptr().cast(),
        at: rows.at().as_ptr(),
        pad: pad(rows),
        out: out.as_mut_ptr().cast(),
        rest: weights.as_ptr(),
        panel: part(0),
        stride,
        taps: rows.taps(),
        depth,
        tiles: 0,
        clamp: [0.0; 2],
        flags: u64::from(flags),
        factors: part(parts.factors),
        constants: part(parts.constants),
        large: core::ptr::null(),
        aside: core::ptr::null(),
    };
    (call, flags)
}

/// Calls kernels without the dot product for each eight channels of a panel; the weights that follow each other of one
/// group are `step` bytes apart.
///
/// # Safety
/// The arguments are those of a whole panel and `cols` of its channels, and have room for all rows.
unsafe fn by_eights(
    mut call: Call,
    parts: &Parts,
    rows: usize,
    cols: usize,
    step: usize,
    kernels: [Kernel; 2],
) {
    // SAFETY: each eight channels have their part of the panel.
    unsafe {
        call.panel = call.panel.add(parts.pairs);
        for done in (0..cols).step_by(8) {
            all::<i8, TILE>(call, rows, (cols - done).min(8), 8, kernels, false);
            call.panel = call.panel.wrapping_add(64);
            call.factors = call.factors.wrapping_add(64);
            call.rest = call.rest.wrapping_add(step);
            call.out = call.out.wrapping_add(8);
            if !call.large.is_null() {
                call.large = call.large.wrapping_add(parts.steps);
            }
        }
    }
}

pub(crate) fn i8_gemm(
    level: Level,
    rows: &Rows<'_, i8>,
    packed: &[u8],
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i8],
) {
    assert!((width == 16 || width == 8) && cols <= width);
    let parts = parts(rows.taps(), rows.depth(), width);
    assert_eq!(packed.len(), parts.len);
    let weights = &packed[parts.weights..];
    let (mut call, flags) = i8_call(level, rows, &parts, packed, weights, cols, stride, out);
    // SAFETY: lengths are checked above, and the processor has the level.
    unsafe {
        if level >= Level::Dot {
            let matrix = level == Level::Matrix && flags & ANY_SHIFT == 0;
            let kernels: [Kernel; 2] = match width {
                16 if matrix => [paring_neon_i8_mmla_4x16, paring_neon_i8_dot_1x16],
                16 => [paring_neon_i8_dot_4x16, paring_neon_i8_dot_1x16],
                _ => [paring_neon_i8_dot_4x8, paring_neon_i8_dot_1x8],
            };
            return all::<i8, TILE>(call, rows.rows(), cols, width, kernels, false);
        }
        if flags & LARGE != 0 {
            call.large = packed[parts.large..].as_ptr();
        }
        let kernels: [Kernel; 2] = if width == 16 {
            [paring_neon_i8_mlal_4x8_of16, paring_neon_i8_mlal_1x8_of16]
        } else {
            [paring_neon_i8_mlal_4x8, paring_neon_i8_mlal_1x8]
        };
        by_eights(call, &parts, rows.rows(), cols, 32, kernels);
    }
}

/// Rows up to which codes are decoded for each of them. By instructions without and with the dot product, for 128 products
/// of one row: 47 and 27 with places in a table, 35 and 15 with numbers; to bring 128 weights back takes 32 or more, and a
/// row of the product with them then 31 and 12.
fn few(by: &Codes) -> usize {
    match by {
        Codes::Table(_) => 2,
        Codes::Numbers => TILE - 1,
    }
}

/// Says whether the rows were few enough.
pub(crate) fn i8_gemm_of_codes(
    level: Level,
    rows: &Rows<'_, i8>,
    panel: &CodedPanel<'_>,
    width: usize,
    cols: usize,
    stride: usize,
    out: &mut [i8],
) -> bool {
    let n = rows.rows();
    if n > few(panel.by) {
        return false;
    }
    assert!((width == 16 || width == 8) && cols <= width);
    let parts = parts(rows.taps(), rows.depth(), width);
    let (head, codes) = (panel.outside, panel.codes);
    assert!(
        panel.weights == (parts.weights..parts.large) && 2 * codes.len() == panel.weights.len()
    );
    let (mut call, flags) = i8_call(level, rows, &parts, head, codes, cols, stride, out);
    if level == Level::Baseline && flags & LARGE != 0 {
        return false;
    }
    if let Codes::Table(table) = panel.by {
        call.aside = table.as_ptr();
    }
    let dot = level >= Level::Dot;
    let kernel: Kernel = match (panel.by, dot, width) {
        (Codes::Table(_), false, 16) => paring_neon_i8_mlal_1x8_of16_table,
        (Codes::Table(_), false, _) => paring_neon_i8_mlal_1x8_table,
        (Codes::Table(_), true, 16) => paring_neon_i8_dot_1x16_table,
        (Codes::Table(_), true, _) => paring_neon_i8_dot_1x8_table,
        (Codes::Numbers, false, 16) => paring_neon_i8_mlal_1x8_of16_numbers,
        (Codes::Numbers, false, _) => paring_neon_i8_mlal_1x8_numbers,
        (Codes::Numbers, true, 16) => paring_neon_i8_dot_1x16_numbers,
        (Codes::Numbers, true, _) => paring_neon_i8_dot_1x8_numbers,
    };
    // SAFETY: lengths are checked above, there is no whole tile of rows, and the processor has the level.
    unsafe {
        if dot {
            all::<i8, TILE>(call, n, cols, width, [kernel; 2], false);
        } else {
            by_eights(call, &parts, n, cols, 16, [kernel; 2]);
        }
    }
    true
}

//! Rows of depthwise convolutions with windows of 3x3 in assembly.

use paring_kernels::Window;

/// What a function is called with; the assembly knows the offsets.
#[repr(C)]
pub(crate) struct Row {
    /// The first column of each row of the input, or padding.
    lines: [*const u8; 3],
    /// Bytes between columns; 0 for padding.
    steps: [usize; 3],
    out: *mut u8,
    /// Bytes between columns of the output.
    out_step: usize,
    /// Windows without padding on the right.
    whole: usize,
    /// Whether the last window ends in a column of padding.
    cut: usize,
    /// Whether the first window begins with a column of padding.
    skip: usize,
    /// `i8`: a block of weights. Others: the weights of the first tap.
    weights: *const u8,
    /// `i8`: the constants of all channels. Others: bytes between taps.
    constants: *const u8,
    /// A column of padding.
    padding: *const u8,
    /// Biases of real numbers.
    bias: *const u8,
    /// The bounds, of four bytes each or of two.
    clamp: [f32; 2],
}

unsafe extern "C" {
    fn paring_neon_i8_depthwise3_1(row: &Row);
    fn paring_neon_i8_depthwise3_2(row: &Row);
    fn paring_neon_i8_depthwise3_bounded_1(row: &Row);
    fn paring_neon_i8_depthwise3_bounded_2(row: &Row);
    fn paring_neon_i8_depthwise3_open_1(row: &Row);
    fn paring_neon_i8_depthwise3_open_2(row: &Row);
    fn paring_neon_i8_depthwise3_large_1(row: &Row);
    fn paring_neon_i8_depthwise3_large_2(row: &Row);
    fn paring_neon_i8_depthwise3_half_1(row: &Row);
    fn paring_neon_i8_depthwise3_half_2(row: &Row);
    fn paring_neon_i8_depthwise3_dot_1(row: &Row);
    fn paring_neon_i8_depthwise3_dot_2(row: &Row);
    fn paring_neon_i8_depthwise3_dot_bounded_1(row: &Row);
    fn paring_neon_i8_depthwise3_dot_bounded_2(row: &Row);
    fn paring_neon_i8_depthwise3_dot_open_1(row: &Row);
    fn paring_neon_i8_depthwise3_dot_open_2(row: &Row);
    fn paring_neon_f32_depthwise3_1(row: &Row);
    fn paring_neon_f32_depthwise3_2(row: &Row);
    fn paring_neon_f16_depthwise3_1(row: &Row);
    fn paring_neon_f16_depthwise3_2(row: &Row);
}

/// Whether the functions serve a window: at most a column of padding on each side.
pub(crate) fn serves(w: &Window) -> bool {
    let reach = w.out_width > 0 && (w.out_width - 1) * w.stride[1] + 3 <= w.input[1] + w.pad[1] + 1;
    w.kernel == [3, 3]
        && w.dilation == [1, 1]
        && w.pad[1] <= 1
        && w.stride[1] <= 2
        && w.input[1] >= 2
        && reach
}

/// The part of the arguments that element types share: a row `y` of the output from the channel `first` on.
fn row<T>(w: &Window, x: &[T], padding: &[T], y: usize, first: usize, out: &mut [T]) -> Row {
    let (c, columns) = (w.channels, w.input[1]);
    let size = size_of::<T>();
    let line = |k| w.at(0, y, k).map(|r| x[r * columns * c + first..].as_ptr().cast::<u8>());
    let lines = [line(0), line(1), line(2)];
    let padding = padding.as_ptr().cast();
    let cut = (w.out_width - 1) * w.stride[1] + 3 > columns + w.pad[1];
    Row {
        lines: lines.map(|l| l.unwrap_or(padding)),
        steps: lines.map(|l| if l.is_some() { c * size } else { 0 }),
        out: out[first..].as_mut_ptr().cast(),
        out_step: c * size,
        whole: w.out_width - usize::from(cut),
        cut: usize::from(cut),
        skip: w.pad[1],
        weights: core::ptr::null(),
        constants: core::ptr::null(),
        padding,
        bias: core::ptr::null(),
        clamp: [0.0; 2],
    }
}

/// How sums are brought back to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// With results on both sides of the zero point.
    Signed,
    /// With no results below the zero point, which 16 bits hold before they are cut.
    Bounded,
    /// The same, and the bounds are those of the type.
    Open,
}

/// How products of bytes are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Products {
    /// By pairs in 16 bits; these also hold the results before they are cut.
    Pairs(Finish),
    /// Each in 32 bits.
    Single,
    /// By the dot product instruction.
    Dot(Finish),
    /// Each in 32 bits, of the first eight channels only.
    Half,
}

/// Sixteen channels of a row of `i8`, or eight. `block` has their weights, `constants` those of all channels, and no factor
/// shifts left.
///
/// # Safety
/// The window is one that [`serves`], `x`, `out` (a row), `block` and `constants` are as long as it asks for, and the
/// processor has the instructions.
pub(crate) unsafe fn i8_row(
    products: Products,
    w: &Window,
    x: &[i8],
    padding: &[i8; 16],
    block: &[u8],
    constants: &[u8],
    y: usize,
    first: usize,
    out: &mut [i8],
) {
    let mut row = row(w, x, padding, y, first, out);
    (row.weights, row.constants) = (block.as_ptr(), constants.as_ptr());
    let [one, two]: [unsafe extern "C" fn(&Row); 2] = match products {
        Products::Pairs(Finish::Signed) => {
            [paring_neon_i8_depthwise3_1, paring_neon_i8_depthwise3_2]
        }
        Products::Pairs(Finish::Bounded) => {
            [paring_neon_i8_depthwise3_bounded_1, paring_neon_i8_depthwise3_bounded_2]
        }
        Products::Pairs(Finish::Open) => {
            [paring_neon_i8_depthwise3_open_1, paring_neon_i8_depthwise3_open_2]
        }
        Products::Single => [paring_neon_i8_depthwise3_large_1, paring_neon_i8_depthwise3_large_2],
        Products::Dot(Finish::Signed) => {
            [paring_neon_i8_depthwise3_dot_1, paring_neon_i8_depthwise3_dot_2]
        }
        Products::Dot(Finish::Bounded) => {
            [paring_neon_i8_depthwise3_dot_bounded_1, paring_neon_i8_depthwise3_dot_bounded_2]
        }
        Products::Dot(Finish::Open) => {
            [paring_neon_i8_depthwise3_dot_open_1, paring_neon_i8_depthwise3_dot_open_2]
        }
        Products::Half => [paring_neon_i8_depthwise3_half_1, paring_neon_i8_depthwise3_half_2],
    };
    // SAFETY: the caller's promise.
    unsafe { if w.stride[1] == 1 { one(&row) } else { two(&row) } }
}

/// The functions for numbers of four or two bytes, with windows one column apart and two.
pub(crate) const F32: [Function; 2] = [paring_neon_f32_depthwise3_1, paring_neon_f32_depthwise3_2];
pub(crate) const F16: [Function; 2] = [paring_neon_f16_depthwise3_1, paring_neon_f16_depthwise3_2];

/// A function of [`F32`] or [`F16`].
pub(crate) type Function = unsafe extern "C" fn(&Row);

/// Channels of a row of real numbers, sixteen bytes of them at a time; the last of those may overlap those before.
///
/// # Safety
/// The window is one that [`serves`] with at least sixteen bytes of channels, all slices are as long as it asks for,
/// `out` is a row, and the functions are for the element type and the processor. `clamp` are the bytes of two numbers.
pub(crate) unsafe fn real_row<T: Copy>(
    [one, two]: [Function; 2],
    w: &Window,
    x: &[T],
    zeros: &[T; 8],
    weights: &[T],
    bias: &[T],
    clamp: [f32; 2],
    y: usize,
    out: &mut [T],
) {
    let lanes = 16 / size_of::<T>();
    for first in (0..w.channels).step_by(lanes) {
        let first = first.min(w.channels - lanes);
        let mut row = row(w, x, zeros, y, first, out);
        row.weights = weights[first..].as_ptr().cast();
        row.constants = core::ptr::without_provenance(size_of::<T>() * w.channels);
        row.bias = bias[first..].as_ptr().cast();
        row.clamp = clamp;
        // SAFETY: the caller's promise.
        unsafe { if w.stride[1] == 1 { one(&row) } else { two(&row) } }
    }
}

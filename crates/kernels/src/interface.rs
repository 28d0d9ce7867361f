use crate::codes::{CodedPanel, Codes};
use crate::half::HalfPair;
use crate::pairs16::I16Pairs;
use crate::sparse::{Extents, I8Scale, Sparse};
use crate::{half, portable, wide};
use core::ops::Range;
use paring_qmath::{Multiplier, Rounding};

/// The offset that stands for the row of padding.
pub const PAD: u32 = u32::MAX;

/// Rows of a tile and channels of a panel of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows of a tile.
    pub rows: usize,
    /// Channels of a panel, an even number; a narrow panel has half as many.
    pub width: usize,
}

/// Where pieces begin, and how far they are from the first element.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    at: &'a [u32],
    /// One more than where the farthest piece begins; 0 where all are padding.
    end: usize,
    padded: bool,
}

impl<'a> Table<'a> {
    /// For each tile of rows and each tap, one offset or [`PAD`] a row of the tile; the rows that a last tile lacks
    /// repeat others.
    #[must_use]
    pub fn new(at: &'a [u32]) -> Self {
        // PAD wraps to 0, so one maximum finds the farthest piece and one minimum the padding.
        let (low, high) = at.iter().fold((u32::MAX, 0), |(low, high), &o| {
            let o = o.wrapping_add(1);
            (o.min(low), o.max(high))
        });
        Self { at, end: high as usize, padded: low == 0 }
    }

    /// The same for who looked for the farthest piece already: no piece but padding begins at `end` or after it,
    /// and there is padding only where `padded` says so.
    ///
    /// # Safety
    /// Kernels read where `at` says, as far as `end` allows.
    #[must_use]
    #[allow(unsafe_code)]
    pub unsafe fn checked(at: &'a [u32], end: usize, padded: bool) -> Self {
        Self { at, end, padded }
    }
}

/// The left side of a product: rows of `taps` pieces of `depth` elements each.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T> {
    a: &'a [T],
    table: Table<'a>,
    pad: &'a [T],
    taps: usize,
    depth: usize,
    rows: usize,
    tile: usize,
}

impl<'a, T> Rows<'a, T> {
    /// `a` holds the elements. `at` says where each piece begins in it, for tiles of `tile` rows; see
    /// [`Table::new`]. `pad` is the piece that [`PAD`] stands for.
    ///
    /// # Panics
    /// If the table has not the length that the other numbers ask for.
    #[must_use]
    pub fn new(
        a: &'a [T],
        at: &'a [u32],
        pad: &'a [T],
        taps: usize,
        depth: usize,
        rows: usize,
        tile: usize,
    ) -> Self {
        Self::of(a, Table::new(at), pad, taps, depth, rows, tile)
    }

    /// As [`new`](Self::new), for a table that serves more than one product.
    ///
    /// # Panics
    /// If the table has not the length that the other numbers ask for.
    #[must_use]
    pub fn of(
        a: &'a [T],
        table: Table<'a>,
        pad: &'a [T],
        taps: usize,
        depth: usize,
        rows: usize,
        tile: usize,
    ) -> Self {
        let len = rows.div_ceil(tile).checked_mul(taps * tile);
        assert_eq!(Some(table.at.len()), len, "table of pieces");
        Self { a, table, pad, taps, depth, rows, tile }
    }

    /// Whether every piece lies inside the elements when `reach` of its elements are read.
    #[must_use]
    #[inline]
    pub fn is_inside(&self, reach: usize) -> bool {
        (self.table.end == 0 || self.table.end - 1 + reach <= self.a.len())
            && (!self.table.padded || reach <= self.pad.len())
    }

    /// The elements.
    #[must_use]
    #[inline]
    pub fn a(&self) -> &'a [T] {
        self.a
    }

    /// Where each piece begins.
    #[must_use]
    #[inline]
    pub fn at(&self) -> &'a [u32] {
        self.table.at
    }

    /// The piece of padding.
    #[must_use]
    #[inline]
    pub fn pad(&self) -> &'a [T] {
        self.pad
    }

    /// Whether a piece is padding.
    #[must_use]
    #[inline]
    pub fn is_padded(&self) -> bool {
        self.table.padded
    }

    /// Pieces of a row.
    #[must_use]
    #[inline]
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Elements of a piece.
    #[must_use]
    #[inline]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Rows.
    #[must_use]
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of a tile.
    #[must_use]
    #[inline]
    pub fn tile(&self) -> usize {
        self.tile
    }
}

/// What a panel of `i8` weights is packed from.
#[derive(Clone, Copy, Debug)]
pub struct I8Panel<'a> {
    /// The weights of each channel: `taps * depth` each.
    pub weights: &'a [i8],
    /// Pieces of a row of the left side.
    pub taps: usize,
    /// Elements of a piece.
    pub depth: usize,
    /// Channels with padding: the tile's width or half of it.
    pub width: usize,
    /// What each channel's sum begins with; the zero point of the left side is already in it.
    pub bias: &'a [i32],
    /// The factor of each channel.
    pub multipliers: &'a [Multiplier],
    /// How products with it are rounded.
    pub rounding: Rounding,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Bounds of the output; the upper one is applied last.
    pub bounds: (i8, i8),
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
    /// Bounds of the output; the upper one is applied last.
    pub bounds: (i8, i8),
}

/// What weights of `i8` for a left side of `i16` are packed from: a panel, or all channels of a depthwise convolution.
/// Zero points are 0.
#[derive(Clone, Copy, Debug)]
pub struct I16Panel<'a> {
    /// The weights of each channel: `taps * depth` each.
    pub weights: &'a [i8],
    /// Pieces of a row of the left side.
    pub taps: usize,
    /// Elements of a piece; 1 where the convolution is depthwise.
    pub depth: usize,
    /// Channels with padding.
    pub width: usize,
    /// What each channel's sum begins with.
    pub bias: &'a [i64],
    /// The factor of each channel.
    pub multipliers: &'a [Multiplier],
    /// Bounds of the output; the upper one is applied last.
    pub bounds: (i16, i16),
}

/// The sum or difference of two `i8` values: TFLite's integer addition.
#[derive(Clone, Copy, Debug)]
pub struct I8Sum {
    /// Zero points of the operands.
    pub zeros: [i32; 2],
    /// Factors of the operands less their zero points, shifted left by [`Self::SHIFT`].
    pub factors: [Multiplier; 2],
    /// Whether the second operand is subtracted.
    pub subtract: bool,
    /// Factor of the sum.
    pub factor: Multiplier,
    /// Zero point of the output.
    pub zero_point: i32,
    /// How products with factors are rounded.
    pub rounding: Rounding,
    /// Bounds of the output; the upper one is applied last.
    pub bounds: (i8, i8),
    /// A shorter way to all the same results, where there is one.
    pub quick: Option<QuickSum>,
}

/// A sum of bytes as `(((a * w0 + b * w1) >> 8) + start) >> shift` before it is cut to the bounds.
///
/// With `w = high * 2^15 + low` all of it fits 32 bits:
/// `((a * high0 + b * high1) * 2^7 + ((a * low0 + b * low1) >> 8) + start) >> shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuickSum {
    /// Factors of both operands, of a magnitude below 2^30.
    pub weights: [i32; 2],
    /// Zero points and rounding.
    pub start: i32,
    /// The right shift.
    pub shift: u32,
}

impl QuickSum {
    /// The high parts of the factors, which fit 16 bits, and the low ones, which have 15.
    #[must_use]
    pub fn parts(&self) -> [[i16; 2]; 2] {
        [self.weights.map(|w| (w >> 15) as i16), self.weights.map(|w| (w & 0x7FFF) as i16)]
    }

    /// The sum before `start` is added.
    fn before(parts: &[[i16; 2]; 2], a: i8, b: i8) -> i64 {
        let [high, low] =
            parts.map(|w| i64::from(a) * i64::from(w[0]) + i64::from(b) * i64::from(w[1]));
        (high << 7) + (low >> 8)
    }
}

impl I8Sum {
    /// Spare bits of the operands.
    pub const SHIFT: u32 = 20;

    /// Looks for the shorter way: one that gives the same for all pairs of bytes.
    #[must_use]
    pub fn quick(&self) -> Option<QuickSum> {
        let real = |m: Multiplier| {
            let scale = (1_u64 << m.shift.unsigned_abs().min(62)) as f64;
            let whole = f64::from(m.mantissa) / f64::from(1_u32 << 31);
            if m.shift < 0 { whole / scale } else { whole * scale }
        };
        let scale = real(self.factor) * f64::from(1_u32 << Self::SHIFT);
        let sign = if self.subtract { -1.0 } else { 1.0 };
        let ratios = [real(self.factors[0]) * scale, sign * real(self.factors[1]) * scale];
        (16..=22).rev().find_map(|shift| {
            let weights = ratios.map(|r| {
                let w = r * f64::from(1_u32 << (shift + 8));
                (if w < 0.0 { w - 0.5 } else { w + 0.5 }) as i64
            });
            if weights.iter().any(|w| w.unsigned_abs() >= 1 << 30) {
                return None;
            }
            let mut quick = QuickSum { weights: weights.map(|w| w as i32), start: 0, shift };
            let parts = quick.parts();
            let (mut low, mut high) = (i64::MIN, i64::MAX);
            let (mut least, mut most) = (i64::MAX, i64::MIN);
            for a in i8::MIN..=i8::MAX {
                for b in i8::MIN..=i8::MAX {
                    let (y, v) = (self.apply(a, b), QuickSum::before(&parts, a, b));
                    (least, most) = (least.min(v), most.max(v));
                    let from = i64::from(y) << shift;
                    if y > self.bounds.0 {
                        low = low.max(from - v);
                    }
                    if y < self.bounds.1 {
                        high = high.min(from + (1 << shift) - 1 - v);
                    }
                }
            }
            if low == i64::MIN || high == i64::MAX || low > high {
                return None;
            }
            let start = low + (high - low) / 2;
            let fits = |v: i64| i32::try_from(v + start).is_ok();
            quick.start = i32::try_from(start).ok()?;
            (fits(least) && fits(most)).then_some(quick)
        })
    }

    /// The output for two operands.
    #[must_use]
    #[inline]
    pub fn apply(&self, a: i8, b: i8) -> i8 {
        let term = |i: usize, x: i8| {
            let centred = (i32::from(x) - self.zeros[i]) << Self::SHIFT;
            self.factors[i].apply(centred, self.rounding)
        };
        let (a, b) = (term(0, a), term(1, b));
        let sum = if self.subtract { a - b } else { a + b };
        let y = self.factor.apply(sum, self.rounding).saturating_add(self.zero_point);
        y.max(i32::from(self.bounds.0)).min(i32::from(self.bounds.1)) as i8
    }
}

/// The geometry of a depthwise convolution or a pool over one image in NHWC.
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
    /// Number of taps.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The columns of the output that see no padding to the left or right.
    #[must_use]
    pub fn inner_columns(&self) -> Range<usize> {
        let first = self.pad[1].div_ceil(self.stride[1]);
        let reach = (self.kernel[1] - 1) * self.dilation[1];
        let room = (self.input[1] + self.pad[1]).checked_sub(reach + 1);
        let end = room.map_or(0, |r| r / self.stride[1] + 1).min(self.out_width);
        first.min(end)..end
    }

    /// The position in the input of a tap along an axis, if it is inside.
    #[must_use]
    #[inline]
    pub fn at(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let i =
            (out * self.stride[axis] + tap * self.dilation[axis]).checked_sub(self.pad[axis])?;
        (i < self.input[axis]).then_some(i)
    }
}

/// The inner loops of one instruction set. Every method but the name has a form in plain Rust.
///
/// The methods are safe: an implementation checks the lengths of the slices before it reads past them.
pub trait Kernels: Send + Sync + 'static {
    /// The instruction set, for messages.
    fn name(&self) -> &str;

    /// Bytes that may lie between steps which are done together row by row, so that they stay in a cache
    /// beside the weights; 0 where joining steps does not pay.
    fn near_bytes(&self) -> usize {
        0
    }

    /// The name of the packed form: packages for one family run with all of its kernels.
    fn family(&self) -> &'static str {
        "portable"
    }

    /// A table of pieces; see [`Table::new`].
    fn pieces<'a>(&self, at: &'a [u32]) -> Table<'a> {
        Table::new(at)
    }

    /// The tile of `f32` products.
    fn f32_tile(&self) -> Tile {
        portable::TILE
    }

    /// `out[r][c] = clamp(bias[c] + sum(a[r][k] * w[k][c]) + rest[r][c])` for one panel: `width`
    /// biases, then for each `k` the `width` weights. Rows of `out` and `rest` are `stride` elements
    /// apart; `cols` channels are written.
    fn f32_gemm(
        &self,
        rows: &Rows<'_, f32>,
        panel: &[f32],
        width: usize,
        rest: Option<&[f32]>,
        clamp: (f32, f32),
        cols: usize,
        stride: usize,
        out: &mut [f32],
    ) {
        portable::f32_gemm(rows, panel, width, rest, clamp, cols, stride, out);
    }

    /// Whether weights of `f32` that half precision holds are to be stored so; [`halves`](Self::halves) brings them
    /// back.
    fn f32_as_halves(&self) -> bool {
        false
    }

    /// As [`f32_gemm`](Self::f32_gemm) with a panel whose biases come first and whose weights are numbers of half precision, where
    /// that is faster than to bring the weights back first: for few rows. Says whether it was, and does nothing if not.
    fn f32_gemm_of_halves(
        &self,
        rows: &Rows<'_, f32>,
        panel: (&[f32], &[u16]),
        width: usize,
        rest: Option<&[f32]>,
        clamp: (f32, f32),
        cols: usize,
        stride: usize,
        out: &mut [f32],
    ) -> bool {
        let _ = (rows, panel, width, rest, clamp, cols, stride, out);
        false
    }

    /// The numbers that numbers of half precision are.
    fn halves(&self, halves: &[u16], out: &mut [f32]) {
        half::halves(halves, out);
    }

    /// Whether the processor computes in half precision: the kernels whose names begin with `f16`.
    fn computes_in_half(&self) -> bool {
        false
    }

    /// The numbers of half precision that are nearest to some numbers.
    fn to_halves(&self, x: &[f32], out: &mut [u16]) {
        half::to_halves(x, out);
    }

    /// The tile of products in half precision.
    fn f16_tile(&self) -> Tile {
        portable::TILE
    }

    /// As [`f32_gemm`](Self::f32_gemm) in half precision.
    fn f16_gemm(
        &self,
        rows: &Rows<'_, u16>,
        panel: &[u16],
        width: usize,
        rest: Option<&[u16]>,
        clamp: (f32, f32),
        cols: usize,
        stride: usize,
        out: &mut [u16],
    ) {
        half::gemm(rows, panel, width, rest, clamp, cols, stride, out);
    }

    /// As [`f32_depthwise`](Self::f32_depthwise) in half precision.
    fn f16_depthwise(
        &self,
        window: &Window,
        x: &[u16],
        weights: &[u16],
        bias: &[u16],
        clamp: (f32, f32),
        rows: Range<usize>,
        out: &mut [u16],
    ) {
        half::depthwise(window, x, weights, bias, clamp, rows, out);
    }

    /// A function of two rows of numbers of half precision, or of a row and one number.
    fn f16_pairs(&self, f: HalfPair, a: &[u16], b: &[u16], clamp: (f32, f32), out: &mut [u16]) {
        half::pairs(f, a, b, clamp, out);
    }

    /// Puts the larger of each two numbers of half precision in the place of the second.
    fn f16_max(&self, x: &[u16], most: &mut [u16]) {
        half::max(x, most);
    }

    /// Adds numbers of half precision to others.
    fn f16_sums(&self, x: &[u16], sums: &mut [f32]) {
        half::sums(x, sums);
    }

    /// Whether a convolution of 3x3 with stride 1 is faster by Winograd's F(4x4, 3x3), which multiplies `squares` of 4x4
    /// results of one image 36 times each.
    fn f32_winograd_pays(&self, extents: &Extents, squares: usize) -> bool {
        let _ = (extents, squares);
        false
    }

    /// Whether a product is faster by [`f32_sparse`](Self::f32_sparse) than by [`f32_gemm`](Self::f32_gemm).
    fn f32_sparse_pays(&self, extents: &Extents) -> bool {
        let _ = extents;
        false
    }

    /// Elements of scratch memory that a sparse product with rows of `depth` elements takes.
    fn f32_sparse_scratch(&self, depth: usize) -> usize {
        let _ = depth;
        0
    }

    /// `out[r][c] = clamp(bias[c] + sum(a[r][k] * w[k][c]) + rest[r][c])` over the weights that are there. Rows of
    /// `a` lie one after another, and so do those of `rest` and `out`.
    fn f32_sparse(
        &self,
        a: &[f32],
        weights: &Sparse<'_, f32>,
        bias: &[f32],
        rest: Option<&[f32]>,
        clamp: (f32, f32),
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let _ = scratch;
        portable::f32_sparse(a, weights, bias, rest, clamp, out);
    }

    /// The tile of `i8` products.
    fn i8_tile(&self) -> Tile {
        portable::TILE
    }

    /// Pieces of `i8` rows are read to the next multiple of this many elements.
    fn i8_step(&self) -> usize {
        1
    }

    /// Bytes of a packed panel.
    fn i8_panel_len(&self, taps: usize, depth: usize, width: usize) -> usize {
        portable::i8_panel_len(taps, depth, width)
    }

    /// Packs a panel; `false` where the arithmetic of a channel cannot be reproduced.
    fn i8_pack(&self, panel: &I8Panel<'_>, packed: &mut [u8]) -> bool {
        portable::i8_pack(panel, packed)
    }

    /// The weights among the bytes of a packed panel, where those of few values are to be stored as codes;
    /// [`codes`](Self::codes) brings them back.
    fn i8_weights(&self, taps: usize, depth: usize, width: usize) -> Option<Range<usize>> {
        let _ = (taps, depth, width);
        None
    }

    /// The bytes that codes stand for.
    fn codes(&self, by: &Codes, codes: &[u8], out: &mut [u8]) {
        by.decode(codes, out);
    }

    /// Whether codes are to be [`Codes::Numbers`] where they can.
    fn codes_as_numbers(&self) -> bool {
        false
    }

    /// As [`i8_gemm`](Self::i8_gemm) with a panel whose weights are codes, where that is faster than to bring the weights
    /// back first: for few rows. Says whether it was, and does nothing if not.
    fn i8_gemm_of_codes(
        &self,
        rows: &Rows<'_, i8>,
        panel: &CodedPanel<'_>,
        width: usize,
        cols: usize,
        stride: usize,
        out: &mut [i8],
    ) -> bool {
        let _ = (rows, panel, width, cols, stride, out);
        false
    }

    /// `out[r][c]` is the requantized `bias[c] + sum(a[r][k] * w[k][c])` for one packed panel.
    fn i8_gemm(
        &self,
        rows: &Rows<'_, i8>,
        packed: &[u8],
        width: usize,
        cols: usize,
        stride: usize,
        out: &mut [i8],
    ) {
        portable::i8_gemm(rows, packed, width, cols, stride, out);
    }

    /// Whether a product is faster by [`i8_sparse`](Self::i8_sparse) than by [`i8_gemm`](Self::i8_gemm).
    fn i8_sparse_pays(&self, extents: &Extents) -> bool {
        let _ = extents;
        false
    }

    /// Elements of scratch memory that a sparse product with rows of `depth` elements takes.
    fn i8_sparse_scratch(&self, depth: usize) -> usize {
        let _ = depth;
        0
    }

    /// `out[r][c]` is the requantized `bias[c] + sum(a[r][k] * w[k][c])` over the weights that are there; sums stay
    /// within 31 bits. Rows of `a` lie one after another, and so do those of `out`.
    fn i8_sparse(
        &self,
        a: &[i8],
        weights: &Sparse<'_, i16>,
        scale: &I8Scale<'_>,
        scratch: &mut [i16],
        out: &mut [i8],
    ) {
        let _ = scratch;
        portable::i8_sparse(a, weights, scale, out);
    }

    /// Some rows of the output of a depthwise convolution; the weights are `taps` rows of one number a
    /// channel.
    fn f32_depthwise(
        &self,
        window: &Window,
        x: &[f32],
        weights: &[f32],
        bias: &[f32],
        clamp: (f32, f32),
        rows: Range<usize>,
        out: &mut [f32],
    ) {
        portable::f32_depthwise(window, x, weights, bias, clamp, rows, out);
    }

    /// Bytes of packed depthwise weights.
    fn i8_depthwise_len(&self, kernel: [usize; 2], channels: usize) -> usize {
        portable::i8_panel_len(kernel[0] * kernel[1], 1, channels)
    }

    /// Packs depthwise weights; `false` where the arithmetic of a channel cannot be reproduced.
    fn i8_depthwise_pack(&self, p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
        portable::i8_depthwise_pack(p, packed)
    }

    /// As [`i8_depthwise_len`](Self::i8_depthwise_len) for
    /// [`i8_depthwise_pack_sum`](Self::i8_depthwise_pack_sum).
    fn i8_depthwise_sum_len(&self, kernel: [usize; 2], channels: usize) -> usize {
        self.i8_depthwise_len(kernel, channels)
    }

    /// As [`i8_depthwise_pack`](Self::i8_depthwise_pack) for weights that are the sums of two bytes: those of
    /// `p` and `more`, in the same order. `false` where there is no kernel for them, too.
    fn i8_depthwise_pack_sum(&self, p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
        let _ = (p, more, packed);
        false
    }

    /// Some rows of the output of a depthwise convolution. `pad` is the input's zero point.
    fn i8_depthwise(
        &self,
        window: &Window,
        x: &[i8],
        pad: i8,
        packed: &[u8],
        rows: Range<usize>,
        out: &mut [i8],
    ) {
        portable::i8_depthwise(window, x, pad, packed, rows, out);
    }

    /// The tile of `i16` products.
    fn i16_tile(&self) -> Tile {
        portable::TILE
    }

    /// Pieces of `i16` rows are read to the next multiple of this many elements.
    fn i16_step(&self) -> usize {
        1
    }

    /// Bytes of a packed panel for a left side of `i16`.
    fn i16_panel_len(&self, taps: usize, depth: usize, width: usize) -> usize {
        wide::len(taps, depth, width)
    }

    /// Packs a panel for a left side of `i16`; `false` where sums may leave 32 bits or a factor is not below one.
    fn i16_pack(&self, panel: &I16Panel<'_>, packed: &mut [u8]) -> bool {
        wide::pack(panel, packed)
    }

    /// `out[r][c]` is the requantized `bias[c] + sum(a[r][k] * w[k][c])` for one packed panel.
    fn i16_gemm(
        &self,
        rows: &Rows<'_, i16>,
        packed: &[u8],
        width: usize,
        cols: usize,
        stride: usize,
        out: &mut [i16],
    ) {
        wide::gemm(rows, packed, width, cols, stride, out);
    }

    /// Bytes of packed depthwise weights for `i16`; `taps` of one weight a channel.
    fn i16_depthwise_len(&self, taps: usize, channels: usize) -> usize {
        wide::len(taps, 1, channels)
    }

    /// Packs depthwise weights, of all channels; `false` as [`i16_pack`](Self::i16_pack) says.
    fn i16_depthwise_pack(&self, all: &I16Panel<'_>, packed: &mut [u8]) -> bool {
        wide::pack(all, packed)
    }

    /// Some rows of the output of a depthwise convolution.
    fn i16_depthwise(
        &self,
        window: &Window,
        x: &[i16],
        packed: &[u8],
        rows: Range<usize>,
        out: &mut [i16],
    ) {
        wide::i16_depthwise(window, x, packed, rows, 0..window.channels, out);
    }

    /// Adds to each of `sums` the products of `x`, of fewer than 2^24 elements, with as many of `w`, those of each sum
    /// `step` elements after those of the one before.
    fn i16_dots(&self, x: &[i16], w: &[i8], step: usize, sums: &mut [i64]) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += portable::i16_dot(x, &w[i * step..][..x.len()]);
        }
    }

    /// A function of two values of `i16`, element by element.
    fn i16_pairs(&self, pairs: &I16Pairs, a: &[i16], b: &[i16], out: &mut [i16]) {
        for ((y, a), b) in out.iter_mut().zip(a).zip(b) {
            *y = pairs.apply(*a, *b);
        }
    }

    /// The sum or difference of two values, element by element.
    fn i8_sum(&self, sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) {
        for ((y, a), b) in out.iter_mut().zip(a).zip(b) {
            *y = sum.apply(*a, *b);
        }
    }

    /// `out[i] = table[x[i]]`
    fn table(&self, table: &[u8; 256], x: &[u8], out: &mut [u8]) {
        portable::table(table, x, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(scales: [f64; 2], zeros: [i32; 2], out: (f64, i32), subtract: bool) -> I8Sum {
        let twice = 2.0 * scales[0].max(scales[1]);
        I8Sum {
            zeros,
            factors: scales.map(|s| Multiplier::from_real(s / twice)),
            subtract,
            factor: Multiplier::from_real(twice / (f64::from(1 << I8Sum::SHIFT) * out.0)),
            zero_point: out.1,
            rounding: Rounding::Double,
            bounds: (-128, 127),
            quick: None,
        }
    }

    #[test]
    fn most_sums_have_a_shorter_way_to_the_same() {
        let (mut state, mut found) = (1_u64, 0);
        let mut next = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(12345);
            (state >> 33) % n
        };
        for i in 0..12 {
            let mut scale = || 0.01 + next(1000) as f64 / 3000.0;
            let (scales, out) = ([scale(), scale()], scale() + 0.1);
            let zeros = [next(256) as i32 - 128, next(256) as i32 - 128];
            let all = sum(scales, zeros, (out, next(256) as i32 - 128), i % 3 == 0);
            let Some(quick) = all.quick() else { continue };
            found += 1;
            let parts = quick.parts();
            for a in i8::MIN..=i8::MAX {
                for b in i8::MIN..=i8::MAX {
                    let v = QuickSum::before(&parts, a, b) + i64::from(quick.start);
                    let y = (i32::try_from(v).unwrap() >> quick.shift).clamp(-128, 127);
                    assert_eq!(y as i8, all.apply(a, b), "{all:?} {quick:?} {a} {b}");
                }
            }
        }
        assert!(found >= 8, "{found} of 12");
    }
}

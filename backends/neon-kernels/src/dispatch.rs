#[cfg(not(target_arch = "aarch64"))]
use crate::scalar;
use crate::{Level, pack};
use core::ops::Range;
#[cfg(target_arch = "aarch64")]
use paring_kernels::{CodedPanel, Codes};
use paring_kernels::{
    Extents, I8Depthwise, I8Panel, I8Scale, I8Sum, Kernels, Portable, Rows, Sparse, Tile, Window,
};

/// The kernels of a level.
#[derive(Clone, Copy, Debug)]
pub struct NeonKernels {
    level: Level,
    half: bool,
}

impl NeonKernels {
    /// The kernels of a level, or of the best that the processor has if it is lower.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self { level: level.min(Level::detect()), half: Level::computes_in_half() }
    }

    /// The same to pack with, for other processors: as if this one computed in half precision. Where it does not, such
    /// products end the program.
    #[must_use]
    pub fn for_packages(level: Level) -> Self {
        Self { half: true, ..Self::new(level) }
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }
}

const TILE: Tile = Tile { rows: 4, width: 16 };

/// The tile of products in half precision.
const HALF_TILE: Tile = Tile { rows: 8, width: 16 };

/// Pixels of the largest tile of sparse products.
pub(crate) const SPARSE_TILE: usize = 32;

impl Kernels for NeonKernels {
    fn name(&self) -> &str {
        self.level.name()
    }

    fn family(&self) -> &'static str {
        "neon"
    }

    fn f32_tile(&self) -> Tile {
        TILE
    }

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
        #[cfg(target_arch = "aarch64")]
        return crate::assembly::f32_gemm(rows, panel, width, rest, clamp, cols, stride, out);
        #[cfg(not(target_arch = "aarch64"))]
        Portable.f32_gemm(rows, panel, width, rest, clamp, cols, stride, out);
    }

    fn f32_winograd_pays(&self, e: &Extents, squares: usize) -> bool {
        // By instructions: a dense product has one and a tenth for four of its own, and to transform a square of a
        // channel takes about 190. Weights are four times as many, and come from memory slower than they are
        // multiplied: as if each was multiplied with 60 rows more.
        let product = 11 * e.depth * e.channels / 40;
        let moved = 190 * (e.depth + e.channels);
        let dense = 9 * e.rows * product;
        let least = e.depth.min(e.channels) >= 64 && squares >= 4;
        least && squares * (36 * product + moved) + 27 * 60 / 9 * product < dense
    }

    fn f32_as_halves(&self) -> bool {
        true
    }

    #[cfg(target_arch = "aarch64")]
    fn halves(&self, halves: &[u16], out: &mut [f32]) {
        let done = crate::stored::halves(halves, out);
        Portable.halves(&halves[done..], &mut out[done..]);
    }

    #[cfg(target_arch = "aarch64")]
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
        crate::assembly::f32_gemm_of_halves(rows, panel, width, rest, clamp, cols, stride, out)
    }

    fn computes_in_half(&self) -> bool {
        self.half
    }

    fn f16_tile(&self) -> Tile {
        HALF_TILE
    }

    #[cfg(target_arch = "aarch64")]
    fn to_halves(&self, x: &[f32], out: &mut [u16]) {
        let done = crate::f16::to_halves(x, out);
        Portable.to_halves(&x[done..], &mut out[done..]);
    }

    #[cfg(target_arch = "aarch64")]
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
        assert!(self.half);
        crate::assembly::f16_gemm(rows, panel, width, rest, clamp, cols, stride, out);
    }

    #[cfg(target_arch = "aarch64")]
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
        assert!(self.half);
        crate::real_depthwise::rows(window, x, weights, bias, clamp, rows, out);
    }

    #[cfg(target_arch = "aarch64")]
    fn f16_pairs(
        &self,
        f: paring_kernels::HalfPair,
        a: &[u16],
        b: &[u16],
        clamp: (f32, f32),
        out: &mut [u16],
    ) {
        assert!(self.half);
        // SAFETY: the processor computes in half precision.
        let done = unsafe { crate::f16::pairs(f, a, b, clamp, out) };
        let rest = |x: &'_ [u16]| if x.len() == 1 { 0 } else { done.min(x.len()) };
        Portable.f16_pairs(f, &a[rest(a)..], &b[rest(b)..], clamp, &mut out[done..]);
    }

    #[cfg(target_arch = "aarch64")]
    fn f16_max(&self, x: &[u16], most: &mut [u16]) {
        assert!(self.half);
        // SAFETY: the processor computes in half precision.
        let done = unsafe { crate::f16::larger(x, most) };
        Portable.f16_max(&x[done..], &mut most[done..]);
    }

    #[cfg(target_arch = "aarch64")]
    fn f16_sums(&self, x: &[u16], sums: &mut [f32]) {
        let done = crate::f16::sums(x, sums);
        Portable.f16_sums(&x[done..], &mut sums[done..]);
    }

    fn f32_sparse_pays(&self, e: &Extents) -> bool {
        // By instructions: a weight takes about one and a half of each four pixels, an element that is brought to
        // where the weights find it or back one half; a dense product has one and a tenth.
        let dense = 11 * e.rows * e.depth * e.channels / 40;
        let sparse = 16 * e.rows * e.weights / 40 + e.rows * (e.depth + e.channels) / 2;
        e.rows >= 16 && sparse < dense
    }

    fn f32_sparse_scratch(&self, depth: usize) -> usize {
        SPARSE_TILE * depth
    }

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
        #[cfg(target_arch = "aarch64")]
        return crate::f32_sparse::product(a, weights, bias, rest, clamp, scratch, out);
        #[cfg(not(target_arch = "aarch64"))]
        Portable.f32_sparse(a, weights, bias, rest, clamp, scratch, out);
    }

    fn i8_tile(&self) -> Tile {
        TILE
    }

    fn i8_step(&self) -> usize {
        4
    }

    fn i8_panel_len(&self, taps: usize, depth: usize, width: usize) -> usize {
        pack::parts(taps, depth, width).len
    }

    fn i8_pack(&self, panel: &I8Panel<'_>, packed: &mut [u8]) -> bool {
        pack::pack(panel, packed)
    }

    fn i8_weights(&self, taps: usize, depth: usize, width: usize) -> Option<Range<usize>> {
        let parts = pack::parts(taps, depth, width);
        Some(parts.weights..parts.large)
    }

    #[cfg(target_arch = "aarch64")]
    fn codes(&self, by: &Codes, codes: &[u8], out: &mut [u8]) {
        crate::stored::codes(by, codes, out);
    }

    fn codes_as_numbers(&self) -> bool {
        true
    }

    #[cfg(target_arch = "aarch64")]
    fn i8_gemm_of_codes(
        &self,
        rows: &Rows<'_, i8>,
        panel: &CodedPanel<'_>,
        width: usize,
        cols: usize,
        stride: usize,
        out: &mut [i8],
    ) -> bool {
        crate::assembly::i8_gemm_of_codes(self.level, rows, panel, width, cols, stride, out)
    }

    fn i8_gemm(
        &self,
        rows: &Rows<'_, i8>,
        packed: &[u8],
        width: usize,
        cols: usize,
        stride: usize,
        out: &mut [i8],
    ) {
        #[cfg(target_arch = "aarch64")]
        return crate::assembly::i8_gemm(self.level, rows, packed, width, cols, stride, out);
        #[cfg(not(target_arch = "aarch64"))]
        scalar::i8_gemm(rows, packed, width, cols, stride, out);
    }

    fn i8_sparse_pays(&self, e: &Extents) -> bool {
        // By instructions: a weight takes about eleven of each 32 pixels, an element that is brought to where the
        // weights find it one half; a dense product has 26 for 128 of its own, or eight of 116 with the dot product.
        let all = e.rows * e.depth * e.channels;
        let (dense, dot) = (26 * all / 128, 8 * all / 116);
        let sparse = 11 * e.rows * e.weights / 32 + e.rows * e.depth / 2;
        let pays = match self.level {
            // A package serves processors with the dot product, too: they may not lose much.
            Level::Baseline => sparse < dense && sparse < dot + dot / 3,
            Level::Dot | Level::Matrix => sparse < dot,
        };
        e.rows >= 16 && pays
    }

    fn i8_sparse_scratch(&self, depth: usize) -> usize {
        SPARSE_TILE * depth
    }

    fn i8_sparse(
        &self,
        a: &[i8],
        weights: &Sparse<'_, i16>,
        scale: &I8Scale<'_>,
        scratch: &mut [i16],
        out: &mut [i8],
    ) {
        #[cfg(target_arch = "aarch64")]
        return crate::i8_sparse::product(a, weights, scale, scratch, out);
        #[cfg(not(target_arch = "aarch64"))]
        Portable.i8_sparse(a, weights, scale, scratch, out);
    }

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
        #[cfg(target_arch = "aarch64")]
        return crate::real_depthwise::rows(window, x, weights, bias, clamp, rows, out);
        #[cfg(not(target_arch = "aarch64"))]
        Portable.f32_depthwise(window, x, weights, bias, clamp, rows, out);
    }

    fn i8_depthwise_len(&self, kernel: [usize; 2], channels: usize) -> usize {
        pack::depthwise_len(kernel[0] * kernel[1], channels)
    }

    fn i8_depthwise_pack(&self, p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
        pack::pack_depthwise(p, &[], packed)
    }

    fn i8_depthwise_sum_len(&self, kernel: [usize; 2], channels: usize) -> usize {
        pack::depthwise_len(2 * kernel[0] * kernel[1], channels)
    }

    fn i8_depthwise_pack_sum(&self, p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
        pack::pack_depthwise(p, more, packed)
    }

    fn i8_depthwise(
        &self,
        window: &Window,
        x: &[i8],
        pad: i8,
        packed: &[u8],
        rows: Range<usize>,
        out: &mut [i8],
    ) {
        #[cfg(target_arch = "aarch64")]
        crate::i8_depthwise::rows(self.level, window, x, pad, packed, rows, out);
        #[cfg(not(target_arch = "aarch64"))]
        scalar::i8_depthwise(window, x, pad, packed, rows, out);
    }

    fn i8_sum(&self, sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) {
        let n = out.len().min(a.len()).min(b.len());
        let (a, b, out) = (&a[..n], &b[..n], &mut out[..n]);
        #[cfg(target_arch = "aarch64")]
        let done = crate::elementwise::i8_sum(sum, a, b, out);
        #[cfg(not(target_arch = "aarch64"))]
        let done = 0;
        Portable.i8_sum(sum, &a[done..], &b[done..], &mut out[done..]);
    }

    fn i16_tile(&self) -> Tile {
        TILE
    }

    #[cfg(target_arch = "aarch64")]
    fn i16_gemm(
        &self,
        rows: &Rows<'_, i16>,
        packed: &[u8],
        width: usize,
        cols: usize,
        stride: usize,
        out: &mut [i16],
    ) {
        crate::i16_gemm::gemm(rows, packed, width, cols, stride, out);
    }

    #[cfg(target_arch = "aarch64")]
    fn i16_depthwise(
        &self,
        window: &Window,
        x: &[i16],
        packed: &[u8],
        rows: Range<usize>,
        out: &mut [i16],
    ) {
        crate::i16_depthwise::rows(window, x, packed, rows, out);
    }

    #[cfg(target_arch = "aarch64")]
    fn i16_dots(&self, x: &[i16], w: &[i8], step: usize, sums: &mut [i64]) {
        crate::i16::dots(x, w, step, sums);
    }

    #[cfg(target_arch = "aarch64")]
    fn i16_pairs(&self, pairs: &paring_kernels::I16Pairs, a: &[i16], b: &[i16], out: &mut [i16]) {
        let n = out.len().min(a.len()).min(b.len());
        let (a, b, out) = (&a[..n], &b[..n], &mut out[..n]);
        let done = crate::elementwise::i16_pairs(pairs, a, b, out);
        Portable.i16_pairs(pairs, &a[done..], &b[done..], &mut out[done..]);
    }

    fn table(&self, table: &[u8; 256], x: &[u8], out: &mut [u8]) {
        let n = out.len().min(x.len());
        let (x, out) = (&x[..n], &mut out[..n]);
        #[cfg(target_arch = "aarch64")]
        let done = crate::elementwise::table(table, x, out);
        #[cfg(not(target_arch = "aarch64"))]
        let done = 0;
        Portable.table(table, &x[done..], &mut out[done..]);
    }
}

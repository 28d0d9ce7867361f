#[cfg(target_arch = "x86_64")]
use crate::sparse;
use crate::{Level, depthwise, elementwise, gemm};
use paring_kernels::{
    CODES, Codes, Extents, I8Depthwise, I8Panel, I8Scale, I8Sum, I16Panel, Kernels, Portable, Rows,
    Sparse, Table, Tile, Window,
};
use std::ops::Range;

/// The kernels of a level of instructions.
#[derive(Clone, Copy, Debug)]
pub struct X86Kernels {
    level: Level,
    near: usize,
}

/// A quarter of the second-level cache of server processors, half of that of smaller ones.
const NEAR: usize = 256 << 10;

impl X86Kernels {
    /// The kernels of a level, or of the best that the processor has if it is lower.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self { level: level.min(Level::detect()), near: NEAR }
    }

    /// The same with steps joined row by row as for a cache of another size; 0 joins none.
    #[must_use]
    pub fn near(self, bytes: usize) -> Self {
        Self { near: bytes, ..self }
    }
}

impl Kernels for X86Kernels {
    fn name(&self) -> &str {
        self.level.name()
    }

    fn near_bytes(&self) -> usize {
        self.near
    }

    fn family(&self) -> &'static str {
        // Each level packs in its own way.
        match self.level {
            Level::Scalar => Portable.family(),
            Level::Avx2 => "x86-avx2",
            Level::Avx512 => "x86-avx512",
        }
    }

    fn pieces<'a>(&self, at: &'a [u32]) -> Table<'a> {
        gemm::table(self.level, at)
    }

    fn f32_tile(&self) -> Tile {
        gemm::f32_tile(self.level).unwrap_or(Portable.f32_tile())
    }

    fn f32_gemm(
        &self,
        r: &Rows<'_, f32>,
        panel: &[f32],
        width: usize,
        rest: Option<&[f32]>,
        clamp: (f32, f32),
        cols: usize,
        stride: usize,
        out: &mut [f32],
    ) {
        if gemm::f32_tile(self.level).is_none() {
            return Portable.f32_gemm(r, panel, width, rest, clamp, cols, stride, out);
        }
        gemm::f32_gemm(self.level, r, panel, width, rest, clamp, cols, stride, out);
    }

    #[cfg(target_arch = "x86_64")]
    fn f32_sparse_pays(&self, extents: &Extents) -> bool {
        sparse::f32_pays(self.level, extents)
    }

    #[cfg(target_arch = "x86_64")]
    fn f32_sparse_scratch(&self, depth: usize) -> usize {
        sparse::f32_scratch(self.level, depth).unwrap_or(0)
    }

    #[cfg(target_arch = "x86_64")]
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
        if self.level == Level::Scalar {
            return Portable.f32_sparse(a, weights, bias, rest, clamp, scratch, out);
        }
        sparse::f32_product(self.level, a, weights, bias, rest, clamp, scratch, out);
    }

    fn i8_tile(&self) -> Tile {
        gemm::i8_tile(self.level).unwrap_or(Portable.i8_tile())
    }

    fn i8_step(&self) -> usize {
        gemm::i8_step(self.level)
    }

    fn i8_panel_len(&self, taps: usize, depth: usize, width: usize) -> usize {
        match gemm::i8_tile(self.level) {
            Some(_) => gemm::i8_panel_len(self.level, taps, depth, width),
            None => Portable.i8_panel_len(taps, depth, width),
        }
    }

    fn i8_pack(&self, p: &I8Panel<'_>, packed: &mut [u8]) -> bool {
        if gemm::i8_tile(self.level).is_none() {
            return Portable.i8_pack(p, packed);
        }
        gemm::i8_pack(self.level, p, packed)
    }

    #[cfg(target_arch = "x86_64")]
    fn i8_weights(&self, taps: usize, depth: usize, width: usize) -> Option<Range<usize>> {
        (self.level != Level::Scalar).then(|| gemm::i8_weights(self.level, taps, depth, width))
    }

    #[cfg(target_arch = "x86_64")]
    fn codes(&self, by: &Codes, codes: &[u8], out: &mut [u8]) {
        let done = match (self.level, by) {
            (Level::Scalar, _) | (_, Codes::Numbers) => 0,
            // SAFETY: every level but the first has AVX2, and levels are those that the processor has.
            (_, Codes::Table(table)) => unsafe { crate::stored::codes(table, codes, out) },
        };
        let (codes, out) = (&codes[done * CODES..], &mut out[2 * done * CODES..]);
        Portable.codes(by, codes, out);
    }

    fn i8_gemm(
        &self,
        r: &Rows<'_, i8>,
        packed: &[u8],
        width: usize,
        cols: usize,
        stride: usize,
        out: &mut [i8],
    ) {
        if gemm::i8_tile(self.level).is_none() {
            return Portable.i8_gemm(r, packed, width, cols, stride, out);
        }
        gemm::i8_gemm(self.level, r, packed, width, cols, stride, out);
    }

    #[cfg(target_arch = "x86_64")]
    fn i8_sparse_pays(&self, extents: &Extents) -> bool {
        sparse::i8_pays(self.level, extents)
    }

    #[cfg(target_arch = "x86_64")]
    fn i8_sparse_scratch(&self, depth: usize) -> usize {
        sparse::i8_scratch(self.level, depth).unwrap_or(0)
    }

    #[cfg(target_arch = "x86_64")]
    fn i8_sparse(
        &self,
        a: &[i8],
        weights: &Sparse<'_, i16>,
        scale: &I8Scale<'_>,
        scratch: &mut [i16],
        out: &mut [i8],
    ) {
        if self.level == Level::Scalar {
            return Portable.i8_sparse(a, weights, scale, scratch, out);
        }
        sparse::i8_product(self.level, a, weights, scale, scratch, out);
    }

    fn f32_depthwise(
        &self,
        w: &Window,
        x: &[f32],
        weights: &[f32],
        bias: &[f32],
        clamp: (f32, f32),
        rows: Range<usize>,
        out: &mut [f32],
    ) {
        if self.level == Level::Scalar {
            return Portable.f32_depthwise(w, x, weights, bias, clamp, rows, out);
        }
        depthwise::f32_depthwise(self.level, w, x, weights, bias, clamp, rows, out);
    }

    fn i8_depthwise_len(&self, kernel: [usize; 2], channels: usize) -> usize {
        if depthwise::has_i8(self.level) {
            depthwise::i8_len(self.level, kernel, channels, false)
        } else {
            Portable.i8_depthwise_len(kernel, channels)
        }
    }

    fn i8_depthwise_pack(&self, p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
        if !depthwise::has_i8(self.level) {
            return Portable.i8_depthwise_pack(p, packed);
        }
        depthwise::i8_pack(self.level, p, &[], packed)
    }

    fn i8_depthwise_sum_len(&self, kernel: [usize; 2], channels: usize) -> usize {
        if depthwise::has_i8(self.level) {
            depthwise::i8_len(self.level, kernel, channels, true)
        } else {
            Portable.i8_depthwise_sum_len(kernel, channels)
        }
    }

    fn i8_depthwise_pack_sum(&self, p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
        depthwise::has_i8(self.level) && depthwise::i8_pack(self.level, p, more, packed)
    }

    fn i8_depthwise(
        &self,
        w: &Window,
        x: &[i8],
        pad: i8,
        packed: &[u8],
        rows: Range<usize>,
        out: &mut [i8],
    ) {
        if !depthwise::has_i8(self.level) {
            return Portable.i8_depthwise(w, x, pad, packed, rows, out);
        }
        depthwise::i8_depthwise(self.level, w, x, pad, packed, rows, out);
    }

    fn i16_tile(&self) -> Tile {
        gemm::i8_tile(self.level).unwrap_or(Portable.i16_tile())
    }

    fn i16_step(&self) -> usize {
        gemm::i16_step(self.level)
    }

    #[cfg(target_arch = "x86_64")]
    fn i16_panel_len(&self, taps: usize, depth: usize, width: usize) -> usize {
        match self.level {
            Level::Scalar => Portable.i16_panel_len(taps, depth, width),
            _ => crate::i16::panel_len(taps, depth, width),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn i16_pack(&self, panel: &I16Panel<'_>, packed: &mut [u8]) -> bool {
        match self.level {
            Level::Scalar => Portable.i16_pack(panel, packed),
            _ => crate::i16::pack(panel, packed),
        }
    }

    fn i16_gemm(
        &self,
        r: &Rows<'_, i16>,
        packed: &[u8],
        width: usize,
        cols: usize,
        stride: usize,
        out: &mut [i16],
    ) {
        if gemm::i8_tile(self.level).is_none() {
            return Portable.i16_gemm(r, packed, width, cols, stride, out);
        }
        gemm::i16_gemm(self.level, r, packed, width, cols, stride, out);
    }

    fn i16_depthwise(
        &self,
        w: &Window,
        x: &[i16],
        packed: &[u8],
        rows: Range<usize>,
        out: &mut [i16],
    ) {
        depthwise::i16_depthwise(self.level, w, x, packed, rows, out);
    }

    fn i8_sum(&self, sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) {
        let n = out.len().min(a.len()).min(b.len());
        let done = elementwise::i8_sum(self.level, sum, &a[..n], &b[..n], &mut out[..n]);
        Portable.i8_sum(sum, &a[done..], &b[done..], &mut out[done..]);
    }

    fn table(&self, table: &[u8; 256], x: &[u8], out: &mut [u8]) {
        let done = elementwise::table(self.level, table, x, out);
        Portable.table(table, &x[done..], &mut out[done..]);
    }
}

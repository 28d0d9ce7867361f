use paring_kernels::{I8Depthwise, I8Panel, I8Sum, Kernels, Portable, Rows, Tile, Window};
use paring_x86_kernels::{Level, depthwise, elementwise, gemm};
use std::ops::Range;

/// The kernels of a level of instructions.
#[derive(Clone, Copy, Debug)]
pub struct X86Kernels {
    level: Level,
}

impl X86Kernels {
    /// The kernels of a level, or of the best that the processor has if it is lower.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self { level: level.min(Level::detect()) }
    }
}

fn tile(t: gemm::Tile) -> Tile {
    Tile { rows: t.rows, width: t.width }
}

fn rows<'a, T>(r: &Rows<'a, T>) -> gemm::Rows<'a, T> {
    gemm::Rows {
        a: r.a(),
        at: r.at(),
        pad: r.pad(),
        taps: r.taps(),
        depth: r.depth(),
        rows: r.rows(),
    }
}

fn window(w: &Window) -> depthwise::Window {
    depthwise::Window {
        input: w.input,
        channels: w.channels,
        kernel: w.kernel,
        stride: w.stride,
        dilation: w.dilation,
        pad: w.pad,
        out_width: w.out_width,
    }
}

fn depthwise_weights<'a>(p: &I8Depthwise<'a>) -> depthwise::I8Depthwise<'a> {
    depthwise::I8Depthwise {
        weights: p.weights,
        kernel: p.kernel,
        channels: p.channels,
        bias: p.bias,
        multipliers: p.multipliers,
        rounding: p.rounding,
        zero_point: p.zero_point,
        bounds: p.bounds,
    }
}

impl Kernels for X86Kernels {
    fn name(&self) -> &str {
        self.level.name()
    }

    fn family(&self) -> &'static str {
        "x86"
    }

    fn f32_tile(&self) -> Tile {
        gemm::f32_tile(self.level).map_or(Portable.f32_tile(), tile)
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
        gemm::f32_gemm(self.level, &rows(r), panel, width, rest, clamp, cols, stride, out);
    }

    fn i8_tile(&self) -> Tile {
        gemm::i8_tile(self.level).map_or(Portable.i8_tile(), tile)
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
        let panel = gemm::I8Panel {
            weights: p.weights,
            taps: p.taps,
            depth: p.depth,
            width: p.width,
            bias: p.bias,
            multipliers: p.multipliers,
            rounding: p.rounding,
            zero_point: p.zero_point,
            bounds: p.bounds,
        };
        gemm::i8_pack(self.level, &panel, packed)
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
        gemm::i8_gemm(self.level, &rows(r), packed, width, cols, stride, out);
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
        depthwise::f32_depthwise(self.level, &window(w), x, weights, bias, clamp, rows, out);
    }

    fn i8_depthwise_len(&self, kernel: [usize; 2], channels: usize) -> usize {
        if depthwise::has_i8(self.level) {
            depthwise::i8_len(self.level, kernel, channels)
        } else {
            Portable.i8_depthwise_len(kernel, channels)
        }
    }

    fn i8_depthwise_pack(&self, p: &I8Depthwise<'_>, packed: &mut [u8]) -> bool {
        if !depthwise::has_i8(self.level) {
            return Portable.i8_depthwise_pack(p, packed);
        }
        depthwise::i8_pack(self.level, &depthwise_weights(p), packed)
    }

    fn i8_depthwise_pack_sum(&self, p: &I8Depthwise<'_>, more: &[i8], packed: &mut [u8]) -> bool {
        depthwise::has_i8(self.level)
            && depthwise::i8_pack_sum(self.level, &depthwise_weights(p), more, packed)
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
        depthwise::i8_depthwise(self.level, &window(w), x, pad, packed, rows, out);
    }

    fn i8_sum(&self, sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) {
        let given = elementwise::I8Sum {
            zeros: sum.zeros,
            factors: sum.factors,
            shift: I8Sum::SHIFT,
            subtract: sum.subtract,
            factor: sum.factor,
            zero_point: sum.zero_point,
            rounding: sum.rounding,
            bounds: sum.bounds,
        };
        let n = out.len().min(a.len()).min(b.len());
        let done = elementwise::i8_sum(self.level, &given, &a[..n], &b[..n], &mut out[..n]);
        Portable.i8_sum(sum, &a[done..], &b[done..], &mut out[done..]);
    }

    fn table(&self, table: &[u8; 256], x: &[u8], out: &mut [u8]) {
        let done = elementwise::table(self.level, table, x, out);
        Portable.table(table, &x[done..], &mut out[done..]);
    }
}

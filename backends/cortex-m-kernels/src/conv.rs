use crate::helpers::Helper;
use crate::pack::{Channels, LINE_ZERO, Matrix, Scales, plain_order, window_order};
use crate::packed::Packing;
use crate::requant::{Requant, Width};
use crate::unit::{Band, Isa, Kernel, Layer, Overlap, Patch, PatchRoom, Unit};
use crate::{Coding, KernelError};

/// A two-dimensional convolution, NHWC, batch 1.
#[derive(Clone, Debug)]
pub struct Conv2d<'a> {
    /// Height, width and channels of the input.
    pub input: [usize; 3],
    /// Height, width and channels of the output.
    pub output: [usize; 3],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Distance between the window's taps.
    pub dilation: [usize; 2],
    /// Rows above and columns to the left that padding adds.
    pub pad: [usize; 2],
    /// Channel groups, 1 for an ordinary convolution.
    pub groups: usize,
    /// The input's zero point.
    pub in_zero: i32,
    /// OHWI.
    pub weights: &'a [i8],
    /// One per output channel.
    pub bias: &'a [i32],
    /// Rescaling of the sums.
    pub requant: Requant,
    /// How the weights are to lie in flash.
    pub coding: Coding,
    /// Whether code may be spent on speed.
    pub fast: bool,
}

/// Bytes of the table that decoding a palette takes: of pairs, with the DSP extension.
pub(crate) const TABLE: usize = 1024;
/// The same in plain C: the weights themselves.
const BOOK: usize = 16;

/// The fields of a record that a band of rows changes.
pub(crate) const BAND_FIELDS: [(&str, &str); 3] =
    [("in_h", "@in_rows@"), ("out_h", "@rows@"), ("pad_top", "@above@")];

/// The fields of a record of windows that a patch changes.
const PATCH_FIELDS: [(&str, &str); 7] = [
    ("in_h", "@in_rows@"),
    ("in_w", "@line@"),
    ("out_h", "@rows@"),
    ("out_w", "@cols@"),
    ("pad_top", "@above@"),
    ("pad_left", "@left@ - @x@"),
    ("strip", "0"),
];

/// The most bytes that padded rows may take.
const LARGE_PADDED: usize = 1024;

/// Cycles that putting padded rows together has to save to be worth its code, some 150 bytes.
const PADDED_CODE: usize = 50_000;

/// Strips larger than this are cut into tiles of a row.
const LARGE_STRIP: usize = 4096;

impl Conv2d<'_> {
    pub(crate) fn check(&self, layer: &str) -> Result<(), KernelError> {
        let invalid = |what: String| KernelError::Invalid { layer: layer.into(), what };
        let sizes = [&self.input[..], &self.output, &self.kernel, &self.stride, &self.dilation];
        if sizes.iter().any(|s| s.contains(&0)) || self.groups == 0 {
            return Err(invalid("a size, stride or dilation is zero".into()));
        }
        let (in_c, out_c) = (self.input[2], self.output[2]);
        if in_c % self.groups != 0 || out_c % self.groups != 0 {
            return Err(invalid(format!("{in_c} and {out_c} channels in {} groups", self.groups)));
        }
        let wanted = out_c * self.kernel[0] * self.kernel[1] * (in_c / self.groups);
        if self.weights.len() != wanted || self.bias.len() != out_c {
            return Err(invalid(format!(
                "{} weights and {} biases where {wanted} and {out_c} belong",
                self.weights.len(),
                self.bias.len()
            )));
        }
        if !self.requant.fits(out_c) {
            return Err(invalid("multipliers or zero point do not fit the output".into()));
        }
        Ok(())
    }

    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.pad == [0, 0]
    }

    /// The first input byte that the window at an output position reads, if it reads any.
    fn first_read(&self, oy: usize, ox: usize) -> Option<i64> {
        let [in_h, in_w, in_c] = self.input;
        let start = |o: usize, axis: usize, size: usize| -> Option<usize> {
            let at = (o * self.stride[axis]) as i64 - self.pad[axis] as i64;
            let last = at + self.kernel[axis] as i64 - 1;
            (last >= 0 && at < size as i64).then_some(at.max(0) as usize)
        };
        let (y, x) = (start(oy, 0, in_h)?, start(ox, 1, in_w)?);
        Some(((y * in_w + x) * in_c) as i64)
    }

    /// How far the output has to stay below the input when `tile` pixels of a row are done at a time.
    pub(crate) fn tile_overlap(&self, tile: usize) -> Overlap {
        let [out_h, out_w, out_c] = self.output;
        let mut unread = i64::MAX;
        let mut delta = i64::MIN;
        for oy in (0..out_h).rev() {
            for ox in (0..out_w.div_ceil(tile)).rev().map(|p| tile * p) {
                let written = ((oy * out_w + (ox + tile).min(out_w)) * out_c) as i64;
                if unread != i64::MAX {
                    delta = delta.max(written - unread);
                }
                for x in ox..(ox + tile).min(out_w) {
                    unread = unread.min(self.first_read(oy, x).unwrap_or(i64::MAX));
                }
            }
        }
        Overlap::AtLeast(if delta == i64::MIN { 0 } else { delta.max(0) })
    }

    fn pointwise_overlap(&self) -> Overlap {
        let pixels = self.input[0] * self.input[1];
        let growth = self.output[2] as i64 - self.input[2] as i64;
        let last_pair = 2 * (pixels.div_ceil(2) as i64 - 1);
        Overlap::AtLeast((last_pair * growth).max(0))
    }

    /// The same where a pair's inputs are read until its last output is written.
    fn direct_overlap(&self) -> Overlap {
        let Overlap::AtLeast(before) = self.pointwise_overlap() else { return Overlap::Disjoint };
        let pixels = self.input[0] * self.input[1];
        let pair = pixels.min(2) * self.output[2];
        Overlap::AtLeast(before + pair as i64)
    }

    /// How many outputs of a row a strip in scratch gives, and the strip's bytes.
    pub(crate) fn strip(&self) -> (usize, usize) {
        let column = self.kernel[0] * self.input[2];
        let bytes = |tile: usize| ((tile - 1) * self.stride[1] + self.kernel[1]) * column;
        let mut tile = self.output[1];
        while tile > 2 && bytes(tile) > LARGE_STRIP {
            tile = tile.div_ceil(2).next_multiple_of(2);
        }
        (tile, bytes(tile) + 16)
    }

    /// How many outputs of a row a strip gives.
    pub(crate) fn tile(&self) -> usize {
        self.strip().0
    }

    /// Pairs of neighbouring outputs whose windows reach beyond the image.
    pub(crate) fn edge_pairs(&self) -> usize {
        let [in_h, in_w, _] = self.input.map(|v| v as i64);
        let [k_h, k_w] = self.kernel.map(|v| v as i64);
        let start = |o: usize, axis: usize| (o * self.stride[axis]) as i64 - self.pad[axis] as i64;
        let last = self.output[1] - 1;
        let inside = |x: i64, y: i64| y >= 0 && y + k_h <= in_h && x >= 0 && x + k_w <= in_w;
        let edge = |oy: usize, ox: usize| {
            let y = start(oy, 0);
            !(inside(start(ox, 1), y) && inside(start((ox + 1).min(last), 1), y))
        };
        let pairs = |oy: usize| (0..=last).step_by(2).filter(|&ox| edge(oy, ox)).count();
        (0..self.output[0]).map(pairs).sum()
    }

    /// Bytes of a padded row when the rows that a row of outputs sees are put together in scratch, which
    /// is worth it where many windows reach beyond the image.
    pub(crate) fn padded_row(&self) -> Option<usize> {
        let [k_h, k_w] = self.kernel;
        let width = ((self.output[1] - 1) * self.stride[1] + k_w) * self.input[2];
        let fresh = self.stride[0].min(k_h);
        // Cycles, roughly.
        let strips = self.output[0] * (fresh * (120 + 4 * width) + (k_h - fresh) * 2 * width);
        let edges = self.edge_pairs() * k_h * 200;
        let code = if self.fast { 0 } else { PADDED_CODE };
        (k_h * width <= LARGE_PADDED && strips + code < edges).then_some(width)
    }

    /// Weights in the order of a strip's bytes: column by column.
    pub(crate) fn by_columns(&self) -> Vec<i8> {
        let [k_h, k_w] = self.kernel;
        let depth = self.input[2];
        let window = k_h * k_w * depth;
        let mut out = Vec::with_capacity(self.weights.len());
        for o in 0..self.output[2] {
            for kx in 0..k_w {
                for ky in 0..k_h {
                    let from = o * window + (ky * k_w + kx) * depth;
                    out.extend_from_slice(&self.weights[from..from + depth]);
                }
            }
        }
        out
    }

    /// Blocks of four inputs by four channels that have a weight other than 0, where they can be skipped; on Helium
    /// fours of them.
    pub(crate) fn kept_blocks(&self, isa: Isa) -> Option<usize> {
        let [k_h, k_w] = self.kernel;
        let in_c = self.input[2];
        let vectors = isa == Isa::Helium;
        let order =
            if self.is_pointwise() { plain_order(in_c) } else { window_order(k_h, k_w * in_c) };
        let per_output = k_h * k_w * in_c;
        let (zero, requant) = (self.in_zero, &self.requant);
        let scales = Scales::Either;
        let columns = if vectors && !self.is_pointwise() { self.by_columns() } else { vec![] };
        let weights = if columns.is_empty() { self.weights } else { &columns };
        let channels = Channels::settle(weights, self.bias, per_output, zero, requant, scales)?;
        let matrix = channels.matrix(per_output, &order);
        Some(if vectors { matrix.helium_fours() } else { matrix.kept_blocks() })
    }

    /// How many channels' multipliers are a half or more.
    pub(crate) fn left_channels(&self) -> usize {
        let per_output = self.weights.len() / self.output[2].max(1);
        let (zero, requant) = (self.in_zero, &self.requant);
        Channels::settle(self.weights, self.bias, per_output, zero, requant, Scales::Either)
            .map_or(0, |c| c.left())
    }

    fn fast(&self, unit: &mut Unit, name: &str) -> Option<Kernel> {
        if self.coding == Coding::Winograd {
            return self.winograd(unit, name);
        }
        if self.coding.is_packed() {
            let packing = Packing::of(self.coding, unit.isa())?;
            return self.packed(unit, name, packing);
        }
        let [in_h, in_w, in_c] = self.input;
        let out_c = self.output[2];
        let [k_h, k_w] = self.kernel;
        if !self.fits_records() {
            return None;
        }
        let pointwise = self.is_pointwise();
        let order = if pointwise { plain_order(in_c) } else { window_order(k_h, k_w * in_c) };
        let per_output = k_h * k_w * in_c;
        let vectors = unit.isa() == Isa::Helium;
        let columns;
        let weights = if vectors && !pointwise {
            columns = self.by_columns();
            &columns
        } else {
            self.weights
        };
        let (zero, requant) = (self.in_zero, &self.requant);
        let scales = Scales::Either;
        let mut channels = Channels::settle(weights, self.bias, per_output, zero, requant, scales)?;
        let relu = self.requant.zero == -128;
        let by_lines = relu && unit.isa() == Isa::Dsp && self.coding == Coding::Plain;
        let lines = if by_lines && out_c >= 4 { channels.lines(per_output) } else { None };
        let matrix = Matrix {
            lines: lines.as_deref().unwrap_or_default(),
            ..channels.matrix(per_output, &order)
        };
        if vectors && self.coding != Coding::Plain && !in_c.is_multiple_of(4) {
            // Blocks are gathered a word at a time.
            return None;
        }
        let stream = matrix.stream(unit.isa(), self.coding)?;
        if self.coding == Coding::Plain {
            let relu = if unit.isa() == Isa::Dsp { lines.is_some() } else { relu };
            unit.need(if relu { Helper::Mm42Relu } else { Helper::Mm42Any });
            if self.fast && lines.is_some() {
                unit.need(Helper::Mm42Long);
            }
        }
        if channels.left() > 0 {
            unit.need(Helper::Left);
        }
        let suffix = self.coding.suffix();
        let table = match (self.coding.has_palette(), unit.isa()) {
            (false, _) => 0,
            (_, Isa::Dsp) => TABLE,
            _ => BOOK,
        };
        unit.words(&format!("{name}_w"), &stream);
        let isa = unit.isa();
        let bytes = match isa {
            Isa::Helium => per_output.next_multiple_of(16),
            Isa::Dsp => order.len() * 16,
            _ => order.len() * 8,
        };
        let zero = if lines.is_some() { LINE_ZERO } else { self.requant.zero_term() };
        let kernel = if pointwise {
            unit.need(Helper::PointwiseOf(self.coding));
            let pixels = in_h * in_w;
            // Helium kernels count channels, the others groups of four.
            let counts = match vectors {
                true => format!("{bytes}"),
                false => format!("{bytes}, {}", out_c.div_ceil(4)),
            };
            let fields = format!("{name}_w, {pixels}, {in_c}, {out_c}, {counts}, {zero}");
            unit.record("pr_point", name, &fields);
            let kernel = if vectors {
                let call = format!("pr_pointwise{suffix}(&{name}, @in0@, @out0@);");
                Kernel::new(call, "pointwise")
                    .overlap(&[self.direct_overlap()])
                    .overread(bytes - in_c)
            } else {
                let call = format!("pr_pointwise{suffix}(&{name}, @in0@, @out0@, @scratch@);");
                Kernel::new(call, "pointwise")
                    .scratch(table + bytes)
                    .overlap(&[self.pointwise_overlap()])
                    .overread(in_c.next_multiple_of(4) - in_c)
            };
            let pixels = format!("@rows@ * {in_w}");
            let kernel = kernel.band_fields("pr_point", name, &[("pixels", &pixels)]);
            if vectors || self.coding != Coding::Plain {
                return Some(kernel);
            }
            let fields = [("pixels", "@rows@ * @cols@")];
            let room = PatchRoom::Fixed(table + bytes);
            kernel.patch_fields("pr_point", name, &fields, "@in0@", room)
        } else {
            unit.need(Helper::ConvOf(self.coding));
            let (tile, strip) = self.strip();
            let record = self.window_record(unit, name, bytes, zero);
            unit.record("pr_conv", name, &record);
            let call = format!("pr_conv2d{suffix}(&{name}, @in0@, @out0@, @scratch@);");
            let kernel = if vectors {
                Kernel::new(call, "strips").scratch(strip).overlap(&[self.tile_overlap(tile)])
            } else {
                Kernel::new(call, "windows")
                    .scratch(table + bytes + self.edge_bytes(isa))
                    .overlap(&[self.tile_overlap(2)])
            };
            let kernel = kernel.band_fields("pr_conv", name, &BAND_FIELDS);
            if vectors || self.coding != Coding::Plain {
                return Some(kernel);
            }
            let room = PatchRoom::Fixed(table + bytes + self.pair_bytes());
            kernel.patch_fields("pr_conv", name, &PATCH_FIELDS, "@in0@", room)
        };
        Some(kernel)
    }

    /// Whether the layer is one for products of windows, and its sizes fit their records.
    pub(crate) fn fits_records(&self) -> bool {
        let small = self.kernel.iter().chain(&self.stride).chain(&self.pad).all(|&v| v <= 127);
        let small = small && self.input.iter().chain(&self.output).all(|&v| v <= 65_535);
        self.groups == 1 && self.dilation == [1, 1] && small
    }

    /// The fields of a `pr_conv`.
    pub(crate) fn window_record(
        &self,
        unit: &mut Unit,
        name: &str,
        bytes: usize,
        zero: i32,
    ) -> String {
        let ([in_h, in_w, in_c], [out_h, out_w, out_c]) = (self.input, self.output);
        let padded = if unit.isa() == Isa::Dsp { self.padded_row() } else { None };
        if padded.is_some() {
            unit.need(Helper::Strip);
        }
        // Helium kernels count channels, the others groups of four.
        let (counts, end) = match unit.isa() {
            Isa::Helium => (format!("{}, {bytes}", self.tile()), String::new()),
            _ => (format!("{bytes}, {}", out_c.div_ceil(4)), format!(", {}", padded.unwrap_or(0))),
        };
        let [k_h, k_w] = self.kernel;
        format!(
            "{name}_w, {in_h}, {in_w}, {in_c}, {out_h}, {out_w}, {out_c}, {counts}, {zero}, {k_h}, {k_w}, {}, {}, {}, {}, {}{end}",
            self.stride[0], self.stride[1], self.pad[0], self.pad[1], self.in_zero
        )
    }

    /// Bytes in which windows that reach beyond the image are put together.
    pub(crate) fn edge_bytes(&self, isa: Isa) -> usize {
        let row = self.kernel[1] * self.input[2];
        let pair = 2 * row.next_multiple_of(4);
        let rows = match self.padded_row().filter(|_| isa == Isa::Dsp) {
            Some(width) => (width * self.kernel[0]).next_multiple_of(4),
            None => pair,
        };
        self.pair_bytes() - pair + rows
    }

    /// The same for two windows at a time.
    fn pair_bytes(&self) -> usize {
        let row = self.kernel[1] * self.input[2];
        2 * row.next_multiple_of(4) + 2 * (row % 4 * self.kernel[0]).next_multiple_of(4)
    }

    /// Whether results of the layer rise along lines in the product of the DSP extension.
    pub(crate) fn by_lines(&self, isa: Isa) -> bool {
        let [k_h, k_w] = self.kernel;
        let per_output = k_h * k_w * self.input[2];
        let wanted = isa == Isa::Dsp
            && self.requant.zero == -128
            && self.coding == Coding::Plain
            && self.output[2] >= 4
            && self.groups == 1;
        let (zero, requant) = (self.in_zero, &self.requant);
        let settle = || {
            let scales = Scales::Either;
            Channels::settle(self.weights, self.bias, per_output, zero, requant, scales)
        };
        wanted && settle().and_then(|mut c| c.lines(per_output)).is_some()
    }

    fn uncoded(&self, layer: &str) -> KernelError {
        let what = format!("weights as {} here", self.coding.name());
        KernelError::Unsupported { layer: layer.into(), what }
    }

    fn any(&self, unit: &mut Unit, name: &str) -> Kernel {
        unit.need(Helper::ConvAny);
        unit.i8s(&format!("{name}_w"), self.weights);
        unit.i32s(&format!("{name}_b"), self.bias);
        let out_c = self.output[2];
        let multipliers: Vec<i32> =
            (0..out_c).map(|o| self.requant.of(o)).flat_map(|m| [m.mantissa, m.shift]).collect();
        unit.i32s(&format!("{name}_m"), &multipliers);
        let [in_h, in_w, in_c] = self.input;
        let [out_h, out_w, _] = self.output;
        let fields = format!(
            "{name}_w, {name}_b, {name}_m, {in_h}, {in_w}, {in_c}, {out_h}, {out_w}, {out_c}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}",
            self.groups,
            self.kernel[0],
            self.kernel[1],
            self.stride[0],
            self.stride[1],
            self.dilation[0],
            self.dilation[1],
            self.pad[0],
            self.pad[1],
            self.in_zero,
            self.requant.zero
        );
        unit.record("pr_conv_any", name, &fields);
        Kernel::new(format!("pr_conv2d_any(&{name}, @in0@, @out0@);"), "any").band_fields(
            "pr_conv_any",
            name,
            &BAND_FIELDS,
        )
    }
}

impl Layer for Conv2d<'_> {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        self.check(name)?;
        let kernel = match self.fast(unit, name) {
            Some(kernel) => kernel,
            None if self.coding == Coding::Plain => self.any(unit, name),
            None => return Err(self.uncoded(name)),
        };
        let count = self.output.iter().product();
        Ok(self.requant.clamp(unit, kernel, count))
    }

    fn coded(&self, coding: Coding) -> Option<Box<dyn Layer + '_>> {
        Some(Box::new(Self { coding, ..self.clone() }))
    }

    fn band(&self, band: Band) -> Option<Box<dyn Layer + '_>> {
        Some(Box::new(Self {
            input: [band.in_rows, self.input[1], self.input[2]],
            output: [band.rows, self.output[1], self.output[2]],
            pad: [band.above, self.pad[1]],
            ..self.clone()
        }))
    }

    fn patch(&self, patch: Patch) -> Option<Box<dyn Layer + '_>> {
        let plain = self.coding == Coding::Plain && self.groups == 1;
        plain.then(|| -> Box<dyn Layer> {
            Box::new(Self {
                input: [patch.in_rows, patch.in_cols, self.input[2]],
                output: [patch.rows, patch.cols, self.output[2]],
                pad: [patch.above, patch.left],
                // Rows are padded for whole rows alone.
                fast: false,
                ..self.clone()
            })
        })
    }

    fn rounds(&self, function: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        Self::rounds(self, function, isa)
    }

    fn clamp_rounds(&self) -> Option<Vec<(&'static str, u64)>> {
        self.requant.clamp_rounds(Width::Eight, self.output.iter().product())
    }
}

use crate::conv::BAND_FIELDS;
use crate::cost::Loops;
use crate::helpers::Helper;
use crate::pack::{Channels, PLANE_LINE_ZERO, Scales};
use crate::requant::{Requant, Width};
use crate::unit::{Band, Isa, Kernel, Layer, Overlap, Patch, PatchRoom, Unit};
use crate::{Coding, Conv2d, KernelError};

/// A depthwise convolution, NHWC, batch 1; each input channel gives `output[2] / input[2]` outputs.
#[derive(Clone, Debug)]
pub struct DepthwiseConv2d<'a> {
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
    /// The input's zero point.
    pub in_zero: i32,
    /// Output channel by window row by window column.
    pub weights: &'a [i8],
    /// One per output channel.
    pub bias: &'a [i32],
    /// Rescaling of the sums.
    pub requant: Requant,
    /// Whether the call has to serve any band of rows: then rows stay rows.
    pub by_rows: bool,
    /// Whether code may be spent on speed.
    pub fast: bool,
}

/// A plane's geometry along one axis.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub size: usize,
    pub out: usize,
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
    /// Bytes between neighbours in the input and the output.
    step: [usize; 2],
}

impl Axis {
    /// Elements that the padded plane needs along this axis for `out` outputs.
    fn extent(&self, out: usize) -> usize {
        (self.pad + self.size).max(self.window(out))
    }

    /// Elements that `out` outputs see.
    fn window(&self, out: usize) -> usize {
        (out - 1) * self.stride + self.kernel
    }
}

/// Planes larger than this are done in bands.
const LARGE_PLANE: usize = 2048;

/// Output rows that one filling of the plane gives.
fn band(x: &Axis, y: &Axis, row_bytes: usize, exchange: bool) -> usize {
    let small = y.extent(y.out) * row_bytes <= LARGE_PLANE;
    // A band keeps the rows that it shares with the next one, so windows have to touch; exchanged
    // axes in place need rows and columns to stay where they are.
    let moves = exchange && (x.stride > 1 || y.stride > 1 || x.size != x.out);
    if small || moves || y.kernel < y.stride {
        return y.out;
    }
    let rows = (LARGE_PLANE / row_bytes).saturating_sub(y.kernel) / y.stride + 1;
    // Bands of about the same height.
    y.out.div_ceil(y.out.div_ceil(rows.max(4)))
}

/// Whether outputs may be written over the input as the bands are done: every row of the input that
/// is still to be read lies above what has been written.
fn fits_in_place(x: &Axis, y: &Axis, band: usize, exchange: bool) -> bool {
    if x.out * y.out > x.size * y.size {
        return false;
    }
    if exchange && band < y.out {
        return x.size == x.out && y.size == y.out && y.kernel > y.pad;
    }
    (1..y.out.div_ceil(band)).map(|b| b * band).all(|done| {
        let unread = ((done - 1) * y.stride + y.kernel).saturating_sub(y.pad);
        unread * x.size >= done * x.out
    })
}

/// A plane of one channel in scratch, its axes exchanged where that is faster.
pub(crate) struct Plane {
    pub y: Axis,
    pub x: Axis,
    exchange: bool,
    /// Whether the loops for 3x3 windows do it.
    pub three: bool,
    /// Whether those for 5x5 and 7x7 do.
    pub wide: bool,
    /// Elements from row to row.
    pub pitch: usize,
    /// Rows that it holds.
    pub rows: usize,
    /// Output rows that one filling gives.
    pub band: usize,
}

impl DepthwiseConv2d<'_> {
    fn axes(&self) -> [Axis; 2] {
        let axis = |i: usize, steps: [usize; 2]| Axis {
            size: self.input[i],
            out: self.output[i],
            kernel: self.kernel[i],
            stride: self.stride[i],
            pad: self.pad[i],
            step: steps,
        };
        let (in_c, out_c) = (self.input[2], self.output[2]);
        [axis(0, [self.input[1] * in_c, self.output[1] * out_c]), axis(1, [in_c, out_c])]
    }

    /// How a plane lies in scratch and is walked.
    pub(crate) fn plane(&self, isa: Isa) -> Plane {
        let dsp = isa == Isa::Dsp;
        let [mut y, mut x] = self.axes();
        let three = self.kernel == [3, 3]
            && isa != Isa::Helium
            && (!dsp || self.stride[0].max(self.stride[1]) <= 2);
        let [k_h, k_w] = self.kernel;
        let wide = dsp && k_h == k_w && matches!(k_w, 5 | 7) && self.stride.iter().all(|&s| s <= 2);
        let quads = dsp && three || wide;
        // Four outputs a step: the axis that fills its steps best runs fastest.
        let waste = |fast: &Axis, slow: &Axis| fast.out.next_multiple_of(4) * slow.out;
        let exchange = !self.by_rows
            && quads
            && self.stride[0] == self.stride[1]
            && waste(&y, &x) < waste(&x, &y);
        if exchange {
            std::mem::swap(&mut y, &mut x);
        }
        let reach = if quads { x.out.next_multiple_of(4) } else { x.out };
        // The last step of four reads up to two elements further.
        let pitch = (x.extent(reach) + usize::from(quads) * 2).next_multiple_of(2);
        let element = if dsp { 2 } else { 1 };
        let band = if self.by_rows { y.out } else { band(&x, &y, pitch * element, exchange) };
        let rows = if band < y.out { y.window(band) } else { y.extent(y.out) };
        Plane { y, x, exchange, three, wide, pitch, rows, band }
    }

    fn planes(&self, unit: &mut Unit, name: &str) -> Option<Kernel> {
        let dsp = unit.isa() == Isa::Dsp;
        let helium = unit.isa() == Isa::Helium;
        let channels = self.output[2];
        let per_output = self.kernel[0] * self.kernel[1];
        let (zero, requant) = (self.in_zero, &self.requant);
        let mut settled =
            Channels::settle(self.weights, self.bias, per_output, zero, requant, Scales::Either)?;
        let small = self.kernel.iter().chain(&self.stride).chain(&self.pad).all(|&v| v <= 127);
        if self.dilation != [1, 1] || !small {
            return None;
        }
        if helium
            && self.kernel == [3, 3]
            && settled.left() == 0
            && let Some(kernel) = self.strips(unit, name, &settled)
        {
            return Some(kernel);
        }
        let plane = self.plane(unit.isa());
        let Plane { y, x, exchange, three, wide, pitch, rows, band } = plane;
        let element = if dsp { 2 } else { 1 };
        let mut records: Vec<u8> = Vec::new();
        let record = 9 + per_output;
        let by_lines = dsp && three && self.requant.zero == -128;
        let lines = if by_lines { settled.plane_lines() } else { None };
        for channel in 0..channels {
            let (mantissa, shift1) = match &lines {
                Some((_, l)) => (l[channel].multiplier, u32::from(l[channel].offset)),
                None => settled.fast[channel],
            };
            records.extend(settled.folded[channel].to_le_bytes());
            records.extend(mantissa.to_le_bytes());
            let w = &settled.weights[channel * per_output..(channel + 1) * per_output];
            for ky in 0..y.kernel {
                for kx in 0..x.kernel {
                    let at = if exchange { kx * y.kernel + ky } else { ky * x.kernel + kx };
                    records.push(w[at] as u8);
                }
            }
            records.push(shift1 as u8);
        }
        let fits = [pitch, rows, record, self.input[0], self.input[1]];
        if fits.iter().any(|&v| v > 32_767) {
            return None;
        }
        unit.bytes(&format!("{name}_w"), &records);
        if settled.left() > 0 {
            unit.need(Helper::ChannelLeft);
        }
        if three {
            unit.need(Helper::Depthwise3x3);
            if dsp {
                if self.pairs() && lines.is_some() {
                    unit.need(Helper::PlaneDw3PairsRelu);
                }
                unit.need(match (x.stride, lines.is_some()) {
                    (1, false) => Helper::PlaneDw3S1,
                    (1, true) => Helper::PlaneDw3S1Relu,
                    (_, false) => Helper::PlaneDw3S2,
                    (_, true) => Helper::PlaneDw3S2Relu,
                });
            }
        } else if wide {
            unit.need(Helper::DepthwiseWide);
            unit.need(match (x.kernel, x.stride) {
                (5, 1) => Helper::PlaneDw5S1,
                (5, _) => Helper::PlaneDw5S2,
                (_, 1) => Helper::PlaneDw7S1,
                _ => Helper::PlaneDw7S2,
            });
        } else {
            unit.need(Helper::Depthwise);
        }
        let zero = if lines.is_some() { PLANE_LINE_ZERO } else { self.requant.zero_term() };
        let fields = self.record(
            name,
            [&y, &x],
            [pitch, rows, band, record],
            zero,
            lines.as_ref().map_or(0, |l| l.0),
        );
        unit.record("pr_plane", name, &fields);
        let function = match (three, wide) {
            (true, _) => "pr_depthwise_3x3",
            (_, true) => "pr_depthwise_wide",
            _ => "pr_depthwise",
        };
        let one_to_one = self.input[2] == channels;
        let overlap = if one_to_one && fits_in_place(&x, &y, band, exchange) {
            Overlap::Same
        } else {
            Overlap::Disjoint
        };
        let kernel =
            Kernel::new(format!("{function}(&{name}, @in0@, @out0@, @scratch@);"), "planes")
                .scratch(pitch * rows * element)
                .overlap(&[overlap]);
        let kernel = self.rows(kernel, name);
        if helium {
            return Some(kernel);
        }
        let fours = dsp && three || wide;
        let room = PatchRoom::Plane { kernel: self.kernel, stride: self.stride, fours, element };
        Some(self.patches(kernel, name, fours, room))
    }

    /// Lets patches be called.
    fn patches(&self, kernel: Kernel, name: &str, fours: bool, room: PatchRoom) -> Kernel {
        let ([k_h, k_w], [down, across]) = (self.kernel, self.stride);
        let cols = if fours { "((@cols@ + 3) & ~3)" } else { "@cols@" };
        // As `plane` and `PatchRoom` have it.
        let more = if fours { 3 } else { 1 };
        let pitch = format!("(({cols} - 1) * {across} + {}) & ~1", k_w + more);
        let (in_c, out_c) = (self.input[2], self.output[2]);
        let fields = [
            ("in_h", "@in_rows@"),
            ("in_w", "@in_cols@"),
            ("out_h", "@rows@"),
            ("out_w", "@cols@"),
            ("pad_top", "@above@"),
            ("pad_left", "@left@"),
            ("in_y", &format!("@line@ * {in_c}")),
            ("out_y", &format!("@cols@ * {out_c}")),
            ("pitch", &pitch),
            ("rows", &format!("(@rows@ - 1) * {down} + {k_h}")),
            ("band", "@rows@"),
        ];
        kernel.patch_fields("pr_plane", name, &fields, &format!("@in0@ + @x@ * {in_c}"), room)
    }

    /// Whether rows are done two at a time where results rise along lines.
    fn pairs(&self) -> bool {
        self.fast && self.stride == [1, 1]
    }

    /// Whether results rise along lines, and rows are done two at a time.
    pub(crate) fn by_lines(&self) -> (bool, bool) {
        let (zero, requant) = (self.in_zero, &self.requant);
        let settle = || Channels::settle(self.weights, self.bias, 9, zero, requant, Scales::Either);
        let lines = self.requant.zero == -128 && self.kernel == [3, 3];
        let lines = lines && settle().and_then(|mut c| c.plane_lines()).is_some();
        (lines, lines && self.pairs())
    }

    fn rows(&self, kernel: Kernel, name: &str) -> Kernel {
        if self.by_rows { kernel.band_fields("pr_plane", name, &BAND_FIELDS) } else { kernel }
    }

    /// Outputs that a Helium strip gives: along it, across it.
    fn strip_outputs(&self) -> (usize, usize) {
        if self.stride[0] == 1 { (4, 2) } else { (8, 1) }
    }

    /// Whether columns are walked as rows because they fill strips better.
    fn strip_exchange(&self) -> bool {
        let [y, x] = self.axes();
        let (along, across) = self.strip_outputs();
        let work =
            |x: &Axis, y: &Axis| x.out.next_multiple_of(along) * y.out.next_multiple_of(across);
        let moves = self.by_rows || self.stride[0] > 1 || x.size != x.out || y.size != y.out;
        !moves && work(&y, &x) < work(&x, &y)
    }

    /// The axes as strips see them: across and along.
    pub(crate) fn strip_axes(&self) -> [Axis; 2] {
        let [y, x] = self.axes();
        if self.strip_exchange() { [x, y] } else { [y, x] }
    }

    /// Bytes of a strip.
    pub(crate) fn strip_pitch(&self, x: &Axis) -> usize {
        let last = (x.out.next_multiple_of(self.strip_outputs().0) - 1) * self.stride[0];
        4 * (last + 4).max(x.pad + x.size)
    }

    /// The Helium kernel for 3x3 windows, where rows pass through a strip.
    fn strips(&self, unit: &mut Unit, name: &str, settled: &Channels) -> Option<Kernel> {
        let stride = self.stride[0];
        let fits = stride == self.stride[1] && stride <= 2 && self.pad.iter().all(|&p| p <= 2);
        if !fits {
            return None;
        }
        let [y, x] = self.strip_axes();
        let exchange = self.strip_exchange();
        // Places are held in 16 bits.
        let reach =
            [3 * x.step[0] + y.step[0], 3 * x.step[1] + y.step[1], 7 * x.step[1], x.size, y.size];
        if reach.iter().any(|&r| r > 65_535) || x.size.max(y.size) > 32_767 {
            return None;
        }
        let pitch = self.strip_pitch(&x);
        if pitch > 32_767 {
            return None;
        }
        let mut records: Vec<u8> = Vec::new();
        for (channel, w) in settled.weights.chunks_exact(9).enumerate() {
            let (mantissa, shift1) = *settled.fast.get(channel)?;
            records.extend(settled.folded[channel].to_le_bytes());
            records.extend(mantissa.to_le_bytes());
            let at = |i: usize| if exchange { i % 3 * 3 + i / 3 } else { i };
            records.extend((0..9).map(|i| w[at(i)] as u8));
            records.push(shift1 as u8);
        }
        let relu = self.requant.zero == -128;
        unit.need(Helper::Depthwise3x3);
        unit.need(match (stride, relu) {
            (1, false) => Helper::PlaneDw3S1,
            (1, true) => Helper::PlaneDw3S1Relu,
            (_, false) => Helper::PlaneDw3S2,
            (_, true) => Helper::PlaneDw3S2Relu,
        });
        unit.bytes(&format!("{name}_w"), &records);
        let zero = self.requant.zero_term();
        let layer = self.record(name, [&y, &x], [pitch, 1, y.out, 18], zero, 0);
        unit.record("pr_plane", name, &layer);
        // Every row of the input is read before the outputs that may lie over it are written.
        let in_place = self.input[2] == self.output[2] && x.out <= x.size && y.out <= y.size;
        let kernel =
            Kernel::new(format!("pr_depthwise_3x3(&{name}, @in0@, @out0@, @scratch@);"), "strips")
                .scratch(pitch)
                .overlap(&[if in_place { Overlap::Same } else { Overlap::Disjoint }]);
        Some(self.rows(kernel, name))
    }

    /// The fields of a `pr_plane`, after exchange of the axes; `sizes` are its pitch, rows, band and
    /// record.
    fn record(
        &self,
        name: &str,
        [y, x]: [&Axis; 2],
        sizes: [usize; 4],
        zero: i32,
        line: u32,
    ) -> String {
        let [pitch, rows, band, record] = sizes;
        let channels = self.output[2];
        format!(
            "{name}_w, {}, {}, {}, {}, {channels}, {}, {}, {}, {}, {}, {pitch}, {rows}, {band}, {record}, {}, {}, {}, {}, {}, {}, {}, {}, {line}",
            x.step[0],
            y.step[0],
            x.step[1],
            y.step[1],
            channels / self.input[2],
            y.size,
            x.size,
            y.out,
            x.out,
            zero,
            y.kernel,
            x.kernel,
            y.stride,
            x.stride,
            y.pad,
            x.pad,
            self.in_zero
        )
    }

    /// How many channels' multipliers are a half or more.
    pub(crate) fn left_channels(&self) -> usize {
        let per_output = self.kernel[0] * self.kernel[1];
        let (zero, requant) = (self.in_zero, &self.requant);
        Channels::settle(self.weights, self.bias, per_output, zero, requant, Scales::Either)
            .map_or(0, |c| c.left())
    }

    /// The same layer as a grouped convolution.
    pub(crate) fn grouped(&self) -> Conv2d<'_> {
        Conv2d {
            input: self.input,
            output: self.output,
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            pad: self.pad,
            groups: self.input[2],
            in_zero: self.in_zero,
            weights: self.weights,
            bias: self.bias,
            requant: self.requant.clone(),
            coding: Coding::Plain,
            fast: self.fast,
        }
    }
}

impl Layer for DepthwiseConv2d<'_> {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        let grouped = self.grouped();
        grouped.check(name)?;
        match self.planes(unit, name) {
            Some(kernel) => {
                let count = self.output.iter().product();
                Ok(self.requant.clamp(unit, kernel, count))
            }
            None => grouped.lower(unit, name),
        }
    }

    fn band(&self, band: Band) -> Option<Box<dyn Layer + '_>> {
        Some(Box::new(Self {
            input: [band.in_rows, self.input[1], self.input[2]],
            output: [band.rows, self.output[1], self.output[2]],
            pad: [band.above, self.pad[1]],
            by_rows: true,
            ..self.clone()
        }))
    }

    fn patch(&self, patch: Patch) -> Option<Box<dyn Layer + '_>> {
        Some(Box::new(Self {
            input: [patch.in_rows, patch.in_cols, self.input[2]],
            output: [patch.rows, patch.cols, self.output[2]],
            pad: [patch.above, patch.left],
            by_rows: true,
            ..self.clone()
        }))
    }

    fn rounds(&self, function: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        Self::rounds(self, function, isa)
    }

    fn other_rounds(&self, function: &str, isa: Isa) -> Option<Loops> {
        self.left_rounds(function, isa)
    }

    fn clamp_rounds(&self) -> Option<Vec<(&'static str, u64)>> {
        self.requant.clamp_rounds(Width::Eight, self.output.iter().product())
    }
}

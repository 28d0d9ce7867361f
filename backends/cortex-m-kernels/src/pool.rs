use crate::KernelError;
use crate::conv::BAND_FIELDS;
use crate::helpers::{Helper, Wide as Of16};
use crate::requant::{Requant, Width};
use crate::unit::{Band, Isa, Kernel, Layer, Overlap, Unit, int};
use crate::wide::Widths;

/// What a pool does with its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// Mean of the values inside the image, rounded half away from zero.
    Average,
    /// The largest value.
    Max,
}

/// A pool over windows, NHWC, batch 1; input and output share their quantization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool2d {
    /// What is computed.
    pub kind: PoolKind,
    /// Height, width and channels of the input.
    pub input: [usize; 3],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Rows above and columns to the left that padding adds.
    pub pad: [usize; 2],
    /// Smallest and largest value.
    pub clamp: [i32; 2],
}

impl Pool2d {
    /// A pixel's windows are read channel by channel while the pixel is written.
    fn overlap(&self, width: Width) -> Overlap {
        let [in_h, in_w, channels] = self.input;
        let [out_h, out_w] = self.output;
        let first = |o: usize, axis: usize, size: usize| {
            (o * self.stride[axis]).saturating_sub(self.pad[axis]).min(size - 1)
        };
        let mut unread = i64::MAX;
        let mut delta = 0;
        for oy in (0..out_h).rev() {
            for ox in (0..out_w).rev() {
                let read = (first(oy, 0, in_h) * in_w + first(ox, 1, in_w)) * channels;
                unread = unread.min(read as i64);
                let written = ((oy * out_w + ox) * channels) as i64;
                delta = delta.max(written - unread);
            }
        }
        // The channel being written has been read; the ones before it have not to be kept.
        Overlap::AtLeast(delta * width.bytes() as i64)
    }
}

impl Widths for Pool2d {
    fn kernel(&self, unit: &mut Unit, name: &str, width: Width) -> Result<Kernel, KernelError> {
        let sizes = self.input.iter().chain(&self.output).chain(&self.kernel).chain(&self.stride);
        if sizes.clone().any(|&s| s == 0 || s > 32_767) || self.pad.iter().any(|&p| p > 32_767) {
            return Err(KernelError::Invalid {
                layer: name.into(),
                what: "a size of the pool is zero or beyond 32767".into(),
            });
        }
        let outside = |i: usize| {
            let last = (self.output[i] - 1) * self.stride[i];
            self.pad[i] >= self.kernel[i] || last >= self.pad[i] + self.input[i]
        };
        if outside(0) || outside(1) {
            return Err(KernelError::Unsupported {
                layer: name.into(),
                what: "a pool with windows that lie wholly in the padding".into(),
            });
        }
        let (helper, function) = match (self.kind, width) {
            (PoolKind::Average, Width::Eight) => (Helper::AvgPool, "pr_avg_pool"),
            (PoolKind::Max, Width::Eight) => (Helper::MaxPool, "pr_max_pool"),
            (PoolKind::Average, Width::Sixteen) => (Helper::Wide(Of16::AvgPool), "pr_avg_pool16"),
            (PoolKind::Max, Width::Sixteen) => (Helper::Wide(Of16::MaxPool), "pr_max_pool16"),
        };
        unit.need(helper);
        let [least, most] = width.bounds();
        let [in_h, in_w, channels] = self.input;
        let fields = format!(
            "{in_h}, {in_w}, {channels}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}",
            self.output[0],
            self.output[1],
            self.kernel[0],
            self.kernel[1],
            self.stride[0],
            self.stride[1],
            self.pad[0],
            self.pad[1],
            self.clamp[0].max(least),
            self.clamp[1].min(most)
        );
        unit.record("pr_pool", name, &fields);
        let kernel = Kernel::new(
            format!("{function}(&{name}, {}, {});", width.input(0), width.output()),
            "windows",
        )
        .band_fields("pr_pool", name, &BAND_FIELDS);
        // Windows that overlap along a row reread channels already passed.
        let apart = self.stride[0] >= self.kernel[0] && self.stride[1] >= self.kernel[1];
        Ok(if apart { kernel.overlap(&[self.overlap(width)]) } else { kernel })
    }

    fn rounds_of(&self, _: Isa, _: Width) -> Vec<(&'static str, u64)> {
        Self::rounds(self)
    }
}

impl Layer for Pool2d {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        self.kernel(unit, name, Width::Eight)
    }

    fn band(&self, band: Band) -> Option<Box<dyn Layer + '_>> {
        Some(Box::new(Self {
            input: [band.in_rows, self.input[1], self.input[2]],
            output: [band.rows, self.output[1]],
            pad: [band.above, self.pad[1]],
            ..self.clone()
        }))
    }

    fn rounds(&self, _: &str, _: Isa) -> Vec<(&'static str, u64)> {
        Self::rounds(self)
    }
}

/// The mean over pixels, channel by channel, in a quantization of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean {
    /// Numbers that a mean is taken of.
    pub count: usize,
    /// Means; number `i` of mean `c` is at `i * channels + c`.
    pub channels: usize,
    /// The input's zero point.
    pub in_zero: i32,
    /// From the sum of the real input's integers to the output: the count is folded in.
    pub requant: Requant,
}

impl Widths for Mean {
    fn kernel(&self, unit: &mut Unit, name: &str, width: Width) -> Result<Kernel, KernelError> {
        // Beyond this a sum might not fit 32 bits.
        if self.count == 0 || self.count > 1 << (31 - 8 * width.bytes()) {
            return Err(KernelError::Invalid {
                layer: name.into(),
                what: format!("a mean of {} numbers", self.count),
            });
        }
        unit.need(match width {
            Width::Eight => Helper::Mean,
            Width::Sixteen => Helper::Wide(Of16::Mean),
        });
        let m = self.requant.of(0);
        let template = format!(
            "pr_mean{}({}, {}, {}, {}, {}, {}, {}, {});",
            width.suffix(),
            width.input(0),
            width.output(),
            self.count,
            self.channels,
            self.in_zero * self.count as i32,
            int(m.mantissa),
            m.shift,
            self.requant.zero
        );
        let kernel = Kernel::new(template, "means");
        Ok(self.requant.clamp_to(width, unit, kernel, self.channels))
    }

    fn rounds_of(&self, _: Isa, _: Width) -> Vec<(&'static str, u64)> {
        Self::rounds(self)
    }

    fn clamp_rounds_of(&self, width: Width) -> Option<Vec<(&'static str, u64)>> {
        self.requant.clamp_rounds(width, self.channels)
    }
}

impl Layer for Mean {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        self.kernel(unit, name, Width::Eight)
    }

    fn rounds(&self, _: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        self.rounds_of(isa, Width::Eight)
    }

    fn clamp_rounds(&self) -> Option<Vec<(&'static str, u64)>> {
        self.clamp_rounds_of(Width::Eight)
    }
}

use crate::KernelError;
use crate::helpers::Helper;
use crate::unit::{Kernel, Layer, Overlap, Unit};

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
    fn overlap(&self) -> Overlap {
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
        Overlap::AtLeast(delta)
    }
}

impl Layer for Pool2d {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        let sizes = self.input.iter().chain(&self.output).chain(&self.kernel).chain(&self.stride);
        if sizes.clone().any(|&s| s == 0 || s > 32_767) || self.pad.iter().any(|&p| p > 32_767) {
            return Err(KernelError::Invalid {
                layer: name.into(),
                what: "a size of the pool is zero or beyond 32767".into(),
            });
        }
        let (helper, function) = match self.kind {
            PoolKind::Average => (Helper::AvgPool, "pr_avg_pool"),
            PoolKind::Max => (Helper::MaxPool, "pr_max_pool"),
        };
        unit.need(helper);
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
            self.clamp[0].max(-128),
            self.clamp[1].min(127)
        );
        unit.record("pr_pool", name, &fields);
        let kernel = Kernel::new(format!("{function}(&{name}, @in0@, @out0@);"), "windows");
        // Windows that overlap along a row reread channels already passed.
        let apart = self.stride[0] >= self.kernel[0] && self.stride[1] >= self.kernel[1];
        Ok(if apart { kernel.overlap(&[self.overlap()]) } else { kernel })
    }
}

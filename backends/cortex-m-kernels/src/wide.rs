//! Layers on 16-bit activations (16x8): products with int8 weights are summed exactly and scaled once, as TFLite's
//! int16x8 specification has it; the others compute as those on 8 bits do.

use paring_qmath::{Multiplier, softmax16};

use crate::KernelError;
use crate::cost::each;
use crate::elementwise::Requantize;
use crate::helpers::{Helper, Wide as Of16};
use crate::requant::{Requant, Width};
use crate::unit::{Isa, Kernel, Layer, Overlap, Unit, int};

type Rounds = Vec<(&'static str, u64)>;

/// A layer that there is for 8 and for 16 bits.
pub(crate) trait Widths {
    fn kernel(&self, unit: &mut Unit, name: &str, width: Width) -> Result<Kernel, KernelError>;

    fn rounds_of(&self, isa: Isa, width: Width) -> Rounds;

    fn clamp_rounds_of(&self, _: Width) -> Option<Rounds> {
        None
    }
}

/// A layer with int16 where it has int8 otherwise: an [`Add`](crate::Add), [`Mul`](crate::Mul),
/// [`Mean`](crate::Mean), [`Pool2d`](crate::Pool2d), [`Quantize`](crate::Quantize) or
/// [`Dequantize`](crate::Dequantize). The operands of an addition are scaled up by 15 bits instead of 20.
#[derive(Clone, Debug, PartialEq)]
pub struct Wide<L>(pub L);

impl<L: Widths> Layer for Wide<L> {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        let kernel = self.0.kernel(unit, name, Width::Sixteen)?;
        Ok(Kernel { rows: None, ..kernel })
    }

    fn rounds(&self, _: &str, isa: Isa) -> Rounds {
        self.0.rounds_of(isa, Width::Sixteen)
    }

    fn clamp_rounds(&self) -> Option<Rounds> {
        self.0.clamp_rounds_of(Width::Sixteen)
    }
}

/// Between which types a [`Rescale`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// From int8 to int16.
    Widen,
    /// From int16 to int8.
    Narrow,
    /// From int16 to int16.
    Sixteen,
}

/// A [`Requantize`] with 16 bits on one side or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Rescale {
    /// The types.
    pub change: Change,
    /// Number of values and their quantizations.
    pub values: Requantize,
}

impl Rescale {
    fn widths(&self) -> [Width; 2] {
        match self.change {
            Change::Widen => [Width::Eight, Width::Sixteen],
            Change::Narrow => [Width::Sixteen, Width::Eight],
            Change::Sixteen => [Width::Sixteen, Width::Sixteen],
        }
    }
}

impl Layer for Rescale {
    fn lower(&self, unit: &mut Unit, _: &str) -> Result<Kernel, KernelError> {
        let (helper, function) = match self.change {
            Change::Widen => (Of16::Widen, "pr_widen"),
            Change::Narrow => (Of16::Narrow, "pr_narrow"),
            Change::Sixteen => (Of16::Requantize, "pr_requantize16"),
        };
        unit.need(Helper::Wide(helper));
        let ([from, to], values) = (self.widths(), &self.values);
        let m = values.requant.of(0);
        let template = format!(
            "{function}({}, {}, {}, {}, {}, {}, {});",
            from.input(0),
            to.output(),
            values.count,
            values.in_zero,
            int(m.mantissa),
            m.shift,
            values.requant.zero
        );
        // What grows must not reach what is still to be read.
        let growth = if self.change == Change::Widen { values.count as i64 } else { 0 };
        let kernel = Kernel::new(template, "elementwise").overlap(&[Overlap::AtLeast(growth)]);
        Ok(values.requant.clamp_to(to, unit, kernel, values.count))
    }

    fn rounds(&self, _: &str, _: Isa) -> Rounds {
        each(self.values.count)
    }

    fn clamp_rounds(&self) -> Option<Rounds> {
        self.values.requant.clamp_rounds(self.widths()[1], self.values.count)
    }
}

/// A softmax of int16 over the last axis by TFLite's tables, output scale 1/32768 and zero point 0.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxWide {
    /// Number of rows.
    pub rows: usize,
    /// Length of a row.
    pub depth: usize,
    /// Factor of the exponent.
    pub beta: f32,
    /// The input's scale.
    pub in_scale: f32,
}

impl Layer for SoftmaxWide {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        // Sums of more exponentials might not fit 32 bits.
        if self.depth == 0 || self.depth > 1 << 16 {
            return Err(KernelError::Unsupported {
                layer: name.into(),
                what: format!("a softmax of depth {}", self.depth),
            });
        }
        unit.need(Helper::Wide(Of16::Softmax));
        unit.i16s(&format!("{name}_e"), &softmax16::exponentials(f32::exp));
        unit.i16s(&format!("{name}_i"), &softmax16::inverses());
        let factor = softmax16::factor(self.in_scale, self.beta);
        let template = format!(
            "pr_softmax16({name}_e, {name}_i, {}, {}, {}, {}, {}, {});",
            int(factor.mantissa),
            factor.shift,
            Width::Sixteen.input(0),
            Width::Sixteen.output(),
            self.rows,
            self.depth
        );
        Ok(Kernel::new(template, "tables").overlap(&[Overlap::AtLeast(0)]))
    }

    fn rounds(&self, _: &str, _: Isa) -> Rounds {
        vec![("call", 1), ("row", self.rows as u64), ("value", (self.rows * self.depth) as u64)]
    }
}

/// A two-dimensional convolution of int16 with int8 weights, NHWC, batch 1, zero points 0 but for the output's.
#[derive(Clone, Debug)]
pub struct ConvWide<'a> {
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
    /// OHWI.
    pub weights: &'a [i8],
    /// One per output channel.
    pub bias: &'a [i64],
    /// Rescaling of the sums; the low and high ends are those of int16 at most.
    pub requant: Requant,
}

/// Products whose sum fits 32 bits, whatever the operands.
const RUN: usize = 508;

impl ConvWide<'_> {
    fn check(&self, layer: &str) -> Result<(), KernelError> {
        let invalid = |what: String| Err(KernelError::Invalid { layer: layer.into(), what });
        let sizes = [&self.input[..], &self.output, &self.kernel, &self.stride, &self.dilation];
        let short = sizes[2..].iter().all(|s| s.iter().all(|&v| v <= 32_767));
        if sizes.iter().any(|s| s.contains(&0)) || self.groups == 0 || !short {
            return invalid("a size, stride or dilation is zero or beyond 32767".into());
        }
        let (in_c, out_c) = (self.input[2], self.output[2]);
        if in_c % self.groups != 0 || out_c % self.groups != 0 {
            return invalid(format!("{in_c} and {out_c} channels in {} groups", self.groups));
        }
        let wanted = out_c * self.kernel[0] * self.kernel[1] * (in_c / self.groups);
        if self.weights.len() != wanted || self.bias.len() != out_c {
            return invalid(format!(
                "{} weights and {} biases where {wanted} and {out_c} belong",
                self.weights.len(),
                self.bias.len()
            ));
        }
        let multipliers = &self.requant.multipliers;
        if multipliers.len() != 1 && multipliers.len() != out_c {
            return invalid(format!("{} multipliers for {out_c} channels", multipliers.len()));
        }
        // A product of a sum of 48 bits with 15 bits is shifted right by what is left of 64.
        if multipliers.iter().any(|m| !(1..=62).contains(&m.reduced().1)) {
            return Err(KernelError::Unsupported {
                layer: layer.into(),
                what: "scales of 16-bit activations that are this far apart".into(),
            });
        }
        if self.bias.iter().any(|b| b.unsigned_abs() >= 1 << 47) {
            return Err(KernelError::Unsupported {
                layer: layer.into(),
                what: "a bias of more than 48 bits".into(),
            });
        }
        Ok(())
    }

    fn is_depthwise(&self) -> bool {
        self.groups == self.input[2]
            && self.output[2] == self.input[2]
            && self.groups > 1
            && self.kernel[0] * self.kernel[1] <= RUN
    }

    /// For each output along an axis, the taps inside the image.
    fn taps(&self, axis: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.output[axis]).map(move |o| {
            let at = |k: usize| o * self.stride[axis] + k * self.dilation[axis];
            let inside = |p: usize| p >= self.pad[axis] && p - self.pad[axis] < self.input[axis];
            (0..self.kernel[axis]).filter(|&k| inside(at(k))).count()
        })
    }
}

impl Layer for ConvWide<'_> {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        self.check(name)?;
        let [in_h, in_w, in_c] = self.input;
        let [out_h, out_w, out_c] = self.output;
        let taps = self.kernel[0] * self.kernel[1];
        let depthwise = self.is_depthwise();
        let mut turned = Vec::new();
        let weights = if depthwise {
            for tap in 0..taps {
                turned.extend((0..out_c).map(|c| self.weights[c * taps + tap]));
            }
            &turned
        } else {
            self.weights
        };
        unit.i8s(&format!("{name}_w"), weights);
        unit.i64s(&format!("{name}_b"), self.bias);
        let by = |c: usize| -> [i32; 2] { Multiplier::reduced(self.requant.of(c)).into() };
        let multipliers: Vec<i32> = (0..out_c).flat_map(by).collect();
        unit.i32s(&format!("{name}_m"), &multipliers);
        let [low, high] = Width::Sixteen.bounds();
        let fields = format!(
            "{name}_w, {name}_b, {name}_m, {in_h}, {in_w}, {in_c}, {out_h}, {out_w}, {out_c}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}",
            in_c / self.groups,
            out_c / self.groups,
            self.kernel[0],
            self.kernel[1],
            self.stride[0],
            self.stride[1],
            self.dilation[0],
            self.dilation[1],
            self.pad[0],
            self.pad[1],
            self.requant.zero,
            self.requant.low.max(low),
            self.requant.high.min(high)
        );
        let (helper, function) = match depthwise {
            true => (Of16::Depthwise, "pr_depth16"),
            false => (Of16::Conv, "pr_conv16"),
        };
        unit.need(Helper::Wide(helper));
        unit.record("pr_window16", name, &fields);
        let (x, y) = (Width::Sixteen.input(0), Width::Sixteen.output());
        Ok(Kernel::new(format!("{function}(&{name}, {x}, {y});"), "16-bit"))
    }

    fn rounds(&self, _: &str, isa: Isa) -> Rounds {
        let pixels = (self.output[0] * self.output[1]) as u64;
        let sum = |axis: usize| self.taps(axis).sum::<usize>() as u64;
        let [taps_h, taps_w] = [sum(0), sum(1)];
        let width = self.output[1] as u64;
        let channels = self.output[2];
        if self.is_depthwise() {
            let (fours, ones) = ((channels / 4) as u64, (channels % 4) as u64);
            return vec![
                ("call", 1),
                ("pixel", pixels),
                ("output", pixels * channels as u64),
                ("four", pixels * fours),
                ("four_row", taps_h * width * fours),
                ("four_tap", taps_h * taps_w * fours),
                ("one", pixels * ones),
                ("one_row", taps_h * width * ones),
                ("one_tap", taps_h * taps_w * ones),
            ];
        }
        let (depth, outputs) = (self.input[2] / self.groups, channels / self.groups);
        let blocks = (self.groups * (outputs / 4)) as u64;
        let ones = (self.groups * (outputs % 4)) as u64;
        let rests = if outputs.is_multiple_of(4) { 0 } else { self.groups as u64 };
        // Runs of inputs: their number, words of them, and what is over.
        let together = self.dilation[1] == 1 && self.groups == 1;
        let lengths: Vec<usize> = match together {
            true => self.taps(1).map(|taps| taps * depth).collect(),
            false => vec![depth; taps_w as usize],
        };
        let chunks = || {
            lengths.iter().flat_map(|&n| {
                let whole = std::iter::repeat_n(RUN, n / RUN);
                whole.chain((n % RUN > 0).then_some(n % RUN))
            })
        };
        let count = |f: &dyn Fn(usize) -> usize| taps_h * chunks().map(f).sum::<usize>() as u64;
        let (words, over, odd) = match isa {
            Isa::Helium => (count(&|n| n.div_ceil(8)), 0, 0),
            Isa::Dsp => {
                let rest = |n: usize| usize::from(!n.is_multiple_of(4));
                (count(&|n| n / 4), 4 * count(&|n| n % 4), count(&rest))
            }
            Isa::V6m | Isa::V7m => (0, 4 * count(&|n| n), 0),
        };
        let runs = count(&|_| 1);
        vec![
            ("call", 1),
            ("pixel", pixels),
            ("output", pixels * channels as u64),
            ("block", pixels * (blocks + rests)),
            ("row", taps_h * width * (blocks + rests)),
            ("run", runs * (blocks + rests)),
            ("four_word", words * blocks),
            ("four_over", over * blocks),
            ("four_rest", odd * blocks),
            ("one_run", runs * ones),
            ("one_input", count(&|n| n) * ones),
        ]
    }
}

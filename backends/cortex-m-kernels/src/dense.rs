use crate::conv::TABLE;
use crate::helpers::Helper;
use crate::pack::{Channels, FAST_LIMIT, Matrix, Scales, fold_bias, plain_order, sums_below};
use crate::requant::{Requant, Width};
use crate::unit::{Isa, Kernel, Layer, Unit};
use crate::{Coding, Conv2d, KernelError};

/// A fully connected layer on one sample.
#[derive(Clone, Debug)]
pub struct FullyConnected<'a> {
    /// Length of the input.
    pub inputs: usize,
    /// Length of the output.
    pub outputs: usize,
    /// The input's zero point.
    pub in_zero: i32,
    /// Output by input.
    pub weights: &'a [i8],
    /// One per output.
    pub bias: &'a [i32],
    /// Rescaling of the sums.
    pub requant: Requant,
    /// How the weights are to lie in flash.
    pub coding: Coding,
}

impl FullyConnected<'_> {
    pub(crate) fn pointwise(&self) -> Conv2d<'_> {
        Conv2d {
            input: [1, 1, self.inputs],
            output: [1, 1, self.outputs],
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 0],
            groups: 1,
            in_zero: self.in_zero,
            weights: self.weights,
            bias: self.bias,
            requant: self.requant.clone(),
            coding: self.coding,
            fast: false,
        }
    }

    /// Mantissa and shift where one multiplier serves all outputs and `pr_dense8` takes it, and whether the shift goes
    /// left.
    fn shared(&self, isa: Isa, folded: &[i32]) -> Option<((i32, u32), bool)> {
        if self.requant.multipliers.len() != 1 {
            return None;
        }
        if let Some(fast) = self.requant.fast(0) {
            return Some((fast, false));
        }
        let left = self.requant.left(0).filter(|_| isa == Isa::Dsp)?;
        let fits = sums_below(FAST_LIMIT >> left.1, self.weights, folded, self.inputs);
        fits.then_some((left, true))
    }

    fn eights(&self, unit: &mut Unit, name: &str, folded: &[i32]) -> Option<Kernel> {
        match unit.isa() {
            Isa::V6m | Isa::V7m => None,
            Isa::Helium => self.vector_eights(unit, name, folded),
            Isa::Dsp => self.dsp_eights(unit, name, folded),
        }
    }

    fn vector_eights(&self, unit: &mut Unit, name: &str, folded: &[i32]) -> Option<Kernel> {
        let ((mantissa, shift1), _) = self.shared(Isa::Helium, folded)?;
        if self.coding != Coding::Plain {
            return None;
        }
        let order = plain_order(self.inputs);
        let (weights, per_output) = (self.weights, self.inputs);
        let matrix = Matrix { weights, folded, fast: &[], per_output, order: &order, lines: &[] };
        unit.words(&format!("{name}_w"), &matrix.helium_dense8()?);
        unit.need(Helper::Dense8(Coding::Plain));
        let blocks = self.inputs.div_ceil(16);
        let (shift, zero) = (-1 - shift1 as i32, self.requant.zero);
        let fields = format!("{name}_w, {blocks}, {}, {mantissa}, {shift}, {zero}", self.outputs);
        unit.record("pr_dense", name, &fields);
        let call = format!("pr_dense8(&{name}, @in0@, @out0@);");
        Some(Kernel::new(call, "eight outputs").overread(16 * blocks - self.inputs))
    }

    fn dsp_eights(&self, unit: &mut Unit, name: &str, folded: &[i32]) -> Option<Kernel> {
        let shared = self.shared(Isa::Dsp, folded);
        let order = plain_order(self.inputs);
        let coding = self.coding;
        let (words, groups, per_output) = (order.len(), self.outputs / 8, self.inputs);
        let (stream, form, fields) = if let Some(((mantissa, shift1), left)) = shared {
            let weights = self.weights;
            let matrix =
                Matrix { weights, folded, fast: &[], per_output, order: &order, lines: &[] };
            let stream = matrix.dense8(coding)?;
            let (helper, form, offset) = if left {
                (Helper::Dense8Left(coding), "_left", self.requant.zero)
            } else {
                (Helper::Dense8(coding), "", self.requant.zero_term() << shift1)
            };
            unit.need(helper);
            (stream, form, format!("{mantissa}, {shift1}, {offset}"))
        } else {
            let channels = self.settled()?;
            let stream = channels.matrix(per_output, &order).dense8(coding)?;
            unit.need(Helper::Dense8Each(coding));
            if channels.left() > 0 {
                unit.need(Helper::Left);
            }
            (stream, "_each", format!("0, 0, {}", self.requant.zero_term()))
        };
        unit.words(&format!("{name}_w"), &stream);
        unit.record("pr_dense", name, &format!("{name}_w, {words}, {groups}, {fields}"));
        let function = format!("pr_dense8{form}{}", coding.suffix());
        let kernel = if coding.has_palette() {
            let call = format!("{function}(&{name}, @in0@, @out0@, @scratch@);");
            Kernel::new(call, "eight outputs").scratch(TABLE)
        } else {
            Kernel::new(format!("{function}(&{name}, @in0@, @out0@);"), "eight outputs")
        };
        Some(kernel.overread(4 * words - self.inputs))
    }

    /// The outputs with a multiplier each.
    pub(crate) fn settled(&self) -> Option<Channels> {
        let (weights, bias, zero) = (self.weights, self.bias, self.in_zero);
        Channels::settle(weights, bias, self.inputs, zero, &self.requant, Scales::Either)
    }

    fn plain(&self, unit: &mut Unit, name: &str, folded: &[i32]) -> Kernel {
        unit.need(Helper::Dense1);
        unit.i8s(&format!("{name}_w"), self.weights);
        unit.i32s(&format!("{name}_b"), folded);
        let all: Vec<i32> =
            self.requant.multipliers.iter().flat_map(|m| [m.mantissa, m.shift]).collect();
        unit.i32s(&format!("{name}_m"), &all);
        let step = if self.requant.multipliers.len() == 1 { 0 } else { 2 };
        let fields = format!(
            "{name}_w, {name}_b, {name}_m, {}, {}, {step}, {}",
            self.inputs, self.outputs, self.requant.zero
        );
        unit.record("pr_rows", name, &fields);
        Kernel::new(format!("pr_dense1(&{name}, @in0@, @out0@);"), "one output")
    }
}

impl Layer for FullyConnected<'_> {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        let pointwise = self.pointwise();
        pointwise.check(name)?;
        let folded = fold_bias(self.weights, self.bias, self.inputs, self.in_zero);
        let kernel = match self.eights(unit, name, &folded) {
            Some(kernel) => kernel,
            // A pixel of a 1x1 convolution, with one multiplier an output and every coding.
            None if unit.isa() == Isa::Dsp && self.outputs >= 4
                || unit.isa() == Isa::Helium
                || self.coding != Coding::Plain =>
            {
                return pointwise.lower(unit, name);
            }
            None => self.plain(unit, name, &folded),
        };
        Ok(self.requant.clamp(unit, kernel, self.outputs))
    }

    fn coded(&self, coding: Coding) -> Option<Box<dyn Layer + '_>> {
        Some(Box::new(Self { coding, ..self.clone() }))
    }

    fn rounds(&self, function: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        Self::rounds(self, function, isa)
    }

    fn clamp_rounds(&self) -> Option<Vec<(&'static str, u64)>> {
        self.requant.clamp_rounds(Width::Eight, self.outputs)
    }
}

use crate::conv::TABLE;
use crate::effort::Effort;
use crate::helpers::Helper;
use crate::pack::{FAST_LIMIT, Matrix, fold_bias, plain_order, sums_below};
use crate::requant::Requant;
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
        }
    }

    fn eights(&self, unit: &mut Unit, name: &str, folded: &[i32]) -> Option<Kernel> {
        let vectors = unit.isa() == Isa::Helium;
        if !(vectors || unit.isa() == Isa::Dsp) || self.requant.multipliers.len() != 1 {
            return None;
        }
        let fast = self.requant.fast(0);
        let left = match self.requant.left(0) {
            Some(left) if fast.is_none() && !vectors => {
                let limit = FAST_LIMIT >> left.1;
                sums_below(limit, self.weights, folded, self.inputs).then_some(left)
            }
            _ => None,
        };
        let (mantissa, shift1) = fast.or(left)?;
        let order = plain_order(self.inputs);
        let matrix = Matrix {
            weights: self.weights,
            folded,
            fast: &[],
            per_output: self.inputs,
            order: &order,
            lines: &[],
        };
        let stream = match self.coding {
            Coding::Plain if vectors => matrix.helium_dense8()?,
            _ if vectors => return None,
            coding => matrix.dense8(coding)?,
        };
        unit.need(match left {
            None => Helper::Dense8(self.coding),
            Some(_) => Helper::Dense8Left(self.coding),
        });
        unit.words(&format!("{name}_w"), &stream);
        let (fields, overread) = if vectors {
            let blocks = self.inputs.div_ceil(16);
            let zero = self.requant.zero;
            let shift = -1 - shift1 as i32;
            (
                format!("{name}_w, {blocks}, {}, {mantissa}, {shift}, {zero}", self.outputs),
                16 * blocks - self.inputs,
            )
        } else {
            let offset = match left {
                None => self.requant.zero_term() << shift1,
                Some(_) => self.requant.zero,
            };
            let (words, groups) = (order.len(), self.outputs / 8);
            (
                format!("{name}_w, {words}, {groups}, {mantissa}, {shift1}, {offset}"),
                4 * words - self.inputs,
            )
        };
        unit.record("pr_dense", name, &fields);
        let left = if left.is_some() { "_left" } else { "" };
        let suffix = format!("{left}{}", self.coding.suffix());
        let kernel = if self.coding.has_palette() {
            let call = format!("pr_dense8{suffix}(&{name}, @in0@, @out0@, @scratch@);");
            Kernel::new(call, "eight outputs").scratch(TABLE)
        } else {
            Kernel::new(format!("pr_dense8{suffix}(&{name}, @in0@, @out0@);"), "eight outputs")
        };
        Some(kernel.overread(overread).effort(self.eights_effort()))
    }

    fn eights_effort(&self) -> Effort {
        let groups = self.outputs.div_ceil(8);
        let fours = self.inputs.div_ceil(4);
        match self.coding {
            Coding::Nibbles => {
                Effort::of(1, 32, 50)
                    + Effort::of(fours, 7, 10)
                    + Effort::of(groups, 68, 96)
                    + Effort::of(groups * fours, 46, 55)
            }
            Coding::Palette => {
                Effort::of(1, 830, 920)
                    + Effort::of(groups, 60, 84)
                    + Effort::of(groups * fours, 51, 88)
                    + Effort::of(groups * fours / 4, 3, 6)
            }
            _ => {
                Effort::of(1, 23, 40)
                    + Effort::of(groups, 63, 84)
                    + Effort::of(groups * fours, 31, 42)
                    + Effort::of(groups * fours / 2, 3, 6)
            }
        }
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
        let effort =
            Effort::of(self.outputs, 60, 80) + Effort::of(self.outputs * self.inputs, 4, 6);
        Kernel::new(format!("pr_dense1(&{name}, @in0@, @out0@);"), "one output").effort(effort)
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
            None if unit.isa() == Isa::Dsp && self.outputs >= 4 || self.coding != Coding::Plain => {
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
        self.requant.clamp_rounds(self.outputs)
    }
}

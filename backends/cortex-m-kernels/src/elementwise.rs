use paring_qmath::Multiplier;

use crate::KernelError;
use crate::cost::each;
use crate::helpers::{Helper, Wide as Of16};
use crate::requant::{Requant, Width};
use crate::unit::{Band, Isa, Kernel, Layer, Overlap, Unit, int};
use crate::wide::Widths;

/// One operand of [`Add`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddOperand {
    /// Its zero point.
    pub zero: i32,
    /// Its scale over twice the larger of the two scales.
    pub multiplier: Multiplier,
}

/// A broadcast of two operands, as the outer loops and the innermost run see it.
#[derive(Clone, Debug, PartialEq)]
struct Runs {
    /// Sizes of the outer axes, outermost first.
    outer: Vec<usize>,
    /// Element steps of each operand along the outer axes.
    steps: [Vec<usize>; 2],
    run: usize,
    run_steps: [usize; 2],
}

/// Merges the axes of a broadcast as far as both operands allow.
fn runs(shape: &[usize], operands: [&[usize]; 2]) -> Option<Runs> {
    let rank = shape.len();
    let mut steps = [vec![0; rank], vec![0; rank]];
    for (operand, step) in operands.iter().zip(&mut steps) {
        if operand.len() > rank {
            return None;
        }
        let mut size = 1;
        for back in 1..=operand.len() {
            let dim = operand[operand.len() - back];
            let axis = rank - back;
            if dim != shape[axis] && dim != 1 {
                return None;
            }
            step[axis] = if dim == 1 { 0 } else { size };
            size *= dim;
        }
    }
    // (size, step, step), innermost first, neighbours merged.
    let mut merged: Vec<(usize, usize, usize)> = Vec::new();
    for axis in (0..rank).rev().filter(|&a| shape[a] != 1) {
        let next = (shape[axis], steps[0][axis], steps[1][axis]);
        match merged.last_mut() {
            Some(last) if next.1 == last.1 * last.0 && next.2 == last.2 * last.0 => {
                last.0 *= next.0;
            }
            _ => merged.push(next),
        }
    }
    let inner = if merged.is_empty() { (1, 1, 1) } else { merged.remove(0) };
    merged.reverse();
    Some(Runs {
        outer: merged.iter().map(|m| m.0).collect(),
        steps: [merged.iter().map(|m| m.1).collect(), merged.iter().map(|m| m.2).collect()],
        run: inner.0,
        run_steps: [inner.1, inner.2],
    })
}

impl Runs {
    /// The kernel that `call` is, which sees pointers `a`, `b` and `o` and how many values there are.
    fn kernel(&self, call: &str, width: Width) -> Kernel {
        let whole = self.text(&call.replace("@n@", &self.run.to_string()), width);
        let mut kernel = Kernel::new(whole, "elementwise").overlap(&self.overlap());
        if self.outer.is_empty() && self.run_steps == [1, 1] {
            kernel.rows = Some(self.text(&call.replace("@n@", "@rows@ * @row@"), width));
        }
        kernel
    }

    /// The loops around `call`, which sees pointers `a`, `b` and `out` and advances none of them.
    fn text(&self, call: &str, width: Width) -> String {
        let [a, b] = [0, 1].map(|i| width.input(i));
        if self.outer.is_empty() {
            return call.replace("@a@", &a).replace("@b@", &b).replace("@o@", width.output());
        }
        let mut text = format!("{{\n    int{}_t *o = {};\n", 8 * width.bytes(), width.output());
        let [mut a, mut b] = [a, b].map(|operand| format!("({operand})"));
        for (axis, size) in self.outer.iter().enumerate() {
            text.push_str(&format!("    for (int32_t i{axis} = 0; i{axis} < {size}; i{axis}++)\n"));
            a.push_str(&format!(" + i{axis} * {}", self.steps[0][axis]));
            b.push_str(&format!(" + i{axis} * {}", self.steps[1][axis]));
        }
        let call = call.replace("@a@", &a).replace("@b@", &b).replace("@o@", "o");
        text.push_str(&format!("    {{\n        {call}\n        o += {};\n    }}\n}}", self.run));
        text
    }

    /// An operand that is not repeated may give its place to the output.
    fn overlap(&self) -> [Overlap; 2] {
        let plain = self.outer.is_empty();
        self.run_steps
            .map(|s| if plain && s == 1 { Overlap::AtLeast(0) } else { Overlap::Disjoint })
    }
}

fn broadcast(name: &str, shape: &[usize], operands: [&[usize]; 2]) -> Result<Runs, KernelError> {
    runs(shape, operands).ok_or_else(|| KernelError::Invalid {
        layer: name.into(),
        what: format!("{:?} and {:?} do not broadcast to {shape:?}", operands[0], operands[1]),
    })
}

/// A sum or difference of two tensors, with broadcasting.
#[derive(Clone, Debug, PartialEq)]
pub struct Add {
    /// The output's shape.
    pub shape: Vec<usize>,
    /// The operands' shapes.
    pub operand_shapes: [Vec<usize>; 2],
    /// Their quantization.
    pub operands: [AddOperand; 2],
    /// Whether the second is subtracted.
    pub subtract: bool,
    /// Twice the larger input scale over `2^20` times the output scale, zero point and clamp.
    pub requant: Requant,
}

impl Add {
    /// Calls of the innermost loop.
    pub(crate) fn run_count(&self) -> u64 {
        let [a, b] = &self.operand_shapes;
        runs(&self.shape, [a, b]).map_or(1, |r| r.outer.iter().product::<usize>() as u64)
    }
}

impl Widths for Add {
    fn kernel(&self, unit: &mut Unit, name: &str, width: Width) -> Result<Kernel, KernelError> {
        let [a, b] = &self.operand_shapes;
        let runs = broadcast(name, &self.shape, [a, b])?;
        let out = self.requant.of(0);
        let shifts = [self.operands[0].multiplier, self.operands[1].multiplier, out];
        if shifts.iter().any(|m| m.shift > 0 || m.shift < -30) {
            return Err(KernelError::Unsupported {
                layer: name.into(),
                what: "an addition whose scales are this far apart".into(),
            });
        }
        unit.need(match width {
            Width::Eight => Helper::Add,
            Width::Sixteen => Helper::Wide(Of16::Add),
        });
        let operand = |o: &AddOperand| {
            format!("{}, {}, {}", -o.zero, o.multiplier.mantissa, -o.multiplier.shift)
        };
        let call = format!(
            "pr_add{}(@a@, {}, @b@, {}, @o@, @n@, {}, {}, {}, {}, {}, {}, {}, {});",
            width.suffix(),
            runs.run_steps[0],
            runs.run_steps[1],
            if self.subtract { -1 } else { 1 },
            operand(&self.operands[0]),
            operand(&self.operands[1]),
            out.mantissa,
            -out.shift,
            self.requant.zero,
            self.requant.low,
            self.requant.high
        );
        Ok(runs.kernel(&call, width))
    }

    fn rounds_of(&self, isa: Isa, width: Width) -> Vec<(&'static str, u64)> {
        self.rounds(isa, width)
    }
}

impl Layer for Add {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        self.kernel(unit, name, Width::Eight)
    }

    fn band(&self, band: Band) -> Option<Box<dyn Layer + '_>> {
        let shape = vec![band.rows * band.row];
        self.operand_shapes.iter().all(|s| *s == self.shape).then_some(())?;
        let operand_shapes = [shape.clone(), shape.clone()];
        Some(Box::new(Self { shape, operand_shapes, ..self.clone() }))
    }

    fn rounds(&self, _: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        self.rounds_of(isa, Width::Eight)
    }
}

/// A product of two tensors, with broadcasting.
#[derive(Clone, Debug, PartialEq)]
pub struct Mul {
    /// The output's shape.
    pub shape: Vec<usize>,
    /// The operands' shapes.
    pub operand_shapes: [Vec<usize>; 2],
    /// Their zero points.
    pub zeros: [i32; 2],
    /// Product of the input scales over the output scale, zero point and clamp.
    pub requant: Requant,
}

impl Widths for Mul {
    fn kernel(&self, unit: &mut Unit, name: &str, width: Width) -> Result<Kernel, KernelError> {
        let [a, b] = &self.operand_shapes;
        let runs = broadcast(name, &self.shape, [a, b])?;
        unit.need(match width {
            Width::Eight => Helper::Mul,
            Width::Sixteen => Helper::Wide(Of16::Mul),
        });
        let m = self.requant.of(0);
        let call = format!(
            "pr_mul{}(@a@, {}, @b@, {}, @o@, @n@, {}, {}, {}, {}, {}, {}, {});",
            width.suffix(),
            runs.run_steps[0],
            runs.run_steps[1],
            -self.zeros[0],
            -self.zeros[1],
            m.mantissa,
            m.shift,
            self.requant.zero,
            self.requant.low,
            self.requant.high
        );
        Ok(runs.kernel(&call, width))
    }

    fn rounds_of(&self, _: Isa, _: Width) -> Vec<(&'static str, u64)> {
        each(self.shape.iter().product())
    }
}

impl Layer for Mul {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        self.kernel(unit, name, Width::Eight)
    }

    fn band(&self, band: Band) -> Option<Box<dyn Layer + '_>> {
        let shape = vec![band.rows * band.row];
        self.operand_shapes.iter().all(|s| *s == self.shape).then_some(())?;
        let operand_shapes = [shape.clone(), shape.clone()];
        Some(Box::new(Self { shape, operand_shapes, ..self.clone() }))
    }

    fn rounds(&self, _: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        self.rounds_of(isa, Width::Eight)
    }
}

/// Any function of a single int8 value.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Number of values.
    pub count: usize,
    /// The results for -128, -127, ... 127.
    pub values: [i8; 256],
}

impl Layer for Table {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        unit.need(Helper::Table);
        unit.i8s(&format!("{name}_t"), &self.values);
        let template = |count: &str| format!("pr_table({name}_t, @in0@, @out0@, {count});");
        let kernel = Kernel::new(template(&self.count.to_string()), "table");
        Ok(Kernel { rows: Some(template("@rows@ * @row@")), ..kernel }
            .overlap(&[Overlap::AtLeast(0)]))
    }

    fn band(&self, band: Band) -> Option<Box<dyn Layer + '_>> {
        Some(Box::new(Self { count: band.rows * band.row, ..self.clone() }))
    }

    fn rounds(&self, _: &str, _: Isa) -> Vec<(&'static str, u64)> {
        each(self.count)
    }
}

/// Float to int8 or, as [`Wide`](crate::Wide), to int16.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantize {
    /// Number of values.
    pub count: usize,
    /// The output's scale.
    pub scale: f32,
    /// The output's zero point.
    pub zero: i32,
    /// Whether ties go to the even neighbour instead of away from zero.
    pub ties_even: bool,
}

impl Widths for Quantize {
    fn kernel(&self, unit: &mut Unit, _: &str, width: Width) -> Result<Kernel, KernelError> {
        let (helper, function) = match (width, self.ties_even) {
            (Width::Eight, true) => (Helper::QuantizeEven, "pr_quantize_even"),
            (Width::Eight, false) => (Helper::Quantize, "pr_quantize"),
            (Width::Sixteen, true) => (Helper::Wide(Of16::QuantizeEven), "pr_quantize_even16"),
            (Width::Sixteen, false) => (Helper::Wide(Of16::Quantize), "pr_quantize16"),
        };
        unit.need(helper);
        let template = format!(
            "{function}((const float *)@in0@, {}, {}, {:e}f, {});",
            width.output(),
            self.count,
            self.scale,
            self.zero
        );
        Ok(Kernel::new(template, "elementwise").overlap(&[Overlap::AtLeast(0)]))
    }

    fn rounds_of(&self, _: Isa, _: Width) -> Vec<(&'static str, u64)> {
        each(self.count)
    }
}

impl Layer for Quantize {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        self.kernel(unit, name, Width::Eight)
    }

    fn rounds(&self, _: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        self.rounds_of(isa, Width::Eight)
    }
}

/// Int8 or, as [`Wide`](crate::Wide), int16 to float.
#[derive(Clone, Debug, PartialEq)]
pub struct Dequantize {
    /// Number of values.
    pub count: usize,
    /// The input's scale.
    pub scale: f32,
    /// The input's zero point.
    pub zero: i32,
}

impl Widths for Dequantize {
    fn kernel(&self, unit: &mut Unit, _: &str, width: Width) -> Result<Kernel, KernelError> {
        unit.need(match width {
            Width::Eight => Helper::Dequantize,
            Width::Sixteen => Helper::Wide(Of16::Dequantize),
        });
        let template = format!(
            "pr_dequantize{}({}, (float *)@out0@, {}, {:e}f, {});",
            width.suffix(),
            width.input(0),
            self.count,
            self.scale,
            self.zero
        );
        Ok(Kernel::new(template, "elementwise"))
    }

    fn rounds_of(&self, _: Isa, _: Width) -> Vec<(&'static str, u64)> {
        each(self.count)
    }
}

impl Layer for Dequantize {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        self.kernel(unit, name, Width::Eight)
    }

    fn rounds(&self, _: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        self.rounds_of(isa, Width::Eight)
    }
}

/// Int8 to int8 of another scale and zero point.
#[derive(Clone, Debug, PartialEq)]
pub struct Requantize {
    /// Number of values.
    pub count: usize,
    /// The input's zero point.
    pub in_zero: i32,
    /// Input scale over output scale, zero point and clamp of the output.
    pub requant: Requant,
}

impl Layer for Requantize {
    fn lower(&self, unit: &mut Unit, _name: &str) -> Result<Kernel, KernelError> {
        unit.need(Helper::Requantize);
        let m = self.requant.of(0);
        let template = |count: &str| {
            format!(
                "pr_requantize(@in0@, @out0@, {count}, {}, {}, {}, {});",
                self.in_zero,
                int(m.mantissa),
                m.shift,
                self.requant.zero
            )
        };
        let kernel = Kernel::new(template(&self.count.to_string()), "elementwise")
            .overlap(&[Overlap::AtLeast(0)]);
        let kernel = Kernel { rows: Some(template("@rows@ * @row@")), ..kernel };
        Ok(self.requant.clamp(unit, kernel, self.count))
    }

    fn band(&self, band: Band) -> Option<Box<dyn Layer + '_>> {
        Some(Box::new(Self { count: band.rows * band.row, ..self.clone() }))
    }

    fn rounds(&self, _: &str, _: Isa) -> Vec<(&'static str, u64)> {
        each(self.count)
    }

    fn clamp_rounds(&self) -> Option<Vec<(&'static str, u64)>> {
        self.requant.clamp_rounds(Width::Eight, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shapes_are_one_run_and_channels_repeat() {
        let same = runs(&[1, 4, 5, 8], [&[1, 4, 5, 8], &[1, 4, 5, 8]]).expect("broadcasts");
        assert_eq!((same.run, same.run_steps), (160, [1, 1]));
        assert!(same.outer.is_empty());
        let scalar = runs(&[2, 3], [&[2, 3], &[]]).expect("broadcasts");
        assert_eq!((scalar.run, scalar.run_steps), (6, [1, 0]));
        let channel = runs(&[1, 4, 5, 8], [&[1, 4, 5, 8], &[8]]).expect("broadcasts");
        assert_eq!((channel.run, channel.outer.as_slice()), (8, &[20][..]));
        assert_eq!(channel.steps, [vec![8], vec![0]]);
        assert!(runs(&[2, 3], [&[2, 3], &[2]]).is_none());
    }
}

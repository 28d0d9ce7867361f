use paring_qmath::Multiplier;

use crate::KernelError;
use crate::helpers::Helper;
use crate::unit::{Isa, Kernel, Layer, Overlap, Unit};

/// A softmax over the last axis, int8 in and out, output scale 1/256 and zero point -128.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// Number of rows.
    pub rows: usize,
    /// Length of a row.
    pub depth: usize,
    /// Factor of the exponent.
    pub beta: f64,
    /// The input's scale.
    pub in_scale: f64,
}

impl Layer for Softmax {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        let real = (self.beta * self.in_scale * f64::from(1 << 26)).min(f64::from(i32::MAX));
        let m = Multiplier::from_real(real);
        // The difference is scaled up to Q5.26; scales below that would need another kernel.
        if self.depth == 0 || !(0..=30).contains(&m.shift) {
            return Err(KernelError::Unsupported {
                layer: name.into(),
                what: format!("a softmax of depth {} on scale {}", self.depth, self.in_scale),
            });
        }
        unit.need(Helper::Softmax);
        // Differences that would leave the 5 integer bits count nothing.
        let radius = (31.0 * f64::from(1 << 26) / f64::from(m.shift).exp2()).floor();
        let template = format!(
            "pr_softmax({}, {}, {}, @in0@, @out0@, {}, {});",
            m.mantissa,
            m.shift,
            radius.min(255.0) as i32 + 1,
            self.rows,
            self.depth
        );
        Ok(Kernel::new(template, "fixed-point exponentials").overlap(&[Overlap::AtLeast(0)]))
    }

    fn rounds(&self, _: &str, _: Isa) -> Vec<(&'static str, u64)> {
        Self::rounds(self)
    }
}

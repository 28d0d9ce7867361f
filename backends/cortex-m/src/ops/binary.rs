use paring_cortex_m_kernels::{Add, AddOperand, Mul, Wide};
use paring_ir::ops::{self, BinaryFn};
use paring_qmath::Multiplier;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Binary = super::attributes(site)?;
    let (a, b, y) = (site.input(0)?, site.input(1)?, site.output()?);
    let first = site.like(y, "the first operand", a)?;
    let second = site.like(y, "the second operand", b)?;
    let (out_scale, _) = site.like(y, "the output", y)?;
    let wide = site.is_wide(y);
    if wide && (first.1, second.1) != (0, 0) {
        return Err("the operands of 16 bits have zero points other than 0".into());
    }
    let shape = site.shape(y)?;
    let operand_shapes = [site.shape(a)?, site.shape(b)?];
    let inputs = vec![site.operand(0)?, site.operand(1)?];
    let real = |scale: f32| f64::from(scale);
    match op.f {
        BinaryFn::Add | BinaryFn::Sub => {
            // TFLite's recipe: both operands at twice the larger scale, 20 bits up, or 15 for 16 bits.
            let left = if wide { 15 } else { 20 };
            let twice = 2.0 * real(first.0.max(second.0));
            let operand = |(scale, zero): (f32, i32)| AddOperand {
                zero,
                multiplier: Multiplier::from_real(real(scale) / twice),
            };
            let out = twice / (f64::from(1 << left) * real(out_scale));
            let requant = site.requant(vec![Multiplier::from_real(out)], op.activation)?;
            let layer = Add {
                shape,
                operand_shapes,
                operands: [operand(first), operand(second)],
                subtract: op.f == BinaryFn::Sub,
                requant,
            };
            if wide { site.call(&Wide(layer), inputs) } else { site.call(&layer, inputs) }
        }
        BinaryFn::Mul => {
            let out = real(first.0) * real(second.0) / real(out_scale);
            let requant = site.requant(vec![Multiplier::from_real(out)], op.activation)?;
            let layer = Mul { shape, operand_shapes, zeros: [first.1, second.1], requant };
            if wide { site.call(&Wide(layer), inputs) } else { site.call(&layer, inputs) }
        }
        other => Err(format!("there is no integer kernel for {other:?}")),
    }
}

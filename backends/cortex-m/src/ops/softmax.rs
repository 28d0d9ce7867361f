use paring_cortex_m_kernels::Softmax;
use paring_ir::ops;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Softmax = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    let (scale, _) = site.int8("the input", x)?;
    let out = site.int8("the output", y)?;
    if op.log {
        return Err("there is no int8 kernel for the logarithm of a softmax".into());
    }
    if out != (1.0 / 256.0, -128) {
        return Err("the output's scale is not 1/256 with zero point -128".into());
    }
    let shape = site.shape(x)?;
    if op.axis + 1 != shape.len() {
        return Err(format!("axis {} of {shape:?} is not the last", op.axis));
    }
    let depth = shape.last().copied().unwrap_or(1);
    let rows = shape.iter().product::<usize>().checked_div(depth).unwrap_or(0);
    let (beta, in_scale) = (f64::from(op.beta), f64::from(scale));
    site.call_on_input(&Softmax { rows, depth, beta, in_scale })
}

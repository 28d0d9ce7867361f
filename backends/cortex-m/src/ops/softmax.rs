use paring_cortex_m_kernels::{Softmax, SoftmaxWide};
use paring_ir::ops;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Softmax = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    let (scale, _) = site.like(x, "the input", x)?;
    let out = site.like(x, "the output", y)?;
    let wide = site.is_wide(x);
    if op.log {
        return Err("there is no integer kernel for the logarithm of a softmax".into());
    }
    let wanted = if wide { (1.0 / 32768.0, 0) } else { (1.0 / 256.0, -128) };
    if out != wanted {
        return Err(format!("the output's scale is not {} with zero point {}", wanted.0, wanted.1));
    }
    let shape = site.shape(x)?;
    if op.axis + 1 != shape.len() {
        return Err(format!("axis {} of {shape:?} is not the last", op.axis));
    }
    let depth = shape.last().copied().unwrap_or(1);
    let rows = shape.iter().product::<usize>().checked_div(depth).unwrap_or(0);
    if wide {
        return site.call_on_input(&SoftmaxWide { rows, depth, beta: op.beta, in_scale: scale });
    }
    let (beta, in_scale) = (f64::from(op.beta), f64::from(scale));
    site.call_on_input(&Softmax { rows, depth, beta, in_scale })
}

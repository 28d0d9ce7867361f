use paring_cortex_m_kernels::BoxCopy;
use paring_ir::ops;

use super::steps;
use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Slice = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    let (from, to) = (steps(&site.shape(x)?), site.shape(y)?);
    let mut strides = Vec::new();
    for (&step, &along) in op.step.iter().zip(&from) {
        let step = usize::try_from(step).map_err(|_| "a step goes backward".to_string())?;
        strides.push(step * along);
    }
    let begin = op.start.iter().zip(&from).map(|(s, f)| s * f).sum();
    let element = site.ty(x).dtype.size();
    let layer = BoxCopy { element, from: (strides, begin), to: (steps(&to), 0), size: to };
    site.call_on_input(&layer)
}

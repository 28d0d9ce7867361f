use paring_cortex_m_kernels::BoxCopy;
use paring_ir::ops;

use super::steps;
use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Transpose = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    let (from, to) = (steps(&site.shape(x)?), site.shape(y)?);
    let permuted = op.perm.iter().map(|&p| from[p]).collect();
    let element = site.ty(x).dtype.size();
    let layer = BoxCopy { element, from: (permuted, 0), to: (steps(&to), 0), size: to };
    site.call_on_input(&layer)
}

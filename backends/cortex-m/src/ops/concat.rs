use paring_cortex_m_kernels::BoxCopy;
use paring_ir::ops;

use super::steps;
use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Concat = super::attributes(site)?;
    let y = site.output()?;
    let to = steps(&site.shape(y)?);
    let quant = &site.ty(y).quant;
    let mut at = 0;
    for index in 0..site.node.inputs().len() {
        let x = site.input(index)?;
        if &site.ty(x).quant != quant {
            return Err(format!("input {index} is quantized differently from the output"));
        }
        let size = site.shape(x)?;
        let layer = BoxCopy {
            element: site.ty(x).dtype.size(),
            from: (steps(&size), 0),
            to: (to.clone(), at * to[op.axis]),
            size: size.clone(),
        };
        let operand = site.operand(index)?;
        site.call(&layer, vec![operand])?;
        at += size[op.axis];
    }
    Ok(())
}

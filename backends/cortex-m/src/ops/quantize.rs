use paring_cortex_m_kernels::{Quantize, Requant, Requantize};
use paring_ir::ops;
use paring_qmath::Multiplier;
use paring_tensor::DType;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let (x, y) = (site.input(0)?, site.output()?);
    let (scale, zero) = site.int8("the output", y)?;
    let count = site.shape(y)?.iter().product();
    if site.ty(x).dtype == DType::F32 {
        let op: ops::Quantize = super::attributes(site)?;
        let ties_even = op.ties_even;
        return site.call_on_input(&Quantize { count, scale, zero, ties_even });
    }
    let (in_scale, in_zero) = site.int8("the input", x)?;
    let multiplier = Multiplier::from_real(f64::from(in_scale) / f64::from(scale));
    let requant = Requant::per_tensor(multiplier, zero);
    site.call_on_input(&Requantize { count, in_zero, requant })
}

use paring_cortex_m_kernels::{Change, Quantize, Requantize, Rescale, Wide};
use paring_ir::ops;
use paring_qmath::Multiplier;
use paring_tensor::DType;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let (x, y) = (site.input(0)?, site.output()?);
    let (scale, zero) = site.like(y, "the output", y)?;
    let count = site.shape(y)?.iter().product();
    if site.ty(x).dtype == DType::F32 {
        let op: ops::Quantize = super::attributes(site)?;
        let layer = Quantize { count, scale, zero, ties_even: op.ties_even };
        return if site.is_wide(y) {
            site.call_on_input(&Wide(layer))
        } else {
            site.call_on_input(&layer)
        };
    }
    let (in_scale, in_zero) = site.like(x, "the input", x)?;
    let multiplier = Multiplier::from_real(f64::from(in_scale) / f64::from(scale));
    let requant = site.requant(vec![multiplier], ops::Activation::None)?;
    let values = Requantize { count, in_zero, requant };
    let change = match (site.is_wide(x), site.is_wide(y)) {
        (false, false) => return site.call_on_input(&values),
        (false, true) => Change::Widen,
        (true, false) => Change::Narrow,
        (true, true) => Change::Sixteen,
    };
    site.call_on_input(&Rescale { change, values })
}

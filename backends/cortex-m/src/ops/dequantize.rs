use paring_cortex_m_kernels::{Dequantize, Wide};
use paring_tensor::DType;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let (x, y) = (site.input(0)?, site.output()?);
    let (scale, zero) = site.like(x, "the input", x)?;
    if site.ty(y).dtype != DType::F32 {
        return Err(format!("the output has {} elements, not f32", site.ty(y).dtype));
    }
    let count = site.shape(y)?.iter().product();
    let layer = Dequantize { count, scale, zero };
    if site.is_wide(x) { site.call_on_input(&Wide(layer)) } else { site.call_on_input(&layer) }
}

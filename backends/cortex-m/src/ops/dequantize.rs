use paring_cortex_m_kernels::Dequantize;
use paring_tensor::DType;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let (x, y) = (site.input(0)?, site.output()?);
    let (scale, zero) = site.int8("the input", x)?;
    if site.ty(y).dtype != DType::F32 {
        return Err(format!("the output has {} elements, not f32", site.ty(y).dtype));
    }
    let count = site.shape(y)?.iter().product();
    site.call_on_input(&Dequantize { count, scale, zero })
}

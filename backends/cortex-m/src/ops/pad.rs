use paring_cortex_m_kernels::{BoxCopy, Fill};
use paring_ir::ops::{self, PadMode};
use paring_tensor::DType;

use super::steps;
use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Pad = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    let PadMode::Constant(real) = op.mode else {
        return Err("only constant padding has a kernel".into());
    };
    let ty = site.ty(y);
    let value = if ty.dtype == DType::I8 {
        let (scale, zero) = site.int8("the output", y)?;
        let stored = (real / f64::from(scale)).round() + f64::from(zero);
        stored.clamp(-128.0, 127.0) as i8
    } else if real == 0.0 {
        0
    } else {
        return Err(format!("padding {} elements with {real}", ty.dtype));
    };
    let (from, to) = (site.shape(x)?, site.shape(y)?);
    let mut size = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for (axis, pad) in op.pads.iter().enumerate() {
        // What both hold: from the first to the last kept element.
        let cut = [0, 1].map(|i: usize| (-pad[i]).max(0) as usize);
        size.push(from[axis].saturating_sub(cut[0] + cut[1]));
        begin += cut[0] * steps(&from)[axis];
        end += pad[0].max(0) as usize * steps(&to)[axis];
    }
    let bytes = ty.byte_len().unwrap_or(0);
    let copy = BoxCopy {
        element: ty.dtype.size(),
        size,
        from: (steps(&from), begin),
        to: (steps(&to), end),
    };
    site.call(&Fill { bytes, value }, Vec::new())?;
    site.call_on_input(&copy)
}
